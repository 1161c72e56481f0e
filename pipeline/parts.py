"""Parts: the features of Examples that a kernel reads, and their values as it leaves them in a pool."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from .columns import Column
from .errors import InvalidArgumentError
from .features import FixedLenFeature, wire_kind
from .kernels import example as kernels
from .kernels import wire
from .kernels.text import join_words
from .ragged import splits_of_lengths
from .spec import DType, dtype_name

__all__ = [
    "Fixed",
    "Names",
    "Rows",
    "Variable",
    "Whose",
    "converted",
    "malformed",
    "program_of",
    "sequences",
    "strings_at",
    "texts_at",
    "words_of",
]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.int64]

#: The kinds of list of an Example, in the kernel's numbers; and the dtypes of those that hold numbers.
KINDS = {"bytes": wire.BYTES, "float": wire.FLOAT, "int64": wire.INT64}
KIND_NAMES = {number: name for name, number in KINDS.items()}
NUMBERS: dict[int, np.dtype[Any]] = {wire.FLOAT: np.dtype(np.float32), wire.INT64: np.dtype(np.int64)}


def words_of(kind: int, values: int) -> int:
    """How many words of a pool hold so many values."""
    return {wire.BYTES: 2 * values, wire.FLOAT: (values + 1) // 2, wire.INT64: values}[kind]


class Whose(Protocol):
    """How errors call each row."""

    def __getitem__(self, row: int) -> str: ...


class Names:
    """How errors call the Examples of a batch."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = names

    def __getitem__(self, row: int) -> str:
        return f"Example {row}" if self._names is None else str(self._names[row])


class Rows(NamedTuple):
    """The values of a feature in all Examples, one behind the other, and where those of each begin, int64."""

    values: npt.NDArray[Any]
    splits: Words


def malformed(who: str, message: str) -> NoReturn:
    """Bytes that are no such message."""
    raise InvalidArgumentError(
        f"{who} is no serialized {message}, its bytes do not parse: check what wrote this record"
    )


def program_of(columns: Sequence[Fixed | Variable], width: int) -> Words:
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


class _Part:
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

    def values(self, words: Words, count: int) -> npt.NDArray[Any]:
        """The first `count` numbers of some words, as they are on the wire."""
        return words.view(NUMBERS[self.kind])[:count]


