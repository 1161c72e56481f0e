"""A parse specification, compiled: the program that the kernel runs, and the arrays that come out of its pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .features import FixedLenFeature, VarLenFeature, wire_kind
from .kernels import example as kernels
from .sparse import SparseTensor
from .spec import DType, dtype_name

__all__ = ["Parser", "Spec"]

Spec: TypeAlias = FixedLenFeature | VarLenFeature
Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.int64]

#: The kinds of list of an Example, in the kernel's numbers; and the dtypes of those that hold numbers.
KINDS = {"bytes": kernels.BYTES, "float": kernels.FLOAT, "int64": kernels.INT64}
KIND_NAMES = {number: name for name, number in KINDS.items()}
NUMBERS: dict[int, np.dtype[Any]] = {kernels.FLOAT: np.dtype(np.float32), kernels.INT64: np.dtype(np.int64)}


def _words(kind: int, values: int) -> int:
    """How many words of a pool hold so many values."""
    return {kernels.BYTES: 2 * values, kernels.FLOAT: (values + 1) // 2, kernels.INT64: values}[kind]


class Parser:
    """Parses Examples by one specification; it holds nothing that changes, so threads can share it."""

    def __init__(self, features: Mapping[str, Spec]) -> None:
        self.columns: list[_Fixed | _Variable] = []
        self.width = 0  # words of the pool that a row has
        # In the order of the keys in most files; the kernel looks at the next one first.
        for name in sorted(features, key=str.encode):
            spec = features[name]
            self.columns.append(_column(name, spec, self.width))
            self.width += self.columns[-1].words
        self.program = _program(self.columns, self.width)
        places = {column.name: column for column in self.columns}
        self._in_order = [places[name] for name in features]

    def one(self, serialized: bytes, who: str) -> dict[str, Any]:
        """One Example; `who` is how errors call it."""
        data = np.frombuffer(serialized, np.uint8)
        pool = np.empty(self.width + len(self.columns), np.int64)
        code, _, feature, state = kernels.parse_one(data, self.program, pool)
        if code != kernels.OK:
            self._refuse(code, feature, state, who)
        return {column.name: column.one(pool, serialized, who) for column in self._in_order}

    def many(self, data: Bytes, splits: Words, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Examples that lie one behind the other, in columns; `data` is read-only."""
        rows = len(splits) - 1
        pool = np.empty(rows * self.width + len(self.columns), np.int64)
        code, row, feature, state = kernels.parse_many(data, splits, self.program, pool)
        called = _Names(names)
        if code != kernels.OK:
            self._refuse(code, feature, state, called[row])
        return {column.name: column.many(pool, rows, data, called) for column in self._in_order}

    def _refuse(self, code: int, feature: int, state: int, who: str) -> NoReturn:
        if code == kernels.MALFORMED:
            _malformed(who)
        raise InvalidArgumentError(f"{who}: {self.columns[feature].complaint(code, state)}")


