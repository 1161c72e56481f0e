"""The gate: who comes in over TCP, against real sockets; and what each role may say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils import z85

import headrace as hr
from headrace.gate import MAY, Gate, Rules, User, allowed
from headrace.pipeline.authorized import Authorized
from headrace.pipeline.blobs import Blobs
from headrace.pipeline.graph import encode
from headrace.pipeline.keys import AUTHORIZED, ROLES, ClientLock, make_server_key, read_server_key
from headrace.pipeline.messages import (
    MESSAGES,
    VERSION,
    AskStatus,
    Hello,
    Pieces,
    Register,
    Stop,
    Welcome,
)
from headrace.pipeline.sockets import bind

from .conftest import Knock, NewKey, Serve, SocketOf


def pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def test_who_is_in_the_list_comes_in_and_is_known_by_name(
    serve: Serve, knock: Knock, keys: Path, new_key: NewKey
) -> None:
    serving = serve(keys)
    ann, bob = new_key("ann", "client"), new_key("bob", "worker")
    assert knock(serving.address, ann).ask() == b"ann"
    assert knock(serving.address, bob).ask() == b"bob"


def test_a_key_that_is_not_in_the_list_is_refused(serve: Serve, knock: Knock, keys: Path, new_key: NewKey) -> None:
    serving, ann = serve(keys), new_key("ann", "client")
    stranger = knock(serving.address, ClientLock(*pair(), ann.server, "stranger", "/there/stranger.key"))
    assert stranger.verdict() == (
        "refused: the server does not know this key: add the public key of /there/stranger.key to its authorized_keys"
    )
    assert stranger.bell.final
    assert stranger.ask(0.2) is None
    assert knock(serving.address, ann).ask() == b"ann"


def test_who_has_no_key_is_refused(serve: Serve, knock: Knock, keys: Path) -> None:
    plain = knock(serve(keys).address)
    assert (plain.verdict("refused: ") or "").startswith("refused: the server at tcp://127.0.0.1:")
    assert plain.ask(0.2) is None


def test_a_public_key_without_its_secret_is_refused(serve: Serve, knock: Knock, keys: Path, new_key: NewKey) -> None:
    ann = new_key("ann", "client")
    thief = knock(serve(keys).address, ClientLock(ann.public, pair()[1], ann.server))
    assert (thief.verdict("refused: ") or "").startswith("refused: ")
    assert thief.ask(0.2) is None


def test_a_server_with_another_key_is_not_talked_to(
    serve: Serve, knock: Knock, keys: Path, new_key: NewKey, tmp_path: Path
) -> None:
    ann = new_key("ann", "client")
    make_server_key(tmp_path / "other")
    (tmp_path / "other" / AUTHORIZED).write_text((keys / AUTHORIZED).read_text())
    other = serve(tmp_path / "other")
    peer = knock(other.address, ann)
    assert (peer.verdict("refused: ") or "").startswith(
        f"refused: the server at {other.address} has another key than the one in {ann.path}"
    )
    assert peer.ask(0.2) is None


def test_a_key_that_is_taken_from_the_list_counts_no_more_while_it_is_connected(
    serve: Serve, knock: Knock, keys: Path, new_key: NewKey
) -> None:
    serving, ann, bob = serve(keys), new_key("ann", "client"), new_key("bob", "client")
    first, second = knock(serving.address, ann), knock(serving.address, bob)
    assert (first.ask(), second.ask()) == (b"ann", b"bob")
    path = keys / AUTHORIZED
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines() if not line.startswith(ann.public)))
    assert (first.ask(), second.ask()) == (b"nobody", b"bob")
    assert "does not know this key" in (knock(serving.address, ann).verdict("refused: ") or "")


def test_a_key_that_is_added_to_the_list_comes_in_at_once(
    serve: Serve, knock: Knock, keys: Path, new_key: NewKey
) -> None:
    serving, ann = serve(keys), new_key("ann", "client")
    path = keys / AUTHORIZED
    known = path.read_text()
    path.write_text("")
    assert "does not know this key" in (knock(serving.address, ann).verdict("refused: ") or "")
    path.write_text(known)
    assert knock(serving.address, ann).ask() == b"ann"


def test_without_a_list_nobody_comes_in_and_once_it_is_back_those_who_waited_do(
    serve: Serve, knock: Knock, keys: Path, new_key: NewKey, tmp_path: Path
) -> None:
    serving, ann = serve(keys), new_key("ann", "client")
    (keys / AUTHORIZED).rename(tmp_path / "away")
    peer = knock(serving.address, ann)
    assert (peer.verdict() or "").startswith("unreachable: ")
    assert not peer.bell.final
    (tmp_path / "away").rename(keys / AUTHORIZED)
    assert peer.ask(20) == b"ann"
    assert peer.bell.verdict() is None


def test_without_a_gate_nobody_comes_in(socket_of: SocketOf, knock: Knock, keys: Path, new_key: NewKey) -> None:
    router = socket_of(zmq.ROUTER, lock=read_server_key(keys))
    peer = knock(bind(router, "tcp://127.0.0.1:*"), new_key("ann", "client"))
    assert (peer.verdict("refused: ") or "").startswith("refused: ")
    assert peer.ask(0.2) is None


@pytest.fixture
def gate(keys: Path) -> Iterator[Gate]:
    """One with a context of its own."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gate = Gate(context, Authorized(keys / AUTHORIZED))
    yield gate
    gate.close()
    context.destroy(linger=0)


