"""Options: those with an effect, and those of tf.data that are kept and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset, InvalidArgumentError, Options
from headrace.pipeline.options import ServiceOptions

from .elements import fails_at
from .row import Raises, Row, Way

__all__ = ["KEPT", "ROWS"]

#: A value of each option that changes nothing, and one of a type that it cannot have, if any.
KEPT: dict[str, tuple[Any, Any]] = {
    "autotune": (hr.AutotuneOptions(enabled=True), 3),
    "dataset_name": ("train", 3),
    "deterministic": (False, "no"),
    "experimental_deterministic": (False, "no"),
    "experimental_distribute": (hr.DistributeOptions(num_devices=2), True),
    "experimental_external_state_policy": ("warn", None),
    "experimental_optimization": (hr.OptimizationOptions(map_fusion=True), {}),
    "experimental_service": (ServiceOptions(pinned=True), 1),
    "experimental_slack": (True, "yes"),
    "experimental_symbolic_checkpoint": (True, 2.5),
    "experimental_threading": (hr.ThreadingOptions(private_threadpool_size=4), 4),
    "experimental_warm_start": (True, []),
    "framework_type": (["ours"], "ours"),
    "threading": (hr.ThreadingOptions(max_intra_op_parallelism=1), 1),
}


def given(name: str, value: Any) -> Options:
    options = Options()
    setattr(options, name, value)
    return options


def numbers() -> Dataset:
    return Dataset.range(20).shuffle(9, seed=1).map(lambda x: x + 1).batch(3)


def changes_nothing(name: str, value: Any, way: Way) -> bool:
    return way(numbers().with_options(given(name, value))) == way(numbers())


def is_kept(name: str, value: Any, way: Way) -> bool:
    options = numbers().with_options(given(name, value)).batch(2).options()
    return bool(getattr(options, name) == value)


def outermost_holds(name: str, value: Any, way: Way) -> bool:
    """Where both say something; and where the outer one does not, the inner one does."""
    inner = Dataset.range(3).with_options(given(name, value))
    return bool(getattr(inner.with_options(Options()).options(), name) == value)


def refused(name: str, value: Any, way: Way) -> None:
    given(name, value)


def of_each() -> Iterator[Row]:
    for name, (value, wrong) in KEPT.items():
        yield Row(f"Options.{name}", "changes nothing", partial(changes_nothing, name, value), True)
        yield Row(f"Options.{name}", "is kept and told", partial(is_kept, name, value), True)
        yield Row(
            f"Options.{name}", "stays where none further out is given", partial(outermost_holds, name, value), True
        )
        if wrong is not None:
            yield Row(f"Options.{name}", "refuses another type", partial(refused, name, wrong), Raises(TypeError))


def seeded(way: Way, seed: int, epoch: int = 0) -> list[int]:
    return way(Dataset.range(30).shuffle(30).with_options(Options(seed=seed)), epoch=epoch)


def failing(**options: Any) -> Dataset:
    return Dataset.range(5).map(fails_at(1, 3)).with_options(Options(**options))


def rows(**options: Any) -> Dataset:
    """A hundred of a KiB each, in a window of all."""
    return Dataset.from_tensor_slices(np.zeros((100, 1024), np.uint8)).shuffle(100).with_options(Options(**options))


OWN = [
    Row("Options.seed", "fixes what has no seed", lambda way: seeded(way, 1) == seeded(way, 1) != seeded(way, 2), True),
    Row("Options.seed", "epochs differ all the same", lambda way: seeded(way, 1) == seeded(way, 1, epoch=1), False),
    Row(
        "Options.seed",
        "refuses what is no whole number",
        lambda way: Dataset.range(1).with_options(given("seed", 1.5)),
        Raises(InvalidArgumentError),
    ),
    Row(
        "Options.buffer_bytes",
        "bounds the window of a shuffle",
        lambda way: way(rows(buffer_bytes=50 << 10)),
        Raises(hr.ResourceExhaustedError),
    ),
    Row("Options.buffer_bytes", "which fits in more", lambda way: len(way(rows(buffer_bytes=200 << 10))), 100),
    Row("Options.buffer_bytes", "refuses 0", lambda way: rows(buffer_bytes=0), Raises(InvalidArgumentError)),
    Row("Options.on_error", "raises by default", lambda way: way(failing()), Raises(hr.FunctionError)),
    Row("Options.on_error", "skip leaves out", lambda way: way(failing(on_error="skip")), [0, 2, 4]),
    Row(
        "Options.on_error",
        "so does the path of a file",
        lambda way: way(failing(on_error=str(way.folder / "left-out.jsonl"))),
        [0, 2, 4],
    ),
    Row(
        "Options.error_budget",
        "what fails beyond it raises",
        lambda way: way.outcomes(failing(on_error="skip", error_budget=1)),
        [0, 2, hr.ResourceExhaustedError, 4],
    ),
    Row(
        "Options.error_budget",
        "within it nothing does",
        lambda way: way(failing(on_error="skip", error_budget=2)),
        [0, 2, 4],
    ),
    Row(
        "Options.error_budget",
        "refuses less than 0",
        lambda way: failing(error_budget=-1),
        Raises(InvalidArgumentError),
    ),
]
MERGING = [
    Row(
        "with_options",
        "of what several say, the outermost holds",
        lambda way: Dataset.range(3).with_options(Options(seed=1)).with_options(Options(seed=2)).options().seed,
        2,
    ),
    Row("with_options", "what is changed later changes nothing", lambda way: later(), 1),
    Row(
        "with_options",
        "needs Options",
        lambda way: Dataset.range(3).with_options(any_value({"seed": 1})),
        Raises(InvalidArgumentError),
    ),
    Row("options", "nothing was said", lambda way: Dataset.range(3).options() == Options(), True),
    Row(
        "options",
        "sees what is further in",
        lambda way: Dataset.range(3).with_options(Options(seed=4)).batch(2).options().seed,
        4,
    ),
    Row(
        "options",
        "of two inputs the first",
        lambda way: Dataset.zip(*(Dataset.range(3).with_options(Options(seed=s)) for s in (5, 6))).options().seed,
        5,
    ),
    Row(
        "Options.merge",
        "those given win where they say something",
        lambda way: (lambda o: (o.seed, o.deterministic))(Options(seed=1, deterministic=True).merge(Options(seed=2))),
        (2, True),
    ),
    Row("Options.merge", "within a part, too", lambda way: merged_parts(), (True, 3)),
    Row(
        "Options.merge",
        "makes new ones",
        lambda way: (lambda o: (o.merge(Options(seed=2)).seed, o.seed))(Options(seed=1)),
        (2, 1),
    ),
]


def any_value(value: Any) -> Any:
    return value


def later() -> int | None:
    options = Options(seed=1)
    dataset = Dataset.range(3).with_options(options)
    options.seed = 2
    return dataset.options().seed


def merged_parts() -> Any:
    one, other = Options(), Options()
    one.autotune.enabled = True
    other.autotune.cpu_budget = 3
    merged = one.merge(other)
    return merged.autotune.enabled, merged.autotune.cpu_budget


ROWS = [*OWN, *MERGING, *of_each()]
