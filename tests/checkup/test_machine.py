"""A checkup of this machine: each part in good and broken states."""

from __future__ import annotations

import os
import sqlite3
from collections import namedtuple
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.checkup import machine
from headrace.checkup.finding import Finding
from headrace.journal import Journal
from headrace.pipeline.keys import AUTHORIZED, SERVER, make_client_key, make_server_key


def levels(found: Iterable[Finding]) -> list[str]:
    return [each.level for each in found]


@pytest.mark.parametrize(
    ("limit", "level"), [(-1, "ok"), (65536, "ok"), (4096, "ok"), (4095, "warning"), (256, "warning"), (255, "problem")]
)
def test_few_descriptors_are_told_and_how_to_have_more(limit: int, level: str) -> None:
    (found,) = machine.check_descriptors(limit, "the server")
    assert (found.level, "ulimit -n" in found.fix) == (level, level != "ok")
    assert found.text.startswith("the server may open ")


def test_a_private_folder_is_fine_and_one_that_is_not_there_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (found,) = machine.check_folder("run directory", tmp_path)
    assert found.text.startswith(f"{tmp_path} has ")
    (absent,) = machine.check_folder("run directory", tmp_path / "absent")
    assert (absent.level, absent.text) == ("ok", f"{tmp_path}/absent is not there yet; the server makes it")


def test_a_folder_that_others_can_read_is_a_problem_and_so_is_what_is_none(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (found,) = machine.check_folder("state directory", tmp_path)
    assert (found.level, found.fix) == ("problem", f"chmod 700 {tmp_path}")
    (tmp_path / "file").touch()
    (found,) = machine.check_folder("state directory", tmp_path / "file")
    assert (found.level, found.text) == ("problem", f"{tmp_path}/file is no folder of yours")
    (found,) = machine.check_folder("state directory", tmp_path / "file" / "below")
    assert (found.level, found.text) == ("problem", f"{tmp_path}/file/below: Not a directory")


def test_a_journal_that_this_version_cannot_go_on_with_is_a_problem(tmp_path: Path) -> None:
    assert not list(machine.check_journal(tmp_path)), "none is there yet"
    path = tmp_path / "journal.sqlite"
    Journal.open(path).close()
    assert not list(machine.check_journal(tmp_path))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=1")
    (found,) = machine.check_journal(tmp_path)
    assert (found.level, "format 1" in found.text, "move it away" in found.fix) == ("problem", True, True)
    path.write_text("a diary, which is longer than a header of SQLite would be, so that all of it is looked at: no.")
    (found,) = machine.check_journal(tmp_path)
    assert "no journal of headrace" in found.text


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "level"), [(2 << 30, "ok"), (500 << 20, "warning"), (10 << 20, "problem")])
def test_a_disk_that_is_almost_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    def usage(_: Any) -> Usage:
        return Usage(100 << 30, 0, free)

    monkeypatch.setattr("shutil.disk_usage", usage)
    (found,) = machine.check_disk("state directory", tmp_path)
    assert (found.level, bool(found.fix)) == (level, level != "ok")


def test_a_small_shared_memory_is_told_with_what_makes_it_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(64 << 20, 0, 0))
    *_, small = machine.check_memory(tmp_path)
    assert small.level == "warning"
    assert "shm_size" in small.fix
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 30, 0, 0))
    assert len(list(machine.check_memory(tmp_path))) == 1


def test_kernels_that_are_not_compiled_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "marker", lambda: tmp_path / "absent")
    (found,) = machine.check_kernels()
    assert (found.level, "HEADRACE_CACHE_DIR" in found.fix) == ("warning", True)
    monkeypatch.setattr(machine, "marker", lambda: tmp_path)
    assert levels(machine.check_kernels()) == ["ok"]


def test_the_keys_of_a_server_are_listed_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    assert levels(machine.check_keys(keys, wanted=False)) == []
    (absent,) = machine.check_keys(keys, wanted=True)
    assert (absent.level, absent.fix) == ("problem", f"headrace keys --dir {keys}")
    make_server_key(keys)
    assert levels(machine.check_keys(keys, wanted=True)) == ["warning"], "nobody is let in"
    make_client_key(keys, "ann", ["client", "admin"])
    (fine,) = machine.check_keys(keys, wanted=True)
    assert (fine.level, fine.text) == ("ok", f"{keys}/authorized_keys lets in ann (admin, client)")
    with (keys / AUTHORIZED).open("a") as file:
        file.write("nonsense\n")
    assert levels(machine.check_keys(keys, wanted=True)) == ["problem", "ok"]
    (keys / SERVER).chmod(0o644)
    (wide,) = machine.check_keys(keys, wanted=True)
    assert "chmod 600" in wide.text


def test_roots_that_are_not_there_are_problems(tmp_path: Path) -> None:
    fine, absent = machine.check_roots([str(tmp_path), str(tmp_path / "absent")])
    assert (fine.level, absent.level) == ("ok", "problem")
    assert absent.text == f"{tmp_path}/absent: No such file or directory"


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="as Linux has it")
def test_shared_memory_is_to_be_had_here(tmp_path: Path) -> None:
    (first, *_) = machine.check_memory(tmp_path)
    assert first.level == "ok"
