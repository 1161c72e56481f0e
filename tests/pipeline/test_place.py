"""Places and paths: every operator of a graph has a name of its own, and is found by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace.pipeline.dataset import Dataset
from headrace.pipeline.nodes import Node
from headrace.pipeline.place import START, Place, node_at

A = Dataset.range(9).map(lambda x: x).shuffle(3)
B = A.batch(2).take(2)
GRAPHS = [
    A,
    Dataset.zip(A, A),
    Dataset.zip(A),
    Dataset.zip(A, Dataset.zip(B, A, B).repeat(2)).map(lambda *_: 0),
    A.concatenate(A).concatenate(A).skip(1).enumerate(),
]


def places(node: Node, at: Place = START) -> Iterator[tuple[tuple[int, ...], Node]]:
    yield at.path(node), node
    for index, each in enumerate(node.inputs):
        yield from places(each, at.into(node, index))


@pytest.mark.parametrize("dataset", GRAPHS, ids=repr)
def test_every_path_names_one_operator_and_finds_it(dataset: Dataset) -> None:
    found = list(places(dataset.node))
    assert len({path for path, _ in found}) == len(found)
    for path, node in found:
        assert node_at(dataset.node, path) is node


def test_without_branches_a_path_is_the_height() -> None:
    assert [path for path, _ in places(A.node)] == [(2,), (1,), (0,)]


def test_a_junction_adds_its_height_and_the_input() -> None:
    assert [path for path, _ in places(Dataset.zip(A, Dataset.range(3)).take(1).node)] == [
        (4,),
        (3,),
        (3, 0, 2),
        (3, 0, 1),
        (3, 0, 0),
        (3, 1, 0),
    ]


def test_a_change_reaches_all_inputs_and_leaves_what_stays() -> None:
    left, right = Dataset.range(3).node, Dataset.range(4).node
    both = Dataset.zip(Dataset(left), Dataset(right)).node
    assert both.with_inputs(lambda each: each) is both
    changed = both.with_inputs(lambda each: right if each is left else each)
    assert [each is right for each in changed.inputs] == [True, True]
    assert [each is left for each in both.inputs] == [True, False]
