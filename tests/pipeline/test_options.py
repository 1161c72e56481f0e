"""Options: tf.data's names are all there, and what is in force can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, Options
from headrace.pipeline import nodes
from headrace.pipeline.options import AutotuneOptions, ThreadingOptions

Run = Callable[..., list[list[Any]]]

#: As the reference lists them, and the parts that TensorFlow documents of each.
NAMES = {
    "autotune": "enabled cpu_budget ram_budget autotune_algorithm initial_parallelism min_parallelism",
    "dataset_name": "",
    "deterministic": "",
    "experimental_deterministic": "",
    "experimental_distribute": "auto_shard_policy num_devices",
    "experimental_external_state_policy": "",
    "experimental_optimization": "apply_default_optimizations filter_fusion filter_parallelization inject_prefetch "
    "map_and_batch_fusion map_and_filter_fusion map_fusion map_parallelization noop_elimination parallel_batch "
    "seq_interleave_prefetch shuffle_and_repeat_fusion",
    "experimental_service": "pinned",
    "experimental_slack": "",
    "experimental_symbolic_checkpoint": "",
    "experimental_threading": "max_intra_op_parallelism private_threadpool_size",
    "experimental_warm_start": "",
    "framework_type": "",
    "threading": "max_intra_op_parallelism private_threadpool_size",
}


@pytest.mark.parametrize("name", NAMES)
def test_each_of_tf_datas_names_is_accepted_kept_and_given_back(name: str) -> None:
    options = Options()
    parts = NAMES[name].split()
    for part in parts:
        assert getattr(getattr(options, name), part) is None
        setattr(getattr(options, name), part, "a policy" if "policy" in part or "algorithm" in part else True)
    if not parts:
        setattr(options, name, {"dataset_name": "train", "framework_type": ["mine"]}.get(name, True))
    kept = Dataset.range(3).with_options(options).map(lambda x: x).batch(2).options()
    assert kept == options != Options()


def test_what_has_no_meaning_here_changes_nothing(run: Run) -> None:
    options = Options(deterministic=False, experimental_slack=True)
    options.threading.private_threadpool_size = 1
    options.experimental_optimization.map_parallelization = False
    dataset = Dataset.range(40).map(lambda x: x * 2).shuffle(9, seed=1).batch(6)
    (plain,), (with_options,) = run(dataset), run(dataset.with_options(options))
    assert [each.tolist() for each in with_options] == [each.tolist() for each in plain]


def test_only_what_means_something_travels() -> None:
    dataset = Dataset.range(3).with_options(Options(seed=1, deterministic=True)).batch(2)
    batch = dataset.resolved
    assert isinstance(batch, nodes.Batch)
    assert type(batch.source) is nodes.Configured
    assert dataset.fingerprint() == Dataset.range(3).with_options(Options(seed=1)).batch(2).fingerprint()


def test_the_outermost_options_hold_and_none_keeps_what_was_set() -> None:
    inner = Dataset.range(9).with_options(Options(seed=1, buffer_bytes=100, deterministic=True))
    outer = inner.shuffle(3).with_options(Options(seed=2, experimental_warm_start=True, on_error="skip"))
    assert outer.options() == Options(
        seed=2, buffer_bytes=100, deterministic=True, experimental_warm_start=True, on_error="skip"
    )
    assert outer.seed == 2
    assert inner.options().seed == 1
    assert Dataset.range(1).options() == Options()


def test_of_several_inputs_the_first_that_says_something_counts() -> None:
    one, two, none = (Dataset.range(3).with_options(Options(seed=s)) for s in (1, 2, None))
    assert Dataset.zip(none, two, one).options().seed == Dataset.zip(none, two, one).seed == 2
    assert one.concatenate(two).options().seed == one.concatenate(two).seed == 1
    waiting = none.take(hr.placeholder(np.int64, (), "n")).with_options(Options(error_budget=3))
    assert (waiting.options().error_budget, two.take(waiting_for_n()).options().seed) == (3, 2)


def waiting_for_n() -> Any:
    return hr.placeholder(np.int64, (), "n")


def test_merge_gives_new_options_in_which_the_given_ones_win() -> None:
    one = Options(seed=1, dataset_name="a", threading=ThreadingOptions(private_threadpool_size=4))
    two = Options(seed=2, threading=ThreadingOptions(max_intra_op_parallelism=8))
    both = one.merge(two)
    assert (both.seed, both.dataset_name) == (2, "a")
    assert both.threading == ThreadingOptions(private_threadpool_size=4, max_intra_op_parallelism=8)
    both.threading.private_threadpool_size = 1
    assert one.threading.private_threadpool_size == 4


def test_what_is_changed_later_changes_no_dataset() -> None:
    options = Options(dataset_name="a")
    dataset = Dataset.range(3).with_options(options)
    options.dataset_name, options.autotune.cpu_budget = "b", 4
    dataset.options().dataset_name = "c"
    assert dataset.options() == Options(dataset_name="a")


def test_unknown_names_are_errors() -> None:
    options = Options()
    with pytest.raises(AttributeError, match=r"Options has no 'determinstic'; it has: autotune, .*deterministic"):
        options.determinstic = True
    with pytest.raises(AttributeError, match="ThreadingOptions has no 'private_threads'"):
        options.threading.private_threads = 3
    with pytest.raises(TypeError, match="unexpected keyword argument 'sede'"):
        Options(sede=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value"), [("deterministic", "yes"), ("threading", 4), ("autotune", None), ("dataset_name", 3)]
)
def test_a_value_of_another_type_is_an_error(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"Options\.{name} is "):
        setattr(Options(), name, value)
    with pytest.raises(TypeError, match=r"AutotuneOptions\.enabled is 'x'"):
        AutotuneOptions(enabled="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="with_options needs Options, not dict"):
        Dataset.range(3).with_options({})  # type: ignore[arg-type]


def test_a_fingerprint_is_a_number_that_tells_pipelines_apart() -> None:
    def build(size: int = 2, by: int = 2, seed: int | None = None) -> Dataset:
        return Dataset.range(9).map(lambda x: x * by).batch(size).with_options(Options(seed=seed))

    found = build().fingerprint()
    assert found.dtype == np.uint64
    assert found == build().fingerprint() == build().prefetch(1).fingerprint()
    assert len({int(each.fingerprint()) for each in (build(), build(3), build(by=3), build(seed=1))}) == 4


def test_constants_are_tf_datas() -> None:
    assert (hr.AUTOTUNE, hr.INFINITE_CARDINALITY, hr.UNKNOWN_CARDINALITY) == (-1, -1, -2)
    assert Dataset.range(2).repeat().cardinality() == hr.INFINITE_CARDINALITY
    assert Dataset.range(2).filter(bool).cardinality() == hr.UNKNOWN_CARDINALITY


def test_a_dataset_is_true_has_a_length_and_begins_anew() -> None:
    empty = Dataset.range(0)
    assert empty
    assert len(empty) == 0
    assert [list(Dataset.range(2)) for _ in range(2)] == [[0, 1]] * 2
    with pytest.raises(TypeError, match=r"^The dataset is infinite\.$"):
        len(empty.concatenate(Dataset.range(1).repeat()))
    with pytest.raises(TypeError, match=r"^The dataset length is unknown\.$"):
        len(Dataset.range(3).filter(bool))
