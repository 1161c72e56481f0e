"""Texts into words, against Python's own bytes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.pipeline.blocks import Block
from headrace.pipeline.ragged import RaggedTensor
from headrace.text import lower, ngrams, regex_split, split

TEXTS = st.lists(st.binary(max_size=40) | st.text(" \t\n\v\f\rab\x85é", max_size=30).map(str.encode), max_size=6)


@settings(max_examples=150, deadline=None)
@given(texts=TEXTS)
def test_words_stand_between_blanks_as_python_has_it(texts: list[bytes]) -> None:
    expected = [each.split() for each in texts]
    assert split(texts).to_list() == expected
    assert [split(each).tolist() for each in texts] == expected
    if texts:
        column = Block.of_elements(texts).columns[0]
        by_kernel = split.on_column(column)  # type: ignore[attr-defined]
        by_kernel.check()
        assert [each.tolist() for each in by_kernel] == expected


@settings(max_examples=50, deadline=None)
@given(texts=TEXTS, sep=st.sampled_from([b" ", b"a", b"ab", b"\n\n"]))
def test_words_stand_between_separators_as_python_has_it(texts: list[bytes], sep: bytes) -> None:
    assert split(texts, sep).to_list() == [each.split(sep) for each in texts]
    assert [split(each, sep.decode()).tolist() for each in texts] == [each.split(sep) for each in texts]


def test_rows_of_texts_become_rows_of_rows() -> None:
    texts = RaggedTensor.from_row_lengths([b"a b", b"c", b""], [2, 0, 1])
    assert split(texts).to_list() == [[[b"a", b"b"], [b"c"]], [], [[]]]
    assert lower(RaggedTensor.from_row_lengths(["A", "Bc"], [1, 1])).to_list() == [[b"a"], [b"bc"]]


def test_a_pattern_splits_and_keeps_what_it_is_told_to() -> None:
    text = "Don't -- stop, believing!"
    assert regex_split(text, r"[^\w']+").tolist() == [b"Don't", b"stop", b"believing"]
    assert regex_split(text, r"\s+|[,!]", keep="[,!]").tolist() == [b"Don't", b"--", b"stop", b",", b"believing", b"!"]
    assert regex_split(["a1b22c", ""], rb"\d+").to_list() == [[b"a", b"b", b"c"], []]
    # A pattern that matches nothing at all splits everywhere and loses nothing.
    assert regex_split(b"abc", b"x*").tolist() == [b"a", b"b", b"c"]


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.binary(max_size=30) | st.text(max_size=20).map(str.encode), min_size=1, max_size=5))
def test_lower_case_is_pythons(texts: list[bytes]) -> None:
    assert lower(texts).tolist() == [each.lower() for each in texts]
    column = lower.on_column(Block.of_elements(texts).columns[0])  # type: ignore[attr-defined]
    assert list(column) == [each.lower() for each in texts]
    words = [each.decode(errors="replace") for each in texts]
    assert lower(words, encoding="utf-8").tolist() == [each.lower().encode() for each in words]


def test_bytes_that_are_no_utf8_stay() -> None:
    assert lower(b"\xff\xc3 \xc3\x84 A", encoding="utf-8") == b"\xff\xc3 \xc3\xa4 a"
    assert lower(np.array([[b"A", b"B"]], object)).tolist() == [[b"a", b"b"]]


def test_ngrams_are_neighbours_joined() -> None:
    assert ngrams(split("to be or not"), 3).tolist() == [b"to be or", b"be or not"]
    assert ngrams([b"a"], 2).tolist() == []
    assert ngrams(np.array([b"a", b"b"], object), [2, 1], "-").tolist() == [b"a-b", b"a", b"b"]
    rows = split(["a b c", "", "d e"])
    assert ngrams(rows, 2).to_list() == [[b"a b", b"b c"], [], [b"d e"]]
    assert ngrams(RaggedTensor(rows, np.array([0, 3])), 2).to_list() == [[[b"a b", b"b c"], [], [b"d e"]]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: split("a", ""),
        lambda: split(3),
        lambda: split([b"a", 3]),
        lambda: split(np.array([[b"a"]], object)),
        lambda: regex_split(b"a", b"("),
        lambda: regex_split(b"a", b"a", keep=b"["),
        lambda: lower(None),
        lambda: lower(b"a", encoding="latin-1"),
        lambda: ngrams([b"a"], 0),
        lambda: ngrams([b"a"], []),
        lambda: ngrams(b"a b", 2),
        lambda: ngrams([3], 1),
    ],
)
def test_what_is_no_text_or_no_argument_is_refused(call: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError):
        call()


def test_a_pattern_is_one_of_re() -> None:
    assert regex_split(b"aXbxc", re.escape("X")).tolist() == [b"a", b"bxc"]
