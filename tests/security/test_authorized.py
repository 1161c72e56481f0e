"""The list of keys: what a line means, and that the file is believed as it is at each moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.pipeline.authorized import Authorized, User

A, B = "a" * 40, "b" * 40


@pytest.fixture
def said() -> list[str]:
    """What was warned of."""
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A list of keys that has long been as it is."""
    path = tmp_path / "authorized_keys"
    path.write_text(f"# people\n\n{A} worker,client ann@home\n")
    path.chmod(0o600)
    os.utime(path, (1, 1))
    return path


@pytest.fixture
def listed(path: Path, said: list[str]) -> Authorized:
    """The list of that file."""
    return Authorized(path, said.append)


def test_a_line_is_a_key_its_roles_and_a_name(listed: Authorized, said: list[str]) -> None:
    assert listed.user(A) == User("ann@home", frozenset({"worker", "client"}))
    assert listed.user(B) is None
    assert listed.user("") is None
    assert listed.user("#") is None
    assert listed.readable
    assert said == []


def test_a_line_that_is_added_or_taken_away_counts_at_once(listed: Authorized, path: Path) -> None:
    assert listed.user(B) is None
    with path.open("a") as file:
        file.write(f"{B} submit bob\n")
    assert listed.user(B) == User("bob", frozenset({"submit"}))
    path.write_text(f"{B} submit bob\n")
    assert listed.user(A) is None


def test_an_edit_of_the_same_length_within_the_clocks_grain_is_seen(listed: Authorized, path: Path) -> None:
    for key, other in [(A, B), (B, A)] * 50:
        path.write_text(f"{key} worker w\n")
        assert (listed.user(key), listed.user(other)) == (User("w", frozenset({"worker"})), None)


def test_a_file_that_was_put_in_its_place_is_seen(listed: Authorized, path: Path, tmp_path: Path) -> None:
    assert listed.user(A) is not None
    other = tmp_path / "other"
    other.write_text(path.read_text().replace(A, B))
    other.chmod(0o600)
    os.utime(other, (1, 1))  # as old and as long as the one before
    other.replace(path)
    assert (listed.user(A), listed.user(B) is not None) == (None, True)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (B, "it is not <public key> <role"),
        (f"{B} worker", "it is not <public key> <role"),
        (f"{B[:-1]} worker bob", "it does not begin with a public key"),
        (f"{B} worker bob/w", "'bob/w' cannot name a key"),
        (f"{B} worker bob  # mine", "'bob  # mine' cannot name a key"),
        (f"{B} worker,root bob", "there is no role 'root'"),
        (f"{B} worker, client", "there is no role ''"),
        (f"{A} admin bob", "the key stands there already, as 'ann@home'"),
        ("\x00\xff worker bob", "it does not begin with a public key"),
    ],
)
def test_a_broken_line_lets_nobody_in_and_harms_no_other(
    listed: Authorized, path: Path, said: list[str], line: str, why: str
) -> None:
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n" + b"c" * 40 + b" client carl\n")
    for _ in range(3):
        assert listed.user(B) is None
        assert listed.user(A) == User("ann@home", frozenset({"worker", "client"}))
        assert listed.user("c" * 40) == User("carl", frozenset({"client"}))
        os.utime(path)
    assert len(said) == 1
    assert said[0].startswith(f"{path}, line 4: {why}")


def test_a_warning_does_not_show_what_may_be_a_secret(path: Path, listed: Authorized, said: list[str]) -> None:
    path.write_text("secret = s3cr3t worker bob\n")
    assert listed.users == []
    assert "s3cr3t" not in said[0]


def test_a_key_that_is_commented_out_is_not_in_the_list(listed: Authorized, path: Path, said: list[str]) -> None:
    path.write_text(f"#{A} worker ann\n  # {B} worker bob\n")
    assert listed.users == []
    assert said == []


@pytest.mark.parametrize("bits", [0o620, 0o602, 0o666])
def test_a_list_that_others_can_change_lets_nobody_in(
    listed: Authorized, path: Path, said: list[str], bits: int
) -> None:
    assert listed.user(A) is not None
    path.chmod(bits)
    assert listed.user(A) is None
    assert not listed.readable
    assert said == [f"{path} can be changed by others; chmod go-w {path}: nobody is let in"]
    path.chmod(0o644)
    assert listed.user(A) is not None


def test_a_list_that_is_gone_lets_nobody_in_until_it_is_back(
    listed: Authorized, path: Path, said: list[str], tmp_path: Path
) -> None:
    assert listed.user(A) is not None
    path.rename(tmp_path / "away")
    assert listed.user(A) is None
    assert listed.user(A) is None
    assert not listed.readable
    assert len(said) == 1
    assert "headrace keys" in said[0]
    (tmp_path / "away").rename(path)
    assert listed.user(A) is not None


def test_a_folder_in_its_place_lets_nobody_in(listed: Authorized, path: Path, said: list[str]) -> None:
    path.unlink()
    path.mkdir()
    assert listed.users == []
    assert said == [f"{path} is no list of keys: nobody is let in"]


def test_a_list_of_somebody_else_lets_nobody_in(
    listed: Authorized, path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    if owner == 0:
        os.chown(path, 12345, -1)
        owner = 12345
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert listed.user(A) is None
    assert f"chown {owner + 1} {path}" in said[0]
