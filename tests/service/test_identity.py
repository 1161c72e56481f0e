"""One order everywhere: a service gives the bytes that the pipeline gives in process, however many workers it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

from ..daemons import Daemon

Same = Callable[[Any, Any], None]

IMAGES = Path(__file__).parent.parent / "data" / "images"
PHOTOS = ["baseline_420.jpg", "baseline_422.jpg", "baseline_444.jpg", "grayscale.jpg", "progressive.jpg", "rgb.png"]
FEATURES = {"image": hr.io.FixedLenFeature((), bytes), "label": hr.io.FixedLenFeature((), "int64")}
EPOCHS = 2


#: From a name to a service that cuts files every few records, and to what has to be ended with it.
WAYS: dict[str, Callable[[ExitStack], hr.Service]] = {
    "1 worker": lambda ends: ends.enter_context(hr.serve(workers=1, split_bytes=20_000)),
    "2 workers": lambda ends: ends.enter_context(hr.serve(workers=2, split_bytes=20_000)),
    "4 workers": lambda ends: ends.enter_context(hr.serve(workers=4, split_bytes=20_000)),
    "frames only": lambda ends: ends.enter_context(hr.serve(workers=2, split_bytes=20_000, slabs=False)),
    "daemon": lambda ends: of_daemon(ends, Daemon(("--workers=2", "--split=20000"))),
    "daemon, frames only": lambda ends: of_daemon(ends, Daemon(("--workers=2", "--split=20000", "--no-slabs"))),
    "daemon, TCP": lambda ends: of_daemon(ends, Daemon(("--workers=1", "--split=20000"), tcp=True), joined=2),
    "daemon, TCP, frames only": lambda ends: of_daemon(
        ends, Daemon(("--workers=0", "--split=20000", "--no-slabs"), tcp=True), joined=1
    ),
}


def of_daemon(ends: ExitStack, daemon: Daemon, joined: int = 0) -> hr.Service:
    """A service of a server that runs by itself, with workers that joined it from elsewhere."""
    ends.enter_context(daemon)
    if joined:
        daemon.join(joined)
    return ends.enter_context(daemon.connect())


@pytest.fixture(scope="module", params=WAYS)
def cutting(request: pytest.FixtureRequest) -> Iterator[hr.Service]:
    """A service that cuts files every few records."""
    with ExitStack() as ends:
        yield WAYS[request.param](ends)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three files of 40 labelled photographs each."""
    folder = tmp_path_factory.mktemp("shards")
    photos = [(IMAGES / name).read_bytes() for name in PHOTOS]
    paths = [str(folder / f"photos-{shard}.tfrecord") for shard in range(3)]
    for shard, path in enumerate(paths):
        with hr.io.TFRecordWriter(path) as writer:
            for index in range(40):
                number = 40 * shard + index
                writer.write(hr.io.make_example({"image": photos[number % len(photos)], "label": number}))
    return paths


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two files of a thousand lines each, of no to 30 words."""
    folder, draw = tmp_path_factory.mktemp("text"), np.random.default_rng(8)
    paths = [folder / "a.txt", folder / "b.txt"]
    for path in paths:
        lines = (" ".join(f"w{word}" for word in draw.integers(0, 90, draw.integers(0, 30))) for _ in range(1000))
        path.write_text("\n".join(lines))
    return [str(path) for path in paths]


def prepare(record: bytes, rng: np.random.Generator) -> tuple[Any, Any]:
    example = hr.io.parse_single_example(record, FEATURES)
    image = hr.image.decode_and_resize(example["image"], (24, 32))
    return hr.image.random_flip_left_right(image, rng), example["label"]


def not_every_third(image: Any, label: Any) -> bool:
    return bool(label % 3)


def photos(files: Any) -> hr.Dataset:
    """The image pipeline, up to its shuffle."""
    return hr.TFRecordDataset(files).map(prepare).filter(not_every_third).shuffle(30, seed=7)


def ids(line: bytes) -> Any:
    return np.array([int(word[1:]) for word in line.split()], np.int32)


def assert_identical(service: hr.Service, dataset: hr.Dataset, same: Same) -> list[list[Any]]:
    """Two epochs of the service against two passes in process."""
    expected = [list(dataset.iterate(epoch)) for epoch in range(EPOCHS)]
    with service.iterate(dataset) as batches:
        for epoch in range(EPOCHS):
            same(list(batches), expected[epoch])
    return expected


def test_an_image_pipeline(cutting: hr.Service, shards: list[str], same: Same) -> None:
    expected = assert_identical(cutting, photos(shards).batch(16).with_options(hr.Options(seed=3)), same)
    for epoch in expected:
        labels = [int(label) for _, batch in epoch for label in batch]
        assert sorted(labels) == [label for label in range(120) if label % 3]
    assert not np.array_equal(expected[0][0][0], expected[1][0][0])


def test_an_image_pipeline_over_a_shuffled_list_of_files(cutting: hr.Service, shards: list[str], same: Same) -> None:
    pattern = str(Path(shards[0]).with_name("photos-*.tfrecord"))
    assert_identical(cutting, photos(hr.Dataset.list_files(pattern, seed=5)).batch(16, drop_remainder=True), same)


def test_a_text_pipeline_with_padded_batches(cutting: hr.Service, text: list[str], same: Same) -> None:
    dataset = hr.TextLineDataset(text).map(ids).filter(lambda found: len(found) > 0).shuffle(300, seed=1)
    expected = assert_identical(cutting, dataset.padded_batch(32, padding_values=np.int32(-1)), same)
    lines = [line for path in text for line in Path(path).read_text().split("\n") if line]
    assert sum(len(batch) for batch in expected[0]) == len(lines)


def test_repeat_inside(cutting: hr.Service, shards: list[str], text: list[str], same: Same) -> None:
    three_passes = hr.TFRecordDataset(shards[:1]).map(prepare).repeat(3).shuffle(50, seed=7).batch(16)
    (first, _) = assert_identical(cutting, three_passes, same)
    assert sum(len(labels) for _, labels in first) == 120
    assert_identical(cutting, hr.TextLineDataset(text).map(ids).shuffle(40, seed=2).repeat(3).padded_batch(100), same)


def test_a_file_listed_twice(cutting: hr.Service, shards: list[str], same: Same) -> None:
    twice = hr.TFRecordDataset([shards[0], shards[1], shards[0]]).map(prepare)
    (first, _) = assert_identical(cutting, twice.batch(40), same)
    assert np.array_equal(first[0][1], first[2][1])
    assert not np.array_equal(first[0][0], first[2][0]), "the flips of the two passes over the file are their own"
    assert_identical(cutting, twice.shuffle(64, seed=4).batch(16), same)


def test_maps_behind_shuffle_and_behind_batch(cutting: hr.Service, text: list[str], same: Same) -> None:
    def noisy(found: Any, rng: np.random.Generator) -> Any:
        return found + rng.integers(0, 1000, found.shape, np.int32)

    dataset = hr.TextLineDataset(text).map(ids).shuffle(100, seed=1).map(noisy).padded_batch(24).map(noisy)
    assert_identical(cutting, dataset.filter(lambda batch: bool(batch.sum() % 5)).shuffle(7, seed=2), same)


def test_take_and_skip_behind_a_filter(cutting: hr.Service, shards: list[str], same: Same) -> None:
    dataset = hr.TFRecordDataset(shards).map(prepare).filter(not_every_third).skip(11).take(43).repeat(2).batch(10)
    assert_identical(cutting, dataset, same)


def test_structures_of_every_kind(cutting: hr.Service, same: Same) -> None:
    def nest(x: Any) -> Any:
        return {"number": x, "text": (b"%d" % x, "é" * int(x % 4)), "rows": np.full((int(x) % 3, 2), x, np.float32)}

    assert_identical(cutting, hr.Dataset.range(500).map(nest).shuffle(64, seed=1), same)
    assert_identical(cutting, hr.Dataset.range(500).map(nest).padded_batch(33), same)


def test_elements_and_batches_that_are_worth_sharing(cutting: hr.Service, same: Same) -> None:
    def picture(x: Any, rng: np.random.Generator) -> Any:
        return rng.integers(0, 256, (100, 100, 3), np.uint8), x

    dataset = hr.Dataset.range(300).map(picture).shuffle(64, seed=1).batch(16).map(lambda x, y: (x[:, ::-1], y))
    assert_identical(cutting, dataset, same)


def test_compressed_files(cutting: hr.Service, same: Same) -> None:
    folder = IMAGES.parent / "tfrecord"
    for kind in ("GZIP", "ZLIB"):
        path = str(folder / f"examples.{kind.lower()}.tfrecord")
        assert_identical(cutting, hr.TFRecordDataset([path, path], kind).shuffle(5, seed=1), same)


def test_zip_concatenate_enumerate_and_shard(
    cutting: hr.Service, shards: list[str], text: list[str], same: Same
) -> None:
    def noisy(*element: Any, rng: np.random.Generator) -> tuple[Any, ...]:
        return (*element, rng.integers(1 << 62))

    lines = hr.TextLineDataset(text).shuffle(200)
    pairs = hr.Dataset.zip(photos(shards), {"line": lines, "number": lines.enumerate()}).map(noisy)
    expected = assert_identical(cutting, pairs.shuffle(20).take(60), same)
    assert [len(epoch) for epoch in expected] == [60, 60]
    both = lines.map(ids).concatenate(lines.map(ids).shard(3, 2)).map(lambda found: found).enumerate(5).map(noisy)
    assert_identical(cutting, both.skip(100).shuffle(50, seed=1).padded_batch(64), same)


class Squares:
    """As PyTorch's map-style datasets are."""

    def __len__(self) -> int:
        return 3000

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": np.full(index % 5, index), "name": f"item {index}"}


def test_items_of_an_object_in_global_order(cutting: hr.Service, same: Same) -> None:
    def noisy(item: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        return {**item, "noise": rng.random()}

    items = hr.Dataset.from_indexable(Squares())
    expected = assert_identical(cutting, items.shuffle(3000).map(noisy).repeat(2).padded_batch(128), same)
    names = [name for batch in expected[0] for name in batch["name"].tolist()]
    assert sorted(names[:3000]) == sorted(names[3000:]) == sorted(b"item %d" % i for i in range(3000))
    assert names[:3000] != names[3000:]
    assert_identical(cutting, items.shuffle(4000, seed=1).shard(4, 3).enumerate(), same)