def asked(gate: Gate, request: list[bytes]) -> list[bytes] | None:
    """What the gate answers to a question, asked as libzmq does."""
    context: zmq.Context[zmq.Socket[bytes]] = gate.socket.context
    with context.socket(zmq.DEALER) as asker:
        asker.linger = 0
        asker.connect("inproc://zeromq.zap.01")
        asker.send_multipart(request)
        gate.answer()
        return asker.recv_multipart() if asker.poll(0) else None


def question(public: str, domain: bytes = b"headrace", mechanism: bytes = b"CURVE") -> list[bytes]:
    return [b"", b"1.0", b"7", domain, b"10.0.0.9", b"id", mechanism, z85.decode(public.encode())]


def test_an_answer_is_as_rfc_27_says(gate: Gate, new_key: NewKey) -> None:
    ann = new_key("ann", "client")
    assert asked(gate, question(ann.public)) == [b"", b"1.0", b"7", b"200", b"OK", ann.public.encode(), b""]
    assert (asked(gate, question(pair()[0])) or [])[:4] == [b"", b"1.0", b"7", b"400"]


@pytest.mark.parametrize(
    ("domain", "mechanism"), [(b"", b"CURVE"), (b"*", b"CURVE"), (b"headrace", b"NULL"), (b"headrace", b"PLAIN")]
)
def test_another_domain_or_mechanism_is_not_let_in(
    gate: Gate, new_key: NewKey, domain: bytes, mechanism: bytes
) -> None:
    reply = asked(gate, question(new_key("ann", "client").public, domain, mechanism))
    assert (reply or [])[3:] == [b"500", b"not a question of this server", b"", b""]


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"1.0", b"headrace", b"CURVE", bytes(32)])), min_size=1
    )
)
def test_no_garbage_stops_the_gate_nor_is_let_in(request: list[bytes]) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gate = Gate(context, Authorized(Path(os.devnull) / "none", lambda text: None))
    assert b"200" not in (asked(gate, request) or [])
    gate.close()
    context.destroy(linger=0)


def test_a_frame_that_came_by_another_way_is_nobodys(gate: Gate) -> None:
    assert gate.user_of(zmq.Frame(b"hello")) is None


def user(*roles: str) -> User:
    return User("ann", frozenset(roles))


def register(dataset: hr.Dataset, folder: Path) -> Register:
    return Register("k", encode(dataset.resolved, Blobs(folder)), 0)


@pytest.mark.parametrize("role", ROLES)
def test_everyone_may_say_hello_and_ask_for_the_status(role: str) -> None:
    assert allowed(user(role), AskStatus()) is None
    assert allowed(user(role), Hello(VERSION, "client", "c", 1, {})) is None


