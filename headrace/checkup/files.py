"""Files: whether every worker sees the same as this machine, by size and the CRC of both ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..pipeline.ends import look_at
from .finding import Finding, fine, problem, warning

__all__ = ["check_files", "spread"]

#: Of a folder, so many files stand for all.
SOME = 8


def spread(paths: Sequence[Path]) -> list[str]:
    """Absolute names of files; of a folder, of some in it, the first and last by name among them."""
    found: list[str] = []
    for path in paths:
        here = path.absolute()
        names = sorted(str(each) for each in here.iterdir() if each.is_file()) if here.is_dir() else [str(here)]
        step = max(1, len(names) // SOME)
        found += [*names[:-1:step][: SOME - 1], *names[-1:]]
    return found


def check_files(paths: Sequence[str], found: dict[str, Any]) -> Iterator[Finding]:
    """From what each worker sees of each path to what differs."""
    for worker in sorted(name for name, seen in found.items() if seen is None):
        text = f"worker {worker} has not looked: it is at a long call, or hangs at a disk"
        yield warning("files", text, "ask again; `headrace status` shows when it was last heard")
    told = {name: seen for name, seen in found.items() if seen is not None}
    for place, path in enumerate(paths):
        yield from _compared(path, {name: _plain(seen, place) for name, seen in told.items()})


def _plain(seen: Any, place: int) -> tuple[int, int] | str:
    each = seen[place] if isinstance(seen, list) and place < len(seen) else "no answer"
    return (int(each[0]), int(each[1])) if isinstance(each, list) and len(each) == 2 else str(each)


def _compared(path: str, seen: dict[str, tuple[int, int] | str]) -> Iterator[Finding]:
    here = look_at(path)
    if isinstance(here, str):
        fix = "what workers see is compared with one another; mount it here, too, where you want to list it"
        yield warning("files", f"{path} cannot be read here: {here}", fix)
    known = [each for each in (here, *seen.values()) if not isinstance(each, str)]
    wrong = {name: each for name, each in sorted(seen.items()) if isinstance(each, str) or each != known[0]}
    for name, each in wrong.items():
        if isinstance(each, str):
            text, fix = f"worker {name} cannot read {path}: {each}", "mount the data at the same path on its machine"
        else:
            what = f"{each[0]:,} bytes, not {known[0][0]:,}" if each[0] != known[0][0] else "other content"
            text, fix = f"worker {name} sees another {path}: {what}", "copy the file again, or mount the same disk"
        yield problem("files", text, fix)
    if seen and not wrong:
        where = "" if isinstance(here, str) else " and here"
        yield fine("files", f"{path} is the same on {len(seen)} workers{where}")
