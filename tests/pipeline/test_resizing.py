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
    (name, key, each["args"])
    for name, entry in INDEX.items()
    if name.endswith((".jpg", ".png"))
    for key, each in entry["arrays"].items()
    if each["call"] == "resize of pixels"
]
RAMP = dict(np.load(IMAGES / "resize_ramp.npz"))


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", compress_level=0)
    return file.getvalue()


@pytest.mark.parametrize(("name", "key", "arguments"), GOLDEN)
def test_photographs_are_resized_as_tensorflow_does(name: str, key: str, arguments: dict[str, Any]) -> None:
    arrays = np.load(IMAGES / f"{name}.npz")
    actual = resize(arrays["pixels"], **arguments)
    assert actual.dtype == arrays[key].dtype
    if arguments["method"] == "nearest":
        np.testing.assert_array_equal(actual, arrays[key])
    else:
        # TensorFlow rounds the edges of areas to float32.
        np.testing.assert_allclose(actual, arrays[key], rtol=0, atol=3e-3 if arguments["method"] == "area" else 1e-3)


@pytest.mark.parametrize("key", [key for key in RAMP if key.startswith("nearest")])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "int64", ">u2", "bool", "float64"])
def test_nearest_pixels_are_tensorflows_and_keep_their_dtype(key: str, dtype: str) -> None:
    ramp, width = RAMP["input"], len(RAMP[key])
    actual = resize(np.stack([ramp[0], ramp[0]]).astype(dtype), (4, width), "nearest", antialias="antialias" in key)
    assert actual.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(actual, np.broadcast_to(RAMP[key].astype(dtype)[:, None], (4, width, 1)))


@pytest.mark.parametrize("key", [key for key in RAMP if not key.startswith(("nearest", "input"))])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int64", "float64", ">u2", "bool"])
def test_a_ramp_is_resized_as_tensorflow_does(key: str, dtype: str) -> None:
    ramp = RAMP["input"] if dtype != "bool" else RAMP["input"] % 2
    width = len(RAMP[key])
    method = key.partition("_")[0]
    actual = resize(ramp.astype(dtype), (1, width), method, antialias="antialias" in key)
    assert actual.shape == (1, width, 1)
    if dtype != "bool":
        np.testing.assert_allclose(actual[0, :, 0], RAMP[key], rtol=0, atol=1e-6)
    else:
        expected = resize(ramp.astype(np.float32), (1, width), method, antialias="antialias" in key)
        np.testing.assert_array_equal(actual, expected)


def overlaps(size_in: int, size_out: int) -> NDArray[np.float64]:
    """How much of each new pixel each old one covers, [size_out, size_in], from their edges."""
    new, old = np.arange(size_out)[:, None] * size_in / size_out, np.arange(size_in)[None]
    covered = np.minimum(new + size_in / size_out, old + 1) - np.maximum(new, old)
    fractions: NDArray[np.float64] = np.maximum(covered, 0) * size_out / size_in
    return fractions


