"""What is too much, forgotten, or not where it was: the same answer in process and through a service, and no hang."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.pipeline.sockets import make_run_directory, own
from headrace.pipeline.work import ELEMENT_BYTES

Outcomes = Callable[[Iterator[Any]], list[Any]]


def kinds(found: list[Any]) -> list[Any]:
    return [each[0].__name__ if isinstance(each, tuple) else "fine" for each in found]


def test_an_element_that_fits_no_message_is_an_error_in_its_place(service: hr.Service, outcomes: Outcomes) -> None:
    dataset = hr.Dataset.range(3).map(lambda x: np.zeros(ELEMENT_BYTES + 1 if x == 1 else 8, np.uint8))
    expected = ["fine", "ResourceExhaustedError", "fine"]
    assert kinds(outcomes(dataset.iterate(0))) == expected
    with service.iterate(dataset) as iterator:
        assert kinds(outcomes(iterator)) == expected


def test_a_batch_that_fits_no_message_is_an_error_and_the_next_one_comes(
    service: hr.Service, outcomes: Outcomes
) -> None:
    part = ELEMENT_BYTES // 4

    def grown(x: int) -> Any:
        return np.zeros(part + 1, np.uint8)

    dataset = hr.Dataset.range(5).map(grown).batch(4)
    assert kinds(outcomes(dataset.iterate(0))) == ["ResourceExhaustedError", "fine"]
    with service.iterate(dataset) as iterator:
        assert kinds(outcomes(iterator)) == ["ResourceExhaustedError", "fine"]


def test_an_element_with_an_empty_part_arrives(service: hr.Service) -> None:
    dataset = hr.Dataset.range(4).map(lambda x: ({}, x)).batch(2)
    with service.iterate(dataset) as iterator:
        assert [(empty, part.tolist()) for empty, part in iterator] == [({}, [0, 1]), ({}, [2, 3])]


def test_a_relative_name_means_the_folder_of_the_loop(
    service: hr.Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    monkeypatch.chdir(tmp_path)
    with service.iterate(hr.TextLineDataset("words.txt")) as iterator:
        assert list(iterator) == [b"one", b"two"]


def test_a_file_whose_name_is_no_text_is_read(service: hr.Service, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt"))
    path.write_text("one\n")
    with service.iterate(hr.TextLineDataset(str(path))) as iterator:
        assert list(iterator) == [b"one"]


def test_an_error_with_odd_arguments_travels(service: hr.Service, outcomes: Outcomes) -> None:
    def fail(x: Any) -> Any:
        raise hr.InvalidArgumentError(x)

    with service.iterate(hr.Dataset.range(1).map(fail)) as iterator:
        ((kind, text),) = outcomes(iterator)
    assert kind is hr.InvalidArgumentError
    assert text.startswith("0 [map(")


def test_iterators_that_are_dropped_take_no_descriptors(service: hr.Service) -> None:
    def opened() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0

    list(service.iterate(hr.Dataset.range(1)))
    before = opened()
    for _ in range(10):
        assert next(iter(service.iterate(hr.Dataset.range(3)))) == 0
    assert opened() <= before + 3


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"lease_s": 0}, {"budget_bytes": -1}, {"split_bytes": 0}])
def test_numbers_that_cannot_be_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=next(iter(wrong))):
        hr.serve(**wrong)


def test_a_folder_whose_processes_were_killed_is_swept(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_RUN_DIR", str(short_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine, theirs = make_run_directory(), make_run_directory()
    (theirs / "pids").write_text(f"{dead.pid}\n")
    another = make_run_directory()
    assert mine.exists()
    assert another.exists()
    assert not theirs.exists()


def test_a_folder_names_just_those_who_use_it_and_live(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "pids").write_text(f"{dead.pid}\n{os.getppid()}\n")
    own(tmp_path)
    assert (tmp_path / "pids").read_text().split() == [str(os.getppid()), str(os.getpid())]


def test_a_runtime_folder_that_does_not_serve_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADRACE_RUN_DIR", raising=False)
    for named in (str(tmp_path / "absent"), "relative", str(tmp_path / ("long" * 30))):
        monkeypatch.setenv("XDG_RUNTIME_DIR", named)
        folder = make_run_directory()
        assert not str(folder).startswith(named)
        (folder / "blobs").rmdir()
        (folder / "pids").unlink()
        folder.rmdir()
