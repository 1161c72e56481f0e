"""An explanation of a pipeline: its operators, where each runs, and how elements travel between these places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .advice import advice
from .building import build
from .cardinality import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, cardinality
from .cutting import cut_at
from .errors import HeadraceError
from .fingerprint import words
from .leaves import countable, one_for_one
from .nodes import (
    Configured,
    Enumerate,
    FileLeaf,
    Generator,
    IgnoreErrors,
    Interleave,
    Node,
    Prefetch,
    Scan,
    Shuffle,
)
from .place import START, Place
from .probe import element_spec
from .segment import Segment, segment_at
from .spec import DatasetSpec, TensorSpec, dtype_name
from .structure import flatten_as_is

__all__ = ["Explained", "Explanation", "Stage", "explain"]

PLAN, WORKERS, BROKER, CLIENT = "split plan", "workers", "broker", "client"


@dataclass(frozen=True, slots=True)
class Explained:
    """An operator: where it runs, and what comes out of it."""

    operator: str  #: With its arguments.
    depth: int  #: Below the end of the pipeline.
    where: str  #: "split plan", "workers", "broker", "client", or "" for what is nowhere, as options are.
    segment: int | None  #: On workers, with which others it runs: those of one number, element after element.
    cardinality: int
    spec: Any  #: None where it is not known.


@dataclass(frozen=True, slots=True)
class Stage:
    """Operators that run together, from the source on, and how elements come to them."""

    where: str
    operators: tuple[str, ...]
    segment: int | None = None
    how: str = ""
    hop: bool = False  #: Whether the broker hands the elements along to workers.


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `Dataset.explain` says: print it, or look into it."""

    written: str  #: The graph as the user wrote it, from its source on.
    operators: tuple[Explained, ...]  #: From the end of the pipeline down.
    stages: tuple[Stage, ...]  #: From its sources up.
    warnings: tuple[str, ...]

    @property
    def hops(self) -> int:
        """How often elements go from the broker to workers and back."""
        return sum(each.hop for each in self.stages)

    def __str__(self) -> str:
        lines = ["as written: " + self.written, "", *_table(self.operators), "", "as it runs:"]
        lines += [f"{number:3}. {_told(each)}" for number, each in enumerate(self.stages, 1)]
        lines += [f"\nwarning: {each}" for each in self.warnings]
        return "\n".join(lines)


