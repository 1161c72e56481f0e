"""The PyTorch loader, with the real PyTorch on the CPU."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

import headrace as hr
from headrace import Dataset, Options
from headrace.torch import Loader, as_tensors, loader

#: From a dataset to a loader of it, in this process or through a service.
Make = Callable[..., Loader]

Pair = namedtuple("Pair", ["x", "y"])


@pytest.fixture(params=["in process", "service"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "in process":
        return loader
    service: hr.Service = request.getfixturevalue("service")
    return lambda dataset, **options: loader(dataset, service, **options)


@pytest.fixture
def numbers() -> Dataset:
    """Ten batches of two, in an order of their own in each epoch."""
    return Dataset.range(20).shuffle(20).batch(2).with_options(Options(seed=5))


def epoch_of(dataset: Dataset, epoch: int) -> list[list[int]]:
    return [batch.tolist() for batch in dataset.iterate(epoch)]


def listed(batches: Iterator[Any] | Loader) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


def test_each_iter_is_the_next_epoch(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    assert isinstance(batches, IterableDataset)
    for epoch in range(3):
        assert listed(batches) == epoch_of(numbers, epoch)
    assert len({str(epoch_of(numbers, epoch)) for epoch in range(3)}) == 3


def test_a_loop_that_was_left_is_not_gone_on_with(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    for batch in batches:
        assert batch.tolist() == epoch_of(numbers, 0)[0]
        break
    assert listed(batches) == epoch_of(numbers, 1)


def test_an_iter_of_which_nothing_is_taken_is_no_epoch(make: Make, numbers: Dataset) -> None:
    """Lightning, for one, calls iter() to see whether it can."""
    batches = make(numbers)
    looked = iter(batches)
    assert listed(batches) == epoch_of(numbers, 0)
    state = batches.state_dict()
    iter(batches)
    assert batches.state_dict() == state
    assert listed(batches) == epoch_of(numbers, 1)
    assert listed(looked) == epoch_of(numbers, 2)


def test_two_iterations_at_once_do_not_disturb_each_other(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    both = [(one.tolist(), other.tolist()) for one, other in zip(batches, batches, strict=True)]
    assert both == list(zip(epoch_of(numbers, 0), epoch_of(numbers, 1), strict=True))


def test_after_the_end_next_keeps_saying_so(make: Make) -> None:
    iterator = iter(make(Dataset.range(2).batch(2)))
    assert next(iterator).tolist() == [0, 1]
    for _ in range(3):
        with pytest.raises(StopIteration):
            next(iterator)


def test_arrays_become_tensors_and_the_nesting_stays(make: Make) -> None:
    dataset = Dataset.range(3).map(
        lambda n: {"image": np.full((2, 2), n, np.uint8), "name": str(n), "pair": Pair(n / 2, (n, n > 1))}
    )
    (batch,) = make(dataset.batch(3))
    assert batch["image"].dtype == torch.uint8
    assert batch["image"].shape == (3, 2, 2)
    assert batch["name"] == [b"0", b"1", b"2"]
    assert type(batch["pair"]).__name__ == "Pair"
    assert batch["pair"].x.dtype == torch.float64
    assert batch["pair"].x.tolist() == [0.0, 0.5, 1.0]
    assert type(batch["pair"].y) is tuple
    assert batch["pair"].y[1].tolist() == [False, False, True]
    first = next(iter(make(dataset)))
    assert first["name"] == b"0"
    assert first["pair"].y[0].shape == ()
    assert first["pair"].y[0].dtype == torch.int64


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32"]
)
def test_every_dtype_keeps_its_values_and_memory(dtype: str) -> None:
    array = np.array([[0, 1], [1, 0]], dtype)
    tensor = as_tensors(array)
    np.testing.assert_array_equal(tensor.numpy(), array)
    assert tensor.numpy().dtype == array.dtype
    assert np.shares_memory(tensor.numpy(), array)


@pytest.mark.filterwarnings("error")
def test_tensors_are_ours_to_write_into(make: Make) -> None:
    dataset = Dataset.from_tensor_slices(np.arange(40_000).reshape(4, 10_000)).batch(2)
    first, second = make(dataset)
    first += 1
    assert first[0, :3].tolist() == [1, 2, 3]
    assert second[0, :3].tolist() == [20_000, 20_001, 20_002]
    assert next(iter(make(dataset)))[0, :3].tolist() == [0, 1, 2]


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_a_dtype_that_pytorch_lacks_is_named() -> None:
    with pytest.raises(hr.InvalidArgumentError, match=r"component a.1 is .*, which PyTorch does not have"):
        as_tensors({"a": (np.float32(1), np.array([1], np.longdouble))})


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_sparse_features_stay_named_tuples(make: Make) -> None:
    parse = hr.io.example_parser({"tags": hr.io.VarLenFeature("int64")})
    rows = [hr.io.make_example({"tags": [1, 2]}), hr.io.make_example({"tags": [3]})]
    (batch,) = make(Dataset.from_tensor_slices(rows).batch(2).map(parse))
    tags = batch["tags"]
    dense = torch.sparse_coo_tensor(tags.indices.T, tags.values, tags.dense_shape.tolist()).to_dense()
    assert dense.tolist() == [[1, 2], [3, 0]]


def test_pinned_memory_is_left_to_where_there_is_a_gpu() -> None:
    if torch.cuda.is_available():
        assert next(iter(loader(Dataset.range(2).batch(2)))).is_pinned()
        return
    assert not next(iter(loader(Dataset.range(2).batch(2)))).is_pinned()
    with pytest.raises(hr.FailedPreconditionError, match="pin_memory=True needs a GPU"):
        loader(Dataset.range(2), pin_memory=True)


# Ranks.


@pytest.mark.parametrize("world", [1, 2, 3, 4, 11])
def test_ranks_share_an_epoch_and_all_have_as_many_batches(numbers: Dataset, world: int) -> None:
    for epoch in range(2):
        ranks = [loader(numbers, rank=rank, world=world) for rank in range(world)]
        for each in ranks:
            each.set_epoch(epoch)
            assert len(each) == 10 // world
        dealt = list(zip(*map(listed, ranks), strict=True))
        expected = epoch_of(numbers, epoch)[: 10 // world * world]
        assert [batch for turn in dealt for batch in turn] == expected


def test_ranks_of_a_service_see_the_same_order(service: hr.Service, numbers: Dataset) -> None:
    ranks = [loader(numbers, service, rank=rank, world=2) for rank in range(2)]
    assert [batch for turn in zip(*map(listed, ranks), strict=True) for batch in turn] == epoch_of(numbers, 0)


def test_ranks_that_share_a_job_get_each_batch_once(service: hr.Service, numbers: Dataset) -> None:
    ranks = [loader(numbers, service, rank=rank, world=3, name="shared") for rank in range(3)]
    dealt = epochs_of_ranks(ranks, 2)
    for epoch in range(2):
        expected = epoch_of(numbers, epoch)[:9]
        assert [batch for turn in zip(*(each[epoch] for each in dealt), strict=True) for batch in turn] == expected
    assert [each.state_dict()["element"] for each in ranks] == [0, 0, 0], "of the third epoch"
    for each in ranks:
        each.close()


def epochs_of_ranks(ranks: list[Any], epochs: int) -> list[list[Any]]:
    """What each rank gets, epoch by epoch, all of them at once."""
    with ThreadPoolExecutor(len(ranks)) as threads:
        return list(threads.map(lambda rank: [listed(rank) for _ in range(epochs)], ranks))


def test_a_name_is_of_a_job_on_a_service(numbers: Dataset) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="name='x' is of a job on a service: give service=, too"):
        loader(numbers, name="x")


def test_rank_and_world_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, numbers: Dataset) -> None:
    batches = loader(numbers)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert listed(batches) == [epoch_of(numbers, 0)[index] for index in (1, 5)]
    monkeypatch.delenv("RANK")
    with pytest.raises(hr.FailedPreconditionError, match=r"RANK is None and WORLD_SIZE is '4': set both"):
        iter(batches)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert len(batches) == 10


def test_rank_and_world_come_from_the_process_group(
    monkeypatch: pytest.MonkeyPatch, numbers: Dataset, tmp_path: Path
) -> None:
    batches = loader(numbers)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        assert listed(batches) == epoch_of(numbers, 0)
    finally:
        torch.distributed.destroy_process_group()


ONE_RANK = """
import sys
import torch
import headrace as hr
from headrace.torch import loader

