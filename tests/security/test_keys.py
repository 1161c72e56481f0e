"""Key files: private, whole, never replaced, and refused with the command that mends them."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest
import zmq

from headrace.pipeline.errors import FileError, InvalidArgumentError, NotFoundError
from headrace.pipeline.keys import (
    AUTHORIZED,
    ClientLock,
    is_key,
    keys_folder,
    make_client_key,
    make_server_key,
    read_client_key,
    read_server_key,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_servers_key_and_its_folder_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = make_server_key(tmp_path / "a" / "keys")
    finally:
        os.umask(before)
    assert path == tmp_path / "a" / "keys" / "server.key"
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert mode(path.parent / AUTHORIZED) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == [AUTHORIZED, "server.key"]


def test_a_key_file_is_toml_with_a_pair_that_libzmq_agrees_with(keys: Path) -> None:
    found = tomllib.loads((keys / "server.key").read_text())
    assert sorted(found) == ["name", "public", "secret"]
    assert zmq.curve_public(found["secret"].encode()).decode() == found["public"]


def test_a_clients_key_file_is_all_that_another_host_needs(keys: Path) -> None:
    path = make_client_key(keys, "trainer-1", ["client", "submit"])
    lock = read_client_key(path)
    assert mode(path) == 0o600
    assert lock.server == read_server_key(keys).public
    assert (lock.name, lock.path) == ("trainer-1", str(path))
    assert lock.public not in (lock.server, lock.secret)
    assert (keys / AUTHORIZED).read_text().splitlines()[-1] == f"{lock.public} client,submit trainer-1"


def test_secrets_are_not_shown(keys: Path) -> None:
    server, client = read_server_key(keys), read_client_key(make_client_key(keys, "a", ["client"]))
    assert server.secret not in repr(server)
    assert client.secret not in repr(client)


def test_no_key_is_replaced(keys: Path) -> None:
    server, path = read_server_key(keys), make_client_key(keys, "a", ["worker"])
    client, known = read_client_key(path), (keys / AUTHORIZED).read_text()
    with pytest.raises(FileError, match=r"server\.key: is there already"):
        make_server_key(keys)
    with pytest.raises(FileError, match=r"a\.key: is there already"):
        make_client_key(keys, "a", ["admin"])
    assert (read_server_key(keys), read_client_key(path)) == (server, client)
    assert (keys / AUTHORIZED).read_text() == known


def test_a_list_of_keys_that_was_written_by_hand_is_added_to(keys: Path) -> None:
    (keys / AUTHORIZED).write_text("# no line end")
    first = read_client_key(make_client_key(keys, "a", ["worker"]))
    second = read_client_key(make_client_key(keys, "b", ["admin", "client", "admin"]))
    assert (keys / AUTHORIZED).read_text() == (
        f"# no line end\n{first.public} worker a\n{second.public} admin,client b\n"
    )


def test_making_a_server_key_keeps_the_list_of_keys(keys: Path) -> None:
    make_client_key(keys, "a", ["worker"])
    known = (keys / AUTHORIZED).read_text()
    (keys / "server.key").unlink()
    make_server_key(keys)
    assert (keys / AUTHORIZED).read_text() == known


@pytest.mark.parametrize("name", ["", "a b", "../a", "a/b", ".a", "a\nb", 'a"', "server", "é", "a" * 65])
def test_what_is_no_name_for_a_file_names_no_key(keys: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot name a key"):
        make_client_key(keys, name, ["client"])


@pytest.mark.parametrize("roles", [[], ["root"], ["client", ""]])
def test_a_key_has_roles_that_there_are(keys: Path, roles: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match="worker, client, submit, admin"):
        make_client_key(keys, "a", roles)
    assert not (keys / "a.key").exists()


def test_a_clients_key_needs_a_servers(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    said = f"{tmp_path}/server.key: there is no such key; headrace keys --dir {tmp_path} makes one"
    with pytest.raises(NotFoundError) as caught:
        make_client_key(tmp_path, "a", ["client"])
    assert str(caught.value) == said


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_key_that_others_can_get_at_is_refused(keys: Path, bits: int) -> None:
    client = make_client_key(keys, "a", ["client"])
    for path in (keys / "server.key", client):
        path.chmod(bits)
    with pytest.raises(FileError, match=f"chmod 600 {keys / 'server.key'}"):
        read_server_key(keys)
    with pytest.raises(FileError, match=f"chmod 600 {client}"):
        read_client_key(client)


def test_a_key_of_somebody_else_is_refused(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(FileError, match=f"belongs to somebody else; chown {owner + 1} "):
        read_server_key(keys)


def test_keys_are_not_made_in_a_folder_that_is_open_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(FileError, match=f"chmod 700 {tmp_path}"):
        make_server_key(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'public' is missing"),
        ("\0", "is no key file"),
        ("\xff", "'public' is missing|is no key file"),
        ("public = 7\nsecret = 7", "'public' is no key of 40 characters"),
        (f'public = "{"a" * 39}"', "'public' is no key of 40 characters"),
        (f'public = "{"a" * 39}~"', "'public' is no key of 40 characters"),
        (f'public = "{"a" * 40}"', "'secret' is missing"),
        ("x = " + "[" * 5000, "is no key file"),
    ],
)
def test_what_is_no_key_file_is_said_with_the_command_that_makes_one(keys: Path, text: str, why: str) -> None:
    path = keys / "server.key"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FileError, match=f"(?s){path}: .*({why}).*headrace keys") as caught:
        read_server_key(keys)
    assert type(caught.value) is FileError


def test_a_pair_that_is_none_is_refused(keys: Path) -> None:
    path = keys / "server.key"
    other = zmq.curve_keypair()[0].decode()
    path.write_text(path.read_text().replace(read_server_key(keys).public, other))
    with pytest.raises(FileError, match="its secret key is not that of its public key"):
        read_server_key(keys)


def test_a_servers_key_is_not_a_clients(keys: Path) -> None:
    with pytest.raises(FileError, match="'server' is missing; headrace keys --add NAME --role ROLE makes one"):
        read_client_key(keys / "server.key")


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_only_a_regular_file_is_a_key(keys: Path, kind: str) -> None:
    path = keys / "a.key"
    if kind == "folder":
        path.mkdir(mode=0o700)
    else:
        os.mkfifo(path, 0o600)  # one that nobody writes to must not hold us either
    with pytest.raises(FileError, match="is no regular file"):
        read_client_key(path)


def test_no_public_key_looks_like_a_comment(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = iter([(b"#" + b"a" * 39, b"x" * 40), zmq.curve_keypair(), (b"", b"")])
    monkeypatch.setattr(zmq, "curve_keypair", lambda: next(pairs))
    assert not read_client_key(make_client_key(keys, "a", ["client"])).public.startswith("#")


def test_keys_lie_among_the_users_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys_folder() == tmp_path / "headrace"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keys_folder() == tmp_path / ".config" / "headrace"


def test_what_is_a_key() -> None:
    assert all(is_key(each.decode()) for each in zmq.curve_keypair())
    assert not any(is_key(each) for each in ("", "a" * 39, "a" * 41, "a" * 39 + " ", "a" * 39 + '"', "a" * 39 + "\n"))


def test_a_lock_compares_by_what_it_is() -> None:
    assert ClientLock("a", "b", "c") == ClientLock("a", "b", "c")