def _table(operators: tuple[Explained, ...]) -> Iterator[str]:
    rows = [("operator", "elements", "runs on", "what it gives")]
    for each in operators:
        mark = "  " * (each.depth - 1) + "└ " if each.depth else ""
        where = each.where + (f", segment {each.segment}" if each.segment is not None else "")
        rows.append((mark + each.operator, counted(each.cardinality), where, shown(each.spec)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, count, where, spec in rows:
        yield f"{name:{widths[0]}}  {count:>{widths[1]}}  {where:{widths[2]}}  {spec}".rstrip()


def _told(stage: Stage) -> str:
    where = stage.where + (f", segment {stage.segment}" if stage.segment is not None else "")
    return f"{where}: {' > '.join(stage.operators)}" + (f" ({stage.how})" if stage.how else "")


def counted(number: int) -> str:
    """A cardinality in words.

    >>> counted(12000), counted(-1), counted(-2)
    ('12,000', 'infinite', 'unknown')
    """
    return {INFINITE_CARDINALITY: "infinite", UNKNOWN_CARDINALITY: "unknown"}.get(number, f"{number:,}")


def shown(spec: Any) -> str:
    """A nesting of specs in a line.

    >>> shown({"x": TensorSpec((None, 3), "float32"), "y": DatasetSpec(TensorSpec((), bytes))})
    'x: float32 [?, 3], y: dataset of (bytes)'
    """
    if spec is None:
        return "?"
    specs, structure = flatten_as_is(spec)
    told = list(map(_one, specs))
    if structure.kind == "leaf":
        return told[0]
    return ", ".join(f"{name}: {each}" for name, each in zip(structure.names(), told, strict=True))


def _one(spec: TensorSpec) -> str:
    if isinstance(spec, DatasetSpec):
        return f"dataset of ({shown(spec.element_spec)})"
    return f"{dtype_name(spec.dtype)}{_shape(spec)}"


def _shape(spec: TensorSpec) -> str:
    if spec.shape is None:
        return " of any shape"
    return f" [{', '.join('?' if each is None else str(each) for each in spec.shape)}]" if spec.shape else ""


def explain(written: Node, graph: Node, seed: int, look: bool) -> Explanation:
    """Explain a graph as it was written and as it was resolved; `look` is whether elements may be computed."""
    run = _Run(seed, look)
    run.visit(graph, START, 0)
    order = {stage.segment: number for number, stage in enumerate((s for s in run.stages if s.segment is not None), 1)}
    operators = (each if each.segment is None else replace(each, segment=order[each.segment]) for each in run.operators)
    stages = (each if each.segment is None else replace(each, segment=order[each.segment]) for each in run.stages)
    warnings = advice(graph, [run.segments[number - 1] for number in order if number], seed if look else None)
    return Explanation(_line(written), tuple(operators), tuple(stages), tuple(warnings))


def _line(node: Node) -> str:
    """The graph in a line, from its sources on."""
    below = ", ".join(map(_line, node.inputs))
    return " > ".join(filter(None, (f"({below})" if node.junction else below, words(node))))


@dataclass(slots=True)
class _Run:
    """Goes down a graph as `build` does, and writes down what runs where."""

    seed: int
    look: bool
    operators: list[Explained] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    top: bool = True  #: Whether nothing but options and prefetching lies above.

    def visit(self, node: Node, at: Place, depth: int) -> None:
        """An operator, and all below it."""
        if isinstance(node, Configured | Prefetch):
            ready = _ready(node.size) if self.top and isinstance(node, Prefetch) else ""
            self._note(node, depth, CLIENT if ready else "")
            self.visit(node.source, at, depth + 1)
            if ready:
                self.stages.append(Stage(CLIENT, (words(node),), how=ready))
            return
        self.top = False
        if runs_on_workers(node, at):
            self._segment(node, at, depth)
        else:
            self._broker(node, at, depth)

    def _broker(self, node: Node, at: Place, depth: int) -> None:
        self._note(node, depth, BROKER)
        opened = None
        if isinstance(node, Interleave):
            opened = self._new(segment_at(node, at.branch))
        for index, each in enumerate(node.inputs):
            self.visit(each, at.into(node, index), depth + 1)
        if opened is not None:
            self.stages.append(Stage(WORKERS, (f"datasets of {words(node)}",), opened, HANDED, hop=True))
        before = self.stages[-1] if self.stages else None
        if before is not None and before.where == BROKER and len(node.inputs) == 1:
            self.stages[-1] = Stage(BROKER, (*before.operators, words(node)))
        else:
            self.stages.append(Stage(BROKER, (words(node),)))

    def _new(self, segment: Segment) -> int:
        self.segments.append(segment)
        return len(self.segments)

    def _segment(self, node: Node, at: Place, depth: int) -> None:
        segment = segment_at(node, at.branch)
        number = self._new(segment)
        # What is said about a reader is said once.
        behind = self._new(replace(segment, leaf=None, input=None)) if segment.spread else number
        told: list[str] = []
        cuts = segment.rows.cuts if segment.rows is not None else ()
        here: Node | None = node
        while here is not None and here is not segment.input:
            in_plan = any(here is each for each in cuts)
            where = "" if isinstance(here, Configured | Prefetch) else PLAN if in_plan else WORKERS
            mine = number if here is segment.leaf else behind
            self._note(here, depth, where, mine if where == WORKERS else None)
            if where == WORKERS:
                told.insert(0, words(here))
            depth += 1
            here = None if here is segment.leaf else here.inputs[0] if here.inputs else None
        if segment.input is not None:
            self.visit(segment.input, at, depth)
        if cuts:
            self.stages.append(Stage(PLAN, tuple(map(words, cuts)), how="moves no element"))
        how, hop = how_it_comes(segment)
        if segment.spread:
            self.stages.append(Stage(WORKERS, (told.pop(0),), number, how, hop))
            how, hop = HANDED, True
        self.stages.append(Stage(WORKERS, tuple(told), behind, how, hop))

    def _note(self, node: Node, depth: int, where: str, segment: int | None = None) -> None:
        spec = self._spec(node)
        self.operators.append(Explained(words(node), depth, where, segment, cardinality(node), spec))

    def _spec(self, node: Node) -> Any:
        if not self.look:
            return None
        try:
            return element_spec(_unshuffled(node), self.seed)
        except HeadraceError:  # the elements that tell fail, or there are none
            return None


HANDED = "the broker hands elements along"


def _ready(size: int) -> str:
    return f"{size} elements wait ready" if size > 0 else "as many wait ready as their size allows"


def _unshuffled(node: Node) -> Node:
    """The same kind of elements, without filling a window to see one."""
    return _unshuffled(node.source) if isinstance(node, Shuffle) else node.with_inputs(_unshuffled)


def runs_on_workers(node: Node, at: Place) -> bool:
    """Whether a node is part of a segment, by the rules of `build`."""
    if countable(node) is not None:
        return True
    if isinstance(node, IgnoreErrors):
        segment = segment_at(node, at.branch)
        return segment.leaf is not None or bool(segment.steps)
    if isinstance(node, Scan):
        return True
    if isinstance(node, Enumerate):
        return one_for_one(node.source)
    return build.dispatch(type(node)) is build.dispatch(Node)


def how_it_comes(segment: Segment) -> tuple[str, bool]:
    """How elements come to a segment, and whether the broker hands them along."""
    leaf = segment.leaf
    if isinstance(leaf, FileLeaf):
        known = cardinality(leaf.filenames)
        files = {1: "1 file"}.get(known, f"{known:,} files") if known >= 0 else "files"
        return f"{files}, {'each read whole' if cut_at(leaf) is None else 'cut into splits'}", False
    if isinstance(leaf, Scan):
        return f"{HANDED} to one worker at a time, with its state", True
    if isinstance(leaf, Generator):
        return "one worker runs it", False
    if segment.rows is not None:
        return "rows, cut into splits", False
    return HANDED, True
