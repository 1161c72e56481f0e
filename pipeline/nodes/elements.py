"""What happens to each element by itself, or makes datasets of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..functions import UserFunction
from .node import Node

__all__ = ["Filter", "FlatMap", "IgnoreErrors", "Interleave", "Items", "Map", "Unbatch"]


@dataclass(frozen=True, slots=True, eq=False)
class Map(Node):
    """A function of each element."""

    source: Node
    function: UserFunction


@dataclass(frozen=True, slots=True, eq=False)
class Items(Map):
    """What an indexable object has at each index; `source` is a Range of them.

    An index is there whether or not its item can be had, so that what counts elements directly behind
    (take, skip, shard, a shuffle of everything) counts indices.
    """


@dataclass(frozen=True, slots=True, eq=False)
class Filter(Node):
    """The elements for which a function is true."""

    source: Node
    function: UserFunction


@dataclass(frozen=True, slots=True, eq=False)
class FlatMap(Node):
    """The elements of the dataset that a function makes of each element, one dataset behind the other."""

    source: Node
    function: UserFunction
    folder: str = ""  #: In which the datasets look up relative file names; `resolve` says it.


@dataclass(frozen=True, slots=True, eq=False)
class Interleave(Node):
    """The elements of datasets that a function makes: `cycle` datasets in turn, `block` elements of each at a time."""

    source: Node
    function: UserFunction
    cycle: int
    block: int
    folder: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Unbatch(Node):
    """The rows of each element."""

    source: Node


@dataclass(frozen=True, slots=True, eq=False)
class IgnoreErrors(Node):
    """The elements that do not fail."""

    source: Node
    log_warning: bool = False
