"""Decoders of what a server and its users keep in files: configuration, keys, the journal's facts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import get_type_hints

from headrace.config import load, schema
from headrace.facts import FACTS, from_bytes, to_bytes
from headrace.pipeline.authorized import Authorized
from headrace.pipeline.keys import (
    AUTHORIZED,
    SERVER,
    is_key,
    is_name,
    make_client_key,
    make_server_key,
    read_client_key,
    read_server_key,
)

from .decoder import Decoder, Place, a_folder
from .mutation import cut_and_pasted, retold
from .wire import sample

__all__ = ["STATE"]

CONFIG = b"""
[server]
listen = ["tcp://0.0.0.0:7311", "tcp://[::1]:7312"]
workers = 4
state_dir = "~/state"
grace = "8 s"
idle = 300.5
slabs = true
[limits]
budget = "256 MiB"
split = 8388608
lease = "30 s"
heartbeat = "1.5 s"
[security]
keys = ""
insecure = false
[metrics]
listen = "127.0.0.1:7312"
[worker]
server = "tcp://trainer-3:7311"
key = "keys/worker.key"
workers = 2
"""
#: Values that a configuration may have, and some that it must not.
SAID = (
    *(b'"1e400 s"', b'"' + b"9" * 400 + b' TiB"', b"9" * 4400, b"nan", b"inf", b"-1", b"0", b"1e308", b"true"),
    *(b'"~nobody-of-that-name/x"', b'"\\u0000"', b"[" * 2000, b"[1, 2]", b"{a = 1}", b"1979-05-27", b'""', b'"none"'),
    *(b'"tcp://[::::]"', b'"ipc:///' + b"x" * 200 + b'"', b'"host:99999"', b'":"', b'"1' + b" " * 5000 + b'!"'),
)


@lru_cache
def _folder() -> Path:
    return a_folder()


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.touch(0o600)
    path.write_bytes(data)
    return path


def _config(data: bytes, _: Place) -> None:
    config = load(_written("headrace.toml", data))
    assert config.limits.split <= config.limits.budget
    assert 0 < 2 * config.limits.heartbeat <= config.limits.lease
    assert config.server.state_dir is None or config.server.state_dir.is_absolute()


def restated(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Another value for one key, or for one that there is not."""
    lines = data.splitlines()
    at = rng.randrange(len(lines))
    key = lines[at].split(b"=")[0] if b"=" in lines[at] else rng.choice(list(schema())).encode()
    lines[at] = key + b"= " + rng.choice(SAID)
    return b"\n".join(lines)


def _client_key(data: bytes, _: Place) -> None:
    lock = read_client_key(_written("some.key", data))
    assert is_key(lock.public)
    assert is_key(lock.server)


def _server_key(data: bytes, _: Place) -> None:
    _written(SERVER, data)
    assert is_key(read_server_key(_folder()).public)


def _authorized(data: bytes, _: Place) -> None:
    said: list[str] = []
    for user in Authorized(_written(AUTHORIZED, data), said.append).users:
        assert is_name(user.name)
        assert user.roles
    assert len(said) <= data.count(b"\n") + 1


@lru_cache
def _keys(name: str) -> Sequence[bytes]:
    folder = _folder() / "keys"
    if not folder.exists():
        make_server_key(folder)
        make_client_key(folder, "trainer", ["client", "submit"])
        make_client_key(folder, "node7", ["worker"])
    return [path.read_bytes() for path in sorted(folder.glob(name))]


def _fact(data: bytes, _: Place) -> None:
    fact = from_bytes(data)
    assert type(fact).__name__ in FACTS


@lru_cache
def _facts() -> Sequence[bytes]:
    rng = Random(1)
    made = [kind(**{name: sample(hint, rng) for name, hint in get_type_hints(kind).items()}) for kind in FACTS.values()]
    return [to_bytes(each) for each in made]


STATE = (
    Decoder("config", _config, lambda: [CONFIG], (cut_and_pasted, restated)),
    Decoder("client keys", _client_key, lambda: _keys("[nt]*.key")),
    Decoder("server keys", _server_key, lambda: _keys("server.key")),
    Decoder("authorized keys", _authorized, lambda: _keys(AUTHORIZED)),
    Decoder("facts", _fact, _facts, (retold, cut_and_pasted)),
)
