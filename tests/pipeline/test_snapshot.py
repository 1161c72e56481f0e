"""snapshot: what passes is kept in files, and read in the passes that follow, to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset

from .resuming import resumes_everywhere

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Any], list[Any]]


def marked(path: Path) -> Callable[..., Any]:
    """A function of elements that leaves a byte in a file for each of its calls, whatever process makes it."""
    name = str(path)

    def call(x: Any, rng: Any) -> Any:
        with open(name, "ab") as file:  # noqa: PTH123
            file.write(b".")
        return {"x": x, "text": str(x).encode() * 2, "drawn": rng.integers(1 << 30)}

    return call


def failing(x: Any) -> Any:
    if x == 4:
        raise ValueError("no four")
    return x


def finished(folder: Path) -> int:
    """How many snapshots are believed."""
    return len(list(folder.rglob("headrace.json")))


def numbers(dataset: Any) -> list[int]:
    return [int(each) for each in dataset]


def test_every_epoch_gives_what_the_first_gave_and_computes_nothing_more(run: Run, same: Same, tmp_path: Path) -> None:
    def made(folder: Path) -> Dataset:
        computed = Dataset.range(40).shuffle(10, seed=3).map(marked(tmp_path / "calls"))
        kept = computed.snapshot(folder / "plain").repeat(2).shuffle(5, seed=1)
        packed = Dataset.range(40).snapshot(folder / "packed", "GZIP").repeat(2)
        return Dataset.zip(kept, packed).with_options(hr.Options(seed=2))

    found = run(made(tmp_path / "one"), epochs=2)
    assert len((tmp_path / "calls").read_bytes()) == 40
    assert finished(tmp_path / "one") == 2
    same(run(made(tmp_path / "one")), found[:1])  # another Dataset, of the same pipeline
    assert len((tmp_path / "calls").read_bytes()) == 40
    assert repr(found[0]) != repr(found[1])  # the shuffle behind it goes on
    computed = made(tmp_path / "two")
    same([list(computed.iterate(epoch)) for epoch in (1, 0)], found[::-1])


def test_files_are_chosen_by_a_function_and_read_as_another_says(run: Run, tmp_path: Path) -> None:
    spread = Dataset.range(9).map(lambda x: x + 0).snapshot(tmp_path / "spread", shard_func=lambda x: x % 3)
    in_turn = Dataset.range(9).snapshot(
        tmp_path / "in turn",
        shard_func=lambda x: x // 3,
        reader_func=lambda files: files.interleave(lambda file: file, cycle_length=3),
    )
    first, second = run(Dataset.zip(spread, in_turn), epochs=2)
    assert first == [(i, i) for i in range(9)]
    order = [0, 3, 6, 1, 4, 7, 2, 5, 8]
    assert second == list(zip(order, order, strict=True))
    assert len(list(tmp_path.rglob("*.tfrecord"))) == 6


def test_a_pass_that_is_not_whole_keeps_nothing(run: Run, outcomes: Outcomes, tmp_path: Path) -> None:
    part = Dataset.range(9).snapshot(tmp_path / "part").take(8)
    nested = Dataset.range(1).flat_map(lambda x: Dataset.range(2).snapshot(str(tmp_path / "nested")))
    assert run(part.concatenate(nested), epochs=2) == [[*range(8), 0, 1]] * 2
    assert list(tmp_path.rglob("*.json")) == list(tmp_path.rglob("*.tfrecord")) == []
    whole = Dataset.range(9).snapshot(tmp_path / "whole").take(9)
    good = Dataset.range(6).map(failing).ignore_errors().snapshot(tmp_path / "good")
    assert run(whole.concatenate(good)) == [[*range(9), 0, 1, 2, 3, 5]]
    assert finished(tmp_path) == 2
    assert len(whole) == 9


def test_a_failure_comes_again_in_each_pass(outcomes: Outcomes, service: hr.Service, tmp_path: Path) -> None:
    bad = Dataset.range(6).map(failing).snapshot(tmp_path)
    for found in (outcomes(iter(bad)), outcomes(iter(bad))):
        assert [each for each in found if not isinstance(each, tuple)] == [0, 1, 2, 3, 5]
        assert found[4][0] is hr.FunctionError
    assert finished(tmp_path) == 0
    assert list(tmp_path.rglob("*.tfrecord")) == []


def test_another_pipeline_keeps_its_own(tmp_path: Path) -> None:
    def kept(dataset: Dataset, seed: int = 1) -> list[int]:
        return numbers(dataset.snapshot(tmp_path).with_options(hr.Options(seed=seed)))

    assert kept(Dataset.range(4)) == [0, 1, 2, 3]
    assert kept(Dataset.range(5)) == [0, 1, 2, 3, 4]
    assert kept(Dataset.range(5).map(lambda x: x + 1)) == [1, 2, 3, 4, 5]
    assert kept(Dataset.range(5).map(lambda x: x + 2)) == [2, 3, 4, 5, 6]
    one, two = (kept(Dataset.range(30).shuffle(30), seed) for seed in (1, 2))
    assert one != two
    assert finished(tmp_path) == 6
    assert kept(Dataset.range(30).shuffle(30), 1) == one
    assert finished(tmp_path) == 6


def test_writing_that_has_not_ended_is_not_believed_and_the_first_to_end_is(tmp_path: Path) -> None:
    def made() -> Dataset:
        return Dataset.range(6).map(lambda x: x * x).snapshot(tmp_path)

    slow = iter(made())
    begun = numbers(islice(slow, 3))
    assert len(list(tmp_path.rglob("*.tfrecord"))) == 1
    assert finished(tmp_path) == 0
    assert numbers(made()) == [0, 1, 4, 9, 16, 25]
    assert finished(tmp_path) == 1
    assert begun + numbers(slow) == [0, 1, 4, 9, 16, 25]
    assert len(list(tmp_path.rglob("*.tfrecord"))) == 1
    (folder,) = tmp_path.iterdir()
    (folder / "run-0123456789abcdef").mkdir()  # of a process that was killed
    (folder / "headrace.json").write_text("{}")  # damaged: computed and kept anew
    for _ in range(2):
        assert numbers(made()) == [0, 1, 4, 9, 16, 25]
        assert len(list(tmp_path.rglob("run-*"))) == 1
        assert (folder / "headrace.json").stat().st_size > 2


def test_what_cannot_be_written_is_told_and_computed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    dataset = Dataset.range(3).snapshot(tmp_path / "file" / "below")
    assert [numbers(dataset), numbers(dataset)] == [[0, 1, 2], [0, 1, 2]]
    told = capsys.readouterr().err
    assert "nothing is kept by snapshot" in told
    assert str(tmp_path / "file") in told


@pytest.mark.parametrize("kept", [False, True])
def test_an_epoch_goes_on_from_every_element(
    kept: bool, service: hr.Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def made() -> Dataset:
        # What fails is never kept, so that every pass is computed.
        source = Dataset.range(14) if kept else Dataset.range(14).map(failing)
        return source.shuffle(5, seed=2).snapshot(tmp_path).shuffle(4, seed=1).batch(3)

    if kept:
        list(made().with_options(hr.Options(seed=4)))
    found = resumes_everywhere(made, service, monkeypatch)
    assert finished(tmp_path) == kept
    good = [int(x) for each in found if isinstance(each, np.ndarray) for x in each]
    assert sorted(good) == [x for x in range(14) if kept or x != 4]


def test_a_token_goes_on_as_its_epoch_began(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from headrace.pipeline import local_run

    monkeypatch.setattr(local_run, "LEAST_S", 0)
    monkeypatch.setattr(local_run, "SHARE", 0)
    dataset = Dataset.range(12).shuffle(12, seed=1).snapshot(tmp_path).batch(2)
    expected = [each.tolist() for each in dataset.iterate(0)]
    rmtree(tmp_path)
    computing = dataset.iterate(0)
    before = [each.tolist() for each in islice(computing, 3)]
    token = computing.state_dict()
    computing.close()
    assert finished(tmp_path) == 0
    list(dataset)
    assert finished(tmp_path) == 1
    again = dataset.iterate(0)
    again.load_state_dict(token)
    assert before + [each.tolist() for each in again] == expected
    reading = dataset.iterate(1)
    next(reading), next(reading)
    token = reading.state_dict()
    for each in tmp_path.rglob("*.tfrecord"):
        each.write_bytes(each.read_bytes()[:-1] + b"!")
    with pytest.raises(hr.FailedPreconditionError, match="not the same here"):
        dataset.iterate(1).load_state_dict(token)


def test_two_jobs_at_once_keep_one_and_give_the_same(service: hr.Service, tmp_path: Path) -> None:
    dataset = Dataset.range(300).map(lambda x: x + 1).snapshot(tmp_path).batch(3)
    with service.iterate(dataset) as one, service.iterate(dataset, name="two") as two:
        found = [(a.tolist(), b.tolist()) for a, b in zip(one, two, strict=True)]
    assert all(a == b for a, b in found)
    assert sum((a for a, _ in found), []) == list(range(1, 301))  # noqa: RUF017
    assert finished(tmp_path) == 1
    assert len(list(tmp_path.rglob("*.tfrecord"))) == 1


def test_wrong_arguments_are_refused_by_name() -> None:
    dataset = Dataset.range(3)
    with pytest.raises(hr.InvalidArgumentError, match="unknown compression 'SNAPPY'"):
        dataset.snapshot("kept", compression="SNAPPY")
    with pytest.raises(hr.InvalidArgumentError, match="must name a folder"):
        dataset.snapshot("")
    with pytest.raises(hr.InvalidArgumentError, match="snapshot: reader_func needs a Dataset, not int"):
        dataset.snapshot("kept", reader_func=lambda files: 3)  # type: ignore[arg-type, return-value]
    with pytest.raises(hr.InvalidArgumentError, match="shard_func needs a function"):
        dataset.snapshot("kept", shard_func=3)  # type: ignore[arg-type]
