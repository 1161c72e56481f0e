"""Every error that headrace raises, as one tree.

    HeadraceError
    ├── PipelineError                  your graph or function
    │   ├── InvalidArgumentError       a value that does not fit: a shape, a dtype, bytes that are no image
    │   │   └── MismatchError          an element that is not what was declared; a TypeError, too
    │   ├── OutOfRangeError            the end of the data, from get_next()
    │   ├── FailedPreconditionError    something used before it is ready, or after it was closed
    │   ├── ResourceExhaustedError     more memory than the budget allows
    │   ├── FunctionError              your function raised; its traceback comes along
    │   └── PoisonError                a record that cost worker after worker
    ├── FileError                      a file
    │   ├── NotFoundError              it is not there
    │   └── DataLossError              it is damaged
    ├── ProtocolError                  a peer
    │   ├── VersionMismatch            it speaks another version
    │   └── MalformedMessage           it sent what is no message
    └── ServiceError                   a process is gone or silent

Each keeps its facts as attributes, survives pickling, travels between processes as plain data
(`to_data`, `from_data`), and says what to do. `where` is filled in when an error belongs to one
element: which file, which record, which operator. FunctionChangedWarning is the one warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .limits import limits

__all__ = [
    "DataLossError",
    "FailedPreconditionError",
    "FileError",
    "FunctionChangedWarning",
    "FunctionError",
    "HeadraceError",
    "InvalidArgumentError",
    "MalformedMessage",
    "MismatchError",
    "NotFoundError",
    "OutOfRangeError",
    "PipelineError",
    "PoisonError",
    "ProtocolError",
    "ResourceExhaustedError",
    "ServiceError",
    "VersionMismatch",
    "from_data",
    "to_data",
]


class HeadraceError(Exception):
    """Anything that headrace raises on purpose."""

    where: str | None = None  #: Which element: file, record and operator; None when it belongs to no element.

    def describe(self) -> str:
        """What happened and what to do, without the place."""
        return str(self.args[0]) if self.args else type(self).__name__

    def __str__(self) -> str:
        return self.describe() if self.where is None else f"{self.describe()} [{self.where}]"


class PipelineError(HeadraceError):
    """Your graph or your function."""


class InvalidArgumentError(PipelineError, ValueError):
    """A value that does not fit; the message names it and what would."""


class MismatchError(InvalidArgumentError, TypeError):
    """An element that is not what was declared; the message names the component."""


class OutOfRangeError(PipelineError):
    """The data has ended. `get_next()` raises it, again and again; `next()` raises StopIteration."""


class FailedPreconditionError(PipelineError):
    """Something was used before it was ready, or after it was closed."""


class ResourceExhaustedError(PipelineError):
    """More memory than the budget allows; the message shows the arithmetic."""


class FunctionError(PipelineError):
    """A function of yours raised. In process the original exception is the `__cause__`."""

    def __init__(self, function: str, reason: str, traceback: str = "") -> None:
        super().__init__(function, reason, traceback)
        self.function, self.reason, self.traceback = function, reason, traceback

    def describe(self) -> str:
        text = f"{self.function} raised {self.reason}"
        return f"{text}\n{_short(self.traceback).rstrip()}\n" if self.traceback else text


class PoisonError(PipelineError):
    """A record that cost worker after worker, dead or stuck while it was being executed."""

    def __init__(self, record: str, strikes: int, cause: str) -> None:
        super().__init__(record, strikes, cause)
        self.record, self.strikes, self.cause = record, strikes, cause

    def describe(self) -> str:
        return (
            f"{self.strikes} workers were lost one after the other while they executed {self.record}, the last one "
            f"alone in a fresh process: {self.cause}. Run the pipeline in process on this record to see why"
        )


class FileError(HeadraceError):
    """A file: which one, and what is wrong with it."""

    def __init__(self, path: str, reason: str, offset: int | None = None) -> None:
        super().__init__(path, reason, offset)
        self.path, self.reason, self.offset = path, reason, offset
        self.resume: int | None = None  #: The offset from which the file can be read on, if from any.

    def describe(self) -> str:
        place = self.path if self.offset is None else f"{self.path}, byte {self.offset:,}"
        return f"{place}: {self.reason}"


class NotFoundError(FileError, FileNotFoundError):
    """The file is not there, or cannot be opened."""

    # OSError has a __str__ of its own, which would hide ours.
    __str__ = FileError.__str__


class DataLossError(FileError):
    """The file is damaged. `offset` is in the uncompressed content."""


class ProtocolError(HeadraceError):
    """A peer said what it must not."""


class VersionMismatch(ProtocolError):  # noqa: N818  (it reads better so)
    """Client, server and workers must run the same protocol version."""

    def __init__(self, ours: int, theirs: int) -> None:
        super().__init__(ours, theirs)
        self.ours, self.theirs = ours, theirs

    def describe(self) -> str:
        return f"we speak protocol {self.ours}, the peer speaks {self.theirs}: upgrade the older side"


class MalformedMessage(ProtocolError):  # noqa: N818
    """Frames that are no message of ours, or exceed a limit."""


class ServiceError(HeadraceError):
    """A process is gone or silent: who, since when, and what to look at."""


class FunctionChangedWarning(UserWarning):
    """A function does not do what it did when a state was saved: elements from there on are made by the new one."""

    def __init__(self, functions: Sequence[str]) -> None:
        super().__init__(functions)
        self.functions = list(functions)

    def __str__(self) -> str:
        return (
            f"{', '.join(self.functions)} changed since the state was saved: elements from here on, those that were "
            "held in buffers too, are made by what is here now. Go on if that is meant"
        )


def _kinds(root: type[HeadraceError] = HeadraceError) -> dict[str, type[HeadraceError]]:
    found = {root.__name__: root}
    for kind in root.__subclasses__():
        found |= _kinds(kind)
    return found


def to_data(error: HeadraceError) -> dict[str, Any]:
    """An error as plain data for a message: its class name, arguments and place.

    >>> to_data(DataLossError("a.tfrecord", "cut", 12))
    {'kind': 'DataLossError', 'args': ['a.tfrecord', 'cut', 12], 'where': None}
    """
    known = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _kinds())
    where = None if error.where is None else _short(error.where)
    return {"kind": known, "args": [_plain(each) for each in error.args], "where": where}


def _plain(argument: Any) -> Any:
    """An error's argument as a message can hold it; a user may have put anything there."""
    if argument is None or isinstance(argument, bool | int | float):
        return argument if not isinstance(argument, int) or abs(argument) < 1 << 63 else str(argument)
    return _short(str(argument))


def _short(text: str) -> str:
    """A text of at most `limits().error_bytes` in UTF-8: of a longer one its head and, mostly, its end."""
    most, data = limits().error_bytes, text.encode("utf-8", "replace")
    if len(data) <= most:
        return data.decode()
    gap = f"\n[... {len(data) - most:,} bytes and more left out ...]\n".encode()
    room = max(0, most - len(gap))
    head = room // 4
    kept = data[:head] + gap + data[len(data) - (room - head) :]
    return kept[:most].decode("utf-8", "ignore")


def from_data(data: dict[str, Any]) -> HeadraceError:
    """The error that `to_data` described; a class that we do not know becomes HeadraceError.

    Raises:
        MalformedMessage: data that describe no error, or one that could not be shown.

    >>> from_data(to_data(DataLossError("a.tfrecord", "cut", 12)))
    DataLossError('a.tfrecord', 'cut', 12)
    """
    try:
        error = _kinds().get(data["kind"], HeadraceError)(*data["args"])
        error.where = data["where"]
        str(error)
    except Exception as trouble:
        raise MalformedMessage(f"an error that is none: {type(trouble).__name__}: {trouble}") from trouble
    return error
