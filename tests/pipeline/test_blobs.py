"""Blobs: kept once under the name of their content."""

from __future__ import annotations

import os
import resource
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.pipeline.blobs import CHUNK, Blobs, Incoming, digest_of, outline
from headrace.pipeline.errors import NotFoundError, ResourceExhaustedError


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


def test_a_blob_is_named_by_its_content(blobs: Blobs) -> None:
    name = blobs.put(b"content")
    assert name == blake2b(b"content", digest_size=20).hexdigest()
    assert (blobs.folder / name).read_bytes() == b"content"


def test_putting_the_same_twice_writes_once(blobs: Blobs) -> None:
    name = blobs.put(b"content")
    first = (blobs.folder / name).stat()
    assert blobs.put(memoryview(b"content")) == name
    assert (blobs.folder / name).stat() == first
    assert [each.name for each in blobs.folder.iterdir()] == [name]


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 100])
def test_what_was_put_is_got(blobs: Blobs, content: bytes) -> None:
    assert bytes(blobs.get(blobs.put(content))) == content


def test_only_its_owner_can_read_a_blob(blobs: Blobs) -> None:
    assert (blobs.folder / blobs.put(b"secret")).stat().st_mode & 0o777 == 0o600


def test_a_blob_as_large_as_the_budget_and_not_one_byte_more(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, budget=10)
    blobs.put(bytes(10))
    with pytest.raises(ResourceExhaustedError, match="11 bytes is over the budget of 10"):
        blobs.put(bytes(11))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("digest", ["0" * 40, "", ".", "..", "../secret", "folder", "a/b", "\0"])
def test_what_is_no_blob_of_the_folder_is_not_found(tmp_path: Path, digest: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "blobs" / "folder").mkdir(parents=True)
    with pytest.raises(NotFoundError, match="missing"):
        Blobs(tmp_path / "blobs").get(digest)


ARRAYS: list[Any] = [
    np.arange(6, dtype=np.int16).reshape(2, 3),
    np.arange(6).reshape(2, 3).T,
    np.arange(10)[::-2],
    np.array([True, False]),
    np.array([1 + 2j], np.complex64),
    np.zeros((0, 3), np.float16),
    np.array([[b"a", b""], [b"ccc", b"\0\xff"]], object),
    np.array([], object),
    np.empty((0, 2), object),
]


@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_an_array_comes_back_with_dtype_shape_and_content(blobs: Blobs, array: Any, same: Any) -> None:
    same(blobs.get_array(blobs.put_array(array)), array)


@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_an_outline_has_dtype_and_shape_alone(blobs: Blobs, array: Any) -> None:
    found = blobs.put_array(array)
    (blobs.folder / found[0]).unlink()
    there = outline(found)
    assert (there.dtype, there.shape) == (array.dtype, array.shape)
    assert there.strides == (0,) * array.ndim


@pytest.mark.skipif(sys.platform != "linux", reason="pages are counted as Linux does")
def test_the_last_part_of_a_large_blob_costs_no_more_than_another(tmp_path: Path) -> None:
    content = memoryview(os.urandom(CHUNK) * 12)
    incoming = Incoming(Blobs(tmp_path), digest_of(content))
    costs = []
    for offset in range(0, len(content), CHUNK):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        whole = incoming.add(offset, content[offset : offset + CHUNK], len(content))
        costs.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert whole
    assert Blobs(tmp_path).get(incoming.digest) == content
    assert costs[-1] < 300, "to read what came before takes 750 pages and more"


def test_what_was_dropped_midway_can_come_again(tmp_path: Path) -> None:
    incoming = Incoming(Blobs(tmp_path), digest_of(b"content"))
    assert not incoming.add(0, b"wrong", 7)
    incoming.drop()
    assert not incoming.add(0, b"cont", 7)
    assert incoming.add(4, b"ent", 7)


def test_what_was_of_no_use_for_long_is_deleted_and_what_is_mapped_stays_readable(blobs: Blobs) -> None:
    old, used, other = blobs.put(b"old"), blobs.put(b"used"), blobs.folder / "other"
    part = Incoming(blobs, digest_of(b"never"))
    part.add(0, b"nev", 5)
    other.write_text("not ours to judge")
    mapped = blobs.get(old)
    for path in blobs.folder.iterdir():
        os.utime(path, (0, 0))
    blobs.use([used, "0" * 40])
    blobs.tidy(3600.0)
    assert {path.name for path in blobs.folder.iterdir()} == {used, "other"}
    assert bytes(mapped) == b"old"
