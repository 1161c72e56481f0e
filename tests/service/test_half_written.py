"""A server that is killed while elements are being kept: nothing half-written is believed, and none of it stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr

from .serving import Daemon

Same = Callable[[Any, Any], None]
COUNT = 400


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Running; ended afterwards."""
    made = Daemon(tmp_path_factory.mktemp("d"))
    made.start("--workers=1")
    yield made
    made.stop()


def wide(calls: Path) -> hr.Dataset:
    """Far more than a server holds; each call of the function is noted."""

    def widen(x: Any, rng: np.random.Generator) -> Any:
        with calls.open("ab") as file:
            file.write(b".")
        return x + rng.random(1000)

    return hr.Dataset.range(COUNT).map(widen).with_options(hr.Options(seed=5))


def cached(folder: Path) -> hr.Dataset:
    return wide(folder.parent / "calls").cache(folder / "c")


def shelved(folder: Path) -> hr.Dataset:
    return wide(folder.parent / "calls").snapshot(folder)


def files(folder: Path) -> set[str]:
    """All that lie in it and below, runs of writing without their random names."""
    found = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    return {"/".join("run" if part.startswith("run-") else part for part in each.split("/")) for each in found}


def runs(folder: Path) -> int:
    """Of writing into a folder."""
    return len(list(folder.rglob("run-*")))


def test_what_was_being_kept_when_the_server_was_killed_is_not_believed_and_is_kept_later(
    daemon: Daemon, same: Same, tmp_path: Path
) -> None:
    """A cache and a snapshot, which the server writes, and a save, which the script does and the server computes."""
    makers = {tmp_path / "a" / "cache": cached, tmp_path / "b" / "snapshot": shelved}
    for folder in (tmp_path / "save", *makers):
        folder.mkdir(parents=True)
    half: dict[Path, set[str]] = {}
    saved: list[Any] = []

    def shard(element: Any) -> int:
        """Called where the elements are written: here."""
        saved.append(element)
        if len(saved) == COUNT // 3:
            half.update({folder: files(folder) for folder in (tmp_path / "save", *makers)})
            daemon.kill()
            daemon.start("--workers=1")
        return 0

    with hr.connect(daemon.address) as service:
        iterators = {folder: service.iterate(make(folder)) for folder, make in makers.items()}
        got = {folder: [next(each) for _ in range(COUNT // 3)] for folder, each in iterators.items()}
        wide(tmp_path / "calls").save(tmp_path / "save", shard_func=shard, service=service)
        assert [name for found in half.values() for name in found if name.endswith(".json")] == [], (
            "nothing is believed"
        )
        assert all(half.values()), "something was being written"

        assert json.loads((tmp_path / "save" / "headrace.json").read_text())["elements"] == COUNT
        assert runs(tmp_path / "save") == 1
        same(list(hr.Dataset.load(tmp_path / "save")), list(wide(tmp_path / "calls").iterate(0)))
        for folder, iterator in iterators.items():
            check_that_all_of_it_is_kept(folder, makers[folder], got[folder], iterator, same)

        folders = [tmp_path / "c" / "begun", tmp_path / "d" / "begun"]
        for folder in folders:
            folder.mkdir(parents=True)
        begun = [service.iterate(make(folder)) for folder, make in zip(folders, makers.values(), strict=True)]
        for each in begun:
            next(each)
        assert all(map(files, folders))
        daemon.stop()
        assert [files(folder) for folder in folders] == [set(), set()], "in good order, nothing is left"


def check_that_all_of_it_is_kept(
    folder: Path, make: Callable[[Path], hr.Dataset], got: list[Any], iterator: Any, same: Same
) -> None:
    """The bytes are those of an undisturbed run, and at last so are the files; what is kept is read."""
    undisturbed, calls = folder.parent / "undisturbed", folder.parent / "calls"
    undisturbed.mkdir()
    expected = list(make(undisturbed).iterate(0))
    same([*got, *iterator], expected)
    same(list(iterator), expected)
    called = calls.stat().st_size
    same(list(iterator), expected)
    assert calls.stat().st_size == called, "nothing was computed"
    assert files(folder) == files(undisturbed), "what the killed server had left is gone"
    assert runs(folder) == runs(undisturbed)
