"""Functions of any element: what they give depends on its bytes alone, and a few fail now and then."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from headrace import Dataset

__all__ = ["CHANGES", "Pair", "changed", "datasets", "digest", "keeps", "plain", "total"]


class Pair(NamedTuple):
    """An element and a number beside it."""

    first: Any
    second: Any


def digest(element: Any, salt: int = 0) -> int:
    """32 bits of an element's structure, dtypes, shapes and content."""
    return zlib.crc32(repr(plain(element)).encode(), salt)


def plain(element: Any) -> Any:
    """An element as nested lists of plain values: two are equal only where each byte is."""
    if isinstance(element, Dataset):
        return ["dataset", *map(plain, element)]
    if isinstance(element, dict):
        return {key: plain(element[key]) for key in sorted(element)}
    if isinstance(element, tuple):
        return [type(element).__name__, *map(plain, element)]
    if isinstance(element, bytes):
        return element
    if element.dtype == object:
        return ["text", element.shape, element.tolist()]
    return [element.dtype.str, element.shape, element.tobytes()]


def whole(parts: tuple[Any, ...], spread: bool) -> Any:
    """The element that a function was given: plain tuples come spread over its arguments."""
    return parts if spread else parts[0]


def raised(element: Any) -> Any:
    """The same structure, dtypes and shapes, and other values."""
    if isinstance(element, Dataset):
        return element
    if isinstance(element, dict):
        return {key: raised(each) for key, each in element.items()}
    if isinstance(element, tuple):
        inner = [raised(each) for each in element]
        return tuple(inner) if type(element) is tuple else type(element)(*inner)
    if isinstance(element, bytes):
        return element[::-1] + b"!"
    if element.dtype == object:
        return np.array([each + b"?" for each in element.reshape(-1)], object).reshape(element.shape)
    return ~element if element.dtype == bool else element + element.dtype.type(1)


def _longer(element: Any, value: int) -> Any:
    return element, np.arange(value % 4, dtype=np.int32)


def _worded(element: Any, value: int) -> Any:
    return {"of": element, "text": b"xyz"[: value % 4] * (value % 3)}


def _texts(element: Any, value: int) -> Any:
    return {"of": element, "texts": np.array([b"%d" % i * (i % 3) for i in range(value % 3)], object)}


def _paired(element: Any, value: int) -> Any:
    return Pair(element, np.float32(value % 100))


def _listed(element: Any, value: int) -> Any:
    return [element, np.full((2, value % 3), value % 5, np.uint8)]


#: What a map makes of an element and its digest.
CHANGES: dict[str, Callable[[Any, int], Any]] = {
    "raised": lambda element, value: raised(element),
    "number": lambda element, value: np.int64(value % 9),
    "row": lambda element, value: np.full(value % 4, value % 10, np.int64),
    "text": lambda element, value: b"abcdef"[: value % 7],
    "longer": _longer,
    "worded": _worded,
    "texts": _texts,
    "paired": _paired,
    "listed": _listed,
}


def changed(name: str, spread: bool, salt: int, fails: int = 0, noisy: bool = False) -> Callable[..., Any]:
    """A map: one of `CHANGES`, that fails for one element of `fails`, or has a random number beside what it gives."""
    change = CHANGES[name]

    def sure(*parts: Any) -> Any:
        element = whole(parts, spread)
        value = digest(element, salt)
        if fails and value % fails == 0:
            raise ValueError(f"{name} of {value}")
        return change(element, value)

    def drawn(*parts: Any, rng: np.random.Generator) -> Any:
        return sure(*parts), rng.integers(1000)

    return drawn if noisy else sure


def keeps(spread: bool, salt: int, of: int, fails: int = 0, noisy: bool = False) -> Callable[..., bool]:
    """A predicate: true for all but one of `of` elements; for none where that is 0."""

    def sure(*parts: Any) -> bool:
        value = digest(whole(parts, spread), salt)
        if fails and value % fails == 1:
            raise KeyError(value)
        return of > 0 and value % of != 0

    def drawn(*parts: Any, rng: np.random.Generator) -> bool:
        return sure(*parts) and bool(rng.random() < 0.8)

    return drawn if noisy else sure


def classed(spread: bool, salt: int, of: int, fails: int = 0) -> Callable[..., int]:
    """The class of an element, from 0 to below `of`."""

    def sure(*parts: Any) -> int:
        value = digest(whole(parts, spread), salt)
        if fails and value % fails == 2:
            raise OSError(f"no class for {value}")
        return value % of

    return sure


def total(state: Any, element: Any) -> Any:
    """A function of a state: how many came and what they were."""
    count, texts = state
    value = digest(element, int(count))
    if value % 11 == 0:
        raise ArithmeticError(f"behind {count}")
    after = (count + 1, np.concatenate([texts, np.full(value % 2, value % 256, np.uint8)])[-5:])
    return after, {"sum": after, "of": element}


def datasets(name: str, spread: bool, salt: int, files: tuple[str, ...]) -> Callable[..., Dataset]:
    """What flat_map and interleave make of an element."""

    def made(*parts: Any) -> Dataset:
        element = whole(parts, spread)
        value = digest(element, salt)
        return INNER[name](element, value, files)

    return made


def _shuffled(element: Any, value: int, files: tuple[str, ...]) -> Dataset:
    inner = Dataset.range(value % 6).shuffle(3).map(lambda x, rng: x * 1000 + rng.integers(1000))
    return inner.batch(2)


def _sometimes(element: Any, value: int, files: tuple[str, ...]) -> Dataset:
    if value % 5 == 0:
        raise LookupError(f"no dataset for {value}")
    return Dataset.range(value % 4).map(changed("number", False, value, fails=4))


def _nested(element: Any, value: int, files: tuple[str, ...]) -> Dataset:
    return Dataset.range(value % 3).flat_map(lambda x: Dataset.from_tensors(element).repeat(x + 1)).enumerate()


def _lines(element: Any, value: int, files: tuple[str, ...]) -> Dataset:
    from headrace import TextLineDataset

    return TextLineDataset(files[value % len(files)]).take(1 + value % 5)


#: By name: of an element, its digest and names of text files.
INNER: dict[str, Callable[[Any, int, tuple[str, ...]], Dataset]] = {
    "counted": lambda element, value, files: Dataset.range(value % 4),
    "again": lambda element, value, files: Dataset.from_tensors(element).repeat(value % 3),
    "shuffled": _shuffled,
    "sometimes": _sometimes,
    "nested": _nested,
    "lines": _lines,
}
