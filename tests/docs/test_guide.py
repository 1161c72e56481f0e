"""What the guide shows works as it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import DOCS, blocks_of, run_page, some_files

#: Pages all of whose blocks of Python are run.
PAGES = sorted(
    [
        *(DOCS / "guide").glob("*.md"),
        DOCS / "explain.md",
        DOCS / "from-tf-data.md",
        DOCS / "from-pytorch.md",
        DOCS / "images.md",
        DOCS / "text.md",
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_a_page_that_says_what_is_not_so_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nprint(1)\n```\n\n```text\n2\n```\n\n```py\nnot run\n```\n")
    assert [(each.line, each.printed) for each in blocks_of(page)] == [(3, "2\n")]
    with pytest.raises(AssertionError, match=r"page\.md, the block behind line 3"):
        run_page(page)


def test_the_guide_has_code_in_every_chapter() -> None:
    chapters = [page for page in PAGES if page.parent.name == "guide" and page.name != "README.md"]
    assert len(chapters) >= 6
    for page in chapters:
        assert len(list(blocks_of(page))) >= 8, page.name
