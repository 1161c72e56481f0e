"""Decoder of tokens: what `load_state_dict` takes from a file that anyone may have written."""

from __future__ import annotations

import warnings
from base64 import b85decode, b85encode
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import pytest

from headrace import Dataset, HeadraceError, Options, TFRecordDataset
from headrace.pipeline import local_run
from headrace.pipeline.errors import FunctionChangedWarning
from headrace.pipeline.frames import plain
from headrace.pipeline.token import Token, position_of

from .decoder import Decoder, Place
from .files import DATA
from .mutation import cut_and_pasted, packed, retold

__all__ = ["TOKENS"]


def _odd(x: Any) -> bool:
    return bool(x % 2)


def _some(x: Any) -> Dataset:
    return Dataset.range(x % 4)


def _ragged(x: Any) -> Any:
    return {"a": np.full(int(x) % 3, x), "b": b"x" * (int(x) % 5)}


def _fails(x: Any) -> Any:
    if x % 5 == 3:
        raise ValueError("three")
    return x


def _small(x: Any) -> bool:
    return bool(x[0] < 99)


def _third(x: Any) -> int:
    return int(x) % 3 // 2


def _kind(x: Any) -> int:
    return len(x["b"])


def _padded(key: Any, window: Dataset) -> Dataset:
    return window.padded_batch(2)


RECORDS = [str(DATA / "tfrecord" / "small.tfrecord")] * 2
NUMBERS = Dataset.range(40)
#: Between them they have every operator that has a state, and every way in which elements are told.
PIPELINES: Sequence[Dataset] = (
    NUMBERS.shuffle(8).batch(3).shuffle(2).repeat(2),
    NUMBERS.filter(_odd).map(_ragged).shuffle(5).padded_batch(2).enumerate(),
    Dataset.zip(NUMBERS.shuffle(4), Dataset.range(9).shuffle(3).repeat()).skip(1).take(15),
    NUMBERS.interleave(_some, cycle_length=3, block_length=2).shuffle(4).shard(2, 1),
    NUMBERS.flat_map(_some).concatenate(Dataset.range(5)).shuffle(6).batch(4).unbatch().shuffle(3),
    TFRecordDataset(RECORDS).shuffle(3).repeat().batch(2).take(20),
    NUMBERS.map(_fails).shuffle(6).with_options(Options(on_error="skip", seed=3)).prefetch(2),
    Dataset.from_generator(lambda: iter(range(30)), output_types=np.int64).shuffle(5).ignore_errors().batch(2),
    NUMBERS.map(_fails)
    .bucket_by_sequence_length(int, [9, 30], [2, 3, 2], no_padding=True)
    .shuffle(3)
    .take_while(_small),
    NUMBERS.map(_fails).rejection_resample(_third, [1, 1]).window(3, 2).shuffle(3),
    NUMBERS.map(_ragged).shuffle(4).group_by_window(_kind, _padded, 3).shuffle(2).window(2, 3),
)


@lru_cache
def _tokens() -> Sequence[bytes]:
    """Of each pipeline three, in its middle; a checkpoint is taken with every element."""
    found: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_run, "LEAST_S", 0.0)
        patch.setattr(local_run, "SHARE", 0)
        for dataset in PIPELINES:
            iterator = dataset.iterate(0)
            for _ in range(3):
                with suppress(HeadraceError, StopIteration):
                    next(iterator)
                    next(iterator)
                found.append(packed(iterator.state_dict()))
    return found


def _token(data: bytes, _: Place) -> None:
    """In each pipeline that it may be of."""
    given = plain(data)
    token = Token.from_dict(given)
    position_of(token.position())
    if token.element > 1000:
        return  # it would play that many
    first: HeadraceError | None = None
    for dataset in PIPELINES:
        iterator = dataset.iterate(0)
        try:
            with warnings.catch_warnings(category=FunctionChangedWarning, action="ignore"):
                iterator.load_state_dict(given)
            for _times in range(20):
                next(iterator)
        except StopIteration:
            return
        except HeadraceError as error:
            first = first or error
        else:
            return
    assert first is not None
    raise first


def resumed(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A token whose checkpoint says something else."""
    token, other = plain(data), plain(rng.choice(others))
    if not token["state"] or not other["state"]:
        return retold(data, rng, others)
    edit = cut_and_pasted if rng.random() < 0.1 else retold
    state = edit(b85decode(token["state"]), rng, [b85decode(other["state"])])
    return packed(token | {"state": b85encode(state).decode()})


TOKENS = (Decoder("tokens", _token, _tokens, (resumed, resumed, resumed, retold, cut_and_pasted)),)
