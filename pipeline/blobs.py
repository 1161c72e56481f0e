"""Blobs: functions and arrays of a graph, kept as files named by their content."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from .columns import Array
from .errors import NotFoundError, ResourceExhaustedError

__all__ = ["BLOB_BYTES", "Blobs"]

#: What the arrays of one graph may take.
BLOB_BYTES = 8 << 30


@dataclass(frozen=True, slots=True)
class Blobs:
    """A folder of blobs. What is there under a name has that content; writing it twice changes nothing."""

    folder: Path
    budget: int = BLOB_BYTES

    def put(self, data: bytes | memoryview) -> str:
        """Keep some bytes; their name."""
        digest = blake2b(data, digest_size=20).hexdigest()
        path = self.folder / digest
        if not path.exists():
            if len(data) > self.budget:
                raise ResourceExhaustedError(
                    f"an array of {len(data):,} bytes is over the budget of {self.budget:,} for what a graph carries: "
                    "write it to files (TFRecord, text) and read those"
                )
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)  # whole or not at all
        return digest

    def get(self, digest: str) -> memoryview:
        """The bytes of that name, mapped and not read yet."""
        path = self.folder / digest
        if "/" in digest or not path.is_file():
            raise NotFoundError(str(path), "a function or array of the pipeline is missing: was the server restarted?")
        return np.memmap(path, np.uint8, "r").data if path.stat().st_size else memoryview(b"")

    def put_array(self, array: Array) -> list[Any]:
        """Keep an array; by what it is found again: digest, dtype, shape."""
        if array.dtype == object:
            return [self.put(msgpack.packb(array.reshape(-1).tolist())), "bytes", list(array.shape)]
        data = np.ascontiguousarray(array)
        return [self.put(data.reshape(-1).view(np.uint8).data), array.dtype.str, list(array.shape)]

    def get_array(self, found: Sequence[Any]) -> Array:
        """An array that was put."""
        digest, dtype, shape = found
        if dtype == "bytes":
            array = np.empty(int(np.prod(shape, dtype=np.int64)), object)
            array[:] = msgpack.unpackb(self.get(digest), max_array_len=1 << 31)
            return array.reshape(shape)
        return np.frombuffer(self.get(digest), np.dtype(dtype)).reshape(shape)


def outline(found: Sequence[Any]) -> Array:
    """An array of the right dtype and shape that holds nothing, for who plans and does not read."""
    _, dtype, shape = found
    return np.broadcast_to(np.zeros((), object if dtype == "bytes" else np.dtype(dtype)), shape)
