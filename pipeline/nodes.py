"""The operator graph: one frozen class a node, no behaviour.

What a node means is registered elsewhere: its cardinality, its spec, how it is built into operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from .columns import Array
from .functions import UserFunction
from .spec import DType
from .structure import Structure

__all__ = [
    "Batch",
    "Concatenate",
    "Configured",
    "Enumerate",
    "Filter",
    "FlatMap",
    "Generator",
    "IgnoreErrors",
    "Interleave",
    "Items",
    "Lines",
    "ListFiles",
    "Map",
    "Node",
    "PaddedBatch",
    "Prefetch",
    "Range",
    "Records",
    "Repeat",
    "Rows",
    "Shard",
    "Shuffle",
    "Skip",
    "Take",
    "Unbatch",
    "Zip",
]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator and, in its fields, its inputs and arguments."""

    def _links(self) -> Iterator[tuple[str, Node | tuple[Node, ...]]]:
        """The fields that hold its inputs: a node, or a tuple of nodes."""
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Node) or (isinstance(value, tuple) and value and isinstance(value[0], Node)):
                yield f.name, value

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes that it reads from."""
        return tuple(each for _, value in self._links() for each in (value if isinstance(value, tuple) else (value,)))

    @property
    def junction(self) -> bool:
        """Whether branches meet here: its inputs stand in a tuple, however many there are."""
        return any(isinstance(value, tuple) for _, value in self._links())

    def with_inputs(self, change: Callable[[Node], Node]) -> Self:
        """This node over changed inputs; itself when none changed."""
        changed: dict[str, Any] = {}
        for name, old in self._links():
            if isinstance(old, Node):
                new: Any = change(old)
                same = new is old
            else:
                new = tuple(map(change, old))
                same = all(a is b for a, b in zip(old, new, strict=True))
            if not same:
                changed[name] = new
        return replace(self, **changed) if changed else self

    @property
    def height(self) -> int:
        """How many operators lie below it."""
        return max((1 + each.height for each in self.inputs), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Rows(Node):
    """The rows of arrays in memory, one array a component; arrays of `bytes` have dtype object."""

    structure: Structure
    arrays: tuple[Array, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Range(Node):
    """Integers from `start`, `step` apart, before `stop`."""

    start: int
    stop: int
    step: int
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class ListFiles(Node):
    """Names of the files that match, sorted; `resolve` replaces it by Rows."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Records(Node):
    """The records of TFRecord files, file after file."""

    filenames: Node
    compression: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Lines(Node):
    """The lines of text files, file after file."""

    filenames: Node
    compression: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Generator(Node):
    """What a function's result gives when it is iterated over.

    `structure`, `shapes` and `dtypes` say what each element must be, one entry a component; None is anything.
    """

    function: UserFunction
    structure: Structure | None = None
    shapes: tuple[Any, ...] | None = None
    dtypes: tuple[Any, ...] | None = None


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
class Shuffle(Node):
    """Elements drawn at random from a window of the next `size`."""

    source: Node
    size: int
    seed: int | None = None
    reshuffle: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Batch(Node):
    """`size` elements stacked to one."""

    source: Node
    size: int
    drop_remainder: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PaddedBatch(Node):
    """`size` elements of unequal shapes padded and stacked to one.

    `shapes` and `values` are one entry a component; None for `shapes` pads every dimension to the longest.
    """

    source: Node
    size: int
    drop_remainder: bool = False
    shapes: tuple[tuple[int | None, ...], ...] | None = None
    values: tuple[Any, ...] | None = None
    shapes_nest: Structure | None = None  #: How `shapes` nest, and `values`.
    values_nest: Structure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Repeat(Node):
    """The input `count` times over; -1 is for ever."""

    source: Node
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Take(Node):
    """The first `count` elements; -1 is all."""

    source: Node
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Skip(Node):
    """All but the first `count` elements; -1 is none."""

    source: Node
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Shard(Node):
    """Of every `count` elements the one at `index`."""

    source: Node
    count: int
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Enumerate(Node):
    """Each element behind its number, counted from `start`."""

    source: Node
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class Zip(Node):
    """One element of each input together, nested as `structure` says, until one of them ends."""

    sources: tuple[Node, ...]
    structure: Structure  #: Its leaves stand for the inputs.


@dataclass(frozen=True, slots=True, eq=False)
class Concatenate(Node):
    """One input behind the other."""

    sources: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prefetch(Node):
    """The same elements; `size` says how many may wait ready, -1 leaves it to us."""

    source: Node
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Configured(Node):
    """The same elements under other options."""

    source: Node
    seed: int | None = None
    buffer_bytes: int | None = None
    on_error: str | None = None  #: "raise", "skip", or the path of a file that tells what was skipped.
    error_budget: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class IgnoreErrors(Node):
    """The elements that do not fail."""

    source: Node
    log_warning: bool = False
