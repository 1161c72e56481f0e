"""The digest of batches: the same for the same, another one for anything else."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from headrace.digest import Digest, size_of

Pair = namedtuple("Pair", ["x", "y"])


def digest(*elements: Any) -> str:
    """Of these, in order."""
    found = Digest()
    for each in elements:
        found.add(each)
    return found.hexdigest()


def test_layout_in_memory_does_not_matter() -> None:
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert digest(array) == digest(np.asfortranarray(array)) == digest(np.repeat(array, 2, axis=1)[:, ::2])


def test_another_class_of_the_same_name_is_the_same_named_tuple() -> None:
    other: Any = type("Pair", (Pair,), {"__module__": "elsewhere"})
    assert digest(Pair(1, b"a")) == digest(other(1, b"a"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([np.int32(1)], [np.int64(1)]),
        ([np.zeros(4, np.uint8)], [np.zeros((2, 2), np.uint8)]),
        ([np.zeros(2, np.uint8), np.zeros(2, np.uint8)], [np.zeros(4, np.uint8)]),
        ([b"ab", b"c"], [b"a", b"bc"]),
        ([np.array([b"ab", b"c"], object)], [np.array([b"a", b"bc"], object)]),
        ([np.float32(0.0)], [np.float32(-0.0)]),
        ([(1, 2)], [(2, 1)]),
        ([(1, (2, 3))], [((1, 2), 3)]),
        ([{"a": 1}], [{"b": 1}]),
        ([Pair(1, 2)], [(1, 2)]),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
    ],
)
def test_what_differs_has_another_digest(one: list[Any], other: list[Any]) -> None:
    assert digest(*one) != digest(*other)


def test_the_size_is_that_of_the_data_alone() -> None:
    assert (
        size_of({"a": np.zeros((2, 3), np.float64), "b": (b"abc", np.array([b"x", b"yz"], object)), "c": np.int16(1)})
        == 56
    )
