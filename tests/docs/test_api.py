"""The page of public names is complete, and every name says what it is."""

from __future__ import annotations

import re

from .api import PAGE, listed, page, public
from .pages import DOCS


def test_the_page_lists_every_public_name_and_no_other() -> None:
    expected = {part: set(names) for part, names in public().items()}
    assert listed(PAGE.read_text()) == expected, "write it anew: python -m tests.docs.api"


def test_every_public_name_has_a_docstring() -> None:
    assert listed(page()) == {part: set(names) for part, names in public().items()}


def test_a_name_that_is_missing_is_found() -> None:
    text = "\n".join(line for line in page().splitlines() if not line.startswith("| `batch("))
    assert "batch" in listed(page())["hr.Dataset"] - listed(text)["hr.Dataset"]


def test_every_name_of_tf_data_is_on_the_page_of_migration() -> None:
    text = re.sub(r"^```.*?^```$", "", (DOCS / "from-tf-data.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    told = {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)}
    methods = set(public()["hr.Dataset"]) - {"bind", "explain", "iterate", "resolved", "seed", "from_indexable"}
    assert methods <= told, f"not told: {sorted(methods - told)}"


def test_pages_link_to_pages_that_are_there() -> None:
    for each in [*DOCS.glob("*.md"), *(DOCS / "guide").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", each.read_text()):
            assert (each.parent / target).exists(), f"{each.name} links to {target}"
