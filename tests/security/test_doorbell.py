"""The doorbell: why a server does not answer, against every kind of server that is not the right one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zmq

from headrace.pipeline.doorbell import Doorbell
from headrace.pipeline.sockets import bind

from .conftest import Knock, NewKey, Serve, SocketOf


@pytest.fixture
def talker() -> Iterator[Callable[..., str]]:
    """`talker(words, hangs_up=False)`: the address of what says that to whoever connects, and then nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def start(words: bytes, hangs_up: bool = False) -> str:
            def talk() -> None:
                while True:
                    try:
                        kept.append(listener.accept()[0])
                    except OSError:  # the end of the test
                        return
                    kept[-1].sendall(words)
                    if hangs_up:
                        kept.pop().close()

            threads.append(threading.Thread(target=talk))
            threads[-1].start()
            return f"tcp://127.0.0.1:{listener.getsockname()[1]}"

        threads: list[threading.Thread] = []
        yield start
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for each in kept:
            each.close()


def test_who_is_let_in_is_told_nothing(serve: Serve, knock: Knock, keys: Path, new_key: NewKey) -> None:
    peer = knock(serve(keys).address, new_key("ann", "client"))
    assert peer.verdict() is None
    assert not peer.bell.final


def test_where_nobody_listens(knock: Knock, new_key: NewKey) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        peer = knock(address, new_key("ann", "client"))
        assert peer.verdict() == f"unreachable: nobody listens at {address}: is the server running?"
        assert not peer.bell.final


def test_where_nobody_listens_over_ipc(knock: Knock, tmp_path: Path) -> None:
    peer = knock(f"ipc://{tmp_path}/server.sock")
    assert peer.verdict() == f"unreachable: nobody listens at ipc://{tmp_path}/server.sock: is the server running?"


def test_a_name_that_nobody_knows(knock: Knock) -> None:
    assert knock("tcp://nowhere.invalid:7311").verdict() == (
        "unreachable: tcp://nowhere.invalid:7311: this host does not know that name"
    )


def test_a_server_that_comes_later_lets_in_who_has_waited(knock: Knock, socket_of: SocketOf) -> None:
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        peer = knock(address)
        assert (peer.verdict() or "").startswith("unreachable: nobody listens")
    bind(socket_of(zmq.ROUTER), address, insecure=True)
    assert peer.verdict("until we are in") is None


def test_a_server_that_goes_is_said(knock: Knock, socket_of: SocketOf) -> None:
    router = socket_of(zmq.ROUTER)
    peer = knock(bind(router, "tcp://127.0.0.1:*", insecure=True))
    assert peer.verdict() is None
    router.close()
    assert peer.bell.socket.poll(5000)
    assert (peer.bell.verdict() or "").startswith("unreachable: ")
    assert not peer.bell.final


def test_a_server_without_keys_is_not_talked_to_with_one(serve: Serve, knock: Knock, new_key: NewKey) -> None:
    peer = knock(serve(None).address, new_key("ann", "client"))
    assert peer.verdict("has no keys: that server was started as insecure") is not None
    assert peer.bell.final


def test_who_has_no_key_is_told_how_to_make_one(serve: Serve, knock: Knock, keys: Path) -> None:
    peer = knock(serve(keys).address)
    assert (peer.verdict("`headrace keys --add NAME --role ROLE`") or "").startswith("refused: ")


@pytest.mark.parametrize(
    "words", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 mail ready\r\n"]
)
def test_what_speaks_otherwise_is_no_headrace_server(
    knock: Knock, new_key: NewKey, talker: Callable[..., str], words: bytes
) -> None:
    address = talker(words)
    peer = knock(address, new_key("ann", "client"))
    assert peer.verdict("refused: ") == f"refused: what listens at {address} is no headrace server"
    assert peer.bell.final


def test_what_says_nothing_does_not_answer_as_a_server_does(
    knock: Knock, new_key: NewKey, talker: Callable[..., str]
) -> None:
    address = talker(b"")
    peer = knock(address, new_key("ann", "client"))
    assert peer.bell.verdict() == f"unreachable: {address} has not answered yet"
    assert peer.verdict() == f"unreachable: what listens at {address} does not answer as a headrace server does"


def test_a_relay_before_a_server_that_is_away_is_no_refusal(
    knock: Knock, new_key: NewKey, talker: Callable[..., str]
) -> None:
    address = talker(b"", hangs_up=True)
    for peer in (knock(address, new_key("ann", "client")), knock(address)):
        for _ in range(15):  # events of several attempts
            assert peer.bell.socket.poll(10_000)
            assert (peer.bell.verdict() or "").startswith(f"unreachable: {address} ")
        assert not peer.bell.final


def test_a_web_server_does_not_answer_as_a_server_does(knock: Knock, new_key: NewKey) -> None:
    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"tcp://127.0.0.1:{server.server_port}"
        found = knock(address, new_key("ann", "client")).verdict()
        server.shutdown()
        thread.join()
    assert found == f"unreachable: what listens at {address} does not answer as a headrace server does"


def test_a_doorbell_leaves_nothing_behind(serve: Serve, socket_of: SocketOf) -> None:
    address = serve(None).address
    dealer = socket_of(zmq.DEALER)
    for _ in range(3):  # one after the other, on one socket
        bell = Doorbell(dealer, address)
        bell.close()
        bell.close()
        assert bell.socket.closed
    dealer.connect(address)
    dealer.send(b"hello")
    assert dealer.poll(5000)
    bell = Doorbell(dealer, address)
    dealer.close()
    bell.close()
