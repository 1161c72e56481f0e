"""Fingerprint: what a pipeline is, small enough for a token, and told so that a difference can be named.

One entry an operator, from the last one down, each behind the one that it feeds: its words ("batch(32)"), how many
inputs it has, a digest of its arguments, and a digest of its function's code (see `code`). Options that change no
element (buffer sizes, prefetch, the seed, which a token holds by itself) are left out. Names of files are arguments,
as the user wrote them; what is in the files is not looked at here (see `ends`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from hashlib import blake2b
from typing import Any

import msgpack
import numpy as np

from .code import code_digest, content
from .errors import InvalidArgumentError
from .functions import UserFunction
from .mapped import MappedArray
from .nodes import Configured, Node, Prefetch, Scan
from .sources import EVERYTHING
from .spec import dtype_name
from .structure import Structure

__all__ = ["compare", "fingerprint", "words"]

#: So many operators are told one by one, the others together.
TOLD = 48
_WORDS = 80
#: Arguments that change no element, by operator.
_SILENT: dict[str, frozenset[str]] = {
    "Decoded": frozenset({"structure", "shapes", "dtypes", "count"}),
    "FlatMap": frozenset({"folder"}),
    "Numbered": frozenset({"folder"}),
    "Interleave": frozenset({"folder"}),
    "Prefetch": frozenset({"size"}),
    "Configured": frozenset({"seed", "buffer_bytes", "error_budget"}),
    "IgnoreErrors": frozenset({"log_warning"}),
    "Shelf": frozenset({"digest"}),
    "Snapshot": frozenset({"digest"}),
}
#: What users call an operator where its node is named otherwise.
_NAMES = {
    "Bucket": "bucket_by_sequence_length",
    "Choose": "choose_from_datasets",
    "Configured": "with_options",
    "Csv": "CsvDataset",
    "Decoded": "saved elements",
    "FixedRecords": "FixedLengthRecordDataset",
    "Lines": "TextLineDataset",
    "Noted": "with_options",
    "Numbered": "records by number",
    "Records": "TFRecordDataset",
    "Resample": "rejection_resample",
    "Rows": "from_tensor_slices",
    "Sample": "sample_from_datasets",
    "Shelf": "files of snapshot",
    "WindowByKey": "group_by_window",
}


def fingerprint(graph: Node) -> dict[str, Any]:
    """Of a resolved graph, as plain data.

    >>> from headrace import Dataset
    >>> fingerprint(Dataset.range(9).batch(2).prefetch(1).node)["operators"][0][:2]
    ['batch(2)', 1]
    """
    told = [_entry(node) for node in _downwards(_top(graph))]
    rest = _digest([each[1:3] for each in told[TOLD:]]) if len(told) > TOLD else ""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, "operators": told[:TOLD], "rest": rest}


def compare(token: Any, here: dict[str, Any]) -> list[str]:
    """The functions that differ, in words, between the fingerprint in a token and that of the pipeline at hand.

    Code is compared where both were taken by the same minor release of Python.

    Raises:
        InvalidArgumentError: the token is of another pipeline, and the message names the first difference; or it
            holds no fingerprint.

    >>> from headrace import Dataset
    >>> one, other = (fingerprint(Dataset.range(9).batch(size).node) for size in (2, 3))
    >>> compare(one, other)
    Traceback (most recent call last):
    headrace.pipeline.errors.InvalidArgumentError: the token is of another pipeline: token: batch(2), here: batch(3)...
    """
    then, now = _operators(token), here["operators"]
    for old, new in zip(then, now, strict=False):
        if old[1:3] != new[1:3]:
            raise _other(old[0], new[0])
    if len(then) != len(now) or token.get("rest") != here["rest"]:
        raise _other(f"{len(then)} operators", f"{len(now)} operators")
    if token.get("python") != here["python"]:
        return []
    return [new[0] for old, new in zip(then, now, strict=True) if old[3] != new[3]]


def _operators(token: Any) -> list[Any]:
    found = token.get("operators") if isinstance(token, dict) else None
    if not isinstance(found, list) or not all(_is_entry(each) for each in found):
        raise InvalidArgumentError("the token holds no fingerprint of a pipeline: it was not taken by state_dict()")
    return found


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, list | tuple) and [type(each) for each in entry] == [str, int, str, str]


def _other(old: str, new: str) -> InvalidArgumentError:
    same = " (with other arguments or contents)" if old == new else ""
    return InvalidArgumentError(
        f"the token is of another pipeline: token: {old:.{_WORDS}}, here: {new}{same}. Build the pipeline as it was "
        "when the token was taken, or begin anew without it"
    )


def _top(node: Node) -> Node:
    """The last operator that changes elements."""
    while isinstance(node, Prefetch) or (isinstance(node, Configured) and not _arguments(node)):
        node = node.source
    return node


def _downwards(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        yield (each := waiting.pop())
        waiting.extend(reversed(each.inputs))


def _entry(node: Node) -> list[Any]:
    function = getattr(node, "function", None)
    code = code_digest(function.call) if isinstance(function, UserFunction) else ""
    told = [type(node).__name__, [[name, _plain(value)] for name, value in _arguments(node).items()]]
    return [words(node)[:_WORDS], len(node.inputs), _digest(told), code]


def _arguments(node: Node) -> dict[str, Any]:
    """What an operator was given, but for its inputs, its function, what changes nothing, and what nobody set."""
    silent = _SILENT.get(type(node).__name__, frozenset())
    found: dict[str, Any] = {}
    for each in fields(node):
        value = getattr(node, each.name)
        if each.name == "on_error":  # where it tells of what is skipped changes nothing
            value = None if value in (None, "raise") else "skip"
        is_input = isinstance(value, Node | UserFunction) or (isinstance(value, tuple) and _has_node(value))
        unset = each.default is not MISSING and value is each.default
        if not is_input and each.name not in silent and not unset:
            found[each.name] = value
    return found


def _has_node(values: tuple[Any, ...]) -> bool:
    return bool(values) and isinstance(values[0], Node)


def _digest(told: Any) -> str:
    return blake2b(msgpack.packb(told, unicode_errors="surrogateescape"), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    """An argument as plain data that is the same in every process."""
    match value:
        case None | bool() | str() | bytes() | float():
            return value
        case int():
            return str(value)
        case Structure():
            return _nesting(value)
        case MappedArray():
            return value.content()
        case np.ndarray() | np.generic():
            return content(np.asarray(value))
        case tuple() | list():
            return [_plain(each) for each in value]
    return "bytes" if value is bytes else dtype_name(value)


def _nesting(structure: Structure) -> list[Any]:
    """A named tuple's class by its own name: its module may be `__main__` in one process and not in another."""
    own = structure.type.partition(":")[2]
    return [structure.kind, list(structure.keys), [_nesting(each) for each in structure.parts], own]


def words(node: Node) -> str:
    """An operator with its arguments, as the user might write it."""
    told = {} if isinstance(node, Scan) else _arguments(node)  # a state may be anything
    given = [shown for name, value in told.items() if (shown := _shown(name, value))]
    function = getattr(node, "function", None)
    if isinstance(function, UserFunction):
        name, _, inner = function.name.partition("(")
        return f"{name}({', '.join([inner.removesuffix(')'), *given])})"
    kind = type(node).__name__
    name = _NAMES.get(kind) or "".join(f"_{each.lower()}" if each.isupper() else each for each in kind).lstrip("_")
    return f"{name}({', '.join(given)})"


def _shown(name: str, value: Any) -> str:
    if name == "size" and value == EVERYTHING:
        return "everything"
    if isinstance(value, int | str | float) and name in ("size", "count", "start", "stop"):
        return str(value)
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray | MappedArray):
        return f"{len(value[0])} rows"
    if name == "patterns":
        return ", ".join(map(repr, value))
    if name == "kind":
        return ""
    if value is None or isinstance(value, bool | int | float | str):
        return f"{name}={value}"
    return ""
