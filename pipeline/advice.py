"""Advice: what in a pipeline costs more than it must, or does what is seldom meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from .building import BUFFER_BYTES, buffer_bytes_of
from .cardinality import cardinality
from .cutting import cut_at
from .errors import HeadraceError
from .fingerprint import words
from .leaves import countable
from .local import LocalIterator
from .nodes import (
    Batch,
    Configured,
    Enumerate,
    FileLeaf,
    Generator,
    Map,
    Node,
    PaddedBatch,
    Prefetch,
    Repeat,
    Shuffle,
    Skip,
    Take,
)
from .segment import Segment
from .structure import flatten
from .work import size_of

__all__ = ["advice"]

#: A window that holds more is worth a word.
LARGE = 1 << 30
SAMPLE = 3


def advice(graph: Node, segments: Sequence[Segment], seed: int | None) -> Iterator[str]:
    """Each in a sentence or two, with what to do. Without a seed no element is computed."""
    for segment in segments:
        for about in (_second_hop, _unsplittable):
            if (said := about(segment)) is not None:
                yield said
    for node in _all(graph):
        for rule in _RULES:
            if (said := rule(node)) is not None:
                yield said
        if seed is not None and isinstance(node, Shuffle) and countable(node) is None:
            yield from _large_window(node, graph, seed)


def _all(node: Node) -> Iterator[Node]:
    yield node
    for each in node.inputs:
        yield from _all(each)


def _under(node: Node) -> Node:
    """The node itself, or the one below options and prefetching."""
    while isinstance(node, Configured | Prefetch):
        node = node.source
    return node


def _second_hop(segment: Segment) -> str | None:
    """A function behind an operator of the broker: its elements travel once more."""
    if segment.leaf is not None or segment.input is None or not segment.steps:
        return None
    name, source = segment.steps[0].function.name, _under(segment.input)
    told = f"{name} stands behind {words(source)}: what that gives goes to workers once more, a second hop."
    if isinstance(source, Batch | PaddedBatch):
        return f"{told} If it could work on single elements, put it in front of the batch"
    if isinstance(source, Shuffle):
        return (
            f"{told} Keep it there if it makes elements larger, as decoding does; else put it in front of the shuffle"
        )
    return f"{told} In front of {words(source)} it would run where its elements are read"


def _unsplittable(segment: Segment) -> str | None:
    """What only one worker at a time can read."""
    leaf = segment.leaf
    others = "; what is mapped behind it runs on all, a second hop" if segment.spread else ": the others wait for it"
    if isinstance(leaf, Generator):
        return (
            f"{leaf.function.name} is run by one worker, from its start{others}. from_indexable, or a dataset of "
            "files, spreads over all"
        )
    if not isinstance(leaf, FileLeaf) or cut_at(leaf) is not None:
        return None
    known = cardinality(leaf.filenames)
    files = {1: "a file"}.get(known, f"{known:,} files") if known >= 0 else "files"
    return (
        f"{words(leaf)} reads {files} that cannot be entered in the middle: one worker reads each from its start"
        f"{'' if not segment.spread else others}. {_instead(leaf)} are cut into splits for all workers"
    )


def _instead(leaf: FileLeaf) -> str:
    return "Files without compression" if leaf.compression else "Files without quotes (use_quote_delim=False)"


def _leaking(node: Node) -> str | None:
    """A split of the data that is another in every epoch."""
    if not isinstance(node, Take | Skip):
        return None
    below = node.source
    while isinstance(below, Configured | Prefetch | Map | Enumerate | Take | Skip):
        below = below.source
    if not isinstance(below, Shuffle) or not below.reshuffle:
        return None
    return (
        f"{words(node)} stands behind {words(below)}, whose order is new in each epoch, and so is what is taken. To "
        "divide data for training and testing, use shuffle(..., seed=..., reshuffle_each_iteration=False)"
    )


def _mixed_passes(node: Node) -> str | None:
    """A shuffle over several passes."""
    if not isinstance(node, Shuffle):
        return None
    below = _under(node.source)
    while isinstance(below, Map):
        below = _under(below.source)
    if not isinstance(below, Repeat) or below.count in (0, 1):
        return None
    return (
        f"{words(node)} stands behind {words(below)}: elements of several passes mix, and some come twice before "
        "others come once. In front of the repeat, each pass is shuffled by itself"
    )


_RULES: tuple[Callable[[Node], str | None], ...] = (_leaking, _mixed_passes)


def _large_window(node: Shuffle, graph: Node, seed: int) -> Iterator[str]:
    """A window that takes much memory, judged by the first elements."""
    each = _bytes_each(node.source, seed)
    known = cardinality(node.source)
    held = min(node.size, known) if known >= 0 else node.size
    budget = buffer_bytes_of(graph) or BUFFER_BYTES
    if each * held <= min(LARGE, budget):
        return
    consequence = "which is more than its budget, an error" if each * held > budget else "in the broker's memory"
    yield (
        f"{words(node)} holds {held:,} elements of about {each:,} bytes, {each * held / 2**30:,.1f} GiB, {consequence} "
        f"(Options(buffer_bytes=...), now {budget:,}). Shuffle names or encoded bytes, and decode behind it"
    )


def _bytes_each(node: Node, seed: int) -> int:
    """Of the largest of the first elements; 0 where there is none to see."""
    try:
        return max(map(_bytes, islice(LocalIterator(node, seed, 0, tells=False), SAMPLE)), default=0)
    except HeadraceError:
        return 0


def _bytes(element: object) -> int:
    return sum(map(size_of, flatten(element)[0]))
