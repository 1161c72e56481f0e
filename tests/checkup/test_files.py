"""Files as workers see them, compared with one another and with this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.checkup.files import check_files, spread
from headrace.pipeline.ends import ends_of


@pytest.fixture
def file(tmp_path: Path) -> str:
    """One with some content."""
    path = tmp_path / "data"
    path.write_bytes(b"content")
    return str(path)


def test_the_same_everywhere_is_fine(file: str) -> None:
    ends = list(ends_of(file))
    (found,) = check_files([file], {"w1": [ends], "w2": [ends]})
    assert (found.level, found.text) == ("ok", f"{file} is the same on 2 workers and here")


def test_who_sees_another_file_or_none_is_named(file: str) -> None:
    size, crc = ends_of(file)
    seen = {"good": [[size, crc]], "longer": [[size + 1, crc]], "other": [[size, crc + 1]], "none": ["No such file"]}
    found = list(check_files([file], seen))
    assert [(each.level, each.text) for each in found] == [
        ("problem", f"worker longer sees another {file}: 8 bytes, not 7"),
        ("problem", f"worker none cannot read {file}: No such file"),
        ("problem", f"worker other sees another {file}: other content"),
    ]
    assert all(each.fix for each in found)


def test_who_has_not_answered_is_named(file: str) -> None:
    late, fine = check_files([file], {"busy": None, "w": [list(ends_of(file))]})
    assert (late.level, late.text.startswith("worker busy has not looked")) == ("warning", True)
    assert fine.text == f"{file} is the same on 1 workers and here"


def test_what_is_not_here_is_compared_among_workers(tmp_path: Path) -> None:
    path = str(tmp_path / "absent")
    here, other = check_files([path], {"a": [[3, 7]], "b": [[3, 8]]})
    assert (here.level, other.level) == ("warning", "problem")
    here, same = check_files([path], {"a": [[3, 7]], "b": [[3, 7]]})
    assert same.text == f"{path} is the same on 2 workers"


def test_an_answer_that_is_none_is_no_answer(file: str) -> None:
    answers: list[Any] = [{}, [], [[1]], "x"]
    for nonsense in answers:
        (found,) = check_files([file], {"w": nonsense})
        assert found.level == "problem"


def test_a_folder_is_looked_at_in_some_files_the_first_and_the_last_among_them(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03}").touch()
    found = spread([tmp_path])
    assert (found[0], found[-1]) == (str(tmp_path / "000"), str(tmp_path / "099"))
    assert len(found) == len(set(found)) == 8
    assert spread([tmp_path / "007"]) == [str(tmp_path / "007")]
    (tmp_path / "empty").mkdir()
    assert spread([tmp_path / "empty"]) == []