@settings(max_examples=100, deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_area_is_the_mean_of_what_lies_under_each_pixel(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = noise(*shape, 3)
    expected = np.einsum("yi,xj,ijc->yxc", overlaps(shape[0], size[0]), overlaps(shape[1], size[1]), image)
    np.testing.assert_allclose(resize(image, size, "area"), expected, rtol=0, atol=1e-3)
    assert np.abs(decode_and_resize(png(image), size, method="area") - expected).max() <= 0.5 + 1 / 30


@settings(max_examples=100, deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_nearest_takes_the_pixel_under_each_centre(shape: tuple[int, int], size: tuple[int, int]) -> None:
    taken = resize(np.moveaxis(np.indices(shape), 0, -1), size, "nearest")
    for axis, indices in ((0, taken[:, :1, 0]), (1, taken[:1, :, 1])):
        # Twice the centre, so that all is whole numbers. One on an edge between pixels may be either's in float32.
        exact, rest = np.divmod((2 * np.arange(size[axis]) + 1) * shape[axis], 2 * size[axis])
        off = exact - indices.ravel()
        assert ((off == 0) | ((off == 1) & (rest == 0))).all()
        np.testing.assert_array_equal(taken[..., axis], np.broadcast_to(indices, size))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nearest_bytes_are_those_of_the_image(channels: int) -> None:
    image = noise(50, 40, channels)
    expected = resize(image, (33, 70), "nearest")
    np.testing.assert_array_equal(decode_and_resize(png(image), (33, 70), False, channels, "nearest"), expected)


@pytest.mark.parametrize("method", ["bilinear", "area"])
def test_thousands_of_small_weights_lose_nothing(method: str) -> None:
    image = np.zeros((1, 40_000, 1), np.uint8)
    image[:, 10_000:30_000] = 255
    expected = float(resize(image, (1, 1), method, antialias=True)[0, 0, 0])
    assert expected == pytest.approx(255 * (1 / 2 if method == "area" else 7 / 12), abs=0.05)
    assert abs(decode_and_resize(png(image), (1, 1), True, 1, method)[0, 0, 0] - expected) <= 0.55


def test_a_batch_is_its_images() -> None:
    batch = noise(3, 20, 31, 2)
    expected = [resize(image, (7, 40), antialias=True) for image in batch]
    np.testing.assert_array_equal(resize(batch, (7, 40), antialias=True), expected)
    assert resize(batch[:0], (7, 40)).shape == (0, 7, 40, 2)
    np.testing.assert_array_equal(
        resize(batch, (7, 40), "nearest"), [resize(each, (7, 40), "nearest") for each in batch]
    )


def test_a_slice_is_resized_as_its_copy_is() -> None:
    image = noise(40, 50, 4)[::2, 5:-5, :3]
    for method in ("bilinear", "area", "nearest"):
        np.testing.assert_array_equal(resize(image, (9, 9), method), resize(image.copy(), (9, 9), method))


def test_the_same_size_gives_the_same_pixels_in_memory_of_their_own() -> None:
    image = noise(5, 6, 3).astype(np.float32)
    for method in ("bilinear", "area", "nearest"):
        same = resize(image, (5, 6), method)
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
        (noise(4, 4, 3), (2, 2), "gaussian", "method='gaussian' is not supported: there is 'bilinear', 'bicubic', 'l"),
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
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos3", "area"])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (300, 200)])
def test_one_colour_stays_that_colour(size: tuple[int, int], method: str, antialias: bool) -> None:
    for level in (0, 1, 254, 255):
        contents = png(np.full((61, 47, 3), level, np.uint8))
        assert (decode_and_resize(contents, size, antialias, method=method) == level).all()


@pytest.mark.parametrize(
    ("method", "pillows"), [("bicubic", Image.Resampling.BICUBIC), ("lanczos3", Image.Resampling.LANCZOS)]
)
@pytest.mark.parametrize("size", [(224, 224), (500, 33), (427, 64), (600, 700)])
def test_sharper_filters_are_pillows_for_floats_rounded_and_end_at_black_and_white(
    method: str, pillows: Image.Resampling, size: tuple[int, int]
) -> None:
    photo = read_file(IMAGES / "camera_photo.jpg")
    channels = np.moveaxis(decode_jpeg(photo).astype(np.float32), -1, 0)
    expected = np.stack([np.asarray(Image.fromarray(each).resize(size[::-1], pillows)) for each in channels], -1)
    assert expected.min() < 0
    assert expected.max() > 255
    actual = decode_and_resize(photo, size, antialias=True, method=method)
    np.testing.assert_allclose(actual, np.clip(expected, 0, 255), rtol=0, atol=0.51)


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


def test_an_unknown_method_is_refused_before_anything_is_decoded() -> None:
    with pytest.raises(InvalidArgumentError, match="method='gaussian' is not supported"):
        decode_and_resize(b"no image", (4, 4), method="gaussian")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"II*\0....", "not a JPEG, PNG, GIF, BMP or WebP: .* which is TIFF"),
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
        area = decode_and_resize(photo, size, method="area")
        digest.update(area.tobytes() + resize(area, (100, 101), "area").tobytes())
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


@pytest.mark.parametrize(
    ("width", "channels"), [(63, 1), (64, 1), (65, 1), (21, 3), (22, 3), (16, 4), (17, 4), (44, 3)]
)
@pytest.mark.parametrize("size", [(15, 16), (16, 15), (16, 16), (17, 17), (33, 6), (16, 5)])
def test_rows_that_just_fill_a_register_are_resized_to_their_ends(
    width: int, channels: int, size: tuple[int, int]
) -> None:
    image = noise(23, width, channels)
    for antialias in (False, True):
        actual = decode_and_resize(png(image), size, antialias, channels).astype(np.float64)
        assert np.abs(actual - resize(image, size, antialias=antialias)).max() <= 0.5 + 1 / 30
