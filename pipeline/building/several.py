"""How operators over several inputs are built."""

from __future__ import annotations

import numpy as np

from ..feeds import OnceFeed, handed
from ..flat import GRAIN
from ..nodes import (
    Choose,
    Concatenate,
    Interleave,
    Node,
    Sample,
    Zip,
)
from ..operators.concatenate import ConcatenateOperator
from ..operators.interleave import InterleaveOperator
from ..operators.mix import Choices, Draws, MixOperator, Picker, Weights
from ..operators.protocol import Operator
from ..operators.zip import ZipOperator
from ..place import START, Place
from ..seeds import derive
from ..segment import segment_at
from ..store import Handles
from .core import Settings, build


@build.register
def _(node: Zip, to: Settings, at: Place = START) -> Operator:
    sources = [build(each, to, at.into(node, i)) for i, each in enumerate(node.sources)]
    return ZipOperator(sources, to.store, node.structure)


@build.register
def _(node: Concatenate, to: Settings, at: Place = START) -> Operator:
    return ConcatenateOperator(lambda i: build(node.sources[i], to, at.into(node, i)), len(node.sources))


@build.register
def _(node: Choose, to: Settings, at: Place = START) -> Operator:
    choices, *sources = (build(each, to, at.into(node, i)) for i, each in enumerate(node.inputs))
    picker = Choices(choices, to.store, len(sources))
    return MixOperator(picker, sources, to.store, node.stop_on_empty)


@build.register
def _(node: Sample, to: Settings, at: Place = START) -> Operator:
    own = ["seed", node.seed] if node.seed is not None else ["path", to.seed, *at.path(node)]
    key = derive("sample", own, [to.epoch, list(at.passes)] if node.rerandomize else None)
    sources = [build(each, to, at.into(node, i)) for i, each in enumerate(node.inputs)]
    if isinstance(node.weights, Node):
        picker: Picker = Weights(sources.pop(), to.store, len(node.sources), key=key)
    else:
        picker = Draws(np.array(node.weights, np.float64), key)
    return MixOperator(picker, sources, to.store, node.stop_on_empty)


@build.register
def _(node: Interleave, to: Settings, at: Place = START) -> Operator:
    segment = segment_at(node, at.branch, at.fixed)

    def opened(inputs: Handles) -> Operator:
        job = handed(segment.path, to.store, inputs, GRAIN, turns=True) if len(inputs) else None
        return to.stream(segment, OnceFeed(job, to.store, share=node.cycle), to.counts)

    return InterleaveOperator(build(node.source, to, at), to.store, opened, node.cycle, node.block, to.eager)
