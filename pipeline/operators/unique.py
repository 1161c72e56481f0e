"""Unique: each value once, where it comes first."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from ..blocks import Block
from ..columns import Column
from ..errors import InvalidArgumentError, MalformedMessage, ResourceExhaustedError
from ..store import Handles
from .protocol import NOTHING, Failed, Find, Keep, Pulled, State, Unary

__all__ = ["UniqueOperator"]

#: Bytes of a text's digest. Two of a thousand million texts have the same one with a probability of 2**-69.
SIZE = 16
#: What a checkpoint has room for. With more, the last one before stays, and whoever goes on computes from there.
MOST = 1 << 18


@dataclass(slots=True)
class UniqueOperator(Unary):
    """Remembers a digest of each value that came."""

    seen: set[bytes] = field(default_factory=set)
    rest: Handles = field(default_factory=lambda: NOTHING)  #: What came with the last ones and is of another structure.

    @property
    def held(self) -> Handles:
        return self.rest

    def pull(self, limit: int) -> Pulled:
        while True:
            got = self.rest if len(self.rest) else self.source.pull(limit)
            if not isinstance(got, np.ndarray):
                return got
            count = self.store.alike(got[:limit])
            got, self.rest = got[:count], got[count:]
            block = self.store.gather(got)
            if len(block.columns) != 1 or block.columns[0].rank:
                return self._refused(got, block)
            new = self._are_new(block.columns[0])
            self.store.release(got[~new])
            if new.any():
                return got[new]

    def _refused(self, got: Handles, block: Block) -> Failed:
        """The first of these cannot be; the others neither, which is told when it is their turn."""
        self.rest = np.concatenate([got[1:], self.rest])
        self.store.release(got[:1])
        shapes = ", ".join(
            f"{name} of rank {column.rank}" for name, column in zip(block.structure.names(), block.columns, strict=True)
        )
        told = f"unique needs elements of one scalar, not of components {shapes}: bring what tells them apart into one"
        return Failed(InvalidArgumentError(told), operator="unique")

    def _are_new(self, column: Column) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of these values come for the first time; from now on they have come."""
        new = np.zeros(len(column), np.bool_)
        for i, digest in enumerate(_digests(column)):
            if digest not in self.seen:
                self.seen.add(digest)
                new[i] = True
        return new

    def own_state(self, keep: Keep) -> State:
        if len(self.seen) > MOST:
            raise ResourceExhaustedError(f"{len(self.seen):,} distinct values: a state has room for {MOST:,}")
        sizes = sorted({len(each) for each in self.seen})
        digests = [[size, b"".join(each for each in self.seen if len(each) == size)] for size in sizes]
        return {"digests": digests, "rest": keep(self.rest)}

    def set_own_state(self, state: State, find: Find) -> None:
        for size, digests in state["digests"]:
            if type(size) is not int or not isinstance(digests, bytes) or size < 1 or len(digests) % size:
                raise MalformedMessage("digests that are none")
            self.seen.update(digests[at : at + size] for at in range(0, len(digests), size))
        self.rest = find(state["rest"])


def _digests(column: Column) -> list[bytes]:
    """Numbers are their own digests, with 0 for -0.0; strings have one of BLAKE2b."""
    values = column.values
    if column.dtype is bytes or values.dtype.char in "gG":  # not all bytes of these are of the number
        texts = (each if isinstance(each, bytes) else str(each).encode() for each in column)
        return [blake2b(each, digest_size=SIZE).digest() for each in texts]
    if values.dtype.kind in "fc":
        values = values + values.dtype.type(0)
    found: list[bytes] = np.ascontiguousarray(values).view(f"V{values.dtype.itemsize}").tolist()
    return found
