"""Leaves that can be counted: rows in memory, integers, items; and the operators behind them that only move positions.

`take`, `skip`, `shard` and `global_shuffle` directly behind such a leaf, and a shuffle of everything behind an
indexable object, say which rows come and in what order: they are a view of the leaf, and no element moves or waits for
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .cardinality import INFINITE_CARDINALITY, cardinality
from .nodes import (
    Configured,
    Counter,
    Decoded,
    Elements,
    Enumerate,
    GlobalShuffle,
    Items,
    Map,
    Node,
    Numbered,
    Prefetch,
    Random,
    Range,
    Rows,
    Shard,
    Shuffle,
    Skip,
    Take,
)
from .views import View

__all__ = ["ENDLESS", "Countable", "countable", "one_for_one", "rows_in"]

#: Rows of a leaf that has no end: so many can be told apart.
ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Countable:
    """A leaf, what makes its items where something does, and what cuts or shuffles its positions, from it up."""

    leaf: Rows | Range | Numbered | Counter | Random | Elements
    items: Items | Decoded | None = None
    cuts: tuple[Node, ...] = ()

    def view(self, key: Callable[[Shuffle | GlobalShuffle], int]) -> tuple[View, int]:
        """The view that the cuts make, and how many rows it has; `key` says by what a shuffle draws."""
        stages: list[tuple[int, ...]] = []
        rows = whole = range(rows_in(self.leaf))
        for cut in self.cuts:
            if isinstance(cut, Shuffle | GlobalShuffle):
                stages += _picked(rows, whole)
                rows = whole = range(len(rows))
                stages.append((key(cut), len(rows)))
            else:
                rows = _cut(rows, cut)
        return (*stages, *_picked(rows, whole)), len(rows)


def rows_in(leaf: Node) -> int:
    """How many positions a leaf that can be counted has."""
    known = cardinality(leaf)
    return ENDLESS if known == INFINITE_CARDINALITY else known


def _cut(rows: range, cut: Node) -> range:
    match cut:
        case Take(count=count):
            return rows[:count] if count >= 0 else rows
        case Skip(count=count):
            return rows[count:] if count >= 0 else rows[:0]
        case Shard(count=count, index=index):
            return rows[index::count]
    raise TypeError(f"{type(cut).__name__} cuts nothing")


def _picked(rows: range, whole: range) -> View:
    return () if rows == whole else ((rows.start, rows.step, len(rows)),)


def countable(node: Node) -> Countable | None:
    """The leaf that a node is a view of; None where it is none."""
    match node:
        case Rows() | Range() | Numbered() | Counter() | Random() | Elements():
            return Countable(node)
        case Items(source=Range() as leaf) | Decoded(source=Numbered() as leaf):
            return Countable(leaf, node)
        case Configured(source=source) | Prefetch(source=source):
            return countable(source)
        case Take(source=source) | Skip(source=source) | Shard(source=source):
            return _behind(countable(source), node)
        case GlobalShuffle(source=source):
            return _behind(countable(source), node)
        case Shuffle(source=source, size=size):
            found = countable(source)
            if found is not None and isinstance(found.items, Items) and size >= cardinality(source):
                return _behind(found, node)
    return None


def _behind(found: Countable | None, cut: Node) -> Countable | None:
    return found and Countable(found.leaf, found.items, (*found.cuts, cut))


def one_for_one(node: Node) -> bool:
    """Whether each position of a countable leaf gives one element here, or one failure."""
    while countable(node) is None:
        if not isinstance(node, Map | Decoded | Enumerate | Configured | Prefetch):
            return False
        node = node.source
    return True