@pytest.mark.parametrize("role", ["worker", "launcher"])
def test_only_a_worker_may_come_as_one(role: str) -> None:
    hello = Hello(VERSION, role, "w", 1, {})
    assert allowed(user("worker"), hello) is None
    assert allowed(user("client", "submit", "admin"), hello) == (
        f"the key 'ann' has the role client or submit or admin, and a {role} needs worker: change its line in the "
        "server's authorized_keys"
    )


def test_only_an_admin_may_stop_the_server() -> None:
    assert allowed(user("admin"), Stop(1.0)) is None
    assert "Stop needs admin" in (allowed(user("worker", "client", "submit"), Stop(1.0)) or "")


def test_only_a_worker_may_send_what_it_computed() -> None:
    assert allowed(user("worker"), Pieces(1, 1, 0, 1, True)) is None
    assert "Pieces needs worker" in (allowed(user("client", "submit"), Pieces(1, 1, 0, 1, True)) or "")


def test_a_pipeline_with_functions_needs_submit(tmp_path: Path) -> None:
    functions = [
        register(hr.Dataset.range(3).map(lambda x: x), tmp_path),
        register(hr.Dataset.range(3).filter(lambda x: x > 0).batch(2), tmp_path),
    ]
    plain = register(hr.Dataset.from_tensor_slices(np.arange(5)).shuffle(3, seed=1).batch(2), tmp_path)
    for each in functions:
        assert "a pipeline with functions needs submit" in (allowed(user("client"), each) or "")
        assert allowed(user("submit"), each) is None
    assert allowed(user("client"), plain) is None
    assert allowed(user("submit"), plain) is None
    assert "Register needs client or submit" in (allowed(user("worker", "admin"), plain) or "")


def test_a_daemon_that_takes_no_code_takes_it_from_nobody(tmp_path: Path) -> None:
    lambda_ = register(hr.Dataset.range(3).map(lambda x: x), tmp_path)
    plain = register(hr.Dataset.range(3).batch(2), tmp_path)
    told = allowed(user("submit"), lambda_, Rules(code=False)) or ""
    assert told.startswith("this server takes no functions over TCP (security.allow_code is false), and map(<lambda>)")
    assert "Register" not in told
    assert allowed(user("submit"), plain, Rules(code=False)) is None


@pytest.mark.parametrize("code", [True, False])
@pytest.mark.parametrize("role", ["client", "submit"])
def test_functions_of_listed_modules_may_be_named_by_every_client(role: str, code: bool, tmp_path: Path) -> None:
    named = register(hr.Dataset.range(3).map("headrace.pipeline.spec:dtype_name").batch(2), tmp_path)
    lists: list[tuple[str, ...]] = [("headrace.pipeline.spec",), ("headrace.pipeline",), ("other", "headrace")]
    for modules in lists:
        assert allowed(user(role), named, Rules(code, modules)) is None
    others: list[tuple[str, ...]] = [(), ("head",), ("headrace.pipeline.specs",), ("dtype_name",)]
    for modules in others:
        fine = role == "submit" and code
        assert (allowed(user(role), named, Rules(code, modules)) is None) == fine
    mixed = register(hr.Dataset.range(3).map("headrace.pipeline.spec:dtype_name").filter(bool), tmp_path)
    told = allowed(user("client"), mixed, Rules(code, ("headrace",))) or ""
    assert "a pipeline with functions needs submit" in told
    assert "or let filter(bool) be the text MODULE:FUNCTION, of headrace" in told


def test_what_is_no_graph_is_left_to_who_reads_it() -> None:
    assert allowed(user("client"), Register("k", b"\xc1nonsense", 0)) is None


def test_what_servers_say_nobody_may() -> None:
    assert allowed(user(*ROLES), Welcome(1, 1.0)) == "Welcome is for the server to say"


def test_every_message_is_either_for_peers_to_say_or_for_the_server() -> None:
    of_servers = {
        "Welcome", "Refused", "Stale", "Registered", "Opened", "Deliver", "Ended", "Waiting", "Lease", "Program",
        "Credit", "Revoke", "Lacking", "Stored", "Part", "Status", "Stopping", "Inspect", "Kill", "Token",
        "Files", "Sample",
    }  # fmt: skip
    of_shared_memory = {"Shares", "Sharing", "Freed", "Retired"}
    assert set(MAY) - of_shared_memory == set(MESSAGES) - of_shared_memory - of_servers
