"""Feeds: what a segment is fed with, cut into jobs in the order in which they are consumed.

In process a feed's jobs are run at once; in a service each is leased to a worker as a split. Either way
the order is that in which tf.data would read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from .counts import Counts
from .errors import InvalidArgumentError, MalformedMessage
from .operators.protocol import NOTHING, Failed, Find, Keep, Operator, Pulled, Signal, State
from .seeds import derive
from .store import Handles, Store
from .views import View
from .work import Payload, Work

__all__ = [
    "HANDED_BYTES",
    "HANDED_MOST",
    "Cut",
    "Feed",
    "FileFeed",
    "HandedFeed",
    "Job",
    "OnceFeed",
    "RecoveryFeed",
    "RowFeed",
    "SequentialFeed",
    "handed",
    "job_of",
    "payload_of",
    "state_of",
]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A unit of work, and the elements that are handed along with it, if any; they are held until it is consumed."""

    work: Work
    inputs: Handles | None = None
    grain: int = 1  #: How many input positions each element handed along has.
    done: Callable[[int, int], None] | None = None  #: Told of how many bytes came of it, in how many pieces.
    state: bytes = b""  #: Of a sequential function, where `work` has it from.
    part_of: tuple[int, ...] | None = None  #: The segment, where reading and its functions are leased each by itself.

    @property
    def segment(self) -> tuple[int, ...]:
        """Whose elements these are, however the work on them is divided."""
        return self.work.segment if self.part_of is None else self.part_of

    @property
    def derived(self) -> bool:
        """Whether they are made of other elements, and not of what was only read for them."""
        return self.inputs is not None and self.part_of is None


#: The boundaries at which a file is cut, from its name; PENDING while they are not known.
Cut: TypeAlias = Callable[[str], "Sequence[int | None] | Signal"]

HANDED_BYTES = 4 << 20
HANDED_MOST = 4096


@dataclass(slots=True)
class RowFeed:
    """Rows of a leaf in memory, `size` at a time."""

    segment: tuple[int, ...]
    origin: int
    count: int
    size: int
    view: View = ()
    at: int = 0

    def next(self) -> Job | Signal | Failed:
        """The next rows."""
        if self.at >= self.count:
            return Signal.END
        start, self.at = self.at, min(self.count, self.at + self.size)
        return Job(Work(self.segment, self.origin, start, self.at, view=self.view))

    def abandon(self, origin: int) -> None:
        """Rows can always be read."""

    def close(self) -> None:
        """Nothing is held."""

    def snapshot(self, keep: Keep) -> State:
        """Where the rows were left."""
        return {"at": self.at}

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.at = state["at"]

    def could_give(self, job: Job) -> bool:
        """Whether a job that is said to be of this feed can be."""
        work = job.work
        own = (work.segment, work.origin, work.view) == (self.segment, self.origin, self.view)
        inside = work.stop is not None and work.stop <= self.count
        return own and inside and job.inputs is None and work.only is None and work.since is None


@dataclass(slots=True)
class FileFeed:
    """Files by name, each cut where `cut` says."""

    segment: tuple[int, ...]
    names: Operator
    store: Store
    leaf: tuple[int, ...]
    passes: tuple[int, ...]
    cut: Cut
    folder: str = ""  #: In which relative names are looked up, whoever opens the file.
    file: tuple[str, int] | None = None  #: Path and origin of the file that is to be cut next.
    pieces: list[Work] = field(default_factory=list)

    def next(self) -> Job | Signal | Failed:
        """The next piece of the file at hand, or of the next file."""
        while not self.pieces:
            if self.file is None:
                got = self.names.pull(1)
                if not isinstance(got, np.ndarray):
                    return got
                opened = self._open(got)
                if isinstance(opened, Failed):
                    return opened
                self.file = opened
            path, origin = self.file
            bounds = self.cut(path)
            if isinstance(bounds, Signal):
                return bounds
            ends = pairwise(bounds)
            self.pieces = [Work(self.segment, origin, start or 0, stop, path) for start, stop in ends]
            self.file = None
        return Job(self.pieces.pop(0))

    def _open(self, handle: Handles) -> tuple[str, int] | Failed:
        name = self.store.gather(handle).element(0)
        outer = self.store.identities(handle)[0].tolist()
        self.store.release(handle)
        if not isinstance(name, bytes):
            return Failed(InvalidArgumentError(f"file names must be text, one an element, not {name!r}"))
        path = os.path.join(self.folder, os.fsdecode(name))  # noqa: PTH118  (a Path would change other names)
        origin = derive("file", list(self.leaf), list(self.passes), outer)
        self.store.paths[origin] = path
        return path, origin

    def abandon(self, origin: int) -> None:
        """Nothing more is wanted of the file with this origin."""
        self.pieces = [each for each in self.pieces if each.origin != origin]

    def close(self) -> None:
        """Close what names the files."""
        self.pieces, self.file = [], None
        self.names.close()

    def snapshot(self, keep: Keep) -> State:
        """The file at hand, its pieces not yet given out, and where the names were left."""
        return {
            "names": self.names.snapshot(keep),
            "file": None if self.file is None else list(self.file),
            "pieces": [each.to_data() for each in self.pieces],
        }

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.names.restore(state["names"], find)
        self.file = None if state["file"] is None else (state["file"][0], state["file"][1])
        self.pieces = [Work.from_data(each) for each in state["pieces"]]
        if not all(self.could_give(Job(each)) for each in self.pieces):
            raise MalformedMessage("pieces of files that are none")
        self.store.paths |= {each.origin: each.path for each in self.pieces}
        if self.file is not None:
            self.store.paths[self.file[1]] = self.file[0]

    def could_give(self, job: Job) -> bool:
        """Whether a job that is said to be of this feed can be."""
        own = job.work.segment == self.segment and job.work.since is None
        return own and job.inputs is None and job.work.path != ""


