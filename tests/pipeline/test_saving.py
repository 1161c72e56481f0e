"""save and load: what is written comes back, also after an interruption, from everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline import manifest

from .resuming import resumes_everywhere

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Any], list[Any]]


def people(count: int = 20) -> Dataset:
    """Dicts of a number, a text, and numbers of which there are more and more."""
    return Dataset.range(count).map(lambda i: {"id": i, "name": f"p{i}", "scores": np.arange(i % 4, dtype=np.float32)})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders in which `people` were saved in several ways."""
    folder = tmp_path_factory.mktemp("saved")
    people().save(folder / "plain")
    people().save(folder / "packed", compression="GZIP", shard_func=lambda each: each["id"] % 3)
    people().save(folder / "shards", shard_func=lambda each: each["id"] // 7)
    Dataset.range(0).map(lambda i: i).save(folder / "nothing")
    return folder


def test_what_was_saved_comes_back_from_everywhere(run: Run, same: Same, saved: Path) -> None:
    all_of_them = list(people())
    plain, shards, packed, nothing = (Dataset.load(saved / each) for each in ("plain", "shards", "packed", "nothing"))
    joined = plain.concatenate(shards.shard(2, 1)).concatenate(nothing).concatenate(packed.take(9))
    expected = [*all_of_them, *all_of_them[1::2], *(all_of_them[::3] + all_of_them[1::3])[:9]]
    found = run(joined.concatenate(shards.global_shuffle(3)), epochs=2)
    same([each[:-20] for each in found], [expected, expected])
    one, two = ([int(each["id"]) for each in epoch[-20:]] for epoch in found)
    assert sorted(one) == sorted(two) == list(range(20))
    assert one != two


def test_its_number_and_spec_are_known_without_reading(saved: Path) -> None:
    for name in ("plain", "packed", "shards"):
        assert len(Dataset.load(saved / name).batch(6)) == 4
        assert Dataset.load(saved / name).element_spec == {
            "id": hr.TensorSpec((), np.int64),
            "name": hr.TensorSpec((), bytes),
            "scores": hr.TensorSpec((None,), np.float32),
        }
    assert len(Dataset.load(saved / "nothing")) == 0


def test_a_reader_function_gets_a_dataset_for_each_file(run: Run, same: Same, saved: Path) -> None:
    in_turn = Dataset.load(
        saved / "shards", reader_func=lambda files: files.interleave(lambda file: file, cycle_length=3)
    )
    ids = [0, 7, 14, 1, 8, 15, 2, 9, 16, 3, 10, 17, 4, 11, 18, 5, 12, 19, 6, 13]
    people_of = list(people())
    same(run(in_turn), [[people_of[i] for i in ids]])
    backwards = Dataset.load(
        saved / "packed", reader_func=lambda files: files.skip(1).map(lambda file: file).flat_map(lambda file: file)
    )
    same(list(backwards), people_of[1::3] + people_of[2::3])
    files: list[Dataset] = []
    Dataset.load(saved / "shards", reader_func=lambda given: files.append(given) or given)  # type: ignore[func-returns-value]
    assert files[0].element_spec.element_spec["scores"] == hr.TensorSpec((None,), np.float32)
    with pytest.raises(hr.InvalidArgumentError, match="reader_func needs a Dataset, not int"):
        Dataset.load(saved / "shards", reader_func=lambda files: 3)  # type: ignore[arg-type, return-value]


def test_an_epoch_of_what_was_saved_goes_on_from_every_element(
    saved: Path, service: hr.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ids(batch: Any) -> list[int]:
        return [int(each) for each in batch["id"]]

    found = resumes_everywhere(
        lambda: Dataset.load(saved / "shards").map(lambda x: {"id": x["id"]}).shuffle(6).batch(4),
        service,
        monkeypatch,
        ids,
    )
    assert sorted(each for batch in found for each in batch) == list(range(20))


def test_a_service_computes_what_is_saved_here(service: hr.Service, tmp_path: Path, same: Same) -> None:
    dataset = people().shuffle(5, seed=1)
    expected = list(dataset.iterate(0))
    dataset.save(tmp_path / "served", service=service)
    same(list(Dataset.load(tmp_path / "served")), expected)
    same(list(dataset), list(dataset.iterate(1)))  # that was a pass


def test_a_save_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    def failing(x: Any) -> Any:
        if x == 5:
            raise ValueError("no five")
        return x

    dataset = Dataset.range(9).map(failing)
    with pytest.raises(hr.FunctionError, match="no five"):
        dataset.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    Dataset.range(3).save(tmp_path / "old")
    with pytest.raises(hr.FunctionError, match="no five"):
        dataset.save(tmp_path / "old")
    assert list(Dataset.load(tmp_path / "old")) == [0, 1, 2]
    dataset.ignore_errors().save(tmp_path / "old")
    assert list(Dataset.load(tmp_path / "old")) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert len(list((tmp_path / "old").glob("run-*"))) == 1  # and nothing is left of the one before


def test_a_save_that_is_not_finished_is_refused_and_says_so(tmp_path: Path) -> None:
    seen: list[type[BaseException]] = []

    def numbers() -> Iterator[int]:
        for i in range(3):
            with pytest.raises(hr.FailedPreconditionError, match="is not finished") as told:
                Dataset.load(tmp_path / "begun")
            seen.append(told.type)
            yield i

    Dataset.from_generator(numbers, output_types=np.int64).save(tmp_path / "begun")
    assert seen == [hr.FailedPreconditionError] * 3
    assert list(Dataset.load(tmp_path / "begun")) == [0, 1, 2]
    with pytest.raises(hr.NotFoundError, match="nowhere"):
        Dataset.load(tmp_path / "nowhere")
    with pytest.raises(hr.NotFoundError, match="nothing that was saved"):
        Dataset.load(tmp_path)


def test_loading_may_wait_until_a_save_is_finished(tmp_path: Path) -> None:
    found: list[Any] = []
    thread = Thread(target=lambda: found.extend(Dataset.load(tmp_path / "later", wait=True)))
    thread.start()
    Dataset.range(3).save(tmp_path / "later")
    thread.join()
    assert found == [0, 1, 2]


def test_whoever_waits_for_a_save_that_never_comes_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "PATIENCE_S", 0.2)
    with pytest.raises(hr.FailedPreconditionError, match=r"nothing was written for 0 s.*still running"):
        Dataset.load(tmp_path / "never", wait=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda told: told | {"version": 2},
        lambda told: told | {"elements": 21},
        lambda told: told | {"compression": "LZ4"},
        lambda told: told | {"shards": [{"shard": 0, "file": "../other/run-1/0.tfrecord", "records": 20}]},
        lambda told: told | {"spec": {"structure": ["leaf", [], [], ""], "components": [{"dtype": 3, "shape": []}]}},
        lambda told: {},
        lambda told: [],
    ],
)
def test_a_damaged_manifest_is_refused(saved: Path, tmp_path: Path, damage: Callable[[Any], Any]) -> None:
    told = json.loads((saved / "plain" / "headrace.json").read_text())
    (tmp_path / "headrace.json").write_text(json.dumps(damage(told)))
    with pytest.raises(hr.DataLossError, match=r"headrace\.json: does not tell what was saved"):
        Dataset.load(tmp_path)