def converted(name: str, dtype: DType, numbers: npt.NDArray[Any], owners: Words | int, who: Whose) -> npt.NDArray[Any]:
    """Values in the dtype asked for; `owners` says whose they are: how many each row has, or the splits."""
    if dtype is bytes or numbers.dtype == dtype:
        return numbers
    result, bad = _cast(numbers, np.dtype(dtype))
    if bad.any():
        at = int(np.argmax(bad))
        row = at // owners if isinstance(owners, int) else int(np.searchsorted(owners, at, "right")) - 1
        raise InvalidArgumentError(
            f"{who[row]}: feature {name!r} holds {numbers[at]}, which {dtype_name(dtype)} does not hold: "
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


class Fixed(_Part):
    """A FixedLenFeature."""

    def __init__(self, name: str, spec: FixedLenFeature, before: int) -> None:
        super().__init__(name, spec.dtype, before)
        self.shape, self.defaults = spec.shape, spec.default
        self.size = math.prod(spec.shape)
        self.words = words_of(self.kind, self.size)

    def default(self) -> list[int] | None:
        if self.defaults is None or self.kind == wire.BYTES:
            return None if self.defaults is None else [-1] * self.words
        array = np.array(self.defaults, NUMBERS[self.kind])
        bits: list[int] = (array.view(np.uint32) if self.kind == wire.FLOAT else array).tolist()
        return bits

    def one(self, pool: Words, serialized: bytes, who: str) -> Any:
        """This feature of the only Example."""
        if not self.shape and self.dtype == NUMBERS[wire.INT64]:
            return pool[self.before]
        if self.shape or self.kind != wire.BYTES:
            part = pool[self.before : self.before + self.words]
            return self._arrays(part, 1, memoryview(serialized), Names([who])).reshape(self.shape)[()]
        start = int(pool[self.before])
        if start < 0:
            return self.defaults[0] if self.defaults else b""
        return serialized[start : start + int(pool[self.before + 1])]

    def many(self, pool: Words, rows: int, data: Bytes, who: Whose) -> npt.NDArray[Any]:
        """This feature of every Example, [rows, *shape]."""
        part = pool[rows * self.before : rows * (self.before + self.words)]
        return self._arrays(part, rows, data.data, who).reshape((rows, *self.shape))

    def column(self, pool: Words, rows: int, data: Bytes, who: Whose) -> Column:
        """The same as a column of so many elements."""
        if self.kind != wire.BYTES:
            return Column(self.dtype, len(self.shape), self.many(pool, rows, data, who))
        places = pool[rows * self.before : rows * (self.before + self.words)].reshape(-1, 2)
        texts = texts_at(places, data, self.defaults or ())
        if not self.shape:
            return Column(bytes, 0, *texts)
        shapes = np.broadcast_to(np.array(self.shape, np.int64), (rows, len(self.shape)))
        return Column(bytes, len(self.shape), *texts, np.arange(rows + 1) * self.size, shapes)

    def _arrays(self, part: Words, rows: int, data: memoryview, who: Whose) -> npt.NDArray[Any]:
        if self.kind == wire.BYTES:
            return strings_at(part, data, self.defaults or ())
        return converted(self.name, self.dtype, self.values(part, rows * self.size), self.size, who)


class Variable(_Part):
    """A feature with any number of values."""

    size = kernels.VARIABLE
    words = kernels.SPAN

    def rows(self, pool: Words, rows: int, data: Bytes, who: Whose) -> Rows:
        """This feature of every Example, as it is on the wire."""
        spans = pool[rows * self.before : rows * (self.before + self.words)]
        splits = splits_of_lengths(spans[kernels.SPAN - 1 :: kernels.SPAN])
        words = np.empty(words_of(self.kind, int(splits[-1])), np.int64)
        row = kernels.expand(data, self.kind, spans, splits, words)
        if row >= 0:
            malformed(who[row], "tf.train.Example")
        return Rows(self.taken(words, int(splits[-1]), data), splits)

    def taken(self, words: Words, count: int, data: Bytes) -> npt.NDArray[Any]:
        """So many values out of the words that a kernel has written."""
        return strings_at(words, data.data, ()) if self.kind == wire.BYTES else self.values(words, count)


def sequences(steps: Rows, shape: tuple[int, ...]) -> Column:
    """Steps of one shape, any number of them an element, as a column."""
    lengths = np.diff(steps.splits)[:, None]
    shapes = np.hstack([lengths, np.broadcast_to(np.array(shape, np.int64), (len(lengths), len(shape)))])
    return Column(
        steps.values.dtype, 1 + len(shape), steps.values.reshape(-1), None, steps.splits * math.prod(shape), shapes
    )


def texts_at(places: Words, data: Bytes, defaults: Sequence[bytes]) -> tuple[Bytes, Words]:
    """The byte strings at `places`, [strings, (start, length)], one behind the other, and where they begin."""
    missing = places[:, 0] < 0
    if missing.any():  # the defaults are read from behind the Examples
        behind = len(data) + splits_of_lengths(np.array([len(each) for each in defaults], np.int64))
        data = np.concatenate([data, np.frombuffer(b"".join(defaults), np.uint8)])
        which = np.arange(len(places)) % len(defaults)
        places = np.where(missing[:, None], np.stack([behind[which], np.diff(behind)[which]], axis=1), places)
        data.flags.writeable = False  # as the kernel is compiled
    splits = splits_of_lengths(places[:, 1])
    values = np.empty(splits[-1], np.uint8)
    join_words(data, np.ascontiguousarray(places).reshape(-1), splits, values)
    return values, splits


def strings_at(places: Words, data: memoryview, defaults: Sequence[bytes]) -> npt.NDArray[Any]:
    """An object array of the byte strings at `places`; where a place is -1, of the defaults in turn."""
    result = np.empty(len(places) // 2, object)
    pairs = places.reshape(-1, 2).tolist()
    for i, (start, length) in enumerate(pairs):
        result[i] = data[start : start + length].tobytes() if start >= 0 else defaults[i % len(defaults)]
    return result