rank, file = int(sys.argv[1]), sys.argv[2]
batches = loader(hr.Dataset.range(22).shuffle(22).batch(2).with_options(hr.Options(seed=5)))
torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
for batch in batches:
    torch.distributed.all_reduce(batch)  # would wait for ever where one rank had a batch more
    print(batch.tolist())
torch.distributed.destroy_process_group()
"""


def test_two_processes_of_a_group_take_as_many_steps(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "group")], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    printed = [rank.communicate(timeout=300)[0] for rank in ranks]
    batches = list(Dataset.range(22).shuffle(22).batch(2).with_options(Options(seed=5)))
    sums = [(one + other).tolist() for one, other in zip(batches[0:10:2], batches[1:10:2], strict=True)]
    assert len(batches) == 11
    assert printed == ["".join(f"{each}\n" for each in sums)] * 2


def test_ranks_without_a_common_seed_are_refused() -> None:
    batches = loader(Dataset.range(8).shuffle(8).batch(2), rank=0, world=2)
    with pytest.raises(hr.FailedPreconditionError, match=r"2 ranks must draw the same numbers.*Options\(seed"):
        iter(batches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 1}, "rank=1, world=None: give both or neither"),
        ({"world": 2}, "give both or neither"),
        ({"rank": 2, "world": 2}, "rank must be at least 0 and below world"),
        ({"rank": -1, "world": 2}, "rank must be at least 0"),
    ],
)
def test_ranks_that_cannot_be_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=message):
        loader(Dataset.range(2), **arguments)  # type: ignore[arg-type]


def test_only_a_dataset_is_loaded() -> None:
    with pytest.raises(hr.InvalidArgumentError, match="loader takes a headrace Dataset, not list"):
        loader([1, 2])  # type: ignore[arg-type]


# Lengths and workers.


def test_the_length_is_known_where_the_cardinality_is(numbers: Dataset) -> None:
    assert len(loader(numbers)) == 10
    with pytest.raises(TypeError, match="unknown"):
        len(loader(numbers.filter(lambda batch: bool(batch[0]))))
    with pytest.raises(TypeError, match="infinite"):
        len(loader(numbers.repeat()))


def test_a_data_loader_without_workers_passes_batches_on(make: Make, numbers: Dataset) -> None:
    batches = DataLoader(make(numbers), batch_size=None)
    assert [batch.tolist() for batch in batches] == epoch_of(numbers, 0)
    assert len(batches) == 10


WITH_WORKERS = """
from torch.utils.data import DataLoader

