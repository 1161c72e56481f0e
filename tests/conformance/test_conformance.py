"""The conformance suite: every member of the language, at least three behaviours each, in every way of running."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import headrace as hr

from . import answers, elements, files, groups, iterators, options, order, parsing, sources
from .members import members
from .row import Raises, Row, Way

CHAPTERS = (sources, elements, order, groups, answers, files, parsing, iterators, options)
ROWS: list[Row] = [row for chapter in CHAPTERS for row in chapter.ROWS]
#: Behaviours that each member must have.
LEAST = 3


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_language(row: Row, where: hr.Service | None, tmp_path: Path) -> None:
    way = Way(where, tmp_path)
    if isinstance(row.expected, Raises):
        with pytest.raises(row.expected.kind) as raised:
            row.do(way)
        assert row.expected.text in str(raised.value)
    else:
        assert row.do(way) == row.expected


def test_every_member_has_enough_behaviours() -> None:
    counts = Counter(row.member for row in ROWS)
    assert sorted(name for name in members() if counts[name] < LEAST) == []


def test_every_row_is_of_a_member_and_has_a_name_of_its_own() -> None:
    assert {row.member for row in ROWS} - members() == set()
    assert [name for name, count in Counter(map(str, ROWS)).items() if count > 1] == []
