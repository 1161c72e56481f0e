"""The page of limits: it names every key, its default, and tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.config import schema

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text()


def test_every_key_of_the_section_stands_on_the_page() -> None:
    assert set(re.findall(r"`limits\.([a-z]+)`", PAGE)) == set(schema()["limits"])


def test_every_test_that_it_names_is_there() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)(?:::([a-z_0-9]+))?`", PAGE)
    assert len(named) > 30
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or f"def {test}" not in (ROOT / file).read_text()
    ]
    assert missing == []
