"""Mapped arrays: rows of files that NumPy mapped, of which just those that are asked for are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.blobs import Blobs, Sent
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.graph import decode_outline, decode_whole, encode
from headrace.pipeline.leaf_files import files_of
from headrace.pipeline.mapped import MappedArray, mapped
from headrace.pipeline.nodes import Rows
from headrace.pipeline.structure import Structure
from headrace.pipeline.work import Work

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


def saved(path: Path, array: Any) -> Any:
    """The array, mapped from a file."""
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def test_rows_come_as_from_arrays_in_memory(run: Run, tmp_path: Path, same: Same) -> None:
    arrays = {
        "image": np.arange(120, dtype=np.uint8).reshape(30, 2, 2),
        "label": np.arange(30, dtype=np.float32),
        "name": np.array([b"%d" % i for i in range(30)], object),
    }
    files = {name: saved(tmp_path / f"{name}.npy", arrays[name]) for name in ("image", "label")}
    dataset = Dataset.from_tensor_slices({**files, "name": arrays["name"]})
    expected = Dataset.from_tensor_slices(arrays)
    assert len(dataset) == 30
    assert dataset.element_spec == expected.element_spec
    makes: list[Callable[[Dataset], Dataset]] = [
        lambda each: each.batch(7),
        lambda each: each.skip(3).shard(4, 1).take(5),
        lambda each: each.shuffle(9, seed=1).map(lambda row: row["image"] + row["label"]),
    ]
    for make in makes:
        same(run(make(dataset), epochs=2), [list(make(expected).iterate(epoch)) for epoch in range(2)])


def test_what_is_given_to_a_function_can_be_written_to_and_changes_no_file(tmp_path: Path) -> None:
    array = saved(tmp_path / "a.npy", np.zeros((4, 3)))

    def scribble(row: Any) -> Any:
        row += 1
        return row

    assert [row.sum() for row in Dataset.from_tensor_slices(array).map(scribble)] == [3.0] * 4
    for row in Dataset.from_tensor_slices(array):
        row += 1
    assert not np.load(tmp_path / "a.npy").any()


@pytest.mark.parametrize(
    "part",
    [
        lambda array: array,
        lambda array: array[7:40],
        lambda array: array[33:34],
        lambda array: np.asarray(array)[2:],
        lambda array: array.reshape(-1, 2),
        lambda array: array.view(np.uint32),
    ],
)
def test_parts_that_lie_together_are_mapped_where_they_lie(
    tmp_path: Path, part: Callable[[Any], Any], same: Same
) -> None:
    array = part(saved(tmp_path / "a.npy", np.arange(5000, dtype=np.int64).reshape(1000, 5)[:, :4].copy()))
    found = mapped(array)
    assert isinstance(found, MappedArray)
    assert (found.shape, found.dtype, found.nbytes) == (array.shape, array.dtype, array.nbytes)
    again = MappedArray.from_data(found.to_data())
    same(np.asarray(again[:]), np.array(array))


@pytest.mark.parametrize(
    "part",
    [
        lambda array: array[::2],
        lambda array: array[:, 1:],
        lambda array: array.T,
        lambda array: array[:0],
        lambda array: np.array(array),
    ],
)
def test_what_does_not_lie_so_is_taken_as_it_is(tmp_path: Path, part: Callable[[Any], Any]) -> None:
    array = part(saved(tmp_path / "a.npy", np.arange(20).reshape(5, 4)))
    assert mapped(array) is array


def test_what_can_be_written_to_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    saved(tmp_path / "a.npy", np.zeros(3))
    for mode in ("r+", "c"):
        array = np.load(tmp_path / "a.npy", mmap_mode=mode)
        array[1] = 5
        assert run(Dataset.from_tensor_slices(array)) == [[0, 5, 0]]


@pytest.fixture
def large(tmp_path: Path) -> tuple[np.ndarray[Any, Any], int]:
    """Eight GiB of rows of 64 KiB, almost all of them holes, and how many."""
    path, count = tmp_path / "large.bin", 1 << 17
    with path.open("wb") as file:
        file.truncate(count << 16)
        for row in (0, 1000, 65_537, count - 1):
            file.seek(row << 16)
            file.write(np.int64(row + 1).tobytes())
    return np.memmap(path, np.int64, "r", shape=(count, 1 << 13)), count


def test_an_array_larger_than_memory_is_read_where_it_is_asked_for(
    large: tuple[np.ndarray[Any, Any], int], run: Run
) -> None:
    array, count = large
    dataset = Dataset.from_tensor_slices((array, np.arange(count)))
    assert array.nbytes == 8 << 30
    assert len(dataset) == count

    def few(part: Dataset) -> Dataset:
        return part.map(lambda row, number: (row[0], number))

    assert run(few(dataset.skip(count - 3))) == [[(0, count - 3), (0, count - 2), (count, count - 1)]]
    assert run(few(dataset.skip(1).shard(count // 2, 999).take(2))) == [[(1001, 1000), (0, 66_536)]]
    shuffled = run(dataset.global_shuffle(seed=1).take(40).map(lambda row, number: (row.sum(), number)))
    assert all(total in (0, number + 1) for total, number in shuffled[0])
    assert len({int(number) for _, number in shuffled[0]}) == 40


def test_an_epoch_over_such_an_array_goes_on_at_once(
    large: tuple[np.ndarray[Any, Any], int], service: hr.Service
) -> None:
    array, _ = large
    dataset = Dataset.from_tensor_slices((array, np.arange(len(array)))).global_shuffle(seed=2).map(lambda _, n: n)
    first = dataset.iterate(0)
    before = [int(next(first)) for _ in range(20)]
    token = first.state_dict()
    after = [int(next(first)) for _ in range(20)]
    assert not set(before) & set(after)
    with service.iterate(dataset) as iterator:
        iterator.load_state_dict(token)
        assert [int(next(iterator)) for _ in range(20)] == after


def test_it_travels_by_name_whatever_its_size(large: tuple[np.ndarray[Any, Any], int], tmp_path: Path) -> None:
    node = Dataset.from_tensor_slices(large[0]).node
    sent = Sent(budget=100)
    data = encode(node, sent)
    assert len(data) < 300
    assert not sent.content
    back = decode_whole(data, Blobs(tmp_path))
    assert isinstance(back, Rows)
    assert back.arrays[0][1000, 0] == 1001
    assert files_of(back, Work((0,), 5, 0, 3)) == [str(tmp_path / "large.bin")]


def test_a_file_that_changed_is_a_typed_error(tmp_path: Path, service: hr.Service) -> None:
    path = tmp_path / "a.npy"
    array = saved(path, np.arange(100))
    dataset, served = Dataset.from_tensor_slices(array), Dataset.from_tensor_slices(array)
    assert next(iter(dataset)) == 0
    path.rename(tmp_path / "b.npy")
    np.save(path, np.arange(1, 101))
    with service.iterate(served) as iterator, pytest.raises(hr.DataLossError, match="other content when the pipeline"):
        next(iterator)
    np.save(path, np.arange(50))
    with pytest.raises(hr.DataLossError, match=r"a.npy: it has 528 bytes, and had 928 when the pipeline was made"):
        next(iter(dataset))
    path.unlink()
    with pytest.raises(hr.NotFoundError, match="cannot be mapped"):
        next(iter(dataset))


def test_a_token_knows_the_file_by_its_ends_wherever_it_lies(tmp_path: Path) -> None:
    first = iter(Dataset.from_tensor_slices(saved(tmp_path / "a.npy", np.arange(100))).shuffle(5, seed=1))
    before = [int(next(first)) for _ in range(5)]
    token = first.state_dict()
    (tmp_path / "a.npy").rename(tmp_path / "b.npy")
    again = iter(Dataset.from_tensor_slices(np.load(tmp_path / "b.npy", mmap_mode="r")).shuffle(5, seed=1))
    again.load_state_dict(token)
    assert sorted(before + [int(each) for each in again]) == list(range(100))
    other = iter(Dataset.from_tensor_slices(saved(tmp_path / "c.npy", np.arange(1, 101))).shuffle(5, seed=1))
    with pytest.raises(hr.InvalidArgumentError, match="with other arguments or contents"):
        other.load_state_dict(token)


@pytest.mark.parametrize(
    "data",
    [
        ["", 0, "<i8", [3], 24, 1],
        ["a\0b", 0, "<i8", [3], 24, 1],
        ["a", -8, "<i8", [3], 24, 1],
        ["a", 8, "<i8", [3], 24, 1],
        ["a", 0, "bytes", [3], 24, 1],
        ["a", 0, "O", [3], 24, 1],
        ["a", 0, "<i8", [], 24, 1],
        ["a", 0, "<i8", [-1], 24, 1],
        ["a", 0, "<i8", [1 << 61, 1 << 61], 24, 1],
        ["a", 0, "<i8", [0, 3], 24, 1],
        ["a", 0, "<i8", ["3"], 24, 1],
    ],
)
def test_an_array_from_elsewhere_is_checked(data: list[Any]) -> None:
    class Hostile(MappedArray):
        def to_data(self) -> list[Any]:
            return data

    hostile = Hostile("a", 0, np.dtype(np.int64), (3,), (24, 1))
    with pytest.raises(MalformedMessage):
        decode_outline(encode(Rows(Structure(), (hostile,)), Sent()))
