"""The depot: what moves functions and arrays to and from hosts that share no folder."""

from __future__ import annotations

import resource
import signal
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.depot import IDLE_S, Depot
from headrace.pipeline.blobs import CHUNK, Blobs, Sent, digest_of
from headrace.pipeline.dataset import Dataset
from headrace.pipeline.graph import encode
from headrace.pipeline.messages import (
    Fetch,
    Heartbeat,
    Lacking,
    Message,
    Part,
    Program,
    Refused,
    Register,
    Stored,
    Upload,
    Welcome,
)
from headrace.workers.fetching import Fetching

LARGE = np.arange(CHUNK // 8 + 1000)


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    (tmp_path / "server").mkdir()
    return Depot(Blobs(tmp_path / "server"))


def answered(depot: Depot, message: Message, *buffers: bytes | memoryview, peer: str = "client") -> Message:
    found = depot.answer(peer, message, buffers)
    assert found is not None
    return found[0]


def uploaded(depot: Depot, sent: Sent) -> None:
    for digest, content in sent.content.items():
        for offset in range(0, len(content), CHUNK):
            answered(depot, Upload(digest, offset, len(content)), content[offset : offset + CHUNK])


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def graph(sent: Sent) -> bytes:
    """Of an array that takes two parts, and a function."""
    return encode(Dataset.from_tensor_slices(LARGE).map(lambda x: x + 1).node, sent)


def test_a_registration_waits_for_what_is_lacking_and_goes_on_when_all_is_there(
    depot: Depot, sent: Sent, graph: bytes
) -> None:
    register = Register("key", graph, 1)
    assert answered(depot, register) == Lacking("key", [[digest, 0] for digest in sent.content])
    uploaded(depot, sent)
    assert depot.answer("client", register, ()) is None


def test_an_upload_is_confirmed_part_by_part_and_goes_on_where_it_was(depot: Depot, sent: Sent, graph: bytes) -> None:
    digest, content = max(sent.content.items(), key=lambda each: len(each[1]))
    total = len(content)
    assert answered(depot, Upload(digest, 0, total), content[:CHUNK]) == Stored(digest, CHUNK, False)
    assert answered(depot, Upload(digest, 0, total), content[:CHUNK]) == Stored(digest, CHUNK, False), "said twice"
    lacking = answered(depot, Register("key", graph, 1))
    assert isinstance(lacking, Lacking)
    assert [digest, CHUNK] in lacking.digests
    assert answered(depot, Upload(digest, CHUNK, total), content[CHUNK:]) == Stored(digest, total, True)
    assert depot.blobs.get(digest) == content


def test_two_clients_that_send_the_same_do_not_disturb_each_other(depot: Depot) -> None:
    content = bytes(range(200))
    digest = digest_of(content)
    for peer in ("one", "other"):
        assert answered(depot, Upload(digest, 0, 200), content[:100], peer=peer) == Stored(digest, 100, False)
    assert answered(depot, Upload(digest, 100, 200), content[100:], peer="one") == Stored(digest, 200, True)
    assert answered(depot, Upload(digest, 100, 200), content[100:], peer="other") == Stored(digest, 200, True)
    assert [path.name for path in depot.blobs.folder.iterdir()] == [digest], "nothing is left of the second"


def test_content_that_is_not_that_of_its_name_is_refused_and_not_kept(depot: Depot) -> None:
    digest = digest_of(b"good")
    refused = answered(depot, Upload(digest, 0, 4), b"evil")
    assert isinstance(refused, Refused)
    assert "not that of its name" in str(refused.error)
    assert list(depot.blobs.folder.iterdir()) == []
    assert answered(depot, Upload(digest, 0, 4), b"good") == Stored(digest, 4, True)


@pytest.mark.parametrize(
    ("upload", "buffers"),
    [
        (Upload("../../etc/passwd", 0, 4), [b"evil"]),
        (Upload("a" * 40, 0, 1 << 60), [b"evil"]),
        (Upload("a" * 40, -1, 4), [b"evil"]),
        (Upload("a" * 40, 5, 4), [b"evil"]),
        (Upload("a" * 40, 0, 4), []),
        (Upload("a" * 40, 0, 4), [b"ev", b"il"]),
    ],
)
def test_what_is_no_part_of_a_blob_is_refused(depot: Depot, upload: Upload, buffers: list[bytes]) -> None:
    assert isinstance(answered(depot, upload, *buffers), Refused)
    assert list(depot.blobs.folder.iterdir()) == []


def test_more_than_was_said_is_left_out(depot: Depot) -> None:
    digest = digest_of(b"good")
    assert answered(depot, Upload(digest, 0, 4), b"good and more") == Stored(digest, 0, False)


def test_only_what_no_job_needs_any_more_is_deleted(depot: Depot, sent: Sent, graph: bytes) -> None:
    uploaded(depot, sent)
    answered(depot, Upload(digest_of(b"other"), 0, 5), b"other")
    answered(depot, Upload(digest_of(b"under way"), 0, 9), b"under")
    depot.keep([graph])
    assert all(map(depot.blobs.has, sent.content))
    assert not depot.blobs.has(digest_of(b"other"))
    assert answered(depot, Upload(digest_of(b"under way"), 5, 9), b" way") == Stored(digest_of(b"under way"), 9, True)


def test_a_graph_that_cannot_be_read_deletes_nothing(depot: Depot, sent: Sent, graph: bytes) -> None:
    uploaded(depot, sent)
    depot.keep([b"of another version"])
    assert all(map(depot.blobs.has, sent.content))


def test_what_a_client_left_on_its_way_is_deleted_after_a_while(depot: Depot) -> None:
    now = 0.0
    depot.clock = lambda: now
    answered(depot, Upload(digest_of(b"left alone"), 0, 10), b"left", peer="one")
    answered(depot, Upload(digest_of(b"slow"), 0, 4), b"s", peer="other")
    now = IDLE_S - 1.0
    answered(depot, Upload(digest_of(b"slow"), 1, 4), b"l", peer="other")
    assert len(list(depot.blobs.folder.iterdir())) == 2
    now = IDLE_S + 1.0
    answered(depot, Upload(digest_of(b"slow"), 2, 4), b"o", peer="other")
    assert len(list(depot.blobs.folder.iterdir())) == 1
    assert answered(depot, Upload(digest_of(b"slow"), 3, 4), b"w", peer="other") == Stored(digest_of(b"slow"), 4, True)


def test_a_server_begins_without_what_its_last_life_left_on_its_way(depot: Depot, sent: Sent, graph: bytes) -> None:
    uploaded(depot, sent)
    answered(depot, Upload(digest_of(b"under way"), 0, 9), b"under")
    answered(depot, Upload(digest_of(b"other"), 0, 5), b"other")
    depot.sweep([graph])
    assert {path.name for path in depot.blobs.folder.iterdir()} == set(sent.content)


def test_a_disk_that_is_full_leaves_no_half_a_part(depot: Depot) -> None:
    digest = digest_of(b"content" * 1000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
        refused = answered(depot, Upload(digest, 0, 7000), b"content" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert isinstance(refused, Refused)
    assert "cannot keep" in str(refused.error)
    assert list(depot.blobs.folder.iterdir()) == []
    assert answered(depot, Upload(digest, 0, 7000), b"content" * 1000) == Stored(digest, 7000, True)


def test_what_concerns_no_blobs_is_for_others_to_answer(depot: Depot) -> None:
    assert depot.answer("worker", Heartbeat(), ()) is None


def test_what_is_on_its_way_from_all_trainers_together_ends_where_the_limit_says(
    depot: Depot, enforced: Callable[..., None]
) -> None:
    enforced(upload_bytes=1000)
    one, other = digest_of(b"a" * 600), digest_of(b"b" * 401)
    assert answered(depot, Upload(one, 0, 600), b"a" * 10, peer="one") == Stored(one, 10, False)
    refused = answered(depot, Upload(other, 0, 401), b"b" * 10, peer="other")
    assert isinstance(refused, Refused)
    assert "401 bytes on top of 600 that are on their way from trainers are more than 1,000" in str(refused.error)
    fits = digest_of(b"c" * 400)
    assert answered(depot, Upload(fits, 0, 400), b"c" * 10, peer="other") == Stored(fits, 10, False)
    assert answered(depot, Upload(one, 10, 600), b"a" * 590, peer="one") == Stored(one, 600, True)
    assert answered(depot, Upload(other, 0, 401), b"b" * 10, peer="other") == Stored(other, 10, False)
    assert len(list(depot.blobs.folder.glob(".*.part"))) == 2


def test_what_one_graph_carries_in_all_ends_where_the_limit_says(
    depot: Depot, sent: Sent, graph: bytes, enforced: Callable[..., None]
) -> None:
    size = sum(map(len, sent.content.values()))
    uploaded(depot, sent)
    enforced(graph_bytes=size)
    assert depot.answer("client", Register("key", graph, 1), ()) is None
    enforced(graph_bytes=size - 1)
    refused = answered(depot, Register("key", graph, 1))
    assert isinstance(refused, Refused)
    assert refused.about == "key"
    assert f"this pipeline carries {size:,} bytes" in str(refused.error)


# The worker's end.


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    (tmp_path / "worker").mkdir()
    return Fetching(Blobs(tmp_path / "worker"))


def fetch(fetching: Fetching, depot: Depot, now: float) -> Iterator[Message]:
    """Ask until there is nothing to be asked; what the worker's session hears."""
    while asks := list(fetching.again(now)):
        for ask in asks:
            found = depot.answer("worker", ask, ())
            assert found is not None
            yield from fetching.hear(*found)


def program(graph: bytes, job: int = 1) -> Message:
    return Program(job, graph, 0)


def test_a_program_is_held_back_until_all_of_it_is_here(
    fetching: Fetching, depot: Depot, sent: Sent, graph: bytes
) -> None:
    uploaded(depot, sent)
    assert list(fetching.hear(program(graph), ())) == []
    assert list(fetching.hear(Heartbeat(), ())) == [Heartbeat()], "all else is heard meanwhile"
    assert list(fetch(fetching, depot, 0.0)) == [program(graph)]
    assert {path.name for path in fetching.blobs.folder.iterdir()} == set(sent.content)
    assert list(fetching.hear(program(graph, job=2), ())) == [program(graph, job=2)], "it is here now"


def test_a_request_that_is_lost_is_made_again_and_an_answer_that_comes_twice_counts_once(
    fetching: Fetching, depot: Depot, sent: Sent, graph: bytes
) -> None:
    uploaded(depot, sent)
    list(fetching.hear(program(graph), ()))
    (lost,) = fetching.again(0.0)
    assert list(fetching.again(0.5)) == []
    (ask,) = fetching.again(1.0)
    assert ask == lost
    assert list(fetching.again(2.5)) == [], "more patient each time"
    assert list(fetching.hear(Welcome(2, 1.0), ())) == [Welcome(2, 1.0)]
    assert list(fetching.again(2.6)) == [lost], "a server that is back has not heard of it"
    found = depot.answer("worker", ask, ())
    assert found is not None
    list(fetching.hear(*found))
    list(fetching.hear(*found))
    assert list(fetch(fetching, depot, 3.0)) == [program(graph)]


def test_on_a_slow_line_parts_are_soon_asked_for_once_each(fetching: Fetching, depot: Depot, sent: Sent) -> None:
    graph = encode(Dataset.from_tensor_slices(np.arange(4 * CHUNK // 8)).node, sent)
    uploaded(depot, sent)
    list(fetching.hear(program(graph), ()))
    now, free, asked, coming = 0.0, 0.0, 0, deque[tuple[float, tuple[Message, list[Any]]]]()
    heard: list[Message] = []
    while not heard and now < 60.0:
        for ask in fetching.again(now):
            found = depot.answer("worker", ask, ())
            assert found is not None
            asked, free = asked + 1, max(now, free) + 3.3  # for each part, one after the other
            coming.append((free, found))
        while coming and coming[0][0] <= now:
            heard += fetching.hear(*coming.popleft()[1])
        now += 0.1
    assert heard == [program(graph)]
    assert asked <= 4 + 3, "but for the first part, whose time nobody knew"


def test_what_the_server_no_longer_has_is_not_waited_for(fetching: Fetching, depot: Depot, graph: bytes) -> None:
    list(fetching.hear(program(graph), ()))
    assert list(fetch(fetching, depot, 0.0)) == []
    assert fetching.programs == {}
    assert isinstance(answered(depot, Fetch("a" * 40, 0), peer="worker"), Part)


def test_a_part_of_another_content_is_asked_for_again_later(
    fetching: Fetching, depot: Depot, sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = encode(Dataset.range(3).map(lambda x: -x).node, sent)
    (digest,) = sent.content
    uploaded(depot, sent)
    list(fetching.hear(program(graph), ()))
    (ask,) = fetching.again(0.0)
    assert isinstance(ask, Fetch)
    assert list(fetching.hear(Part(digest, 0, 4), [b"evil"])) == []
    assert "could not be fetched" in capsys.readouterr().err
    assert list(fetching.again(0.5)) == []
    assert list(fetch(fetching, depot, 2.0)) == [program(graph)]
