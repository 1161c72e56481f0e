"""Options: settings of a whole pipeline, and the node that keeps those that change nothing here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Self, get_type_hints

from .errors import MismatchError
from .nodes.node import Node
from .nodes.order import Configured

__all__ = [
    "AutotuneOptions",
    "DistributeOptions",
    "Noted",
    "OptimizationOptions",
    "Options",
    "ServiceOptions",
    "ThreadingOptions",
    "options_of",
]


#: Checked where a dataset is given them.
_OWN = ("seed", "buffer_bytes", "on_error", "error_budget")


@cache
def _types(kind: Any) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(kind).items() if name not in _OWN and hint is not Any}


@dataclass(slots=True, kw_only=True)
class Settings:
    """Named values, None where nothing was said. Other names, and values of another type, are errors."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in (known := {each.name for each in fields(self)}) and not hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has: {', '.join(sorted(known))}")
        expected = _types(type(self)).get(name)  # type: ignore[arg-type]  # a class has a hash, whatever its instances
        if expected is not None and not isinstance(value, expected):
            shown = getattr(expected, "__name__", str(expected))
            raise MismatchError(f"{type(self).__name__}.{name} is {value!r:.80}: it must be of type {shown}")
        object.__setattr__(self, name, value)

    def merge(self, options: Self) -> Self:
        """New options: those given where they say something, and these for the rest.

        >>> hr.Options(seed=1, deterministic=True).merge(hr.Options(seed=2)).seed
        2
        """
        made = type(self)()
        for each in fields(self):
            mine, given = getattr(self, each.name), getattr(options, each.name)
            merged = mine.merge(given) if isinstance(mine, Settings) else mine if given is None else given
            setattr(made, each.name, merged)
        return made


@dataclass(slots=True, kw_only=True)
class AutotuneOptions(Settings):
    """tf.data's `Options.autotune`. Accepted, without effect: how much runs at once follows from credit in bytes."""

    enabled: bool | None = None
    cpu_budget: int | None = None
    ram_budget: int | None = None
    autotune_algorithm: Any = None
    initial_parallelism: int | None = None
    min_parallelism: int | None = None


@dataclass(slots=True, kw_only=True)
class ThreadingOptions(Settings):
    """tf.data's `Options.threading`. Accepted, without effect: `serve(workers=...)` says how much runs at once."""

    max_intra_op_parallelism: int | None = None
    private_threadpool_size: int | None = None


@dataclass(slots=True, kw_only=True)
class DistributeOptions(Settings):
    """tf.data's `Options.experimental_distribute`. Accepted, without effect: `num_consumers=` shares out a job."""

    auto_shard_policy: Any = None
    num_devices: int | None = None


@dataclass(slots=True, kw_only=True)
class ServiceOptions(Settings):
    """tf.data's `Options.experimental_service`. Accepted, without effect."""

    pinned: bool | None = None


@dataclass(slots=True, kw_only=True)
class OptimizationOptions(Settings):
    """tf.data's `Options.experimental_optimization`. Accepted, without effect: what is computed is not rewritten."""

    apply_default_optimizations: bool | None = None
    filter_fusion: bool | None = None
    filter_parallelization: bool | None = None
    inject_prefetch: bool | None = None
    map_and_batch_fusion: bool | None = None
    map_and_filter_fusion: bool | None = None
    map_fusion: bool | None = None
    map_parallelization: bool | None = None
    noop_elimination: bool | None = None
    parallel_batch: bool | None = None
    seq_interleave_prefetch: bool | None = None
    shuffle_and_repeat_fusion: bool | None = None


@dataclass(slots=True, kw_only=True)
class Options(Settings):
    """Settings of a pipeline; what is None keeps what was set before.

    `seed`, `buffer_bytes`, `on_error` and `error_budget` are headrace's own. The others are tf.data's: they are
    accepted, kept and merged, and change nothing, because order and results never depend on how work is run.

    Raises:
        AttributeError: a name that is none of these is set. As an argument it is a TypeError.
        MismatchError: a value of another type; it is an InvalidArgumentError and a TypeError.

    >>> options = Options(seed=7)
    >>> options.threading.private_threadpool_size = 4
    >>> Dataset.range(3).with_options(options).options().seed
    7
    """

    #: What everything random is drawn from that has no seed of its own. Without it each Dataset draws one.
    seed: int | None = None
    #: Bytes that the window of each shuffle may take; one that would need more, by its first elements, is an error.
    buffer_bytes: int | None = None
    #: What becomes of an element that fails: "raise" (unless said otherwise), "skip" leaves it out, and so does the
    #: path of a file, to which each one that was left out is appended as a line of JSON (docs/errors.md).
    on_error: str | os.PathLike[str] | None = None
    #: How many elements of an epoch may be skipped, 1000 unless said otherwise; what fails beyond that raises.
    error_budget: int | None = None
    #: Without effect, as all below. How much runs at once follows from credit in bytes.
    autotune: AutotuneOptions = field(default_factory=AutotuneOptions)
    #: A name for the pipeline; jobs of a service are named by `iterate(name=...)`.
    dataset_name: str | None = None
    #: There is one order, whatever this says; it costs nothing, since splits are buffered up to the credit.
    deterministic: bool | None = None
    #: `num_consumers` and `consumer_index` of `Service.iterate` share out a job.
    experimental_distribute: DistributeOptions = field(default_factory=DistributeOptions)
    #: Functions may hold what they like; tokens hold where a pipeline stands.
    experimental_external_state_policy: Any = None
    #: What is computed is not rewritten.
    experimental_optimization: OptimizationOptions = field(default_factory=OptimizationOptions)
    #: `hr.serve` and `hr.connect` say what a service is.
    experimental_service: ServiceOptions = field(default_factory=ServiceOptions)
    #: `prefetch` at the end of a pipeline says how many elements wait ready at the trainer.
    experimental_slack: bool | None = None
    #: Checkpoints are always symbolic: they hold where operators stand, and no elements.
    experimental_symbolic_checkpoint: bool | None = None
    #: A service begins to compute when the first element is asked for.
    experimental_warm_start: bool | None = None
    #: Names of frameworks, for statistics that headrace does not gather.
    framework_type: list | None = None  # type: ignore[type-arg]
    #: `serve(workers=...)` says how much runs at once.
    threading: ThreadingOptions = field(default_factory=ThreadingOptions)

    @property
    def experimental_deterministic(self) -> bool | None:
        """tf.data's old name of `deterministic`."""
        return self.deterministic

    @experimental_deterministic.setter
    def experimental_deterministic(self, value: bool | None) -> None:
        self.deterministic = value

    @property
    def experimental_threading(self) -> ThreadingOptions:
        """tf.data's old name of `threading`."""
        return self.threading

    @experimental_threading.setter
    def experimental_threading(self, value: ThreadingOptions) -> None:
        self.threading = value


@dataclass(frozen=True, slots=True, eq=False)
class Noted(Configured):
    """Options among which are some that change nothing; `resolve` leaves those out, so that they do not travel."""

    options: Options = field(default_factory=Options)


def options_of(node: Node) -> Options:
    """The options in force in a graph: the outermost first, then those of the first input that has any."""
    merged = Options()
    for each in reversed(node.inputs):
        merged = merged.merge(options_of(each))
    if isinstance(node, Noted):
        merged = merged.merge(node.options)
    if isinstance(node, Configured):
        merged = merged.merge(Options(**{name: getattr(node, name) for name in _OWN}))
    return merged
