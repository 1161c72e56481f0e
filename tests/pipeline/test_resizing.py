"""Resizing, against TensorFlow's results, Pillow's, and itself on another processor."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from headrace.pipeline.decoding import decode_jpeg, decode_png, read_file
from headrace.pipeline.errors import InvalidArgumentError
from headrace.pipeline.resizing import decode_and_resize, resize

IMAGES = Path(__file__).parents[1] / "data" / "images"
INDEX = json.loads((IMAGES / "index.json").read_text())
GOLDEN = [
    (name, key, each["args"]["size"], each["args"]["antialias"])
    for name, entry in INDEX.items()
    if name.endswith((".jpg", ".png"))
    for key, each in entry["arrays"].items()
    if each["call"] == "resize of pixels" and each["args"]["method"] == "bilinear"
]
RAMP = dict(np.load(IMAGES / "resize_ramp.npz"))


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", compress_level=0)
    return file.getvalue()


@pytest.mark.parametrize(("name", "key", "size", "antialias"), GOLDEN)
def test_photographs_are_resized_as_tensorflow_does(name: str, key: str, size: list[int], antialias: bool) -> None:
    arrays = np.load(IMAGES / f"{name}.npz")
    actual = resize(arrays["pixels"], size, antialias=antialias)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, arrays[key], rtol=0, atol=1e-3)


@pytest.mark.parametrize("key", [key for key in RAMP if key.startswith("bilinear")])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int64", "float64", ">u2", "bool"])
def test_a_ramp_is_resized_as_tensorflow_does(key: str, dtype: str) -> None:
    ramp = RAMP["input"] if dtype != "bool" else RAMP["input"] % 2
    width = len(RAMP[key])
    actual = resize(ramp.astype(dtype), (1, width), antialias="antialias" in key)
    assert actual.shape == (1, width, 1)
    if dtype != "bool":
        np.testing.assert_allclose(actual[0, :, 0], RAMP[key], rtol=0, atol=1e-6)
    else:
        np.testing.assert_array_equal(actual, resize(ramp.astype(np.float32), (1, width), antialias="antialias" in key))


def test_a_batch_is_its_images() -> None:
    batch = noise(3, 20, 31, 2)
    expected = [resize(image, (7, 40), antialias=True) for image in batch]
    np.testing.assert_array_equal(resize(batch, (7, 40), antialias=True), expected)
    assert resize(batch[:0], (7, 40)).shape == (0, 7, 40, 2)


def test_a_slice_is_resized_as_its_copy_is() -> None:
    image = noise(40, 50, 4)[::2, 5:-5, :3]
    np.testing.assert_array_equal(resize(image, (9, 9)), resize(image.copy(), (9, 9)))


def test_the_same_size_gives_the_same_pixels_in_memory_of_their_own() -> None:
    image = noise(5, 6, 3).astype(np.float32)
    same = resize(image, (5, 6))
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


def test_infinite_and_missing_values_stay_where_they_are() -> None:
    image = np.array([[[1.0], [2.0], [np.inf], [np.nan]]], np.float32)
    assert resize(image, (1, 2))[0, 0, 0] == 1.5
    np.testing.assert_array_equal(resize(image, (3, 4))[1], image[0])


@pytest.mark.parametrize(
    ("image", "size", "method", "message"),
    [
        (noise(4, 4), (2, 2), "bilinear", r"got shape \(4, 4\)"),
        (noise(4, 0, 3), (2, 2), "bilinear", "no pixels"),
        (np.array([[["a"]]]), (2, 2), "bilinear", "real numbers"),
        (noise(4, 4, 3), (0, 2), "bilinear", "above 0"),
        (noise(4, 4, 3), (2, -2), "bilinear", "above 0"),
        (noise(4, 4, 3), 2, "bilinear", r"size=2 is not \(height, width\)"),
        (noise(4, 4, 3), (2, 2, 2), "bilinear", "is not"),
        (noise(4, 4, 3), (2.5, 2), "bilinear", "whole pixels"),
        (noise(4, 4, 3), (2, 2), "lanczos3", "method='lanczos3' is not supported: there is 'bilinear'"),
    ],
)
def test_what_cannot_be_resized_is_named(image: Any, size: Any, method: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        resize(image, size, method)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from([1, 3, 4]),
    st.booleans(),
)
def test_bytes_are_the_floats_rounded(
    shape: tuple[int, int], size: tuple[int, int], channels: int, antialias: bool
) -> None:
    image = noise(*shape, channels)
    actual = decode_and_resize(png(image), size, antialias, channels).astype(np.float64)
    expected = resize(image, size, antialias=antialias)
    # Half a level of rounding, and a thirty-second of what fixed point may lose.
    assert np.abs(actual - expected).max() <= 0.5 + 1 / 30


@pytest.mark.parametrize("size", [(224, 224), (500, 33), (3, 700), (427, 64)])
def test_antialiased_bytes_are_pillows_within_a_level(size: tuple[int, int]) -> None:
    photo = read_file(IMAGES / "camera_photo.jpg")
    expected = Image.fromarray(decode_jpeg(photo)).resize(size[::-1], Image.Resampling.BILINEAR)
    actual = decode_and_resize(photo, size, antialias=True)
    assert np.abs(actual.astype(int) - np.asarray(expected, int)).max() <= 1


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (300, 200)])
def test_one_colour_stays_that_colour(size: tuple[int, int], antialias: bool) -> None:
    for level in (0, 1, 254, 255):
        assert (decode_and_resize(png(np.full((61, 47, 3), level, np.uint8)), size, antialias) == level).all()


def test_an_extreme_reduction_is_the_mean() -> None:
    image = noise(2000, 1000, 3)
    weights = 1 - np.abs(np.arange(2000) + 0.5 - 1000) / 2000, 1 - np.abs(np.arange(1000) + 0.5 - 500) / 1000
    expected = np.einsum("y,x,yxc->c", weights[0] / weights[0].sum(), weights[1] / weights[1].sum(), image)
    np.testing.assert_allclose(resize(image, (1, 1), antialias=True)[0, 0], expected, atol=1e-2)
    assert np.abs(decode_and_resize(png(image), (1, 1), antialias=True)[0, 0] - expected).max() <= 0.55


def test_channels_and_format_are_found_in_the_bytes() -> None:
    grey, transparent = read_file(IMAGES / "grayscale.jpg"), read_file(IMAGES / "palette_transparent.png")
    assert decode_and_resize(grey, (10, 12)).shape == (10, 12, 3)
    assert decode_and_resize(grey, (10, 12), channels=0).shape == (10, 12, 1)
    assert decode_and_resize(transparent, (10, 12), channels=0).shape == (10, 12, 4)
    np.testing.assert_array_equal(decode_and_resize(transparent, (96, 120)), decode_png(transparent, channels=3))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"GIF89a...", "not a JPEG or PNG: .* which is GIF"),
        (b"", "no bytes"),
        ("a.jpg", "not from str"),
        (b"\xff\xd8\xff", "no complete header"),
    ],
)
def test_what_is_neither_jpeg_nor_png_is_described(contents: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_and_resize(contents, (10, 10))


DIGEST = """
import hashlib
import numpy as np
from headrace.pipeline.resizing import decode_and_resize, resize

photo = open({photo!r}, "rb").read()
digest = hashlib.sha256()
for antialias in (False, True):
    for size in ((224, 224), (500, 333), (31, 700)):
        pixels = decode_and_resize(photo, size, antialias)
        digest.update(pixels.tobytes() + resize(pixels, (100, 101), antialias=antialias).tobytes())
print(digest.hexdigest())
"""


def digest(cpu: dict[str, str]) -> str:
    code = DIGEST.format(photo=str(IMAGES / "camera_photo.jpg"))
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | cpu, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_a_plainer_processor_gives_the_same_bytes(tmp_path: Path) -> None:
    """Kernels compiled without any vector extension beyond the platform's first, in another process."""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "HEADRACE_CACHE_DIR": str(tmp_path)}
    assert digest(plain) == digest({})


def test_threads_resize_to_the_same_bytes() -> None:
    photo = read_file(IMAGES / "camera_photo.jpg")
    sizes = [(height, 224 - height) for height in range(3, 200, 7)]

    def one(size: tuple[int, int]) -> str:
        return hashlib.sha256(decode_and_resize(photo, size, antialias=True).tobytes()).hexdigest()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, sizes)) == [one(size) for size in sizes]
