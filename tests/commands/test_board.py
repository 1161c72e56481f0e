"""The board: what `headrace status` shows of ledgers."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from headrace.commands.board import board


def shown(*jobs: dict[str, Any]) -> list[list[str]]:
    """The words of each line."""
    console = Console(width=160, force_terminal=False)
    with console.capture() as capture:
        console.print(board({"jobs": list(jobs)}))
    return [line.split() for line in capture.get().splitlines()]


def ledger(**counts: int) -> dict[str, int]:
    return {"computed": 4000, "filtered": 12, "skipped": 3, "delivered": 99} | counts


def test_the_running_epoch_and_the_last_one_that_ended_are_shown() -> None:
    job = {"job": 7, "epoch": 2, "ledger": ledger(), "ended_epochs": {"0": ledger(), "1": ledger(failed=5, repeated=1)}}
    lines = shown(job)
    at = lines.index(["ledgers"])
    assert lines[at + 1][:4] == ["job", "epoch", "computed", "filtered"]
    assert lines[at + 2 :] == [
        ["7", "1,", "ended", "4,000", "12", "3", "5", "99", "0", "0", "1"],
        ["7", "2", "4,000", "12", "3", "0", "99", "0", "0", "0"],
    ]


def test_an_epoch_that_has_ended_and_is_still_delivered_is_shown_once() -> None:
    lines = shown({"job": 7, "epoch": 2, "ledger": ledger(), "ended_epochs": {"2": ledger()}})
    assert [line[:3] for line in lines[lines.index(["ledgers"]) + 2 :]] == [["7", "2,", "ended"]]


def test_without_any_there_is_no_table_of_them() -> None:
    assert ["ledgers"] not in shown({"job": 7, "epoch": 2})
