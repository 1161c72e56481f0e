"""docs/faults.md says what the matrix says, and the matrix is as wide as was promised."""

from __future__ import annotations

from collections import defaultdict

from .matrix import CELLS, PAGE, PLACES, written
from .pipelines import PIPELINES


def test_the_table_in_the_docs_is_that_of_the_matrix() -> None:
    page = PAGE.read_text()
    assert written(page) == page, "run `python -m tests.chaos.matrix`"
    assert all(page.count(f"`{cell.name}`") == 1 for cell in CELLS)


def test_at_least_twelve_kinds_of_fault_come_in_at_least_three_places_each() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for cell in CELLS:
        assert cell.place not in places[cell.fault], f"{cell.name} is there twice"
        places[cell.fault].add(cell.place)
    assert sum(len(found) >= 3 for found in places.values()) >= 12


def test_every_place_and_pipeline_is_known_and_every_row_does_something() -> None:
    for cell in CELLS:
        assert cell.place in PLACES
        assert cell.pipeline in PIPELINES
        assert cell.strikes > 0 or cell.pipeline != "plain"


def test_a_dozen_rows_are_played_with_every_run() -> None:
    quick = [cell for cell in CELLS if cell.quick]
    assert len(quick) >= 12
    assert len({cell.fault for cell in quick}) == len(quick)
