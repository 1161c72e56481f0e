"""Where data comes from: arrays, ranges and lists of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


def test_from_tensors_gives_one_element(run: Run, same: Same) -> None:
    same(run(Dataset.from_tensors(([1, 2], {"a": "x"}))), [[(np.array([1, 2], np.int32), {"a": b"x"})]])
    assert len(Dataset.from_tensors([1, 2, 3])) == 1
    same(run(Dataset.from_tensors([1, 2]), epochs=2), [[np.array([1, 2], np.int32)]] * 2)


def test_from_tensors_keeps_its_own_copy_of_what_a_loop_writes_into(run: Run) -> None:
    dataset = Dataset.from_tensors(np.zeros(2))
    for element in dataset:
        element += 1
    assert run(dataset)[0][0].tolist() == [0, 0]


def test_from_tensor_slices_gives_one_element_for_each_row(run: Run, same: Same) -> None:
    dataset = Dataset.from_tensor_slices({"a": np.arange(6).reshape(3, 2), "b": ["x", "y", "z"]})
    same(run(dataset)[0][1], {"a": np.array([2, 3]), "b": b"y"})
    assert len(dataset) == 3


def test_from_tensor_slices_of_no_rows_is_empty(run: Run) -> None:
    assert run(Dataset.from_tensor_slices(np.zeros((0, 3)))) == [[]]
    assert run(Dataset.from_tensor_slices([])) == [[]]
    assert run(Dataset.from_tensor_slices(np.zeros(0, object))) == [[]]


def test_from_tensor_slices_says_which_component_has_no_rows_or_too_many() -> None:
    with pytest.raises(InvalidArgumentError, match="component b is a scalar"):
        Dataset.from_tensor_slices({"a": [1], "b": 2})
    with pytest.raises(InvalidArgumentError, match="one length, not 0: 1, 1: 2"):
        Dataset.from_tensor_slices(([1], [1, 2]))
    with pytest.raises(InvalidArgumentError):
        Dataset.from_tensor_slices(())


@pytest.mark.parametrize("args", [(5,), (2, 7), (1, 10, 3), (5, 0, -2), (0,), (3, 3), (-2,)])
def test_range_gives_what_pythons_range_gives(run: Run, args: tuple[int, ...]) -> None:
    assert run(Dataset.range(*args)) == [list(range(*args))]
    assert len(Dataset.range(*args)) == len(range(*args))


def test_range_gives_int64_unless_told_otherwise(run: Run) -> None:
    assert run(Dataset.range(1))[0][0].dtype == np.int64
    assert [each.dtype for each in run(Dataset.range(2, output_type=np.float32))[0]] == [np.float32] * 2


@pytest.mark.parametrize("args", [(), (1, 2, 3, 4), (1.5,), (0, 5, 0), (2**63,), ("5",)])
def test_range_refuses_what_is_no_range(args: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="range"):
        Dataset.range(*args)


def test_range_refuses_dtypes_that_do_not_count() -> None:
    with pytest.raises(InvalidArgumentError, match="range cannot give"):
        Dataset.range(3, output_type=bytes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", ".hidden.txt", "c.dat", "sub/d.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def names(dataset: Dataset, folder: Path) -> list[str]:
    return [each.decode().removeprefix(f"{folder}/") for each in dataset]


def test_list_files_sorts_and_lets_a_star_match_dot_files(folder: Path) -> None:
    assert names(Dataset.list_files(f"{folder}/*.txt", shuffle=False), folder) == [".hidden.txt", "a.txt", "b.txt"]


def test_list_files_sorts_over_all_patterns_together(folder: Path) -> None:
    listed = Dataset.list_files([f"{folder}/c.*", f"{folder}/[ab].txt"], shuffle=False)
    assert names(listed, folder) == ["a.txt", "b.txt", "c.dat"]


def test_list_files_looks_into_folders_that_match_and_leaves_folders_out(folder: Path) -> None:
    assert names(Dataset.list_files(f"{folder}/*/*.txt", shuffle=False), folder) == ["sub/d.txt"]
    assert names(Dataset.list_files(f"{folder}/?*", shuffle=False), folder) == [
        ".hidden.txt",
        "a.txt",
        "b.txt",
        "c.dat",
    ]


def test_list_files_takes_relative_patterns_from_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert list(Dataset.list_files("*.dat")) == [b"c.dat"]
    assert list(Dataset.list_files("./sub/*", shuffle=False)) == [b"./sub/d.txt"]


def test_list_files_shuffles_by_default_and_reshuffles_each_epoch(tmp_path: Path, run: Run) -> None:
    for i in range(20):
        (tmp_path / f"{i:02}").touch()
    one, two = run(Dataset.list_files(f"{tmp_path}/*", seed=3), epochs=2)
    assert sorted(one) == sorted(two) == run(Dataset.list_files(f"{tmp_path}/*", shuffle=False))[0]
    assert len({tuple(one), tuple(two), tuple(sorted(one))}) == 3
    assert run(Dataset.list_files(f"{tmp_path}/*", seed=3))[0] == one


def test_list_files_says_which_pattern_matched_nothing(tmp_path: Path) -> None:
    dataset = Dataset.list_files(f"{tmp_path}/none-*")
    with pytest.raises(InvalidArgumentError, match=r"No files matched pattern: .*none-\*"):
        list(dataset)
    with pytest.raises(InvalidArgumentError, match="pattern"):
        Dataset.list_files([])


def test_list_files_knows_how_many_there_are(folder: Path) -> None:
    assert len(Dataset.list_files(f"{folder}/*.txt")) == 3
    assert Dataset.list_files(f"{folder}/*.txt").element_spec == hr.TensorSpec((), bytes)