import headrace as hr
from headrace.torch import loader

batches = DataLoader(loader(hr.Dataset.range(4).batch(2)), batch_size=None, num_workers=1)
next(iter(batches))
"""


def test_a_data_loader_with_workers_is_refused() -> None:
    run = subprocess.run([sys.executable, "-c", WITH_WORKERS], capture_output=True, text=True, timeout=120)
    assert run.returncode != 0
    assert "FailedPreconditionError" in run.stderr
    assert "iterate it directly, or use DataLoader(loader, batch_size=None)" in run.stderr


# Errors.


def fails_at_6(n: int) -> int:
    if n == 6:
        raise ValueError("six")
    return n


def test_what_fails_raises_and_the_next_call_goes_on(make: Make, outcomes: Callable[..., list[Any]]) -> None:
    dataset = Dataset.range(9).map(fails_at_6).batch(4)
    found, expected = outcomes(iter(make(dataset))), outcomes(dataset.iterate(0))
    assert [kind for kind, _ in filter(lambda each: isinstance(each, tuple), found)] == [hr.FunctionError]
    assert [str(each) for each in map(_plain, found)] == [str(each) for each in map(_plain, expected)]


def _plain(outcome: Any) -> Any:
    return outcome[0] if isinstance(outcome, tuple) else outcome.tolist()


# State.


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    found: dict[str, Any] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    return found


@pytest.mark.parametrize("taken", [0, 1, 7, 10])
def test_a_new_loader_goes_on_where_the_state_was_taken(make: Make, numbers: Dataset, taken: int) -> None:
    batches = make(numbers)
    listed(batches)
    iterator = iter(batches)
    for _ in range(taken):
        next(iterator)
    state = through_a_file(batches.state_dict())
    assert (state["headrace"], state["seed"], state["epoch"], state["element"]) == (2, 5, 1, taken)
    again = make(numbers)
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert listed(again) == epoch_of(numbers, 1)[taken:]
    assert listed(again) == epoch_of(numbers, 2)


def test_a_loop_that_was_left_is_still_asked_where_it_stands(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    for at, _ in enumerate(batches):
        if at == 3:
            break
    state = through_a_file(batches.state_dict())
    assert state["element"] == 4
    assert listed(batches) == epoch_of(numbers, 1)
    batches.load_state_dict(state)
    assert listed(batches) == epoch_of(numbers, 0)[4:]


def test_a_loader_goes_on_where_an_iterator_stands_and_the_other_way_round(make: Make, numbers: Dataset) -> None:
    here = numbers.iterate(2)
    first = [next(here).tolist() for _ in range(3)]
    batches = make(numbers)
    batches.load_state_dict(here.state_dict())
    iterator = iter(batches)
    first += [next(iterator).tolist() for _ in range(3)]
    here.load_state_dict(through_a_file(batches.state_dict()))
    assert first + [batch.tolist() for batch in here] == epoch_of(numbers, 2)


def test_after_the_end_the_state_is_the_beginning_of_the_next_epoch(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    assert batches.state_dict()["epoch"] == 0
    listed(batches)
    state = batches.state_dict()
    assert (state["epoch"], state["element"]) == (1, 0)
    batches.load_state_dict(state)
    assert listed(batches) == epoch_of(numbers, 1)


def test_the_state_of_an_ended_iterator_begins_the_next_epoch(make: Make, numbers: Dataset) -> None:
    ended = numbers.iterate(3)
    list(ended)
    batches = make(numbers)
    batches.load_state_dict(ended.state_dict())
    assert listed(batches) == epoch_of(numbers, 4)


def test_a_loaded_state_survives_set_epoch_of_its_own_epoch_alone(numbers: Dataset) -> None:
    batches = loader(numbers)
    iterator = iter(batches)
    next(iterator)
    state = batches.state_dict()
    batches.load_state_dict(state)
    batches.set_epoch(0)
    assert listed(batches) == epoch_of(numbers, 0)[1:]
    batches.load_state_dict(state)
    batches.set_epoch(4)
    assert listed(batches) == epoch_of(numbers, 4)
    assert listed(batches) == epoch_of(numbers, 5)
    with pytest.raises(hr.InvalidArgumentError, match="count from 0"):
        batches.set_epoch(-1)


def test_epochs_can_be_set_back_and_forth(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    for epoch in (3, 4, 1, 0, 7):
        batches.set_epoch(epoch)
        assert listed(batches) == epoch_of(numbers, epoch)


def test_a_state_moves_between_a_process_and_a_service(service: hr.Service, numbers: Dataset) -> None:
    here = loader(numbers)
    iterator = iter(here)
    first = [next(iterator).tolist() for _ in range(4)]
    there = loader(numbers, service)
    there.load_state_dict(here.state_dict())
    assert first + listed(there) == epoch_of(numbers, 0)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_a_state_is_restored_in_another_number_of_ranks(numbers: Dataset, before: int, after: int) -> None:
    loaders = [loader(numbers, rank=rank, world=before) for rank in range(before)]
    ranks = [iter(each) for each in loaders]
    dealt = [next(each).tolist() for _ in range(2) for each in ranks]
    state, *others = (through_a_file(each.state_dict()) for each in loaders)
    assert {each["element"] for each in (state, *others)} == {2 * before}
    again = [loader(numbers, rank=rank, world=after) for rank in range(after)]
    for each in again:
        each.load_state_dict(state)
    rest = [batch for turn in zip(*map(listed, again), strict=True) for batch in turn]
    left = epoch_of(numbers, 0)[2 * before :]
    assert dealt == epoch_of(numbers, 0)[: 2 * before]
    assert rest == left[: len(left) // after * after]


def test_a_dataset_without_a_seed_takes_that_of_the_state(make: Make) -> None:
    def unseeded() -> Dataset:
        return Dataset.range(20).shuffle(20).batch(2)

    batches = make(unseeded())
    whole = listed(batches)
    batches.set_epoch(0)
    iterator = iter(batches)
    next(iterator)
    again = make(unseeded())
    again.load_state_dict(through_a_file(batches.state_dict()))
    assert listed(again) == whole[1:]


def test_a_failed_element_is_done_with_like_any_other(make: Make) -> None:
    dataset = Dataset.range(10).map(fails_at_6).with_options(Options(seed=1))
    batches = make(dataset)
    iterator = iter(batches)
    seen = [next(iterator).item() for _ in range(6)]
    before = batches.state_dict()
    with pytest.raises(hr.FunctionError, match="six"):
        next(iterator)
    after = batches.state_dict()
    assert (before["element"], after["element"]) == (6, 7)
    again = make(dataset)
    again.load_state_dict(after)
    assert seen + [each.item() for each in again] == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    again.load_state_dict(before)
    iterator = iter(again)
    with pytest.raises(hr.FunctionError, match="six"):
        next(iterator)
    assert [each.item() for each in iterator] == [7, 8, 9]


def test_what_failed_within_a_round_is_behind_the_state_until_the_round_is_full() -> None:
    dataset = Dataset.range(10).map(fails_at_6).with_options(Options(seed=1))
    batches = loader(dataset, rank=0, world=4)
    iterator = iter(batches)
    next(iterator)
    with pytest.raises(hr.FunctionError, match="six"):
        next(iterator)
    state = batches.state_dict()
    assert state["element"] == 4
    again = loader(dataset, rank=2, world=4)
    again.load_state_dict(state)
    resumed = iter(again)
    with pytest.raises(hr.FunctionError, match="six"):
        next(resumed)
    assert next(resumed).item() == 7


def test_states_of_the_first_format_are_taken(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    batches.load_state_dict({"version": 1, "seed": 5, "epoch": 1, "batches": 6, "errors": 0})
    assert listed(batches) == epoch_of(numbers, 1)[6:]
    for wrong in ({"epoch": -1}, {"batches": "3"}, {"seed": None}):
        with pytest.raises(hr.InvalidArgumentError, match="missing or no counts"):
            batches.load_state_dict({"version": 1, "seed": 5, "epoch": 1, "batches": 6, "errors": 0} | wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"headrace": 3}, "of format 3, and this headrace reads 2"),
        ({"headrace": None}, "no state of a headrace iterator"),
        ({"epoch": -1}, "must be counts"),
        ({"element": "3"}, "element is str, not int"),
        ({"seed": 6}, r"token: Options\(seed=6\), here: Options\(seed=5\)"),
    ],
)
def test_a_state_that_is_none_of_ours_is_refused(numbers: Dataset, change: dict[str, Any], message: str) -> None:
    batches = loader(numbers)
    with pytest.raises(hr.InvalidArgumentError, match=message):
        batches.load_state_dict(batches.state_dict() | change)
    with pytest.raises(hr.InvalidArgumentError, match="no state of a headrace iterator"):
        batches.load_state_dict([1])  # type: ignore[arg-type]


def test_a_state_of_another_pipeline_is_refused_and_a_changed_function_warns_once(make: Make) -> None:
    batches = loader(Dataset.range(20).map(lambda x: x + 1).batch(2))
    state = batches.state_dict()
    with pytest.raises(hr.InvalidArgumentError, match=r"token: batch\(2\), here: batch\(4\)"):
        loader(Dataset.range(20).map(lambda x: x + 1).batch(4)).load_state_dict(state)
    changed = make(Dataset.range(20).map(lambda x: x + 2).batch(2))
    with pytest.warns(hr.FunctionChangedWarning, match="map"):
        changed.load_state_dict(state)
    assert listed(changed)[0] == [2, 3]


def test_a_state_beyond_the_end_is_of_another_dataset(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    batches.load_state_dict(batches.state_dict() | {"element": 11})
    with pytest.raises(hr.FailedPreconditionError, match=r"after 11 elements of epoch 0, which has only 10"):
        next(iter(batches))


def test_a_loader_says_where_it_stands_and_can_be_closed(make: Make, numbers: Dataset) -> None:
    batches = make(numbers)
    listed(batches)
    assert "epoch 1, after 0 batches" in repr(batches)
    batches.close()
    batches.close()
    assert listed(batches) == epoch_of(numbers, 1)
    unfinished = iter(batches)
    next(unfinished)
    unfinished.close()
    with pytest.raises(StopIteration):
        next(unfinished)
