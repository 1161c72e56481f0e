"""Warming: every kernel compiled before anyone waits for it, once on a machine for each version."""

from __future__ import annotations

import fcntl
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from .colours import adjust_hue
from .dataset import Dataset
from .features import FixedLenFeature, VarLenFeature
from .files import CsvDataset, TextLineDataset, TFRecordDataset
from .flipping import flip_left_right
from .kernels.compile import marker
from .making import make_example, make_sequence_example
from .parser import Spec
from .parsing import parse_example, parse_single_example
from .records import TFRecordWriter, scan_records
from .resizing import decode_and_resize, resize
from .rotating import rotate
from .sequence_parsing import parse_single_sequence_example
from .text.casing import lower
from .text.hashing import to_hash_bucket
from .text.splitting import split
from .text.vocabulary import Vocabulary
from .tracks import pack, unpack

__all__ = ["steps", "warm"]


def warm(tell: Callable[[], None] = lambda: None) -> None:
    """Run every kernel once on a little data, so that its machine code lies in the cache folder. Half a minute.

    Nothing where that was done on this machine. Of several processes one does it, and the others wait; `tell` is called
    before either.
    """
    if marker().exists():
        return
    tell()
    with marker().with_name("warming").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with this process, too
        if not marker().exists():
            for _ in steps():
                continue
            marker().touch()


def steps() -> Iterator[None]:
    """The same a little at a time: where the machine code is there already, each step takes a tenth of a second."""
    with tempfile.TemporaryDirectory() as folder:
        for work in (_files, _examples, _texts, _images, _operators):
            work(Path(folder))
            yield


def _each(dataset: Dataset) -> None:
    for _ in dataset:
        continue


def _operators(_: Path) -> None:
    ragged: Callable[..., object] = lambda n: (np.full(n, n), b"text", np.array([b"a"] * n, object))  # noqa: E731
    _each(Dataset.range(8).shuffle(3).batch(2))
    _each(Dataset.from_tensor_slices([1, 2]).map(ragged).shuffle(2).padded_batch(2))
    _each(Dataset.from_indexable(range(1 << 17)).shuffle(1 << 17).take(2))
    _each(Dataset.zip(Dataset.range(2), Dataset.range(2)))
    _each(Dataset.from_tensor_slices(["a", "bb"]).batch(2).map(lambda x: x).batch(1))
    numbers, tracks = np.arange(3), np.zeros(3, np.int64)
    unpack(pack(numbers * numbers, numbers, tracks, 1), numbers, tracks, 1)


def _files(folder: Path) -> None:
    records, lines = str(folder / "a.tfrecord"), folder / "a.txt"
    with TFRecordWriter(records) as writer:
        for size in (3, 100_000):
            writer.write(b"x" * size)
    lines.write_text("one\ntwo\n")
    scan_records(records, 8)
    _each(TFRecordDataset(records))
    _each(TextLineDataset(str(lines)))
    lines.write_text('1,2.5,"a""b"\n')
    _each(CsvDataset(str(lines), [np.int64, np.float32, bytes]))


def _examples(_: Path) -> None:
    example = make_example({"i": [1, 2], "s": b"x", "f": 1.0, "v": [3]})
    features: dict[str, Spec] = {
        "i": FixedLenFeature((2,), "int64"),
        "s": FixedLenFeature((), bytes),
        "f": FixedLenFeature((), "float32"),
        "v": VarLenFeature("int64"),
    }
    parse_single_example(example, features)
    parse_example([example, example], features)
    lists = {"x": VarLenFeature("int64")}
    parse_single_sequence_example(make_sequence_example({}, {"x": [1, 2]}), None, lists)


def _texts(_: Path) -> None:
    vocabulary = Vocabulary(["a", "b"], oov_buckets=2)
    vocabulary(lower("A c"))
    vocabulary.lookup(split("a,c", ","))
    to_hash_bucket("a", 2)
    _each(Dataset.from_tensor_slices(["A b"]).map(split))


def _images(_: Path) -> None:
    pixels = np.zeros((16, 24, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    for antialias in (False, True):
        decode_and_resize(file.getvalue(), (8, 8), antialias=antialias)
        for dtype in (np.uint8, np.uint16, np.float32):
            resize(pixels.astype(dtype), (8, 8), antialias=antialias)
    for method in ("area", "nearest"):
        decode_and_resize(file.getvalue(), (8, 8), method=method)
    decode_and_resize(file.getvalue(), (16, 16))
    flip_left_right(pixels)
    for image in (pixels, pixels.astype(np.float32)):
        adjust_hue(image, 0.5)
        for interpolation in ("bilinear", "nearest"):
            rotate(image, 30, interpolation)


if __name__ == "__main__":
    warm(lambda: print("compiling kernels, once on this machine (about half a minute)", flush=True))
