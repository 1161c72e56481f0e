"""interleave: datasets in turn, a block of each at a time; files that are read in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import AUTOTUNE, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset
from headrace.pipeline import execution
from headrace.pipeline.operators.protocol import Signal
from headrace.pipeline.store import Store

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Same = Callable[[Any, Any], None]


def times(n: Any) -> Dataset:
    """`n`, n times."""
    return Dataset.from_tensors(n).repeat(n)


@pytest.mark.parametrize(
    ("cycle", "block", "expected"),
    [
        (3, 1, [1, 2, 3, 2, 3, 4, 3, 4, 4, 4]),
        (2, 1, [1, 2, 2, 3, 3, 4, 3, 4, 4, 4]),
        (2, 2, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
        (1, 1, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
        (1, 3, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
        (9, 1, [1, 2, 3, 4, 2, 3, 4, 3, 4, 4]),
        (9, 9, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
    ],
)
def test_datasets_take_turns(run: Run, cycle: int, block: int, expected: list[int]) -> None:
    assert run(Dataset.range(1, 5).interleave(times, cycle, block), epochs=2) == [expected] * 2


def test_an_exhausted_slot_is_filled_again_at_its_next_turn(run: Run) -> None:
    lengths = [1, 0, 3, 2, 0, 0, 1, 4]
    dataset = Dataset.from_tensor_slices((np.arange(8), np.array(lengths)))
    got = run(dataset.interleave(lambda i, n: Dataset.from_tensors(i).repeat(n), 3))
    # Turns: 0 1 2 | 0 1 2 | ...: slot 0 has 0, slot 1 nothing, slot 2 has 2.
    assert got == [[0, 2, 3, 2, 3, 2, 6, 7, 7, 7, 7]]


def test_sixteen_take_turns_where_nobody_says(run: Run) -> None:
    expected = [x for first in (0, 16, 32) for _ in range(2) for x in range(first, min(40, first + 16))]
    for arguments in ({}, {"cycle_length": AUTOTUNE}, {"cycle_length": None, "num_parallel_calls": AUTOTUNE}):
        dataset = Dataset.range(40).interleave(lambda n: Dataset.from_tensors(n).repeat(2), **arguments)
        assert run(dataset) == [expected]


def test_one_at_a_time_is_flat_map() -> None:
    dataset = Dataset.range(3).interleave(times, cycle_length=1, block_length=2)
    assert repr(dataset) == repr(Dataset.range(3).flat_map(times))


def test_endless_datasets_take_turns(run: Run) -> None:
    dataset = Dataset.range(4).interleave(lambda n: Dataset.from_tensors(n).repeat(), 4).take(4000)
    assert run(dataset) == [[0, 1, 2, 3] * 1000]
    endless = Dataset.range(3).repeat().interleave(times, 2).take(7)
    assert run(endless) == [list(endless)]


def test_more_slots_than_datasets(run: Run) -> None:
    assert run(Dataset.range(1, 3).interleave(times, 1000)) == [[1, 2, 2]]
    assert run(Dataset.range(0).interleave(times, 4)) == [[]]


def test_slots_that_stay_empty_are_looked_at_once() -> None:
    dataset = Dataset.range(1, 5).interleave(times, cycle_length=1 << 40)  # turn by turn it would never end
    assert list(dataset) == [1, 2, 3, 4, 2, 3, 4, 3, 4, 4]


def test_who_wants_many_large_elements_at_once_gets_a_few() -> None:
    store = Store()
    dataset = Dataset.range(2).interleave(lambda n: Dataset.range(100).map(lambda x: np.full(1 << 17, x)))  # 1 MiB each
    operator = execution.compute(dataset.node, store, 0, 0, "")
    got = operator.pull(200)
    assert isinstance(got, np.ndarray)
    assert 1 <= len(got) <= 8
    assert store.nbytes < 16 << 20
    operator.close()


def test_where_datasets_nest_who_waits_for_many_hears_that_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "SECONDS_AHEAD", 1e-9)  # so that every step takes long
    store, got = Store(), []
    dataset = Dataset.range(3).interleave(lambda n: Dataset.range(n, n + 20), 2).batch(7)
    operator = execution.compute(dataset.node, store, 0, 0, "", nested=True)
    while (pulled := operator.pull(1000)) is not Signal.END:
        got.append(pulled)
        assert len(got) < 1000
    assert sum(each is Signal.PENDING for each in got) >= 20  # once a piece, and each is one element
    batches = [batch for each in got if isinstance(each, np.ndarray) for batch in store.gather(each)]
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in dataset]


def test_arguments_are_checked() -> None:
    for arguments in ({"cycle_length": 0}, {"cycle_length": -3}, {"block_length": 0}, {"cycle_length": 1.5}):
        with pytest.raises(hr.InvalidArgumentError, match=next(iter(arguments))):
            Dataset.range(3).interleave(times, **arguments)
    with pytest.raises(hr.InvalidArgumentError, match="interleave needs a function"):
        Dataset.range(3).interleave(None)  # type: ignore[arg-type]


def test_operators_and_randomness_inside_and_behind(service: hr.Service, same: Same) -> None:
    def noisy(x: Any, rng: np.random.Generator) -> Any:
        return x * 1000 + rng.integers(1000)

    def inside(n: Any) -> Dataset:
        return Dataset.range(int(n) % 7 + 3).shuffle(5).map(noisy).repeat(2).batch(2)

    dataset = Dataset.range(30).shuffle(9, seed=3).interleave(inside, 4, 2).map(noisy).unbatch().shuffle(20).batch(8)
    epochs = [list(dataset.iterate(epoch)) for epoch in range(2)]
    with service.iterate(dataset) as iterator:
        for epoch in epochs:
            same(list(iterator), epoch)
    assert not np.array_equal(np.sort(np.concatenate(epochs[0])), np.sort(np.concatenate(epochs[1])))


def fussy(x: Any) -> Any:
    if x == 1:
        raise ValueError("one")
    return x


def test_a_failed_element_takes_no_part_in_its_block(service: hr.Service, outcomes: Outcomes) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.range(4).map(fussy).map(lambda x: (n, x))

    dataset = Dataset.range(2).interleave(inside, 2)
    for iterator in (iter(dataset), service.iterate(dataset)):
        found = [each if each[0] is not hr.FunctionError else None for each in outcomes(iterator)]
        assert found == [(0, 0), (1, 0), None, (0, 2), None, (1, 2), (0, 3), (1, 3)]


def test_a_function_that_fails_is_a_dataset_without_elements(service: hr.Service, outcomes: Outcomes) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.from_tensors(fussy(n)).repeat(2)

    dataset = Dataset.range(4).interleave(inside, 2)
    for iterator in (iter(dataset), service.iterate(dataset)):
        found = outcomes(iterator)
        assert [each for each in found if not isinstance(each, tuple)] == [0, 0, 2, 2, 3, 3]


def test_functions_are_called_when_it_is_their_turn() -> None:
    called: list[int] = []

    def inside(n: Any) -> Dataset:
        called.append(int(n))
        return Dataset.range(100)

    iterator = iter(Dataset.range(50).interleave(inside, 3))
    next(iterator)
    assert called == [0]
    for _ in range(20):
        next(iterator)
    assert called == [0, 1, 2]


# Files that are read in turn.


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three files of five records and lines each."""
    paths = [str(tmp_path / f"{name}.tfrecord") for name in "abc"]
    for path in paths:
        with hr.io.TFRecordWriter(path) as writer:
            for i in range(5):
                writer.write(b"%s%d" % (Path(path).stem.encode(), i))
        Path(path).with_suffix(".txt").write_text("".join(f"{Path(path).stem}{i}\n" for i in range(5)))
    return paths


