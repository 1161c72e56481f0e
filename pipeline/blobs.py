"""Blobs: functions and arrays of a graph, named by their content, kept as files or, to be sent, in memory."""

from __future__ import annotations

import os
import re
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from .columns import Array, dtype_named
from .errors import MalformedMessage, NotFoundError, ResourceExhaustedError
from .limits import Limits, limits

__all__ = ["BLOB_BYTES", "CHUNK", "Blobs", "Incoming", "Kept", "Sent", "digest_of", "outline"]

#: What an array of a graph may take, where nobody set another limit.
BLOB_BYTES = Limits().graph_bytes
#: Bytes of a blob that travel at a time.
CHUNK = 4 << 20
_NAME = re.compile(r"[0-9a-f]{40}")


def digest_of(data: bytes | memoryview) -> str:
    """The name of a blob with this content."""
    hashed = _hash()
    hashed.update(data)
    return hashed.hexdigest()


def _hash() -> blake2b:
    return blake2b(digest_size=20)


class Kept(ABC):
    """Where the functions and arrays of a graph are put."""

    budget: int | None  #: In bytes; None is the limit in force.

    @abstractmethod
    def put(self, data: bytes | memoryview) -> str:
        """Keep some bytes; their name."""

    def check(self, size: int) -> None:
        """Refuse what no graph may carry."""
        most = self.budget or limits().graph_bytes
        if size > most:
            raise ResourceExhaustedError(
                f"an array of {size:,} bytes is over the budget of {most:,} for what a graph carries: "
                "write it to files (TFRecord, text) and read those"
            )

    def put_array(self, array: Array) -> list[Any]:
        """Keep an array; by what it is found again: digest, dtype, shape."""
        if array.dtype == object:
            return [self.put(msgpack.packb(array.reshape(-1).tolist())), "bytes", list(array.shape)]
        data = np.ascontiguousarray(array)
        return [self.put(data.reshape(-1).view(np.uint8).data), array.dtype.str, list(array.shape)]


@dataclass(slots=True)
class Sent(Kept):
    """Blobs in the memory of who is to send them; arrays are not copied."""

    budget: int | None = None
    content: dict[str, memoryview] = field(default_factory=dict)

    def put(self, data: bytes | memoryview) -> str:
        self.check(len(data))
        digest = digest_of(data)
        self.content[digest] = memoryview(data)
        return digest


@dataclass(frozen=True, slots=True)
class Blobs(Kept):
    """A folder of blobs. What is there under a name has that content; writing it twice changes nothing."""

    folder: Path
    budget: int | None = None

    @staticmethod
    def is_name(digest: Any) -> bool:
        """Whether a blob can have this name."""
        return isinstance(digest, str) and _NAME.fullmatch(digest) is not None

    def has(self, digest: str) -> bool:
        """Whether it is here."""
        return (self.folder / digest).is_file()

    def use(self, digests: Iterable[str]) -> None:
        """Note that these are of use now, so that `tidy` leaves them."""
        for digest in digests:
            with suppress(FileNotFoundError):
                os.utime(self.folder / digest)

    def tidy(self, unused_s: float) -> None:
        """Delete what was of no use for so long, and parts that nothing was added to. What is mapped stays readable."""
        before = time.time() - unused_s
        for path in list(self.folder.iterdir()):
            if self.is_name(path.name) or path.name.endswith(".part"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        path.unlink()

    def put(self, data: bytes | memoryview) -> str:
        digest = digest_of(data)
        if not self.has(digest):
            self.check(len(data))
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).replace(self.folder / digest)  # whole or not at all
        return digest

    def get(self, digest: str) -> memoryview:
        """The bytes of that name, mapped and not read yet."""
        path = self.folder / digest
        if not self.is_name(digest) or not path.is_file():
            raise NotFoundError(str(path), "a function or array of the pipeline is missing: was the server restarted?")
        return _mapped(path)

    def get_array(self, found: Sequence[Any]) -> Array:
        """An array that was put."""
        digest, name, shape = found
        if (dtype := dtype_named(name)) is not bytes:
            return np.frombuffer(self.get(digest), dtype).reshape(shape)
        items = msgpack.unpackb(self.get(digest), max_array_len=1 << 31)
        if not isinstance(items, list) or not set(map(type, items)) <= {bytes}:
            raise MalformedMessage("a blob that is no list of strings")
        array = np.empty(len(items), object)
        array[:] = items
        return array.reshape(shape)


def _mapped(path: Path) -> memoryview:
    return np.memmap(path, np.uint8, "r").data if path.stat().st_size else memoryview(b"")


@dataclass(slots=True)
class Incoming:
    """A blob on its way into a folder, part after part; it gets its name once it is whole and has that content."""

    blobs: Blobs
    digest: str
    size: int = 0  #: Of what has come.
    path: Path = field(init=False)
    hash: blake2b = field(default_factory=_hash)  #: Of what has come: to read it all at the end would take seconds.

    def __post_init__(self) -> None:
        self.path = self.blobs.folder / f".{self.digest[:8]}-{os.urandom(6).hex()}.part"

    def add(self, offset: int, data: Any, total: int) -> bool:
        """Take a part that begins where the last one ended, and leave out any other; whether the blob is whole.

        Raises:
            MalformedMessage: the content is not that of its name.
            ResourceExhaustedError: no graph may carry so much.
        """
        self.blobs.check(total)
        if offset == self.size and offset + len(data) <= total:
            with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as file:
                file.write(data)
            self.hash.update(data)
            self.size += len(data)
        if self.size < total:
            return False
        if self.hash.hexdigest() != self.digest:
            self.drop()
            raise MalformedMessage(f"a blob's content is not that of its name {self.digest}")
        self.path.replace(self.blobs.folder / self.digest)
        return True

    def drop(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self.size, self.hash = 0, _hash()


def outline(found: Sequence[Any]) -> Array:
    """An array of the right dtype and shape that holds nothing, for who plans and does not read."""
    _, name, shape = found
    dtype = dtype_named(name)
    return np.broadcast_to(np.zeros((), object if dtype is bytes else dtype), shape)
