"""Roots: what lies in the folders may be read; links out, `..`, other kinds of files and all else may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.pipeline.errors import FileError, NotFoundError
from headrace.pipeline.manifest import Manifest
from headrace.pipeline.orders import Scan, Scanned, Shelve
from headrace.pipeline.records import TFRecordWriter
from headrace.pipeline.roots import ANYWHERE, Roots
from headrace.scanning import look
from headrace.shelving import Shelving


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A root `data` and what is beside it."""
    for name in ("data/in", "database", "secret"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text("x")
    return tmp_path


@pytest.fixture
def roots(place: Path) -> Roots:
    return Roots((str(place / "data"),))


def refused(roots: Roots, path: Path | str) -> str:
    with pytest.raises(FileError) as caught:
        roots.check(str(path))
    assert str(caught.value).startswith(str(path))
    return caught.value.reason


def test_what_lies_in_a_root_may_be_read(roots: Roots, place: Path) -> None:
    roots.check(str(place / "data/in/file"))
    roots.check(f"{place}/data//in/./file")
    Roots(("/nowhere", f"{place}/data/")).check(str(place / "data/in/file"))
    Roots(("/",)).check(str(place / "secret/file"))


@pytest.mark.parametrize("name", ["secret/file", "database/file"])
def test_what_lies_elsewhere_may_not(roots: Roots, place: Path, name: str) -> None:
    reason = refused(roots, place / name)
    assert reason.startswith(f"lies outside of what this server reads, {place}/data: put it there, or have the server")
    assert "--root" in reason


def test_a_name_that_goes_up_is_refused_wherever_it_leads(roots: Roots, place: Path) -> None:
    for name in ("data/../secret/file", "data/in/../in/file"):
        assert "must not go up with '..'" in refused(roots, f"{place}/{name}")


def test_links_lead_from_place_to_place_in_the_roots_and_not_out_of_them(roots: Roots, place: Path) -> None:
    (place / "data/near").symlink_to("in/file")
    roots.check(str(place / "data/near"))
    (place / "data/out").symlink_to(place / "secret/file")
    assert refused(roots, place / "data/out").startswith("is a link to what lies outside")
    (place / "data/folder").symlink_to(place / "secret")
    assert refused(roots, place / "data/folder/file").startswith("is a link to what lies outside")


def test_a_root_may_itself_be_a_link(place: Path) -> None:
    (place / "mounted").symlink_to(place / "data")
    Roots((str(place / "mounted"),)).check(str(place / "mounted/in/file"))
    Roots((str(place / "mounted"),)).check(str(place / "data/in/file"))


def test_only_regular_files_may_be_read(roots: Roots, place: Path) -> None:
    os.mkfifo(place / "data/pipe")
    for name in ("data/pipe", "data/in"):
        assert refused(roots, place / name) == "is no regular file, and this server reads nothing else"
    with pytest.raises(NotFoundError, match="cannot be opened: No such file"):
        roots.check(str(place / "data/absent"))


def test_who_may_read_nothing_is_told_what_to_do(place: Path) -> None:
    assert "start it with --root DIR (server.roots), or give the key that role" in refused(
        Roots(()), place / "data/in/file"
    )


def test_without_roots_anything_may_be_read() -> None:
    ANYWHERE.check("/etc/../etc/shadow")


@pytest.mark.parametrize("roots", [Roots(), Roots(()), Roots(("/a", "/b"))])
def test_roots_travel(roots: Roots) -> None:
    assert Roots.from_data(roots.to_data()) == roots


@pytest.fixture
def records(place: Path) -> Path:
    """A file that can be cut in many places."""
    path = place / "secret/records"
    with TFRecordWriter(str(path)) as writer:
        for _ in range(10):
            writer.write(bytes(100))
    return path


def test_the_server_cuts_only_what_may_be_read(roots: Roots, records: Path) -> None:
    scan = Scan(1, str(records), "records")
    assert len(look(scan, 200).bounds) > 3
    assert look(scan, 200, roots).bounds == (0, None)


@pytest.mark.parametrize("kind", ["records", "lines"])
def test_a_pipe_does_not_hold_the_server_up(place: Path, kind: str) -> None:
    os.mkfifo(place / "data/pipe")
    assert look(Scan(1, str(place / "data/pipe"), kind), 200) == Scanned(1, str(place / "data/pipe"), (0, None))


def test_elements_are_kept_and_looked_for_in_the_roots_alone(roots: Roots, place: Path) -> None:
    shelving = Shelving(print)
    (place / "data/link").symlink_to(place / "secret")
    outside = [f"{place}/secret/kept", f"{place}/data/../secret", f"{place}/data/link/kept"]
    for number, folder in enumerate([*outside, f"{place}/data/kept"]):
        shelving.do(Shelve(1, number, folder, "", (b"one", b"two"), (0, 7)), roots)
        shelving.do(Shelve(1, number, folder, "", ended=True), roots)
    assert [path.parent.name for path in place.rglob("headrace.json")] == ["kept"]
    for folder in outside:
        assert look(Scan(1, folder, "shelf"), 200, roots).bounds == (None,)
    found = look(Scan(1, f"{place}/data/kept", "shelf"), 200, roots)
    assert [(each.number, each.records) for each in Manifest.from_numbers([n or 0 for n in found.bounds]).shards] == [
        (0, 1),
        (7, 1),
    ]
    assert look(Scan(1, f"{place}/data/in", "shelf"), 200, roots).bounds == ()


def test_what_is_aborted_leaves_nothing(place: Path) -> None:
    shelving = Shelving(print)
    shelving.do(Shelve(1, 3, f"{place}/new", "GZIP", (b"one",), (0,)), ANYWHERE)
    assert len(list((place / "new").iterdir())) == 1
    shelving.do(Shelve(1, 3, f"{place}/new", "GZIP", ended=False), ANYWHERE)
    assert not (place / "new").exists()
    assert shelving.keepers == {}
