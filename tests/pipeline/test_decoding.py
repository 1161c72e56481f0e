"""Decoding, against TensorFlow's results and against damage."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from headrace.pipeline import jpeg
from headrace.pipeline.decoding import decode_image, decode_jpeg, decode_png, read_file
from headrace.pipeline.errors import InvalidArgumentError, NotFoundError
from headrace.pipeline.image_bytes import MAX_PIXELS

IMAGES = Path(__file__).parents[1] / "data" / "images"
INDEX = json.loads((IMAGES / "index.json").read_text())
JPEGS = sorted(path.name for path in IMAGES.glob("*.jpg"))
PNGS = sorted(path.name for path in IMAGES.glob("*.png"))


def golden(name: str, call: str) -> list[tuple[str, dict[str, Any]]]:
    """The arrays of a file that `call` made without error, with its arguments."""
    arrays = INDEX[name]["arrays"].items()
    return [(key, each["args"]) for key, each in arrays if each["call"] == call and "error" not in each]


def assert_same(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", sorted(set(JPEGS) - {"cut_short.jpg"}))
def test_a_jpeg_has_the_pixels_that_tensorflow_gives(name: str) -> None:
    arrays = np.load(IMAGES / f"{name}.npz")
    for key, arguments in golden(name, "decode_jpeg"):
        # TensorFlow's default is the fast DCT; ours is the accurate one.
        actual = decode_jpeg(read_file(IMAGES / name), **{"dct_method": "INTEGER_FAST"} | arguments)
        assert_same(actual, arrays[key])


@pytest.mark.parametrize("name", [name for name in JPEGS if "accurate" in INDEX[name]["arrays"]])
def test_the_accurate_dct_is_the_default_with_and_without_simplejpeg(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.load(IMAGES / f"{name}.npz")["accurate"]
    assert_same(decode_jpeg(read_file(IMAGES / name)), expected)
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert_same(decode_jpeg(read_file(IMAGES / name)), expected)


@pytest.mark.parametrize("arguments", [{"channels": 1}, {"channels": 3}, {"ratio": 2}, {"ratio": 8, "channels": 1}])
@pytest.mark.parametrize("name", ["baseline_420.jpg", "grayscale.jpg", "progressive.jpg"])
def test_both_decoders_agree_on_every_argument(
    name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = decode_jpeg(read_file(IMAGES / name), **arguments)
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    assert_same(decode_jpeg(read_file(IMAGES / name), **arguments), expected)


def test_without_simplejpeg_what_pillow_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "simplejpeg", None)
    with pytest.raises(InvalidArgumentError, match="need simplejpeg"):
        decode_jpeg(read_file(IMAGES / "baseline_444.jpg"), fancy_upscaling=False)


def test_cmyk_without_an_adobe_marker_is_not_inverted() -> None:
    photo = read_file(IMAGES / "cmyk.jpg")
    at = photo.index(b"Adobe")
    inverted = decode_jpeg(photo[:at] + b"Adxbe" + photo[at + 5 :])
    image = Image.open(io.BytesIO(photo))
    ink = 255 - np.asarray(image, np.int64)  # Pillow has turned Adobe's values over
    np.testing.assert_array_equal(inverted, (255 - ink[..., :3]) * (255 - ink[..., 3:]) // 255)


def test_a_truncated_jpeg_is_an_error_that_names_the_way_out() -> None:
    photo = read_file(IMAGES / "cut_short.jpg")
    with pytest.raises(InvalidArgumentError, match=r"96 x 120.*truncated.*try_recover_truncated=True"):
        decode_jpeg(photo)


def test_a_truncated_jpeg_can_be_recovered_up_to_where_it_ends() -> None:
    expected = np.load(IMAGES / "cut_short.jpg.npz")["recovered"]
    actual = decode_jpeg(read_file(IMAGES / "cut_short.jpg"), try_recover_truncated=True, dct_method="INTEGER_FAST")
    np.testing.assert_array_equal(actual[:47], expected[:47])  # the row of blocks in which the file ends differs
    assert (actual[-16:] == 128).all()


@pytest.mark.parametrize("end", [2, 1])
def test_a_jpeg_without_its_last_bytes_is_truncated(end: int) -> None:
    with pytest.raises(InvalidArgumentError, match="truncated"):
        decode_jpeg(read_file(IMAGES / "baseline_444.jpg")[:-end])


def test_damage_that_tensorflow_steps_over_is_stepped_over() -> None:
    photo = read_file(IMAGES / "restart_markers.jpg")
    at = photo.index(b"\xff\xd0")
    expected = decode_jpeg(photo)
    damaged = photo[:at] + b"\x12\x34" + photo[at:]  # stray bytes before a restart marker: a warning of libjpeg's
    np.testing.assert_array_equal(decode_jpeg(damaged), expected)


@pytest.mark.parametrize("name", PNGS)
def test_a_png_has_the_pixels_that_tensorflow_gives(name: str) -> None:
    arrays = np.load(IMAGES / f"{name}.npz")
    for key, arguments in golden(name, "decode_png"):
        assert_same(decode_png(read_file(IMAGES / name), **arguments), arrays[key])


def paeth(left: int, up: int, corner: int) -> int:
    return min((left, up, corner), key=lambda each: abs(left + up - corner - each))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def filtered(samples: NDArray[Any], kinds: Callable[[], int]) -> bytes:
    """Rows behind the filters that `kinds` names, one by one, by the formulas of the specification."""
    step = samples.shape[2] * samples.dtype.itemsize
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(len(samples), -1).view(np.uint8).tolist()
    above, out = [0] * len(rows[0]), bytearray()
    for row in rows:
        kind = kinds()
        out.append(kind)
        for i, byte in enumerate(row):
            left, corner = (row[i - step], above[i - step]) if i >= step else (0, 0)
            guess = (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))[kind]
            out.append((byte - guess) & 255)
        above = row
    return bytes(out)


def encode_png(samples: NDArray[Any], colour: int, interlaced: bool, extra: bytes = b"") -> bytes:
    """A PNG with every filter, in seven passes when interlaced."""
    kinds = random.Random(7).choices(range(5), k=10_000)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    images = [samples[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [samples]
    data = b"".join(filtered(each, kinds.pop) for each in images if each.size)
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, samples.dtype.itemsize * 8, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("size", [(13, 11), (1, 1), (3, 2)])
def test_png_filters_and_passes_are_undone(
    colour: int, channels: int, dtype: Any, interlaced: bool, size: tuple[int, int]
) -> None:
    samples = np.random.default_rng(3).integers(0, np.iinfo(dtype).max + 1, (*size, channels), dtype)
    actual = decode_png(encode_png(samples, colour, interlaced), dtype=dtype)
    assert_same(actual, samples)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_the_transparent_colour_of_a_png_becomes_alpha_when_that_is_asked_for(dtype: Any, full: int) -> None:
    samples = np.array([[[1, 2, 3], [9, 2, 3]]], dtype)
    contents = encode_png(samples, 2, False, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert decode_png(contents, 4, dtype)[..., 3].tolist() == [[0, full]]
    assert_same(decode_png(contents, dtype=dtype), samples)


def test_a_colour_png_becomes_grey_as_pillow_makes_it() -> None:
    contents = read_file(IMAGES / "rgb.png")
    expected = np.asarray(Image.open(io.BytesIO(contents)).convert("L"))
    np.testing.assert_array_equal(decode_png(contents, channels=1)[..., 0], expected)


def saved(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WebP", "TIFF", "AVIF"])
@pytest.mark.parametrize("decode", [decode_jpeg, decode_png])
def test_another_format_is_named(decode: Callable[[bytes], Any], kind: str) -> None:
    with pytest.raises(
        InvalidArgumentError, match=f"which is {kind}: (convert it to JPEG or PNG|use decode_(bmp|gif|webp))"
    ):
        decode(saved(kind))


def test_the_right_decoder_is_named() -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"not a JPEG: begins with 89 50 4e 47 .* which is PNG: use decode_png"
    ):
        decode_jpeg(saved("PNG"))
    with pytest.raises(
        InvalidArgumentError, match=r"not a PNG: begins with ff d8 ff .* which is JPEG: use decode_jpeg"
    ):
        decode_png(saved("JPEG"))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "there are no bytes"),
        (b"hello", "68 65 6c 6c 6f, which is no image format"),
        ("photo.jpg", r"not from str: read_file\(path\)"),
        (None, "not from NoneType"),
        (np.zeros(3, np.uint8), "not from ndarray"),
    ],
)
@pytest.mark.parametrize("decode", [decode_jpeg, decode_png])
def test_what_is_no_image_is_described(decode: Callable[[Any], Any], contents: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode(contents)


@pytest.mark.parametrize(
    "arguments",
    [{"channels": 4}, {"ratio": 3}, {"dct_method": "FLOAT"}, {"acceptable_fraction": 0.5}],
)
def test_a_jpeg_argument_that_is_not_supported_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{next(iter(arguments))}=.* is not supported"):
        decode_jpeg(read_file(IMAGES / "baseline_444.jpg"), **arguments)


@pytest.mark.parametrize("arguments", [{"channels": 2}, {"dtype": "float32"}, {"dtype": "no such"}])
def test_a_png_argument_that_is_not_supported_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{next(iter(arguments))}=.* is not supported"):
        decode_png(read_file(IMAGES / "rgb.png"), **arguments)


def with_jpeg_size(height: int, width: int) -> bytes:
    photo = bytearray(read_file(IMAGES / "baseline_444.jpg"))
    at = photo.index(b"\xff\xc0") + 5
    photo[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(photo)


def with_png_size(height: int, width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("decode", "sized"), [(decode_jpeg, with_jpeg_size), (decode_png, with_png_size)])
def test_an_image_that_announces_too_many_pixels_is_refused_before_it_is_decoded(
    decode: Callable[[bytes], Any], sized: Callable[[int, int], bytes]
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"more than the {MAX_PIXELS:,} that are decoded"):
        decode(sized(MAX_PIXELS // 5000 + 1, 5000))
    with pytest.raises(InvalidArgumentError, match=r"says 0 x 5000 pixels|says 5000 x 0 pixels"):
        decode(sized(5000, 0))


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    photo = read_file(IMAGES / "progressive.jpg")
    with pytest.raises(InvalidArgumentError, match="scans, more than"):
        decode_jpeg(photo[:-2] + b"\xff\xda" * 1000 + photo[-2:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda png: png[:-13], "truncated PNG"),
        (lambda png: png[:100], "end inside the b'IDAT' chunk"),
        (lambda png: png[:60] + b"\0" + png[61:], "checksum of its IDAT chunk"),
        (lambda png: png[:8] + chunk(b"IDAT", b"") + png[8:], "begins with the b'IDAT' chunk"),
        (lambda png: png[:33] + chunk(b"IEND", b""), "no IDAT chunk"),
        (lambda png: png[:33] + chunk(b"NEWS", b"") + png[33:], "unknown critical chunk"),
        (lambda png: png[:33] + chunk(b"IDAT", zlib.compress(b"\0" * 50)) + chunk(b"IEND", b""), r"108 x 135"),
    ],
)
def test_what_is_wrong_with_a_png_is_said(change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_png(change(read_file(IMAGES / "gray_16bit.png")))


def test_chunks_that_only_describe_a_png_are_passed_over() -> None:
    png = read_file(IMAGES / "gray.png")
    noted = png[:33] + chunk(b"tEXt", b"Comment\0hello") + chunk(b"acTL", b"bad") + png[33:]
    np.testing.assert_array_equal(decode_png(noted), decode_png(png))


Damage = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4)


def damage(contents: bytes, changes: list[tuple[float, int]], kept: float) -> bytes:
    damaged = bytearray(contents)
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    return bytes(damaged[: round(kept * len(damaged))])


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(set(JPEGS) - {"camera_photo.jpg"})), changes=Damage, kept=st.floats(0, 1))
def test_a_damaged_jpeg_gives_an_image_or_a_typed_error(
    name: str, changes: list[tuple[float, int]], kept: float
) -> None:
    damaged = damage(read_file(IMAGES / name), changes, kept)
    for recover in (False, True):
        try:
            pixels = decode_jpeg(damaged, try_recover_truncated=recover)
        except InvalidArgumentError:
            continue
        assert pixels.ndim == 3
        np.testing.assert_array_equal(decode_jpeg(damaged, try_recover_truncated=recover), pixels)


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 0.15), byte=st.integers(0, 255), progressive=st.booleans())
def test_a_jpeg_with_a_damaged_header_gives_an_image_or_a_typed_error(
    place: float, byte: int, progressive: bool
) -> None:
    photo = read_file(IMAGES / ("progressive.jpg" if progressive else "baseline_420.jpg"))
    with contextlib.suppress(InvalidArgumentError):
        assert decode_jpeg(damage(photo, [(place, byte)], 1.0)).ndim == 3


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(PNGS), changes=Damage, kept=st.floats(0, 1), deep=st.booleans(), mended=st.booleans())
def test_a_damaged_png_gives_an_image_or_a_typed_error(
    name: str, changes: list[tuple[float, int]], kept: float, deep: bool, mended: bool
) -> None:
    damaged = damage(read_file(IMAGES / name), changes, kept)
    damaged = with_checksums(damaged) if mended else damaged
    with contextlib.suppress(InvalidArgumentError):
        assert decode_png(damaged, dtype=np.uint16 if deep else np.uint8).ndim == 3


def with_checksums(png: bytes) -> bytes:
    """The chunks with checksums that fit, so that damage reaches what lies behind them."""
    out, at = png[:8], 8
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        out += chunk(png[at + 4 : at + 8], png[at + 8 : at + 8 + size])
        at += 12 + size
    return out


def test_threads_decode_the_same_pixels() -> None:
    names = [name for name in JPEGS if name != "cut_short.jpg"]
    expected = [decode_jpeg(read_file(IMAGES / name)) for name in names]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for actual, wanted in zip(
                pool.map(lambda n: decode_jpeg(read_file(IMAGES / n)), names), expected, strict=True
            ):
                np.testing.assert_array_equal(actual, wanted)


def test_a_decoded_image_can_be_written_to() -> None:
    for pixels in (
        decode_jpeg(saved("JPEG")),
        decode_png(saved("PNG")),
        decode_png(read_file(IMAGES / "rgb_16bit.png")),
    ):
        pixels[:] = 1
        assert pixels.flags.c_contiguous


def test_read_file_gives_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0\xff")
    assert read_file(tmp_path / "a") == read_file(str(tmp_path / "a")) == read_file(bytes(tmp_path / "a")) == b"\0\xff"


def test_read_file_names_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"missing\.jpg: No such file"):
        read_file(tmp_path / "missing.jpg")
    with pytest.raises(NotFoundError, match="directory"):
        read_file(tmp_path)


@pytest.mark.parametrize("name", PNGS)
def test_a_png_is_told_by_its_bytes(name: str) -> None:
    arrays = np.load(IMAGES / f"{name}.npz")
    for key, arguments in golden(name, "decode_png"):
        assert_same(decode_image(read_file(IMAGES / name), **arguments), arrays[key])
    assert_same(decode_image(read_file(IMAGES / name), None), arrays["pixels"])


@pytest.mark.parametrize("name", [name for name in JPEGS if "accurate" in INDEX[name]["arrays"]])
def test_a_jpeg_is_told_by_its_bytes(name: str) -> None:
    photo = read_file(IMAGES / name)
    expected = np.load(IMAGES / f"{name}.npz")["accurate"]
    assert_same(decode_image(photo), expected)
    assert_same(decode_image(memoryview(photo), channels=3), decode_jpeg(photo, 3))


def test_samples_are_widened_as_tensorflow_does() -> None:
    photo, deep = read_file(IMAGES / "baseline_444.jpg"), read_file(IMAGES / "rgb_16bit.png")
    assert_same(decode_image(photo, dtype="uint16"), decode_jpeg(photo).astype(np.uint16) * np.uint16(256))
    assert_same(decode_image(deep, dtype=np.uint16), np.load(IMAGES / "rgb_16bit.png.npz")["uint16"])
    for contents, whole, full in ((photo, decode_jpeg(photo), 255), (deep, decode_png(deep, dtype="uint16"), 65535)):
        scaled = decode_image(contents, dtype=np.float32)
        assert scaled.dtype == np.float32
        np.testing.assert_allclose(scaled, whole / full, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("contents", "arguments", "message"),
    [
        (b"II*\0......", {}, "not a JPEG, PNG, GIF, BMP or WebP: .* which is TIFF: convert it to JPEG or PNG"),
        (b"\0\0\0\x1cftypavif", {"expand_animations": False}, "which is AVIF"),
        (b"", {}, "there are no bytes"),
        (b"hello there", {}, "no image format that we know"),
        ("a.png", {}, "not from str"),
    ],
)
def test_another_format_is_refused_by_name(contents: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_image(contents, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("rgb.png", {"dtype": "int32"}, "dtype=int32 is not supported"),
        ("rgb.png", {"dtype": "pixels"}, "dtype='pixels' is not supported"),
        ("rgb.png", {"channels": 2}, "channels=2 is not supported for a PNG"),
        ("baseline_444.jpg", {"channels": 4}, "channels=4 is not supported for a JPEG"),
    ],
)
def test_arguments_that_a_format_has_not_are_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        decode_image(read_file(IMAGES / name), **arguments)
