"""The demo's shards: deterministic, kept, whole, rightly labelled."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import headrace as hr
from headrace.demo.photos import PHOTOGRAPHS, Photograph
from headrace.demo.shards import Shards, prepare_shards
from headrace.demo.training import held_back_data, training_data
from headrace.pipeline.schema.example_pb2 import Example

GREEN = 100


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Photograph]:
    """Three one-coloured pictures in a package; each has more green in its held-back rows, and its label in the red."""
    package = tmp_path / "site" / "pictures"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for label in range(3):
        pixels = np.full((300, 400, 3), (80 * label, 0, 0), np.uint8)
        pixels[120:210, :, 1] = GREEN
        Image.fromarray(pixels).save(package / f"{label}.png")
    monkeypatch.syspath_prepend(package.parent)
    return [Photograph(str(label), "pictures", "pictures", f"{label}.png", "nobody", "CC0") for label in range(3)]


def contents(shards: Shards) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(shards.folder.iterdir())}


def examples(pattern: str) -> list[tuple[int, NDArray[np.float64]]]:
    """Label and mean colour of every record, read by protobuf and Pillow."""
    found = []
    for record in hr.TFRecordDataset(hr.Dataset.list_files(pattern, shuffle=False)):
        feature = Example.FromString(record).features.feature
        with opened(feature["image"].bytes_list.value[0]) as image:
            found.append((feature["label"].int64_list.value[0], np.asarray(image).mean(axis=(0, 1))))
    return found


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(BytesIO(jpeg))


def test_the_same_number_of_crops_gives_the_same_bytes(tmp_path: Path, photographs: list[Photograph]) -> None:
    first, second = (prepare_shards(tmp_path / name, 40, photographs) for name in ("a", "b"))
    assert contents(first) == contents(second)
    assert len(list(first.folder.glob("train-*-of-00016.tfrecord"))) == 16


def test_shards_are_kept_between_runs(tmp_path: Path, photographs: list[Photograph]) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        prepare_shards(tmp_path, 20, photographs, lambda done, total: told.append((done, total)))
    assert told == [(done, 24) for done in range(1, 25)]


def test_another_number_of_crops_makes_other_shards(tmp_path: Path, photographs: list[Photograph]) -> None:
    assert prepare_shards(tmp_path, 20, photographs).folder != prepare_shards(tmp_path, 40, photographs).folder


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, photographs: list[Photograph]) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_shards(tmp_path / "data", 20, photographs, interrupt)
    assert list((tmp_path / "data").iterdir()) == []


def test_labels_name_the_photograph_and_held_back_crops_share_no_pixel(
    tmp_path: Path, photographs: list[Photograph]
) -> None:
    shards = prepare_shards(tmp_path, 60, photographs)
    train, held_back = examples(shards.train), examples(shards.held_back)
    assert (len(train), len(held_back)) == (60, 12)
    for found, green in ((train, False), (held_back, True)):
        for label, colour in found:
            assert label == round(float(colour[0]) / 80), "brightness varies by a fifth, labels are further apart"
            assert (colour[1] > GREEN / 2) == green
    assert {label for label, _ in train} == {0, 1, 2}


def test_the_pipeline_delivers_small_pictures_and_labels(tmp_path: Path, photographs: list[Photograph]) -> None:
    shards = prepare_shards(tmp_path, 130, photographs)
    batches = list(training_data(shards.train))
    assert [(images.shape, images.dtype.name, labels.dtype.name) for images, labels in batches] == [
        ((64, 64, 64, 3), "uint8", "int64")
    ] * 2
    assert sum(len(labels) for _, labels in held_back_data(shards.held_back)) == 26


def test_held_back_pictures_are_the_same_in_every_run(tmp_path: Path, photographs: list[Photograph]) -> None:
    shards = prepare_shards(tmp_path, 40, photographs)
    (first, labels), (second, again) = (next(iter(held_back_data(shards.held_back))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(labels, again)


def test_every_photograph_is_found_in_its_package() -> None:
    assert [photograph.open().mode for photograph in PHOTOGRAPHS] == ["RGB"] * len(PHOTOGRAPHS)
    assert len({photograph.name for photograph in PHOTOGRAPHS}) == len(PHOTOGRAPHS)


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    missing = Photograph("x", "not-installed", "not_installed", "x.png", "nobody", "CC0")
    with pytest.raises(hr.NotFoundError, match=r"package not-installed is missing: pip install 'headrace\[demo\]'"):
        missing.open()