@dataclass(slots=True)
class HandedFeed:
    """Elements that a stateful operator put in order, handed along a few at a time: about HANDED_BYTES of them.

    Where each gives any number of others, about so much of these.
    """

    segment: tuple[int, ...]
    source: Operator
    store: Store
    grain: int = 1
    size: int = 1  #: How many to hand along together, learnt from the ones before.
    rest: Handles = field(default_factory=lambda: NOTHING)  #: What came with the last ones and is of another structure.
    given: int = 0  #: How many came of the input, failed ones too.
    skip: int = 0  #: So many are done with, and not handed along again;
    within: int = 0  #: and so much of the one behind them.
    counts: Counts = field(default_factory=Counts)  #: Of what did not come out of the input.

    def next(self) -> Job | Signal | Failed:
        """The next few elements."""
        while self.skip:
            got = self._take(min(self.skip, HANDED_MOST))
            if isinstance(got, Signal):
                return got
            count = len(got) if isinstance(got, np.ndarray) else 1
            self.skip, self.given = self.skip - count, self.given + count
            if isinstance(got, np.ndarray):
                self.store.release(got)
        got = self._take(self.size)
        if not isinstance(got, np.ndarray):
            self.given += isinstance(got, Failed)
            return got
        count = self.store.together(got)
        got, self.rest = got[:count], np.concatenate([got[count:], self.rest])
        self.given += count
        if self.grain == 1:
            self._learn(len(got), self.store.nbytes_of(got))
        start, self.within = self.within, 0
        return replace(handed(self.segment, self.store, got, self.grain, start), done=partial(self._done, len(got)))

    def _take(self, limit: int) -> Pulled:
        """Up to so many, those that wait first."""
        if not len(self.rest):
            return self.source.pull(limit)
        got, self.rest = self.rest[:limit], self.rest[limit:]
        return got

    def _learn(self, count: int, nbytes: int) -> None:
        """So many bytes belong to so many elements: hand on more or fewer of them from now on."""
        self.size = max(1, min(HANDED_MOST, 2 * self.size, HANDED_BYTES * count // max(1, nbytes)))

    def _done(self, count: int, nbytes: int, pieces: int) -> None:
        if self.grain > 1:
            self._learn(count, nbytes)

    def abandon(self, origin: int) -> None:
        """What is handed along can always be read."""

    def close(self) -> None:
        """Close what feeds it."""
        self.store.release(self.rest)
        self.rest = NOTHING
        self.source.close()
        self.counts.fold()

    def snapshot(self, keep: Keep) -> State:
        """Where the input was left."""
        done_with = {"skip": self.skip, "within": self.within, "branch": [self.counts.filtered, self.counts.ignored]}
        return {"source": self.source.snapshot(keep), "rest": keep(self.rest), **done_with}

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.source.restore(state["source"], find)
        self.rest = find(state["rest"])
        self.skip, self.within = state["skip"], state["within"]
        self.counts.filtered, self.counts.ignored = state["branch"]
        if self.within >= self.grain:
            raise MalformedMessage(f"{self.within} of the {self.grain} positions of an element are done with")

    def could_give(self, job: Job) -> bool:
        """Whether a job that is said to be of this feed can be."""
        own = (job.work.segment, job.grain) == (self.segment, self.grain)
        own = own and (job.work.since is None) is not isinstance(self, SequentialFeed)
        return own and job.inputs is not None and job.work.start < (job.work.stop or 0)


@dataclass(slots=True)
class SequentialFeed(HandedFeed):
    """Elements handed along to a function that has a state: one job after the other, each with what the last left."""

    state: bytes = b""
    current: Job | None = None  #: What is under way.

    def next(self) -> Job | Signal | Failed:
        """The next few elements, once all of those before were computed."""
        if self.current is not None:
            return Signal.PENDING
        job = HandedFeed.next(self)  # `super()` does not work in a dataclass with slots
        if isinstance(job, Job):
            job = self.current = replace(job, work=replace(job.work, since=job.work.start), state=self.state)
        return job

    def computed(self, job: Job, state: bytes) -> None:
        """All of a job came, and the state behind it."""
        if job is self.current:
            self.current, self.state = None, state

    def snapshot(self, keep: Keep) -> State:
        """Where the input was left, and the state behind what was handed along and is computed."""
        return {**HandedFeed.snapshot(self, keep), "carried": self.state}

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        HandedFeed.restore(self, state, find)
        self.state = state["carried"]

    def could_give(self, job: Job) -> bool:
        """Whether a job that is said to be of this feed can be. If so, it is under way."""
        if not HandedFeed.could_give(self, job):
            return False
        self.current = job
        return True


@dataclass(slots=True)
class OnceFeed:
    """One job and no more."""

    job: Job | None
    store: Store
    share: int = 1  #: How many such feeds share what one alone may have under way.
    _own: Work | None = field(init=False)  #: What its job is, where it was made with one.

    def __post_init__(self) -> None:
        self._own = None if self.job is None else self.job.work

    def next(self) -> Job | Signal:
        """The job, or the end."""
        job, self.job = self.job, None
        return job or Signal.END

    def abandon(self, origin: int) -> None:
        """There is nothing behind it."""

    def close(self) -> None:
        """Give back what would be handed along."""
        if self.job is not None and self.job.inputs is not None:
            self.store.release(self.job.inputs)
        self.job = None

    def snapshot(self, keep: Keep) -> State:
        """The job, if it was not given out."""
        return {"job": None if self.job is None else state_of(self.job, self.job.work.start, keep)}

    def restore(self, state: State, find: Find) -> None:
        """Go on there."""
        self.job = None if state["job"] is None else job_of(state["job"], self.store, find)
        if self.job is not None and not self.could_give(self.job):
            raise MalformedMessage("a unit of work that is none of here")

    def could_give(self, job: Job) -> bool:
        """Whether a job that is said to be of this feed can be."""
        if job.work.since is not None:
            return False
        if self._own is None or self._own.origin == 0:
            return job.inputs is not None and job.work.start < (job.work.stop or 0)
        return job.inputs is None and (job.work.segment, job.work.origin) == (self._own.segment, self._own.origin)


@dataclass(slots=True)
class RecoveryFeed:
    """Jobs that fill buffers again; what is being recovered is not saved."""

    jobs: list[Job]

    def next(self) -> Job | Signal:
        """The next of them."""
        return self.jobs.pop(0) if self.jobs else Signal.END

    def abandon(self, origin: int) -> None:
        """What was held could be read before."""

    def close(self) -> None:
        """What was not handed along goes with its store."""

    def snapshot(self, keep: Keep) -> State:
        """The checkpoint that is being recovered stays the newest one."""
        raise TypeError("there is nothing to save before all is recovered")

    def restore(self, state: State, find: Find) -> None:
        """As `snapshot`."""
        raise TypeError("nothing of this was saved")

    def could_give(self, job: Job) -> bool:
        """As `snapshot`."""
        return False


Feed: TypeAlias = RowFeed | FileFeed | HandedFeed | SequentialFeed | OnceFeed | RecoveryFeed


def handed(
    segment: tuple[int, ...], store: Store, inputs: Handles, grain: int = 1, start: int = 0, turns: bool = False
) -> Job:
    """A job on elements that are handed along."""
    work = Work(segment, 0, start, len(inputs) * grain, paths=store.paths_of(inputs), turns=turns)
    return Job(work, inputs, grain)


def state_of(job: Job, consumed: int, keep: Keep, behind: tuple[int, bytes] | None = None) -> State:
    """What of a job is not consumed yet, as plain data; from where on, and with what state, where it is sequential."""
    if job.inputs is None:
        return {"work": replace(job.work, segment=job.segment, start=consumed).to_data()}
    if job.work.since is not None:
        first, state = behind or (job.work.since, job.state)
        place = {"segment": list(job.work.segment), "start": consumed - first, "grain": 1, "turns": False}
        return {"inputs": keep(job.inputs[first:]), "carried": state, **place}
    row, within = divmod(consumed, job.grain)
    work = {"segment": list(job.work.segment), "start": within, "grain": job.grain, "turns": job.work.turns}
    return {"inputs": keep(job.inputs[row:]), **work}


def job_of(state: State, store: Store, find: Find) -> Job:
    """The reverse of `state_of`."""
    if "inputs" in state:
        segment, found = tuple(state["segment"]), find(state["inputs"])
        job = handed(segment, store, found, state["grain"], state["start"], state["turns"])
        if "carried" not in state:
            return job
        return replace(job, work=replace(job.work, since=0), state=state["carried"])
    return Job(Work.from_data(state["work"]))


def payload_of(store: Store, inputs: Handles | None, state: bytes = b"") -> Payload | None:
    """The elements that a job hands along, as its worker gets them."""
    if inputs is None:
        return None
    return Payload(store.whole(inputs) or store.gather(inputs), store.identities(inputs), state)
