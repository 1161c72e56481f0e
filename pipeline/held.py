"""Held elements as plain data: who they are, so that just they can be computed again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .blocks import Block
from .store import Handles, Identities, Store
from .structure import Structure
from .work import Work

__all__ = ["NotKept", "Origins", "found", "keep", "needed", "recovery"]


#: The most elements that one lease computes again.
PART = 8192


class NotKept(Exception):  # noqa: N818  (no error: a checkpoint is put off)
    """An operator holds something made of several elements, which cannot be computed again by itself."""


@dataclass(slots=True)
class Origins:
    """From an origin to work that can give its elements: a leaf's segment and, for a file, its path."""

    works: dict[int, Work] = field(default_factory=dict)

    def add(self, work: Work) -> None:
        """Remember where elements of this work's origin come from."""
        if work.origin and work.origin not in self.works:
            self.works[work.origin] = replace(work, only=None, poison=())


def keep(store: Store, origins: Origins, handles: Handles) -> dict[str, Any]:
    """Elements in order, as plain data: who they are or, where they were joined of others, who those are.

    Raises:
        NotKept: one of them was not computed by a leaf's segment.
    """
    lineage = store.lineage(handles)
    if not lineage.known:
        raise NotKept
    if lineage.nest.kind == "leaf":
        return _keep(origins, lineage.parts[0].astype(np.uint64, copy=False))
    parts = [_pack(part) if part.ndim == 1 else _keep(origins, part.astype(np.uint64)) for part in lineage.parts]
    return {"nest": lineage.nest.to_data(), "parts": parts}


def _pack(numbers: Any) -> dict[str, Any]:
    return {"numbers": zlib.compress(np.diff(numbers, prepend=0).tobytes(), 6)}


def _keep(origins: Origins, who: Identities) -> dict[str, Any]:
    sources, index = np.unique(who[:, 0], return_inverse=True)
    if any(int(each) not in origins.works for each in sources):
        raise NotKept
    table = [origins.works[int(each)].to_data() for each in sources]
    offsets = who[:, 1].astype(np.int64)
    # Elements that came one behind the other differ by little: small differences pack well.
    packed = np.concatenate([index.astype(np.int64), np.diff(offsets, prepend=0)])
    return {"origins": table, "count": len(who), "packed": zlib.compress(packed.tobytes(), 6)}


def _unpack(data: dict[str, Any]) -> Identities:
    numbers = np.frombuffer(zlib.decompress(data["packed"]), np.int64)
    count = data["count"]
    who = np.empty((count, 2), np.uint64)
    origins = np.array([Work.from_data(each).origin for each in data["origins"]], np.uint64)
    who[:, 0] = origins[numbers[:count]] if count else 0
    who[:, 1] = np.cumsum(numbers[count:]).astype(np.uint64)
    return who


def needed(state: Any) -> Iterator[dict[str, Any]]:
    """All held elements in a checkpoint, wherever they stand in it."""
    if isinstance(state, dict):
        if "packed" in state:
            yield state
        else:
            for value in state.values():
                yield from needed(value)
    elif isinstance(state, list):
        for value in state:
            yield from needed(value)


def recovery(state: Any) -> list[Work]:
    """The work that computes again just what a checkpoint holds."""
    wanted: dict[int, tuple[Work, list[int]]] = {}
    for data in needed(state):
        for each in data["origins"]:
            work = Work.from_data(each)
            wanted.setdefault(work.origin, (work, []))
        for origin, offset in _unpack(data).tolist():
            wanted[origin][1].append(offset)
    return [
        Work(work.segment, origin, part[0], part[-1] + 1, work.path, only=part, view=work.view)
        for origin, (work, offsets) in wanted.items()
        for part in _parts(np.unique(work.positions(np.array(offsets, np.int64))).tolist())
    ]


def _parts(offsets: list[int]) -> Iterator[tuple[int, ...]]:
    """So many at a time that a lease fits into a message, and that several workers have something of it."""
    for first in range(0, len(offsets), PART):
        yield tuple(offsets[first : first + PART])


def found(data: dict[str, Any], handles: dict[tuple[int, int], int], store: Store) -> Handles:
    """The handles of elements that `keep` described, once they, or their parts, are here again."""
    if "parts" in data:
        return store.join(Structure.from_data(data["nest"]), [_part(each, handles) for each in data["parts"]])
    return _handles(data, handles)


def _part(data: dict[str, Any], handles: dict[tuple[int, int], int]) -> Handles | Block:
    if "numbers" in data:
        return Block.of_numbers(np.cumsum(np.frombuffer(zlib.decompress(data["numbers"]), np.int64)))
    return _handles(data, handles)


def _handles(data: dict[str, Any], handles: dict[tuple[int, int], int]) -> Handles:
    return np.array([handles[origin, offset] for origin, offset in _unpack(data).tolist()], np.int64)
