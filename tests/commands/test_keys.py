"""`headrace keys`: what it makes, and what it says of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from headrace.pipeline.keys import read_client_key, read_server_key

Headrace: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"


def test_the_first_call_makes_the_servers_key_in_a_private_folder(headrace: Headrace, place: Path) -> None:
    ended = headrace("keys")
    folder = place / "config" / "headrace"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        f"made {folder}/server.key: it stays on the server's host",
        f"let in by {folder}/authorized_keys:",
        "  nobody yet: `headrace keys --add NAME --role ROLE`",
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    assert "made" not in headrace("keys").stdout


@pytest.mark.parametrize("how", [("--add", "node"), ("node",)])
def test_a_peers_key_is_all_that_it_needs_and_is_let_in(headrace: Headrace, tmp_path: Path, how: tuple[str]) -> None:
    folder = tmp_path / "keys"
    ended = headrace("keys", "--dir", folder, *how, "--role", "worker", "--role", "admin")
    assert ended.returncode == 0, ended.stderr
    key = read_client_key(folder / "node.key")
    assert key.server == read_server_key(folder).public
    assert f"made {folder}/node.key: copy it to where it is used, mode 0600" in ended.stdout
    assert ended.stdout.splitlines()[-1].split() == ["node", "worker,admin", key.public]
    assert key.secret not in ended.stdout


def test_a_key_that_is_there_is_left_alone_where_that_is_wanted_and_an_error_elsewhere(
    headrace: Headrace, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    add = ("keys", "--dir", folder, "--add", "node", "--role", "worker")
    first = headrace(*add, "--if-missing")
    before = (folder / "node.key").read_bytes()
    again, refused = headrace(*add, "--if-missing"), headrace(*add)
    assert [first.returncode, again.returncode, refused.returncode] == [0, 0, 2]
    assert (folder / "node.key").read_bytes() == before
    assert f"{folder}/node.key is there" in again.stdout
    assert "is there already" in refused.stderr
    assert len(again.stdout.splitlines()) == 3, "one line for the list's head, one for its only key"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--add", "node"], "what may node do? Say --role worker, client, submit or admin"),
        (["--add", "node", "--role", "king"], "the roles of a key are some of worker, client, submit, admin"),
        (["--add", "../node", "--role", "worker"], "'../node' cannot name a key"),
        (["anna", "--add", "node", "--role", "worker"], "one key at a time: 'anna', or --add node"),
        (["--role", "worker"], "--role says what a new key may do: name it with --add"),
    ],
)
def test_what_cannot_be_is_refused_on_one_line(
    headrace: Headrace, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    ended = headrace("keys", "--dir", tmp_path / "keys", *arguments)
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_folder_that_others_can_enter_is_refused(headrace: Headrace, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    ended = headrace("keys", "--dir", tmp_path / "keys")
    assert ended.returncode == 2
    assert f"chmod 700 {tmp_path}/keys" in ended.stderr
    (tmp_path / "keys").chmod(0o700)
    assert headrace("keys", "--dir", tmp_path / "keys").returncode == 0
    (tmp_path / "keys").chmod(0o755)
    again = headrace("keys", "--dir", tmp_path / "keys", "--add", "node", "--role", "worker")
    assert (again.returncode, again.stdout) == (2, "")
    assert f"chmod 700 {tmp_path}/keys" in again.stderr
