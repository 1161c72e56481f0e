"""global_shuffle: all elements of what can be counted, in a random order, without a buffer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset

from .resuming import resumes_everywhere

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Callable[[], Dataset]]:
    """Twenty elements of each kind that can be found by number."""
    np.save(tmp_path / "rows.npy", np.arange(40).reshape(20, 2))
    (tmp_path / "fixed").write_bytes(b"head" + bytes(range(40)))
    for name in "ab":
        with hr.io.TFRecordWriter(tmp_path / f"{name}.tfrecord", index=True) as writer:
            for i in range(10):
                writer.write(name.encode() * i)
    files = [str(tmp_path / f"{name}.tfrecord") for name in "ab"]
    return {
        "rows": lambda: Dataset.from_tensor_slices({"a": np.arange(20), "b": [str(i) for i in range(20)]}),
        "range": lambda: Dataset.range(5, 65, 3),
        "indexable": lambda: Dataset.from_indexable([(i, str(i)) for i in range(20)]),
        "mapped": lambda: Dataset.from_tensor_slices(np.load(tmp_path / "rows.npy", mmap_mode="r")),
        "fixed": lambda: hr.FixedLengthRecordDataset([str(tmp_path / "fixed")], 2, header_bytes=4),
        "records": lambda: hr.TFRecordDataset(files, index=True),
        "part": lambda: hr.TFRecordDataset(files * 2, index=True).skip(3).take(37).shard(2, 0),
    }


def plain(element: Any) -> str:
    return repr(element)


@pytest.mark.parametrize("name", ["rows", "range", "indexable", "mapped", "fixed", "records", "part"])
def test_all_elements_come_once_in_another_order_each_epoch(
    run: Run, sources: dict[str, Callable[[], Dataset]], name: str
) -> None:
    whole = sources[name]()
    dataset = whole.global_shuffle(seed=3)
    in_order = [plain(each) for each in whole]
    one, two = ([plain(each) for each in epoch] for epoch in run(dataset, epochs=2))
    assert sorted(one) == sorted(two) == sorted(in_order)
    assert len({tuple(in_order), tuple(one), tuple(two)}) == 3
    assert len(dataset) == len(in_order)
    assert dataset.element_spec == whole.element_spec


def test_the_order_is_the_same_in_every_way_of_running(
    run: Run, sources: dict[str, Callable[[], Dataset]], same: Same
) -> None:
    dataset = Dataset.zip(*(make().global_shuffle(seed=3) for make in sources.values())).repeat(2)
    same(run(dataset, epochs=2), [list(dataset.iterate(epoch)) for epoch in range(2)])


@pytest.mark.parametrize("name", ["mapped", "fixed", "records"])
def test_an_epoch_goes_on_from_every_element(
    sources: dict[str, Callable[[], Dataset]], name: str, service: hr.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = resumes_everywhere(lambda: sources[name]().global_shuffle().shuffle(3).batch(2), service, monkeypatch)
    assert len(found) == 10


def test_the_order_depends_on_seed_and_epoch_as_that_of_shuffle() -> None:
    dataset = Dataset.range(50)
    fixed, fresh = dataset.global_shuffle(5, reshuffle_each_iteration=False), dataset.global_shuffle(5)
    assert list(fixed.iterate(0)) == list(fixed.iterate(1))
    assert list(fresh.iterate(0)) != list(fresh.iterate(1))
    assert list(fresh.iterate(1)) == list(dataset.global_shuffle(5).iterate(1))
    assert list(dataset.global_shuffle().iterate(0)) != list(dataset.global_shuffle().iterate(0))


def test_every_order_is_as_likely_as_another() -> None:
    counts = Counter(tuple(int(x) for x in Dataset.range(4).global_shuffle(seed)) for seed in range(2400))
    assert set(counts) == set(permutations(range(4)))
    # Of 24 orders each is expected 100 times: 49.7 is the 0.999 quantile of chi squared with 23 degrees of freedom.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 49.7


def test_behind_a_map_it_shuffles_what_the_map_gets() -> None:
    before = Dataset.range(30).global_shuffle(1).map(lambda x: 2 * x)
    behind = Dataset.range(30).map(lambda x: 2 * x).prefetch(2).global_shuffle(1)
    assert len(behind) == 30
    assert sorted(map(int, behind.iterate(0))) == list(range(0, 60, 2))
    assert sorted(map(int, before.iterate(0))) == list(range(0, 60, 2))


def test_a_billion_elements_begin_and_go_on_at_once(same: Same) -> None:
    dataset = Dataset.range(10**9).global_shuffle(7)
    iterator = dataset.iterate(0)
    first = list(islice(iterator, 3000))
    token = iterator.state_dict()
    assert len(set(map(int, first))) == 3000
    again = dataset.iterate(1)
    again.load_state_dict(token)
    same(list(islice(again, 10)), list(islice(iterator, 10)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dataset.range(9).filter(lambda x: x > 2),
        lambda: Dataset.range(9).batch(2),
        lambda: Dataset.range(9).enumerate(),
        lambda: Dataset.range(9).repeat(2),
        lambda: hr.TFRecordDataset("a"),
        lambda: hr.TextLineDataset("a").map(len),
        lambda: hr.FixedLengthRecordDataset("a", 3, compression_type="GZIP"),
        lambda: Dataset.from_generator(lambda: iter(range(3))),
    ],
)
def test_what_cannot_be_found_by_number_is_told_with_what_to_do(make: Callable[[], Dataset]) -> None:
    with pytest.raises(hr.InvalidArgumentError, match="needs elements that are found by number") as raised:
        make().global_shuffle()
    assert "shuffle(buffer_size)" in str(raised.value)
    assert "hr.io.write_index(paths)" in str(raised.value)


def test_a_file_of_no_whole_number_of_records_is_told_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(hr.DataLossError, match="5 are left, which is no multiple of record_bytes, 2"):
        len(hr.FixedLengthRecordDataset(str(tmp_path / "a"), 2).global_shuffle())
    with pytest.raises(hr.NotFoundError, match="none: cannot be opened"):
        iter(hr.FixedLengthRecordDataset(str(tmp_path / "none"), 2).global_shuffle())


def test_a_token_of_files_that_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))

    def make() -> Dataset:
        return hr.FixedLengthRecordDataset(str(path), 2).global_shuffle(1)

    iterator = make().iterate(0)
    next(iterator)
    token = iterator.state_dict()
    path.write_bytes(bytes(range(1, 101)))
    with pytest.raises(hr.InvalidArgumentError, match="with other arguments or contents"):
        make().iterate(0).load_state_dict(token)
