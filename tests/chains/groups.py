"""Operators that make one element of several."""

from __future__ import annotations

from typing import Any

from headrace import Dataset

from .chain import Chain, Dice, Files
from .functions import changed, classed
from .kinds import Kind, Leaf, Nest, leaves, over
from .operators import Operator

__all__ = ["GROUPS"]


def _batch(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain or (not chain.fixed and dice.randint(0, 3)):  # now and then what cannot be stacked
        return None
    size, drop = dice.randint(1, 5), dice.choice((True, False))
    made = chain.dataset.batch(size, drop)
    kind = _stacked(chain.kind, size if drop else None)
    return chain.then(f"batch({size}, {drop})", made, kind=kind, rows=True, sure=chain.sure and chain.fixed)


def _stacked(kind: Kind, rows: int | None) -> Kind:
    return over(kind, lambda leaf: Leaf(leaf.dtype, (rows, *leaf.shape)))


def _open(kind: Kind) -> Kind:
    """With lengths that vary, all but that of the shape's own."""
    return over(kind, lambda leaf: Leaf(leaf.dtype, (None,) * (1 + len(leaf.shape))))


def _padded_batch(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain:
        return None
    size, drop = dice.randint(1, 5), dice.choice((True, False))
    if isinstance(chain.kind, Leaf) and len(chain.kind.shape) == 1 and dice.choice((True, False)):
        wide, value = dice.choice((None, 9, 2)), {"bytes": b"-", "bool": True}.get(chain.kind.dtype, 7)
        made = chain.dataset.padded_batch(size, [wide], value, drop)
        kind = _open(chain.kind)
        return chain.then(f"padded_batch({size}, {wide}, {value!r}, {drop})", made, kind=kind, rows=True, sure=False)
    made = chain.dataset.padded_batch(size, drop_remainder=drop)
    return chain.then(f"padded_batch({size}, {drop})", made, kind=_open(chain.kind), rows=True)


def _ragged_batch(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not isinstance(chain.kind, Leaf) or len(chain.kind.shape) != 1 or not chain.plain:
        return None
    size, drop = dice.randint(1, 5), dice.choice((True, False))
    made = chain.dataset.ragged_batch(size, drop)
    flat, splits = Leaf(chain.kind.dtype, (None,)), Leaf("int64", (None,))
    kind = flat if chain.fixed else Nest("named", (flat, splits), ("values", "row_splits"))
    return chain.then(f"ragged_batch({size}, {drop})", made, kind=kind, sure=False)


def _sparse_batch(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not isinstance(chain.kind, Leaf) or not chain.kind.shape or not chain.plain:
        return None
    size, longest = dice.randint(1, 5), dice.choice((None, 9, 2))
    made = chain.dataset.sparse_batch(size, [longest] * len(chain.kind.shape))
    parts = Leaf("int64", (None, None)), Leaf(chain.kind.dtype, (None,)), Leaf("int64", (None,))
    kind = Nest("named", parts, ("indices", "values", "dense_shape"))
    return chain.then(f"sparse_batch({size}, {longest})", made, kind=kind, sure=False)


def _rebatch(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.rows or not chain.plain:
        return None
    sizes, drop = dice.choice(([3], [1, 4], [0, 2], [5])), dice.choice((True, False))
    made = chain.dataset.rebatch(sizes, drop)
    kind = over(chain.kind, lambda leaf: Leaf(leaf.dtype, (None, *leaf.shape[1:])))
    sure = chain.sure and all(None not in leaf.shape[1:] for leaf in leaves(chain.kind))
    return chain.then(f"rebatch({sizes}, {drop})", made, kind=kind, rows=True, most=4 * chain.most, sure=sure)


def _bucket(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain:
        return None
    salt, fails, drop = dice.randint(0, 99), dice.choice((0, 0, 8)), dice.choice((True, False))
    lengths, way = classed(chain.spread, salt, 6, fails), dice.choice(("longest", "longest", "boundary", "none"))
    sizes: Any = [2, 3, dice.randint(1, 4)], None, None, way == "boundary", way == "none", drop
    made = chain.dataset.bucket_by_sequence_length(lengths, [2, 4], *sizes)
    sure = chain.sure and not fails and way == "longest"
    return chain.then(f"bucket({salt}, {fails}, {way}, {drop})", made, kind=_open(chain.kind), rows=True, sure=sure)


def _window(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain or chain.most > 40:
        return None
    size, shift, stride = dice.randint(1, 4), dice.choice((None, 1, 3)), dice.choice((1, 1, 2))
    drop = dice.choice((True, False))
    made = chain.dataset.window(size, shift, stride, drop)
    kind = over(chain.kind, lambda leaf: Leaf("dataset"))
    return chain.then(f"window({size}, {shift}, {stride}, {drop})", made, kind=kind)


def _window_batches(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    """Windows, and batches of each again."""
    windows = _window(dice, files, chain)
    if windows is None or not chain.fixed:
        return None
    size = dice.randint(1, 3)
    together = windows.dataset.flat_map(batched(size, chain.spread))
    kind = _stacked(chain.kind, None)
    return windows.then(f"flat_map(batch({size}))", together, kind=kind, rows=True, most=4 * windows.most)


def batched(size: int, spread: bool) -> Any:
    """A function of windows."""

    def together(*windows: Any) -> Dataset:
        window = windows if spread else windows[0]
        return (window if isinstance(window, Dataset) else Dataset.zip(window)).batch(size)

    return together


def _group(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain:
        return None
    salt, fails, way = dice.randint(0, 99), dice.choice((0, 0, 8)), dice.choice(("same", "batch", "keyed"))
    keys, size = classed(chain.spread, salt, 3, fails), dice.randint(1, 5)
    sizes: dict[str, Any] = {"window_size": size} if dice.choice((True, False)) else {"window_size_func": sized}
    sure = chain.sure and not fails
    words = f"group({salt}, {fails}, {way}, {size if 'window_size' in sizes else 'sized'})"
    if way == "batch":
        if not chain.fixed:
            return None
        made = chain.dataset.group_by_window(keys, lambda key, window: window.batch(3), **sizes)
        return chain.then(words, made, kind=_stacked(chain.kind, None), rows=True, sure=sure)
    if way == "keyed":
        change = changed("number", chain.spread, salt)
        made = chain.dataset.group_by_window(keys, lambda key, window: window.map(change).enumerate(key), **sizes)
        return chain.then(words, made, kind=Nest("tuple", (Leaf("int64"), Leaf("int64"))), sure=sure)
    made = chain.dataset.group_by_window(keys, lambda key, window: window, **sizes)
    return chain.then(words, made, sure=sure)


def sized(key: Any) -> int:
    """How many elements of a key make a window."""
    return 1 + int(key)


GROUPS: tuple[Operator, ...] = (
    _batch,
    _batch,
    _batch,
    _padded_batch,
    _padded_batch,
    _ragged_batch,
    _ragged_batch,
    _sparse_batch,
    _rebatch,
    _rebatch,
    _bucket,
    _window,
    _window_batches,
    _group,
)
