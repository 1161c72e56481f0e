"""Rows of the conformance suite: a member, a behaviour in words, and what it must give in every way of running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset
from headrace.pipeline.ragged import RaggedTensor
from headrace.pipeline.sparse import SparseTensor

__all__ = ["Raises", "Row", "Way", "simple"]


@dataclass(frozen=True, slots=True)
class Way:
    """A way of running, and a folder of its own for the files of one row."""

    service: hr.Service | None
    folder: Path

    def __call__(self, dataset: Dataset, most: int | None = None, epoch: int = 0) -> list[Any]:
        """The elements of an epoch, as plain values."""
        with self.iterate(dataset, epoch) as iterator:
            return [simple(each) for each in islice(iterator, most)]

    def epochs(self, dataset: Dataset, count: int = 2) -> list[list[Any]]:
        """The elements of the first epochs."""
        if self.service is None:
            return [self(dataset, epoch=epoch) for epoch in range(count)]
        with self.service.iterate(dataset) as iterator:
            return [list(map(simple, iterator)) for _ in range(count)]

    def dtypes(self, dataset: Dataset) -> list[str]:
        """The dtype of each component of the first element."""
        with self.iterate(dataset) as iterator:
            first = next(iterator)
        components = first if isinstance(first, tuple) else (first,)
        return ["bytes" if isinstance(each, bytes) else str(each.dtype) for each in components]

    def outcomes(self, dataset: Dataset, most: int = 50) -> list[Any]:
        """Elements, and of those that fail the kind of error."""
        found: list[Any] = []
        with self.iterate(dataset) as iterator:
            while len(found) < most:
                try:
                    found.append(simple(next(iterator)))
                except StopIteration:
                    break
                except hr.HeadraceError as error:
                    found.append(type(error))
        return found

    def iterate(self, dataset: Dataset, epoch: int = 0) -> Any:
        """An iterator."""
        return dataset.iterate(epoch) if self.service is None else self.service.iterate(dataset, epoch=epoch)

    def write(self, content: bytes, name: str = "a.txt") -> str:
        """The path of a file with this content."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def records(self, records: Iterable[bytes], name: str = "a.tfrecord", compression: str | None = None) -> str:
        """The path of a TFRecord file with these records."""
        path = str(self.folder / name)
        with hr.io.TFRecordWriter(path, compression) as writer:
            for record in records:
                writer.write(record)
        return path


@dataclass(frozen=True, slots=True)
class Raises:
    """An error that is expected, and a part of its text."""

    kind: type[Exception]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One behaviour of one member."""

    member: str
    behaviour: str
    do: Callable[[Way], Any]
    expected: Any

    def __str__(self) -> str:
        return f"{self.member}: {self.behaviour}"


def simple(element: Any) -> Any:
    """An element as Python's own values: arrays as lists, datasets as lists of their elements."""
    if isinstance(element, Dataset):
        return [simple(each) for each in element]
    if isinstance(element, RaggedTensor):
        return element.to_list()
    if isinstance(element, SparseTensor):
        return {tuple(at.tolist()): value for at, value in zip(element.indices, element.values.tolist(), strict=True)}
    if isinstance(element, dict):
        return {key: simple(each) for key, each in element.items()}
    if isinstance(element, tuple):
        inner = [simple(each) for each in element]
        return tuple(inner) if type(element) is tuple else type(element)(*inner)
    return element.tolist() if isinstance(element, np.ndarray | np.generic) else element
