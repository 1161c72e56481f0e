"""Sources: what chains begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset

from .chain import Chain, Dice, Files
from .functions import Pair, changed
from .kinds import NUMBER, TEXT, Kind, Leaf, Nest

__all__ = ["source"]

DTYPES = ("int64", "int32", "uint8", "float32", "float64", "bool", "bytes")


def source(dice: Dice, files: Files) -> Chain:
    """Any of them."""
    return dice.choice(SOURCES)(dice, files)


def _range(dice: Dice, files: Files) -> Chain:
    start, step = dice.randint(-3, 5), dice.choice((1, 1, 1, 2, -1))
    stop = start + step * dice.choice((0, 1, 5, 12, 24))
    dtype = dice.choice(("int64", "int64", "int32", "float32"))
    dataset = Dataset.range(start, stop, step, output_type=dtype)
    return Chain(dataset, Leaf(dtype), 24, (f"range({start}, {stop}, {step}, {dtype})",), numbered=True)


def _rows(dice: Dice, shape: tuple[int, ...], dtype: str) -> Any:
    numbers = np.arange(int(np.prod(shape))).reshape(shape) * dice.randint(1, 7) % 251
    if dtype == "bytes":
        return np.array([b"%d" % each * (each % 3) for each in numbers.reshape(-1)], object).reshape(shape)
    return numbers.astype(dtype)


def _nested(dice: Dice, rows: int, depth: int = 0) -> tuple[Any, Kind]:
    """Arrays of so many rows, nested at random, and what an element of them is like."""
    form = dice.choice(("leaf", "leaf", "leaf", "tuple", "dict", "named") if depth < 2 else ("leaf",))
    if form == "leaf":
        dtype, shape = dice.choice(DTYPES), tuple(dice.randint(0, 3) for _ in range(dice.choice((0, 0, 1, 2))))
        return _rows(dice, (rows, *shape), dtype), Leaf(dtype, shape)
    inner = [_nested(dice, rows, depth + 1) for _ in range(2 if form == "named" else dice.randint(1, 3))]
    values, kinds = tuple(value for value, _ in inner), tuple(kind for _, kind in inner)
    if form == "tuple":
        return values, Nest("tuple", kinds)
    if form == "named":
        return Pair(*values), Nest("named", kinds, Pair._fields)
    keys = tuple("abc"[: len(values)])
    return dict(zip(keys, values, strict=True)), Nest("dict", kinds, keys)


def _slices(dice: Dice, files: Files) -> Chain:
    rows = dice.choice((0, 5, 12, 23))
    values, kind = _nested(dice, rows)
    return Chain(Dataset.from_tensor_slices(values), kind, rows, (f"slices({rows} of {kind})",), numbered=True)


def _tensors(dice: Dice, files: Files) -> Chain:
    values, kind = _nested(dice, 3)
    made = Dataset.from_tensors(values)
    return Chain(made, _stacked(kind, 3), 1, (f"tensors(3 of {kind})",), rows=True)


def _stacked(kind: Kind, count: int | None) -> Kind:
    if isinstance(kind, Leaf):
        return Leaf(kind.dtype, (count, *kind.shape))
    return Nest(kind.form, tuple(_stacked(part, count) for part in kind.parts), kind.keys)


def _generator(dice: Dice, files: Files) -> Chain:
    count, fails = dice.choice((0, 1, 9, 15)), dice.choice((0, 0, 0, 9))
    if dice.choice((True, False)):
        made = Dataset.from_generator(numbers, args=[count, fails], output_signature=hr.TensorSpec((), "int64"))
        return Chain(made, NUMBER, count, (f"generator(numbers({count}, {fails}))",), sure=not fails)
    made = Dataset.from_generator(pairs, args=[count, fails])
    kind = Nest("tuple", (NUMBER, Leaf("float32", (None,))))
    return Chain(made, kind, count, (f"generator(pairs({count}, {fails}))",), sure=not fails)


def numbers(count: int, fails: int) -> Iterator[int]:
    """Fails at its end, or does not."""
    for i in range(int(count)):
        yield i * i
    if fails:
        raise ValueError("no more")


def pairs(count: int, fails: int) -> Iterator[Any]:
    """The same with arrays of unequal lengths."""
    for i in numbers(count, fails):
        yield np.int64(i), np.full(i % 5, i, np.float32)


def _indexable(dice: Dice, files: Files) -> Chain:
    count = dice.randint(0, 15)
    items = [(np.int64(i), b"i" * (i % 4)) for i in range(count)]
    kind = Nest("tuple", (NUMBER, TEXT))
    return Chain(Dataset.from_indexable(items), kind, count, (f"indexable({count})",), numbered=True)


def _counter(dice: Dice, files: Files) -> Chain:
    start, step, count = dice.randint(-5, 250), dice.randint(1, 9), dice.randint(1, 24)
    dtype = dice.choice(("int64", "uint8", "float64"))
    made = Dataset.counter(abs(start) if dtype == "uint8" else start, step, dtype).take(count)
    return Chain(made, Leaf(dtype), count, (f"counter({start}, {step}, {dtype}).take({count})",))


def _random(dice: Dice, files: Files) -> Chain:
    seed, anew, count = dice.choice((None, 3)), dice.choice((None, True)), dice.randint(1, 20)
    made = Dataset.random(seed, anew).take(count)
    return Chain(made, NUMBER, count, (f"random({seed}, {anew}).take({count})",))


def _lines(dice: Dice, files: Files) -> Chain:
    names = [dice.choice((*files.texts, files.texts[0], files.missing)) for _ in range(dice.randint(1, 3))]
    reads = dice.choice((None, None, 2))
    made = hr.TextLineDataset(names, num_parallel_reads=reads)
    known = files.missing not in names
    return Chain(made, TEXT, 40, (f"lines({_shown(names)}, {reads})",), sure=known)


def _records(dice: Dice, files: Files) -> Chain:
    packed = dice.randint(0, 3) == 0
    given = files.packed if packed else (*files.records, files.damaged)
    names = [dice.choice(given) for _ in range(dice.randint(1, 3))]
    reads = dice.choice((None, None, 2))
    made = hr.TFRecordDataset(names, "GZIP" if packed else None, num_parallel_reads=reads)
    return Chain(made, TEXT, 33, (f"records({_shown(names)}, {reads})",), sure=files.damaged not in names)


def _table(dice: Dice, files: Files) -> Chain:
    size = dice.choice((np.int32, [7]))
    made = hr.CsvDataset([files.table], [size, bytes], header=dice.choice((True, False)))
    return Chain(made, Nest("tuple", (Leaf("int32"), TEXT)), 12, (f"table({size})",), sure=False)


def _fixed(dice: Dice, files: Files) -> Chain:
    names = [dice.choice(files.records) for _ in range(dice.randint(1, 2))]
    made = hr.FixedLengthRecordDataset(names, record_bytes=dice.choice((1, 13)), header_bytes=100).take(20)
    return Chain(made, TEXT, 20, (f"fixed({_shown(names)})",), sure=False)


def _names(dice: Dice, files: Files) -> Chain:
    made = Dataset.list_files(files.pattern, shuffle=dice.choice((None, False))).map(last)
    return Chain(made, TEXT, 3, ("names()",))


def last(path: bytes) -> bytes:
    """A file's name without its folder, which is another in each run."""
    return path.rpartition(b"/")[2]


def _ragged(dice: Dice, files: Files) -> Chain:
    count, name = dice.randint(1, 20), dice.choice(("row", "text", "longer", "texts"))
    kinds: dict[str, Kind] = {
        "row": Leaf("int64", (None,)),
        "text": TEXT,
        "longer": Nest("tuple", (NUMBER, Leaf("int32", (None,)))),
        "texts": Nest("dict", (NUMBER, Leaf("bytes", (None,))), ("of", "texts")),
    }
    made = Dataset.range(count).map(changed(name, False, 5))
    return Chain(made, kinds[name], count, (f"ragged({count}, {name})",))


def _shown(names: list[str]) -> str:
    return "+".join(name.rpartition("/")[2] for name in names)


SOURCES: tuple[Callable[[Dice, Files], Chain], ...] = (
    _range,
    _range,
    _slices,
    _slices,
    _slices,
    _ragged,
    _ragged,
    _tensors,
    _generator,
    _indexable,
    _counter,
    _random,
    _lines,
    _records,
    _table,
    _fixed,
    _names,
)
