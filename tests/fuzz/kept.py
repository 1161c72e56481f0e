"""Decoders of what is kept in files: elements in records, and what says which records there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import headrace as hr
from headrace.pipeline.columns import Column
from headrace.pipeline.element_records import decode, decoded, encode
from headrace.pipeline.manifest import MANIFEST, Manifest, Shard, read_manifest, shard_file, write_manifest

from .decoder import Decoder, Place, a_folder

__all__ = ["KEPT"]


@lru_cache
def _elements() -> Sequence[bytes]:
    made: list[Any] = [
        np.int64(7),
        (b"text", np.arange(6, dtype=np.float32).reshape(2, 3)),
        {"words": np.array([b"a", b"", b"bcd"], object), "none": np.zeros((2, 0), np.int8)},
        next(iter(hr.Dataset.range(4).map(lambda x: (x, str(x))).window(3))),
    ]
    return [encode(each) for each in made]


def _element(data: bytes, place: Place) -> None:
    """By itself, and twice as records of one kind, in memory that ends where they do."""
    element = decode(data)
    if not isinstance(element, tuple | dict):
        assert len(encode(element)) > 0
    both = place(data + data)
    _, columns = decoded(Column(bytes, 0, both, np.array([0, len(data), 2 * len(data)])))
    assert all(len(each) == 2 for each in columns)


@lru_cache
def _folder() -> str:
    return str(a_folder())


@lru_cache
def _manifests() -> Sequence[bytes]:
    specs = hr.Dataset.range(3).map(lambda x: (x, b"a")).window(2).element_spec
    told = Manifest("GZIP", specs, tuple(Shard(i, shard_file(5, i), 3) for i in range(3)))
    write_manifest(_folder(), told)
    with open(f"{_folder()}/{MANIFEST}", "rb") as file:  # noqa: PTH123
        return [file.read(), json.dumps(Manifest("", None, ()).to_data()).encode()]


def _manifest(data: bytes, _: Place) -> None:
    with open(f"{_folder()}/{MANIFEST}", "wb") as file:  # noqa: PTH123
        file.write(data)
    found = read_manifest(_folder())
    assert Manifest.from_data(json.loads(json.dumps(found.to_data()))) == found
    assert not any(".." in each.file.split("/") or each.file.startswith("/") for each in found.shards)


KEPT = (Decoder("element", _element, _elements), Decoder("manifest", _manifest, _manifests))