class _Names:
    """How errors call the Examples of a batch."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = names

    def __getitem__(self, row: int) -> str:
        return f"Example {row}" if self._names is None else str(self._names[row])


def _malformed(who: str) -> NoReturn:
    raise InvalidArgumentError(
        f"{who} is no serialized tf.train.Example, its bytes do not parse: check what wrote this record"
    )


def _column(name: str, spec: Spec, before: int) -> _Fixed | _Variable:
    return _Fixed(name, spec, before) if isinstance(spec, FixedLenFeature) else _Variable(name, spec, before)


def _program(columns: Sequence[_Fixed | _Variable], width: int) -> Words:
    """The int64 array that the kernel runs; its layout stands in kernels/example.py."""
    buckets = 1 << (2 * len(columns)).bit_length()
    table, chains = _hashed([column.key for column in columns], buckets)
    rows_at = kernels.HEADER + buckets
    tail_at = rows_at + kernels.ROW * len(columns)
    rows: list[int] = []
    tail: list[int] = []
    for column, chained in zip(columns, chains, strict=True):
        key_at = tail_at + len(tail)
        tail += column.key
        default, default_at = column.default(), tail_at + len(tail)
        tail += default or []
        place = kernels.NONE if default is None else default_at
        rows += [key_at, len(column.key), column.kind, column.size, column.before, chained, place]
    return np.array([len(columns), width, buckets - 1, kernels.HEADER, rows_at, *table, *rows, *tail], np.int64)


def _hashed(keys: Sequence[bytes], buckets: int) -> tuple[list[int], list[int]]:
    """For each bucket its first key, for each key the next in its bucket; NONE where there is none."""
    table, chains = [kernels.NONE] * buckets, [kernels.NONE] * len(keys)
    for number, key in enumerate(keys):
        bucket = int(kernels.key_hash(np.frombuffer(key, np.uint8), 0, len(key))) & (buckets - 1)
        chains[number], table[bucket] = table[bucket], number
    return table, chains


class _Column:
    """One feature: how it is compiled, and how its values come out of a pool."""

    size: int
    words: int  #: Words a row.

    def __init__(self, name: str, dtype: DType, before: int) -> None:
        self.name, self.key, self.dtype, self.before = name, name.encode(), dtype, before
        self.kind = KINDS[wire_kind(dtype)]

    def default(self) -> list[int] | None:
        """The default value as a program holds it."""
        return None

    def complaint(self, code: int, state: int) -> str:
        """What is wrong with this feature."""
        if code == kernels.MISSING:
            return (
                f"feature {self.name!r} (data type: {dtype_name(self.dtype)}) is required but could not be found: "
                f"check the key, or give it a default_value"
            )
        count, kind = divmod(state - kernels.UNFIT, 4)
        if kind != self.kind:
            return (
                f"feature {self.name!r} holds {KIND_NAMES[kind]} values, dtype {dtype_name(self.dtype)} reads "
                f"{KIND_NAMES[self.kind]} values: data types don't match, name another dtype"
            )
        return f"feature {self.name!r} holds {count} values, its shape has {self.size}: use VarLenFeature if it varies"

    def numbers(self, words: Words, count: int) -> npt.NDArray[Any]:
        """The first `count` numbers of some words, as they are on the wire."""
        return words.view(NUMBERS[self.kind])[:count]

    def converted(self, numbers: npt.NDArray[Any], owners: Words | int, who: _Names) -> npt.NDArray[Any]:
        """Numbers in the dtype asked for; `owners` says whose they are: how many each Example has, or the splits."""
        if numbers.dtype == self.dtype:
            return numbers
        result, bad = _cast(numbers, np.dtype(self.dtype))
        if bad.any():
            at = int(np.argmax(bad))
            row = at // owners if isinstance(owners, int) else int(np.searchsorted(owners, at, "right")) - 1
            raise InvalidArgumentError(
                f"{who[row]}: feature {self.name!r} holds {numbers[at]}, which {dtype_name(self.dtype)} does not hold: "
                f"name a wider dtype"
            )
        return result


def _cast(numbers: npt.NDArray[Any], dtype: np.dtype[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Numbers in another dtype, and which of them it does not hold."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            result = numbers.astype(dtype)
        return result, (result != numbers) & ~np.isnan(numbers)
    if dtype.kind == "b":
        return numbers.astype(dtype), (numbers != 0) & (numbers != 1)
    limits = np.iinfo(dtype)
    # Python's integers compare right with int64 even where the limit is uint64's.
    return numbers.astype(dtype), (numbers < limits.min) | (numbers > min(limits.max, np.iinfo(np.int64).max))


class _Fixed(_Column):
    """A FixedLenFeature."""

    def __init__(self, name: str, spec: FixedLenFeature, before: int) -> None:
        super().__init__(name, spec.dtype, before)
        self.shape, self.values = spec.shape, spec.default
        self.size = math.prod(spec.shape)
        self.words = _words(self.kind, self.size)

    def default(self) -> list[int] | None:
        if self.values is None or self.kind == kernels.BYTES:
            return None if self.values is None else [-1] * self.words
        array = np.array(self.values, NUMBERS[self.kind])
        bits: list[int] = (array.view(np.uint32) if self.kind == kernels.FLOAT else array).tolist()
        return bits

    def one(self, pool: Words, serialized: bytes, who: str) -> Any:
        """This feature of the only Example."""
        if not self.shape and self.dtype == NUMBERS[kernels.INT64]:
            return pool[self.before]
        if self.shape or self.kind != kernels.BYTES:
            part = pool[self.before : self.before + self.words]
            return self._arrays(part, 1, memoryview(serialized), _Names([who])).reshape(self.shape)[()]
        start = int(pool[self.before])
        if start < 0:
            return self.values[0] if self.values else b""
        return serialized[start : start + int(pool[self.before + 1])]

    def many(self, pool: Words, rows: int, data: Bytes, who: _Names) -> npt.NDArray[Any]:
        """This feature of every Example, [rows, *shape]."""
        part = pool[rows * self.before : rows * (self.before + self.words)]
        return self._arrays(part, rows, data.data, who).reshape((rows, *self.shape))

    def _arrays(self, part: Words, rows: int, data: memoryview, who: _Names) -> npt.NDArray[Any]:
        if self.kind == kernels.BYTES:
            return _strings(part, data, self.values or ())
        return self.converted(self.numbers(part, rows * self.size), self.size, who)


class _Variable(_Column):
    """A VarLenFeature."""

    size = kernels.VARIABLE
    words = kernels.SPAN

    def __init__(self, name: str, spec: VarLenFeature, before: int) -> None:
        super().__init__(name, spec.dtype, before)

    def one(self, pool: Words, serialized: bytes, who: str) -> SparseTensor:
        """This feature of the only Example, of rank 1."""
        several = self.many(pool, 1, np.frombuffer(serialized, np.uint8), _Names([who]))
        return SparseTensor(several.indices[:, 1:].copy(), several.values, several.dense_shape[1:].copy())

    def many(self, pool: Words, rows: int, data: Bytes, who: _Names) -> SparseTensor:
        """This feature of every Example, of rank 2."""
        spans = pool[rows * self.before : rows * (self.before + self.words)]
        counts = spans[kernels.SPAN - 1 :: kernels.SPAN]
        splits = np.zeros(rows + 1, np.int64)
        np.cumsum(counts, out=splits[1:])
        total = int(splits[-1])
        indices = np.empty((total, 2), np.int64)
        indices[:, 0] = np.repeat(np.arange(rows), counts)
        indices[:, 1] = np.arange(total) - np.repeat(splits[:-1], counts)
        longest = counts.max(initial=0)
        return SparseTensor(indices, self._expanded(spans, splits, data, who), np.array([rows, longest], np.int64))

    def _expanded(self, spans: Words, splits: Words, data: Bytes, who: _Names) -> npt.NDArray[Any]:
        total = int(splits[-1])
        words = np.empty(_words(self.kind, total), np.int64)
        row = kernels.expand(data, self.kind, spans, splits, words)
        if row >= 0:
            _malformed(who[row])
        if self.kind == kernels.BYTES:
            return _strings(words, data.data, ())
        return self.converted(self.numbers(words, total), splits, who)


def _strings(places: Words, data: memoryview, defaults: Sequence[bytes]) -> npt.NDArray[Any]:
    """An object array of the byte strings at `places`; where a place is -1, of the defaults in turn."""
    result = np.empty(len(places) // 2, object)
    pairs = places.reshape(-1, 2).tolist()
    for i, (start, length) in enumerate(pairs):
        result[i] = data[start : start + length].tobytes() if start >= 0 else defaults[i % len(defaults)]
    return result
