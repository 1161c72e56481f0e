"""The desk: where tokens are given and taken.

For both, files have to be looked at, to tell them from others later, or from those of then. Somebody else does that:
the desk keeps what waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..pipeline.ends import Ends
from ..pipeline.messages import AskToken, Open, Token
from ..pipeline.operators.protocol import State
from ..pipeline.orders import Scan, Scanned
from ..pipeline.token import named, pack_state, placed, places, position_of, with_files
from ..pipeline.verdicts import Verdict, with_verdicts
from .book import EpochEntry, JobEntry, Rewound
from .run import Run

__all__ = ["Desk", "Loading"]

#: What was found where a file was looked for: nothing where it cannot be read.
_Found: TypeAlias = "Ends | None"


@dataclass(slots=True)
class Loading:
    """A consumer that loads a token, while the files that this names are looked at."""

    peer: str
    message: Open
    element: int
    state: State | None
    wanted: set[str]
    found: dict[str, _Found] = field(default_factory=dict)

    def look(self, path: str) -> Ends | str:
        """What was found there, or why nothing was."""
        return self.found[path] or "the server does not see it, or must not read it"


@dataclass(slots=True)
class Desk:
    """Tokens on their way, by job and consumer."""

    loading: dict[tuple[int, int], Loading] = field(default_factory=dict)
    asked: dict[tuple[int, int], AskToken] = field(default_factory=dict)
    ends: dict[tuple[int, str], _Found | str] = field(default_factory=dict)  #: By job and path; "" while asked for.

    def take(self, peer: str, message: Open, entry: JobEntry) -> Rewound | list[Scan]:
        """What a token means for a job, or what has to be looked at before that is known.

        Raises:
            HeadraceError: it cannot be, as where a file has changed.
        """
        key = (message.job, message.consumer)
        at, scans = self.loading.get(key), []
        if at is None or (at.message.generation, at.message.token) != (message.generation, message.token):
            element, state = position_of(message.token)
            wanted = set() if state is None else places(state, entry.folder)
            at = self.loading[key] = Loading(peer, message, element, state, wanted)
            scans = [Scan(message.job, path, "ends") for path in sorted(wanted)]
        at.peer, at.message = peer, message
        if at.wanted - at.found.keys():
            return scans
        del self.loading[key]
        state = None if at.state is None else placed(at.state, entry.folder, at.look)
        return Rewound(message.job, message.epoch, at.element, state, message.consumer)

    def looked(self, scanned: Scanned) -> Iterator[Loading]:
        """A file was looked at; those that load a token and wait for nothing more."""
        found: _Found = (scanned.bounds[0] or 0, scanned.bounds[1] or 0) if len(scanned.bounds) == 2 else None
        if (scanned.job, scanned.path) in self.ends:
            self.ends[scanned.job, scanned.path] = found
        for (job, _), at in list(self.loading.items()):
            if job == scanned.job and scanned.path in at.wanted:
                at.found[scanned.path] = found
                if not at.wanted - at.found.keys():
                    yield at

    def give(self, message: AskToken, entry: JobEntry, run: Run) -> Token | list[Scan]:
        """Where a job stands behind what a consumer took, or what has to be looked at before that can be told."""
        element = run.rounds.base + run.rounds.consumers * message.taken
        if run.ended:  # a last round that was filled up has fewer
            element = min(element, max(run.rounds.base, run.rounds.produced))
        state = _newest(entry.entry(run.epoch), run, element)
        if state is None:
            return Token(message.session, message.taken, element, b"")
        paths = named(state, set(run.store.paths.values()))
        new = [path for path in paths if (run.job, path) not in self.ends]
        self.ends |= dict.fromkeys(((run.job, path) for path in new), "")
        if any(self.ends[run.job, path] == "" for path in paths):
            return [Scan(run.job, path, "ends") for path in new]
        ends = {path: found for path in paths if isinstance(found := self.ends[run.job, path], tuple)}
        return Token(message.session, message.taken, element, pack_state(with_files(state, ends, run.folder)))

    def forget(self, job: int) -> None:
        """The job is over."""
        self.loading = {key: each for key, each in self.loading.items() if key[0] != job}
        self.asked = {key: each for key, each in self.asked.items() if key[0] != job}
        self.ends = {key: each for key, each in self.ends.items() if key[0] != job}


def _newest(known: EpochEntry, run: Run, element: int) -> State | None:
    """The newest checkpoint at or before an element, and what was decided since; None for the epoch's start."""
    states = [state for cursor, state in run.checkpoints if cursor <= element]
    if not states and known.checkpoint is not None and known.checkpoint.cursor <= element:
        states = [known.checkpoint.state]
    if not states and known.judged and run.beginning is not None:
        states = [run.beginning]
    if not states:
        return None
    since = [each for serial, each in known.judged.items() if serial > states[-1].get("decided", 0)]
    state = {name: value for name, value in states[-1].items() if name not in ("checksums", "decided")}
    return with_verdicts(state, [Verdict.from_data(each.verdict) for each in since])
