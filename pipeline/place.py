"""Places: where in its graph a node stands, and in which pass of the repeats around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from .nodes import Cache, Node, Snapshot

__all__ = ["START", "Path", "Place", "is_fixed", "node_at"]

#: The name of an operator within its graph: for each junction on the way to it the junction's height and the number
#: of the input taken there, then its own height.
Path: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The junctions between a node and the end of its graph, and the passes it is in.

    >>> from headrace import Dataset
    >>> junction = Dataset.zip(Dataset.range(3).repeat(), Dataset.range(4)).node
    >>> Place().into(junction, 1).path(junction.inputs[1])
    (2, 1, 0)
    """

    passes: tuple[int, ...] = ()  #: Of each enclosing repeat, the outermost first.
    branch: Path = ()  #: Height and input number of each junction, the outermost first.
    fixed: bool = False  #: Whether it is below a cache: in the first epoch, whatever epoch is at hand.

    def path(self, node: Node) -> Path:
        """The path of a node here."""
        return (*self.branch, node.height)

    def into(self, node: Node, index: int = 0) -> Place:
        """The place of one of a node's inputs, if the node is here."""
        return replace(self, branch=(*self.branch, node.height, index)) if node.junction else self

    def within(self, number: int) -> Place:
        """The place below a repeat, in one of its passes."""
        return replace(self, passes=(*self.passes, number))

    def below_cache(self) -> Place:
        """The place below a cache: in the first of each pass, and of epochs."""
        return replace(self, passes=(0,) * len(self.passes), fixed=True)


#: Of the last node of a graph.
START = Place()


def node_at(graph: Node, path: Path) -> Node:
    """The node that has this path; what stands there otherwise raises IndexError."""
    *_, node = _way(graph, path)
    return node


def is_fixed(graph: Node, path: Path) -> bool:
    """Whether the node that has this path is below a cache, or what a snapshot keeps."""
    *above, _ = _way(graph, path)
    turns = dict(zip(path[:-1:2], path[1:-1:2], strict=True))
    kept = (isinstance(each, Snapshot) and turns.get(each.height) == 0 for each in above)
    return any(isinstance(each, Cache) for each in above) or any(kept)


def _way(graph: Node, path: Path) -> Iterator[Node]:
    """The nodes from the end of a graph down to the one that has this path."""
    node = graph
    *branch, height = path
    for i in range(0, len(branch), 2):
        run = list(_down(node, branch[i]))
        yield from run
        node = run[-1].inputs[branch[i + 1]]
    yield from _down(node, height)


def _down(node: Node, height: int) -> Iterator[Node]:
    """An unbranched run of nodes down to the one of this height."""
    yield node
    while node.height > height:
        node = node.inputs[0]
        yield node
