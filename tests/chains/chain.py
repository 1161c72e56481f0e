"""A chain: a dataset built by dice, operator by operator, and what must be known to put the next one behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from headrace import Dataset
from headrace.pipeline.records import TFRecordWriter

from .kinds import Kind, Nest, leaves

__all__ = ["Chain", "Dice", "Files", "files_in"]

T = TypeVar("T")


class Dice(Protocol):
    """What chains are drawn with: `random.Random` of a seed, or what hypothesis gives, which it knows to shrink."""

    def randint(self, a: int, b: int, /) -> int: ...
    def choice(self, seq: Sequence[T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Files:
    """What there is to read."""

    texts: tuple[str, ...]
    records: tuple[str, ...]
    packed: tuple[str, ...]  #: Records, compressed.
    damaged: str
    table: str
    missing: str
    pattern: str  #: That the text files match.
    saved: str  #: The folder for what chains save.


@dataclass(frozen=True, slots=True)
class Chain:
    """A dataset, what its elements are like, and how it was made."""

    dataset: Dataset
    kind: Kind
    most: int  #: It has no more elements.
    words: tuple[str, ...]
    leaves: int = 1  #: How often what it began with is read.
    files: bool = False  #: Whether it writes files, in the folder in which it is run.
    sure: bool = True  #: Whether no element fails.
    rows: bool = False  #: Whether all components of an element have one length.
    numbered: bool = False  #: Whether elements can be found by number.

    def then(self, words: str, dataset: Dataset, **changes: Any) -> Chain:
        """With an operator behind it; what is not said stays, but for `rows` of another kind, and `numbered`."""
        if "kind" in changes:
            changes.setdefault("rows", False)
        changes.setdefault("numbered", False)
        return replace(self, dataset=dataset, words=(*self.words, words), **changes)

    @property
    def spread(self) -> bool:
        """Whether elements are spread over a function's arguments."""
        return isinstance(self.kind, Nest) and self.kind.form == "tuple"

    @property
    def plain(self) -> bool:
        """Whether no component is a dataset."""
        return all(leaf.dtype != "dataset" for leaf in leaves(self.kind))

    @property
    def fixed(self) -> bool:
        """Whether all elements have the same shapes."""
        return all(leaf.fixed for leaf in leaves(self.kind))

    def __str__(self) -> str:
        return " > ".join(self.words)


def files_in(folder: Path) -> Files:
    """Write the files that chains read."""
    texts = [folder / f"{name}.txt" for name in "abc"]
    for at, path in enumerate(texts):
        lines = [b"%d of %d" % (i, at) * (i % 3) + b"\r\n"[i % 2 :] for i in range(5 + 3 * at)]
        path.write_bytes(b"".join(lines) + b"end")
    records = [_records(folder / f"{name}.tfrecord", 7 + 2 * at) for at, name in enumerate("ab")]
    packed = [_records(folder / f"{name}.gz", 6, "GZIP") for name in "ab"]
    damaged = Path(_records(folder / "damaged.tfrecord", 9))
    content = bytearray(damaged.read_bytes())
    content[60] ^= 1
    damaged.write_bytes(content)
    table = folder / "table.csv"
    table.write_text("size,name\n" + "".join(f'{i},"of, {i}"\n' if i % 4 else f",{i}\n" for i in range(11)))
    return Files(
        tuple(map(str, texts)),
        tuple(records),
        tuple(packed),
        str(damaged),
        str(table),
        str(folder / "missing.txt"),
        str(folder / "?.txt"),
        str(folder),
    )


def _records(path: Path, count: int, compression: str | None = None) -> str:
    with TFRecordWriter(str(path), compression) as writer:
        for i in range(count):
            writer.write(bytes(range(i % 5)) + b"%d" % i)
    return str(path)
