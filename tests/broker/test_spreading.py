"""What one worker reads is handed along to others for its functions, and nobody can tell."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.broker.spreading import SpreadStream
from tests.players import LOCAL, SHARED, Player, played

COUNT = 60


def noisy(x: Any, rng: np.random.Generator) -> Any:
    """Another result for each operator, pass and element: a wrong identity shows."""
    return (x, rng.integers(1000))


def noisier(x: Any, y: Any, rng: np.random.Generator) -> Any:
    return (x, y * 1000 + rng.integers(1000))


def kept(x: Any, y: Any) -> bool:
    return bool(y % 3)


def fussy(x: Any) -> Any:
    if len(str(x)) % 2 and str(x)[-2] in "37":
        raise ValueError(f"bad {x!r}")
    return x


def counted() -> Any:
    return iter(range(COUNT))


def unlike() -> Any:
    """Elements that do not lie in one block."""
    return ((b"%d" % i if i % 5 < 2 else i) for i in range(COUNT))


def files(folder: Path) -> list[str]:
    """Compressed: whole, damaged in its fourth record, cut off, empty, and whole again; and none."""
    paths = [str(folder / f"{i}.gz") for i in range(5)]
    for i, path in enumerate(paths):
        with hr.io.TFRecordWriter(path) as writer:
            for k in range(0 if i == 3 else 12):
                writer.write(b"x" * ((i + k) % 7) + b"%d of %d" % (k, i))
        content = bytearray(Path(path).read_bytes())
        if i == 1:
            content[3 * 16 + 22 + 12 + 12] ^= 1  # in the data of a record: what comes behind can be read
        packed = gzip.compress(bytes(content))
        Path(path).write_bytes(packed[:-20] if i == 2 else packed)
    return [*paths, str(folder / "none.gz")]


def table(folder: Path) -> list[str]:
    path = folder / "a.csv"
    path.write_text("".join(f'{i},"a, ""line""\nof {i}"\n' if i != 7 else "seven,x\n" for i in range(40)))
    return [str(path)]


PIPELINES: dict[str, Callable[[Path], Dataset]] = {
    "a generator": lambda _: Dataset.from_generator(counted).map(noisy),
    "unlike elements": lambda _: Dataset.from_generator(unlike).map(fussy).map(noisy).shuffle(7),
    "passes": lambda _: Dataset.from_generator(counted).map(noisy).filter(kept).repeat(2).shuffle(9).batch(4),
    "files": lambda at: hr.TFRecordDataset(files(at), "GZIP").map(noisy).shuffle(9),
    "files that fail": lambda at: hr.TFRecordDataset(files(at), "GZIP").map(fussy).filter(len).map(noisy),
    "failures ignored": lambda at: hr.TFRecordDataset(files(at), "GZIP").map(fussy).ignore_errors().map(noisy),
    "shuffled names": lambda at: (
        hr.TextLineDataset(Dataset.from_tensor_slices(files(at)[:1] * 6).shuffle(4), "GZIP").map(noisy).take(50)
    ),
    "a table": lambda at: hr.CsvDataset(table(at), [np.int64, bytes]).map(lambda i, text: (text, i)).map(noisier),
    "branches": lambda at: Dataset.zip(
        Dataset.from_generator(counted).map(noisy), hr.TFRecordDataset(files(at), "GZIP").map(noisy).shuffle(5)
    ).shuffle(4),
    "lengths": lambda at: (
        hr.TFRecordDataset(files(at), "GZIP")
        .map(lambda text: np.frombuffer(text, np.uint8))
        .bucket_by_sequence_length(len, [9, 11], [3, 2, 4])
    ),
}


@pytest.fixture(params=PIPELINES)
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return PIPELINES[request.param](tmp_path)


def test_elements_failures_and_identities_are_those_of_one_run(dataset: Dataset) -> None:
    whole = played(dataset).take()
    assert len(whole) >= 10
    for seed in range(3):
        player = played(dataset, SHARED, seed)
        given = player.take(1)
        assert any(isinstance(each, SpreadStream) for each in player.lanes)
        assert given + player.take() == whole
        assert len(player.store) == 0, "all that was read was let go"


@pytest.mark.parametrize(
    ("before", "after"), [(LOCAL, SHARED), (SHARED, LOCAL), (SHARED, SHARED)], ids=["to lanes", "from lanes", "lanes"]
)
def test_it_goes_on_wherever_it_was_saved(dataset: Dataset, before: bool, after: bool) -> None:
    straight = played(dataset)
    whole = straight.take()
    cut, second = sorted(np.random.default_rng(len(whole) + before).integers(0, len(whole) + 1, 2).tolist())
    one, two, three = played(dataset, before, 1), played(dataset, after, 2), played(dataset, before, 3)
    given = one.take(cut)
    filtered = saved_in(one, two)
    given += two.take(second - cut)
    filtered += saved_in(two, three)
    assert given + three.take() == whole, f"saved at {cut} and at {second}"
    assert filtered + three.filtered == straight.filtered
    assert len(three.store) == 0


def saved_in(one: Player, other: Player) -> int:
    """The other goes on where the one stands, when all that can be computed ahead is; what that left out by then."""
    while one.work():
        pass
    other.restore(one.saved())
    return one.filtered


def test_what_is_under_way_is_told_by_where_to_read_on() -> None:
    dataset = Dataset.from_generator(counted).map(noisy)
    one, here = played(dataset, SHARED, most=1), played(dataset, LOCAL, most=1)
    one.take(7)
    here.take(7)
    while one.work():
        pass
    state = one.saved()
    assert sum(lane.count for stream in one.lanes for lane in stream.by_split.values()) > 3, "some is under way"
    assert state["held"]["count"] == 0
    assert [lane["work"][:4] for lane in state["operator"]["lanes"]] == [
        lane["work"][:4] for lane in here.saved()["operator"]["lanes"]
    ]


def test_what_is_too_large_to_be_handed_along_fails_by_itself_in_process_too(enforced: Callable[..., None]) -> None:
    enforced(element_bytes=2000)
    sizes = Dataset.from_generator(lambda: (b"x" * (2001 if i % 9 == 4 else i) for i in range(COUNT)))
    for dataset in (sizes, sizes.map(len)):
        whole = played(dataset, most=1).take()
        assert len(whole) == COUNT
        failed = [at for at, each in enumerate(whole) if isinstance(each, str)]
        assert failed == list(range(4, COUNT, 9))
        assert played(dataset, SHARED, 3).take() == whole


def largest(piece: int, size: int, count: int = 700) -> int:
    """The most elements in one lease, where so many make a piece, of so many bytes each."""
    dataset = Dataset.from_generator(lambda: iter(range(count))).map(lambda x: np.full(size, x, np.uint8))
    player, found = played(dataset, SHARED, piece=piece, most=64), 0
    while player.take(1):
        lanes = (lane for stream in player.lanes for lane in stream.by_split.values())
        found = max(found, *(lane.count for lane in lanes), 0)
    return found


def test_leases_are_small_where_functions_are_slow_or_what_they_give_is_large() -> None:
    assert largest(1000, 1) >= 128
    assert 2 <= largest(2, 1) <= 16
    assert 2 <= largest(1000, 1 << 20, 40) <= 4


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda at: Dataset.from_generator(counted), "no function"),
        (lambda at: Dataset.from_generator(counted).filter(bool), "a predicate alone"),
        (lambda at: hr.TFRecordDataset(files(at)[:1]).map(noisy), "a file that is cut into splits"),
        (lambda at: Dataset.range(9).map(noisy), "rows"),
    ],
)
def test_what_gains_nothing_by_it_stays_where_it_is_read(
    make: Callable[[Path], Dataset], told: str, tmp_path: Path
) -> None:
    player = played(make(tmp_path), SHARED)
    player.take(1)
    assert not any(isinstance(each, SpreadStream) for each in player.lanes), told
