"""Quarantines: the files that tell what was skipped, where each user's jobs may have them, written as facts come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .events import Quarantine
from .pipeline.errors import ServiceError
from .pipeline.quarantine import Quarantine as File

__all__ = ["Quarantines", "place_of"]

#: Below the state directory, for those who come with a key.
FOLDER = "quarantine"


def place_of(path: str, user: str, state: Path | None) -> Path:
    """Where a job's file lies: for this user of this host where it says, for others in a folder of theirs in `state`.

    >>> place_of("/data/bad.jsonl", "", None).as_posix(), place_of("/data/bad.jsonl", "ann", Path("/s")).as_posix()
    ('/data/bad.jsonl', '/s/quarantine/ann/bad.jsonl')
    """
    return Path(path) if not user or state is None else state / FOLDER / user / Path(path).name


@dataclass(slots=True)
class Quarantines:
    """All of them. What cannot be written waits, and is tried again with what comes next."""

    state: Path | None
    _files: dict[Path, File] = field(default_factory=dict)
    _waiting: dict[Path, list[Quarantine]] = field(default_factory=dict)

    def add(self, event: Quarantine) -> str | None:
        """Write a line; what to tell people where that is not possible, once."""
        place = place_of(event.path, event.user, self.state)
        waiting = self._waiting.pop(place, [])
        todo = [*waiting, event]
        try:
            if event.user:
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._files.setdefault(place, File(str(place)))
            while todo:
                file.add(todo[0].verdict, todo[0].run, todo[0].epoch)
                todo.pop(0)
        except (ServiceError, OSError) as error:
            self._waiting[place] = todo
            return None if waiting else f"{error}\n"
        return None
