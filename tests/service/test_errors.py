"""What fails in a stream fails alike in process and in a service: same place, same kind, same words."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

Outcomes = Callable[[Iterator[Any]], list[Any]]
DATA = Path(__file__).parent.parent / "data"


@pytest.fixture
def alike(service: hr.Service, outcomes: Outcomes, same: Callable[[Any, Any], None]) -> Callable[[hr.Dataset], Any]:
    """`alike(dataset)`: elements and errors of an epoch, which must be the same in process and in the service."""

    def compare(dataset: hr.Dataset) -> list[Any]:
        expected = outcomes(dataset.iterate(0))
        with service.iterate(dataset) as iterator:
            same(outcomes(iterator), expected)
        return expected

    return compare


Alike = Callable[[hr.Dataset], list[Any]]


def kinds(found: list[Any]) -> list[Any]:
    """Elements as they are, errors by their kind."""
    return [each[0] if isinstance(each, tuple) and isinstance(each[0], type) else each for each in found]


def errors(found: list[Any]) -> set[type]:
    """The kinds of errors among outcomes."""
    return {each for each in kinds(found) if isinstance(each, type)}


def raising(x: Any) -> Any:
    if x % 4 == 2:
        raise ValueError(f"{x} is not to my liking")
    return x


@pytest.mark.parametrize("exit_code", [0, 3, "text"])
def test_sys_exit_in_a_function_is_an_error_of_its_element(alike: Alike, exit_code: Any) -> None:
    def leave(x: Any) -> Any:
        if x == 1:
            sys.exit(exit_code)
        return x

    assert kinds(alike(hr.Dataset.range(3).map(leave))) == [0, hr.FunctionError, 2]


def test_a_function_that_raises_tells_its_own_traceback(alike: Alike) -> None:
    found = alike(hr.Dataset.range(6).map(raising))
    assert kinds(found) == [0, 1, hr.FunctionError, 3, 4, 5]
    for words in ("ValueError: 2 is not to my liking", "test_errors.py", "in raising", "map(raising), element 2"):
        assert words in found[2][1]


def test_failed_elements_keep_their_place_behind_every_operator(alike: Alike) -> None:
    failing = hr.Dataset.range(23).map(raising)
    for dataset in (
        failing.batch(4),
        failing.shuffle(6, seed=2),
        failing.shuffle(6, seed=2).batch(5).map(lambda batch: batch.sum()),
        failing.repeat(2).skip(3).take(20),
        failing.filter(lambda x: bool(x % 3)).padded_batch(4, drop_remainder=True),
        hr.Dataset.range(23).shuffle(9, seed=1).map(raising).prefetch(2),
        hr.Dataset.range(24).batch(4).map(lambda batch: [raising(each) for each in batch]),
    ):
        assert errors(alike(dataset)) == {hr.FunctionError}


def test_an_error_that_take_does_not_reach_is_never_raised(alike: Alike) -> None:
    assert alike(hr.Dataset.range(10).map(raising).take(2)) == [0, 1]
    assert alike(hr.Dataset.range(10).map(raising).batch(2).take(1))[0].tolist() == [0, 1]


def test_a_function_that_returns_none_or_no_boolean(alike: Alike) -> None:
    found = alike(hr.Dataset.range(3).map(lambda x: None if x == 1 else x))
    assert kinds(found) == [0, hr.InvalidArgumentError, 2]
    assert kinds(alike(hr.Dataset.range(2).filter(lambda x: x))) == [hr.InvalidArgumentError] * 2


def test_a_batch_of_unequal_shapes(alike: Alike) -> None:
    found = alike(hr.Dataset.range(6).map(lambda x: np.zeros(1 + int(x == 3), np.int64)).batch(2))
    assert kinds(found[1:2]) == [hr.InvalidArgumentError]
    assert "Cannot batch" in found[1][1]


def test_a_shuffle_over_its_budget(alike: Alike) -> None:
    dataset = hr.Dataset.range(100).map(lambda x: np.zeros(10_000)).shuffle(100, seed=1).batch(10)
    found = alike(dataset.with_options(hr.Options(buffer_bytes=1_000_000)))
    assert errors(found) == {hr.ResourceExhaustedError}


def test_a_missing_file_raises_once_and_the_next_goes_on(alike: Alike, text_file: Callable[..., str]) -> None:
    there = text_file(b"a\nb\n")
    for dataset in (hr.TextLineDataset([there, there + ".missing", there]), hr.TextLineDataset([there + ".missing"])):
        assert errors(alike(dataset)) == {hr.NotFoundError}
    assert kinds(alike(hr.TFRecordDataset([there + ".missing"]).batch(2))) == [hr.NotFoundError]


def test_a_pattern_that_no_file_matches_is_refused_when_iteration_is_asked_for(service: hr.Service) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=r"nowhere"):
        service.iterate(hr.TFRecordDataset(hr.Dataset.list_files("/nowhere/*.tfrecord")))


@pytest.mark.parametrize("name", sorted(path.name for path in (DATA / "tfrecord").glob("*.tfrecord")))
def test_damaged_files(alike: Alike, name: str) -> None:
    kind = "GZIP" if ".gzip" in name else "ZLIB" if ".zlib" in name else ""
    path, intact = str(DATA / "tfrecord" / name), str(DATA / "tfrecord" / "small.tfrecord")
    found = alike(hr.TFRecordDataset([path], kind).map(lambda record: record[:40]))
    damaged = name.startswith(("bad", "cut", "trailing"))
    assert errors(found) == ({hr.DataLossError} if damaged else set())
    if not kind:
        alike(hr.TFRecordDataset([path, intact, path]).batch(2))
        alike(hr.TFRecordDataset([intact, path]).shuffle(3, seed=1).repeat(2))


def test_a_damage_in_the_middle_of_a_file_that_is_cut_into_splits(
    tmp_path: Path, outcomes: Outcomes, same: Callable[[Any, Any], None]
) -> None:
    path = tmp_path / "long.tfrecord"
    with hr.io.TFRecordWriter(path) as writer:
        for number in range(400):
            writer.write(b"%04d" % number)
    whole = path.read_bytes()
    with hr.serve(workers=2, split_bytes=300) as service:
        for at in (200 * 20 + 3, 200 * 20 + 10, 200 * 20 + 13, 20 * 20 + 1, 399 * 20 + 14):
            damaged = bytearray(whole)
            damaged[at] ^= 64
            path.write_bytes(damaged)
            dataset = hr.TFRecordDataset([str(path)] * 2).map(lambda record: int(record)).batch(16)
            expected = outcomes(dataset.iterate(0))
            assert errors(expected) == {hr.DataLossError}
            with service.iterate(dataset) as iterator:
                same(outcomes(iterator), expected)


def test_bytes_that_are_no_image(alike: Alike, tmp_path: Path) -> None:
    path = str(tmp_path / "images.tfrecord")
    good = (DATA / "images" / "baseline_420.jpg").read_bytes()
    with hr.io.TFRecordWriter(path) as writer:
        for content in (good, b"no image", good[:300], b"", good):
            writer.write(content)
    found = alike(hr.TFRecordDataset(path).map(lambda content: hr.image.decode_and_resize(content, (8, 8))))
    assert kinds(found)[1:4] == [hr.InvalidArgumentError] * 3
    assert path in found[1][1]


def test_a_function_that_cannot_be_sent_is_refused_when_iteration_is_asked_for(service: hr.Service) -> None:
    lock = threading.Lock()

    def guarded(x: Any) -> Any:
        with lock:
            return x

    with pytest.raises(hr.InvalidArgumentError, match=r"guarded.* cannot be sent to workers.*lock") as caught:
        service.iterate(hr.Dataset.range(3).map(guarded))
    assert "inside the function" in str(caught.value)
    with service.iterate(hr.Dataset.range(3)) as iterator:
        assert list(iterator) == [0, 1, 2]


class Unloadable:
    """Pickles well, and cannot be unpickled."""

    def __reduce__(self) -> Any:
        return _refuse_to_load, ()

    def __call__(self, x: Any) -> Any:
        return x


def _refuse_to_load() -> Any:
    raise RuntimeError("not on this machine")


def test_a_function_that_workers_cannot_load_fails_where_it_is_called(service: hr.Service) -> None:
    with (
        service.iterate(hr.Dataset.range(3).map(Unloadable())) as iterator,
        pytest.raises(hr.FunctionError, match="cannot be loaded here: RuntimeError: not on this machine"),
    ):
        next(iterator)


def test_an_error_is_told_while_other_jobs_go_on(service: hr.Service, outcomes: Outcomes) -> None:
    with (
        service.iterate(hr.Dataset.range(8).map(raising)) as failing,
        service.iterate(hr.Dataset.range(8)) as sound,
    ):
        assert next(sound) == 0
        assert len(kinds(outcomes(failing))) == 8
        assert list(sound) == list(range(1, 8))
