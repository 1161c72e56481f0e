"""How operators over one input that change which elements come, and in which order, are built."""

from __future__ import annotations

from dataclasses import replace

from ..cardinality import cardinality, empty
from ..feeds import SequentialFeed
from ..leaves import countable, one_for_one
from ..nodes import (
    AssertCardinality,
    Configured,
    Enumerate,
    GlobalShuffle,
    IgnoreErrors,
    Prefetch,
    Repeat,
    Scan,
    Shard,
    Shuffle,
    Skip,
    Take,
    TakeWhile,
    Unique,
)
from ..operators.assert_cardinality import AssertOperator
from ..operators.counting import RepeatOperator, ShardOperator, SkipOperator, TakeOperator
from ..operators.enumerate import EnumerateOperator
from ..operators.ignore import IgnoreErrorsOperator
from ..operators.protocol import Operator
from ..operators.shuffle import ShuffleOperator
from ..operators.take_while import TakeWhileOperator
from ..operators.unique import UniqueOperator
from ..place import START, Place
from ..segment import segment_at
from .core import Settings, build, built_segment, shuffle_key


@build.register
def _(node: Configured | Prefetch, to: Settings, at: Place = START) -> Operator:
    return build(node.source, to, at)


@build.register
def _(node: IgnoreErrors, to: Settings, at: Place = START) -> Operator:
    segment = segment_at(node, at.branch, at.fixed)
    if segment.leaf is not None or segment.steps:
        return built_segment(node, to, at)
    return IgnoreErrorsOperator(build(node.source, to, at), to.store, to.verdicts, to.counts, node.log_warning)


@build.register
def _(node: GlobalShuffle, to: Settings, at: Place = START) -> Operator:
    return built_segment(node, to, at)


@build.register
def _(node: Shuffle, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return built_segment(node, to, at)
    known = cardinality(node.source)
    expected = known if known >= 0 else node.size
    return ShuffleOperator(
        build(node.source, to, at), to.store, node.size, shuffle_key(node, to, at), to.buffer_bytes, expected
    )


@build.register
def _(node: Scan, to: Settings, at: Place = START) -> Operator:
    segment, counts = segment_at(node, at.branch, at.fixed), to.counts.branch()
    source = build(node.source, replace(to, counts=counts), at)
    return to.stream(segment, SequentialFeed(segment.path, source, to.store, counts=counts), to.counts)


@build.register
def _(node: Unique, to: Settings, at: Place = START) -> Operator:
    return UniqueOperator(build(node.source, to, at), to.store)


@build.register
def _(node: AssertCardinality, to: Settings, at: Place = START) -> Operator:
    return AssertOperator(build(node.source, to, at), to.store, node.count)


@build.register
def _(node: Repeat, to: Settings, at: Place = START) -> Operator:
    count = 0 if empty(node.source) else node.count  # or else passes over nothing would take for ever
    return RepeatOperator(lambda number: build(node.source, to, at.within(number)), count)


@build.register
def _(node: Take, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return built_segment(node, to, at)
    source = build(node.source, to, at)
    return source if node.count < 0 else TakeOperator(source, to.store, node.count)


@build.register
def _(node: Skip, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return built_segment(node, to, at)
    source = build(node.source, to, at)
    return TakeOperator(source, to.store, 0) if node.count < 0 else SkipOperator(source, to.store, node.count)


@build.register
def _(node: TakeWhile, to: Settings, at: Place = START) -> Operator:
    return TakeWhileOperator(build(node.source, to, at), to.store)


@build.register
def _(node: Shard, to: Settings, at: Place = START) -> Operator:
    if countable(node) is not None:
        return built_segment(node, to, at)
    return ShardOperator(build(node.source, to, at), to.store, node.count, node.index)


@build.register
def _(node: Enumerate, to: Settings, at: Place = START) -> Operator:
    if one_for_one(node.source):
        return built_segment(node, to, at)
    return EnumerateOperator(build(node.source, to, at), to.store, node.start)
