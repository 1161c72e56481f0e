"""The scanner: answers in order; a file that hangs is given up, and the others are looked into all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from headrace.pipeline.orders import Scan, Scanned
from headrace.pipeline.roots import ANYWHERE, Roots
from headrace.scanner import Scanner


class Disk:
    """Files, of which some hang until the test ends."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.back = threading.Event()

    def look(self, scan: Scan, *, roots: Roots) -> Scanned:
        if scan.path in self.hanging:
            self.back.wait()
        return Scanned(scan.job, scan.path, (0, 7, None), "ends" if scan.kind == "ends" else "")


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.back.set()


def found(scanner: Scanner, count: int) -> list[Scanned]:
    """So many answers, once they are there."""
    got: list[Scanned] = []
    while len(got) < count:
        got += scanner.done()
    return got


def test_what_is_asked_for_is_answered_in_order(disk: Disk) -> None:
    scanner = Scanner(disk.look)
    assert list(scanner.done()) == []
    for job in range(50):
        scanner.ask(Scan(job, f"file {job}", "lines"), ANYWHERE)
    assert [each.job for each in found(scanner, 50)] == list(range(50))
    assert list(scanner.done()) == []
    scanner.close()


def test_a_file_that_hangs_is_not_cut_and_holds_nobody_up(disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    disk.hanging = {"b", "d"}
    scanner = Scanner(disk.look, patience_s=0.5)
    for path in "abcde":
        scanner.ask(Scan(1, path, "ends" if path == "d" else "lines"), ANYWHERE)
    assert found(scanner, 5) == [
        Scanned(1, "a", (0, 7, None)),
        Scanned(1, "b", (0, None)),
        Scanned(1, "c", (0, 7, None)),
        Scanned(1, "d", (), "ends"),
        Scanned(1, "e", (0, 7, None)),
    ]
    assert "b could not be looked into for 0.5 s: does its disk hang?" in capsys.readouterr().err
    disk.back.set()
    scanner.ask(Scan(2, "f", "lines"), ANYWHERE)
    assert found(scanner, 1) == [Scanned(2, "f", (0, 7, None))], "what comes too late is nobody's answer"
    scanner.close()
