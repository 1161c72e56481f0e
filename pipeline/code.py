"""Code: what a function does, as a digest that stays when the file around it changes.

Bytecode, constants and names, those of nested functions too; what the function closes over, its defaults, the
functions of the user's own modules that it calls, and the constants of its module, where they are plain values. No
file name, line number, address or hash order goes in, so that all processes agree. The bytecode of one function
differs from one minor release of Python to the next: digests are comparable within one alone.
"""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import google_crc32c
import msgpack
import numpy as np

from .functions import installed

__all__ = ["code_digest", "content"]

#: How deep values nest that are looked at, and how many parts of one.
_DEEPEST, _MOST = 24, 512
#: Bytes of an array that are copied at once.
_PART = 16 << 20


def code_digest(call: Callable[..., Any]) -> str:
    """Sixteen hexadecimal digits that depend on what a callable does.

    >>> code_digest(lambda x: x + 1) == code_digest(lambda x: x + 1)
    True
    >>> code_digest(lambda x: x + 1) == code_digest(lambda x: x + 2)
    False
    """
    told = _Teller().tell(call, 0)
    return blake2b(msgpack.packb(told, unicode_errors="surrogatepass"), digest_size=8).hexdigest()


def content(array: np.ndarray[Any, Any]) -> list[Any]:
    """An array as plain data that depends on every byte of it: kind, shape and a CRC-32C.

    >>> content(np.arange(3, dtype=np.uint8))
    ['array', '|u1', [3], 2466073594]
    """
    if array.dtype == object:
        parts = [each if isinstance(each, bytes) else repr(each).encode() for each in array.reshape(-1)]
        crc = google_crc32c.value(b"".join([b"%d," % len(each) for each in parts] + parts))
        return ["array", "object", list(array.shape), crc]
    flat, crc = np.ascontiguousarray(array).reshape(-1).view(np.uint8), 0
    for start in range(0, flat.nbytes, _PART):
        crc = google_crc32c.extend(crc, flat[start : start + _PART].tobytes())
    return ["array", array.dtype.str, list(array.shape), crc]


@dataclass(slots=True)
class _Teller:
    """Turns values into plain data that is the same in every process."""

    seen: dict[int, int] = field(default_factory=dict)  #: Functions and objects that are told already.

    def tell(self, value: Any, depth: int) -> Any:
        """A value as plain data; of what is not plain, its type alone."""
        if depth > _DEEPEST:
            return ["deeper"]
        match value:
            case None | bool() | str() | bytes():
                return value
            case int() | float() | complex():
                return [type(value).__name__, repr(value)]
            case np.ndarray() | np.generic():
                return content(np.asarray(value))
            case tuple() | list() | dict() | set() | frozenset():
                return self._collection(value, depth)
            case types.CodeType():
                return self._code(value, depth)
            case types.ModuleType():
                return ["module", value.__name__]
        return self._once(value, depth)

    def _collection(self, value: Any, depth: int) -> list[Any]:
        if isinstance(value, dict):
            items = sorted((repr(key), self.tell(each, depth + 1)) for key, each in _some(value.items()))
            return ["dict", len(value), [list(each) for each in items]]
        parts = [self.tell(each, depth + 1) for each in _some(value if isinstance(value, tuple | list) else ())]
        if isinstance(value, set | frozenset):  # in the order of hashes, which differs from process to process
            parts = sorted((self.tell(each, depth + 1) for each in value), key=repr)[:_MOST]
        return [type(value).__name__, len(value), parts]

    def _once(self, value: Any, depth: int) -> list[Any]:
        """What may refer to itself."""
        if id(value) in self.seen:
            return ["again", self.seen[id(value)]]
        self.seen[id(value)] = len(self.seen)
        match value:
            case types.FunctionType():
                return self._function(value, depth)
            case types.MethodType():
                return ["method", self.tell(value.__func__, depth + 1), self.tell(value.__self__, depth + 1)]
            case functools.partial():
                parts = (value.func, value.args, value.keywords)
                return ["partial", *(self.tell(each, depth + 1) for each in parts)]
            case type():
                return ["class", value.__qualname__]
            case types.BuiltinFunctionType() | np.ufunc():
                return ["installed", getattr(value, "__module__", None), value.__name__]
        return self._object(value, depth)

    def _object(self, value: Any, depth: int) -> list[Any]:
        """An object that is called: its class, how that is called, and its attributes."""
        kind = type(value)
        if not callable(value) and depth > 1:
            return ["object", kind.__qualname__]
        call = self.tell(kind.__call__, depth + 1) if callable(value) else None
        names = sorted({*getattr(value, "__dict__", {}), *getattr(kind, "__slots__", ())})
        held = {name: getattr(value, name, None) for name in names if not name.startswith("__")}
        return ["object", kind.__qualname__, call, self._collection(held, depth)]

    def _function(self, function: types.FunctionType, depth: int) -> list[Any]:
        if installed(function.__code__.co_filename):
            return ["installed", function.__module__, function.__qualname__]
        cells = [_inside(cell) for cell in function.__closure__ or ()]
        given = (cells, function.__defaults__, function.__kwdefaults__)
        told = [self.tell(each, depth + 1) for each in given]
        return [function.__qualname__, self._code(function.__code__, depth), *told, self._globals(function, depth)]

    def _code(self, code: types.CodeType, depth: int) -> list[Any]:
        counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
        names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars), list(code.co_cellvars)]
        return [code.co_code, self.tell(code.co_consts, depth + 1), names, counts]

    def _globals(self, function: types.FunctionType, depth: int) -> list[Any]:
        """Functions and constants of its module that a function names, but for what it changes itself."""
        names, changed = _names(function.__code__)
        known = {name: function.__globals__[name] for name in names - changed if name in function.__globals__}
        kept = {name: each for name, each in known.items() if isinstance(each, types.FunctionType) or _constant(each)}
        return [[name, self.tell(kept[name], depth + 1)] for name in sorted(kept)]


def _some(items: Any) -> Iterator[Any]:
    """The first of many: a list of all file names, say, is looked at no further."""
    return (each for each, _ in zip(items, range(_MOST), strict=False))


def _inside(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _names(code: types.CodeType) -> tuple[set[str], set[str]]:
    """The global names that some code reads and writes, its nested functions too."""
    names = set(code.co_names)
    changed = {str(each.argval) for each in dis.get_instructions(code) if each.opname == "STORE_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner, written = _names(constant)
            names, changed = names | inner, changed | written
    return names, changed


def _constant(value: Any) -> bool:
    """Whether nobody can change a value in place, however deep."""
    if isinstance(value, tuple | frozenset):
        return len(value) <= _MOST and all(map(_constant, value))
    return value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic)