def test_records_of_parallel_reads_come_in_turn(run: Run, files: list[str]) -> None:
    (got,) = run(hr.TFRecordDataset(files, num_parallel_reads=2))
    assert got[:6] == [b"a0", b"b0", b"a1", b"b1", b"a2", b"b2"]
    assert got[10:] == [b"c%d" % i for i in range(5)]
    (got,) = run(hr.TextLineDataset([path.replace("tfrecord", "txt") for path in files], num_parallel_reads=AUTOTUNE))
    assert got == [b"%s%d" % (name, i) for i in range(5) for name in (b"a", b"b", b"c")]


def test_one_parallel_read_is_none(run: Run, files: list[str]) -> None:
    (got,) = run(hr.TFRecordDataset(files, num_parallel_reads=1))
    assert got == [b"%s%d" % (name, i) for name in (b"a", b"b", b"c") for i in range(5)]
    assert run(hr.TFRecordDataset(Dataset.list_files(files, shuffle=False), num_parallel_reads=3)) == [
        [b"%s%d" % (name, i) for i in range(5) for name in (b"a", b"b", b"c")]
    ]


def test_relative_names_and_compressed_files_are_read_in_turn(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        with hr.io.TFRecordWriter(str(tmp_path / name), "GZIP") as writer:
            for i in range(2):
                writer.write(b"%s%d" % (name.encode(), i))
    monkeypatch.chdir(tmp_path)
    assert run(hr.TFRecordDataset(["a", "b"], "GZIP", num_parallel_reads=2)) == [[b"a0", b"b0", b"a1", b"b1"]]


def test_a_damaged_file_among_others_is_named(service: hr.Service, files: list[str], outcomes: Outcomes) -> None:
    damaged = bytearray(Path(files[1]).read_bytes())
    damaged[(8 + 4 + 2 + 4) + 12] ^= 1  # the data of the second record
    Path(files[1]).write_bytes(damaged)
    dataset = hr.TFRecordDataset(files, num_parallel_reads=3)
    for iterator in (iter(dataset), service.iterate(dataset)):
        found = outcomes(iterator)
        assert found[3] == b"a1"
        assert found[4][0] is hr.DataLossError
        assert files[1] in found[4][1]
        assert found[5:8] == [b"b2", b"c1", b"a2"]
        assert len(found) == 15


@pytest.mark.parametrize("reads", [0, -2, 1.5, True])
def test_a_number_of_reads_that_cannot_be_is_refused(reads: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="num_parallel_reads"):
        hr.TFRecordDataset("a", num_parallel_reads=reads)


def test_cardinality_and_spec(files: list[str]) -> None:
    assert Dataset.range(3).interleave(times).cardinality() == UNKNOWN_CARDINALITY
    assert Dataset.range(3).repeat().interleave(times).cardinality() == INFINITE_CARDINALITY
    reads = hr.TFRecordDataset(files, num_parallel_reads=2)
    assert reads.cardinality() == UNKNOWN_CARDINALITY
    assert reads.element_spec == hr.TensorSpec([], bytes)