def test_a_damaged_record_fails_in_its_place(tmp_path: Path, outcomes: Outcomes) -> None:
    Dataset.range(5).save(tmp_path, shard_func=lambda x: 0)
    (file,) = tmp_path.glob("run-*/*.tfrecord")
    content = bytearray(file.read_bytes())
    size = len(content) // 5
    content[2 * size + 20] ^= 1
    file.write_bytes(content)
    hr.io.write_index(str(file))
    found = outcomes(iter(Dataset.load(tmp_path)))
    assert [each for each in found if not isinstance(each, tuple)] == [0, 1, 3, 4]
    kind, text = found[2]
    assert kind is hr.DataLossError
    assert str(file) in text


def test_another_spec_or_compression_is_refused_by_name(saved: Path) -> None:
    spec = Dataset.load(saved / "plain").element_spec
    assert Dataset.load(saved / "plain", spec, compression="").element_spec == spec
    wider = spec | {"scores": hr.TensorSpec(None, np.float32)}
    assert Dataset.load(saved / "plain", wider).element_spec == wider
    with pytest.raises(hr.InvalidArgumentError, match="component id is int32 of shape"):
        Dataset.load(saved / "plain", spec | {"id": hr.TensorSpec((), np.int32)})
    with pytest.raises(hr.InvalidArgumentError, match=r"\['0'\], and .* holds \['id', 'name', 'scores'\]"):
        Dataset.load(saved / "plain", hr.TensorSpec((), np.int64))
    with pytest.raises(hr.InvalidArgumentError, match="saved with compression 'GZIP', not ''"):
        Dataset.load(saved / "packed", compression="")
    with pytest.raises(hr.InvalidArgumentError, match="unknown compression"):
        people().save(saved / "new", compression="LZ4")


def test_elements_of_several_structures_are_saved_and_their_spec_is_looked_for(tmp_path: Path, same: Same) -> None:
    elements = [np.int64(1), b"two", (np.float32(3), b"three")]
    Dataset.range(3).map(lambda i: elements[int(i)]).save(tmp_path)
    same(list(Dataset.load(tmp_path)), elements)
    windows = Dataset.range(5).window(2)
    windows.save(tmp_path)
    assert Dataset.load(tmp_path).element_spec == windows.element_spec
    assert [[int(x) for x in window] for window in Dataset.load(tmp_path)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("shard", [lambda x: -1, lambda x: "a", lambda x: 0.5, lambda x: np.arange(2)])
def test_a_shard_function_gives_a_number_from_0_on(tmp_path: Path, shard: Callable[[Any], Any]) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="must be one whole number"):
        Dataset.range(3).save(tmp_path / "new", shard_func=shard)
    assert not (tmp_path / "new").exists()


def test_what_the_saved_elements_are_is_compared_when_a_token_is_loaded(saved: Path) -> None:
    iterator = iter(Dataset.load(saved / "plain").shuffle(3, seed=1))
    before = list(islice(iterator, 5))
    token = iterator.state_dict()
    again = iter(Dataset.load(saved / "plain").shuffle(3, seed=1))
    again.load_state_dict(token)
    assert sorted(each["id"] for each in [*before, *again]) == list(range(20))
    other = iter(Dataset.load(saved / "shards").shuffle(3, seed=1))
    with pytest.raises(hr.InvalidArgumentError, match="another pipeline"):
        other.load_state_dict(token)
