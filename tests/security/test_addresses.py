"""Addresses: what one is, what is none, and binding to those that need keys."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import zmq

from headrace.pipeline.addresses import Address, addresses_of, parse_address
from headrace.pipeline.errors import InvalidArgumentError, ServiceError
from headrace.pipeline.keys import read_server_key
from headrace.pipeline.sockets import bind, connect, name_of

from .conftest import SocketOf


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp://10.0.0.5:80", Address(host="10.0.0.5", port=80)),
        ("tcp://trainer-3.example.org:65535", Address(host="trainer-3.example.org", port=65535)),
        ("tcp://localhost", Address(host="localhost", port=7311)),
        ("tcp://*:7311", Address(host="*", port=7311)),
        ("tcp://127.0.0.1:*", Address(host="127.0.0.1", port=0)),
        ("tcp://[fd00::5]:9", Address(host="fd00::5", port=9)),
        ("tcp://[::1]", Address(host="::1", port=7311)),
        ("ipc:///run/a b/server.sock", Address(path="/run/a b/server.sock")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.5:7311",
        "http://10.0.0.5:7311",
        "tcp://",
        "tcp://:7311",
        "tcp://a:b",
        "tcp://a:65536",
        "tcp://a:-1",
        "tcp://a:7311/",
        "tcp://a b:7311",
        "tcp://fd00::5:7311",
        "tcp://[fd00::5:7311",
        "tcp://[::1::2]:7311",
        "tcp://a;b:1",
        "ipc://",
        "ipc:///",
        "ipc://relative",
        "inproc://a",
        "tcp://a:7311\n",
    ],
)
def test_what_is_no_address_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"tcp://HOST:PORT, as in tcp://10\.0\.0\.5:7311.*ipc:///PATH"):
        parse_address(text)


def test_a_path_as_long_as_the_kernel_takes_and_one_past_it() -> None:
    assert parse_address(f"ipc:///{'a' * 106}").path == f"/{'a' * 106}"
    with pytest.raises(InvalidArgumentError, match="at most 107 bytes"):
        parse_address(f"ipc:///{'a' * 107}")


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.9.9.9:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("ipc:///a", True),
        ("tcp://*:1", False),
        ("tcp://0.0.0.0:1", False),
        ("tcp://[::]:1", False),
        ("tcp://10.0.0.1:1", False),
        ("tcp://localhost.example.org:1", False),
    ],
)
def test_which_addresses_stay_on_this_host(text: str, loopback: bool) -> None:
    assert parse_address(text).is_loopback is loopback


def test_a_name_is_looked_up_and_an_unknown_one_is_said() -> None:
    assert addresses_of(parse_address("tcp://localhost:7"))[0] in (
        Address(host="127.0.0.1", port=7),
        Address(host="::1", port=7),
    )
    with pytest.raises(ServiceError, match=r"tcp://nowhere\.invalid:7: the name 'nowhere\.invalid' is not known here"):
        addresses_of(parse_address("tcp://nowhere.invalid:7"))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "tcp://*:*", "tcp://localhost:*"])
def test_tcp_without_keys_is_refused_with_the_command_that_mends_it(socket_of: SocketOf, address: str) -> None:
    router = socket_of(zmq.ROUTER)
    with pytest.raises(ServiceError, match=r"needs keys.*`headrace keys`"):
        bind(router, address)
    assert router.getsockopt(zmq.LAST_ENDPOINT) == b""
    assert bind(router, address, insecure=True).startswith("tcp://")


def test_tcp_with_a_lock_is_bound_by_name(socket_of: SocketOf, keys: Path) -> None:
    router = socket_of(zmq.ROUTER, lock=read_server_key(keys))
    bound = parse_address(bind(router, "tcp://localhost:*"))
    assert bound.is_loopback
    assert bound.port > 0


def test_an_address_in_use_is_said(socket_of: SocketOf) -> None:
    first, second = socket_of(zmq.ROUTER), socket_of(zmq.ROUTER)
    address = bind(first, "tcp://127.0.0.1:*", insecure=True)
    with pytest.raises(
        ServiceError,
        match=f"cannot listen on {address}: Address already in use: end what listens there, or name another address",
    ):
        bind(second, address, insecure=True)


def test_ipc_needs_no_keys(socket_of: SocketOf, tmp_path: Path) -> None:
    router, dealer = socket_of(zmq.ROUTER), socket_of(zmq.DEALER)
    connect(dealer, bind(router, f"ipc://{tmp_path}/s"))
    dealer.send(b"hello")
    assert router.poll(5000)
    assert router.recv_multipart()[1] == b"hello"


@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="this host has no IPv6")
def test_ipv6(socket_of: SocketOf) -> None:
    router, dealer = socket_of(zmq.ROUTER), socket_of(zmq.DEALER)
    address = bind(router, "tcp://[::1]:*", insecure=True)
    assert address.startswith("tcp://[::1]:")
    connect(dealer, address)
    dealer.send(b"hello")
    assert router.poll(5000)


def test_who_gives_no_name_has_a_random_one(socket_of: SocketOf) -> None:
    names = {socket_of(zmq.DEALER).getsockopt(zmq.IDENTITY) for _ in range(20)}
    assert len(names) == 20
    ours = socket_of(zmq.DEALER, "worker-1").getsockopt(zmq.IDENTITY)
    assert isinstance(ours, bytes)
    assert name_of(ours) == "worker-1"
    assert len(ours) == len("worker-1~") + 16, "nobody else can connect under this name"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (zmq.LINGER, 0),
        (zmq.IMMEDIATE, 1),
        (zmq.HEARTBEAT_IVL, 1000),
        (zmq.HEARTBEAT_TIMEOUT, 5000),
        (zmq.HANDSHAKE_IVL, 5000),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.RECONNECT_IVL, 100),
        (zmq.RECONNECT_IVL_MAX, 5000),
    ],
)
def test_what_every_socket_is_set_to(socket_of: SocketOf, option: int, value: int) -> None:
    assert socket_of(zmq.DEALER).getsockopt(option) == value
