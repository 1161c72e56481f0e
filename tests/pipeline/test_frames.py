"""Messages as frames: round trips of all of them, limits, and what is no message."""

from __future__ import annotations

import types
from dataclasses import replace
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.pipeline.blocks import Block, BlockLayout
from headrace.pipeline.errors import MalformedMessage, VersionMismatch
from headrace.pipeline.frames import BLOCK_BYTES, DEPTH, FRAMES, ITEMS, MESSAGE_BYTES, from_frames, to_frames
from headrace.pipeline.messages import (
    MESSAGES,
    VERSION,
    Heartbeat,
    Hello,
    Message,
    Next,
    Open,
    Opened,
    Pieces,
    Refused,
    Register,
    Revoke,
    Waiting,
    Welcome,
    WhatIs,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
#: Fields that hold a name, which has 255 bytes at most; a character has four or fewer.
NAMING = {"name", "role", "worker", "launcher", "nonce", "secret"}
NAMES = st.text(max_size=63)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**64 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    str: st.text(),
    bytes: st.binary(),
    type(None): st.none(),
    Any: PLAIN,
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Whatever a field of this type may hold."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return st.one_of(*map(values, inner))
    if origin is tuple:
        return st.tuples(*map(values, inner))
    if origin is list:
        return st.lists(values(inner[0]), max_size=4)
    if origin is dict:
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=4)
    return SCALARS[hint]


def messages(kind: type[Any]) -> st.SearchStrategy[Any]:
    fields = {name: NAMES if name in NAMING else values(hint) for name, hint in get_type_hints(kind).items()}
    return st.builds(kind, **fields | ({"version": st.just(VERSION)} if kind is Hello else {}))


def packed(*data: Any) -> list[bytes]:
    return [msgpack.packb(list(data))]


@pytest.mark.parametrize("kind", MESSAGES.values(), ids=MESSAGES)
def test_every_message_comes_back_as_it_was(kind: type[Any]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(messages(kind), st.lists(st.binary(), max_size=FRAMES - 1))
    def comes_back(message: Message, buffers: list[bytes]) -> None:
        assert from_frames(to_frames(message, buffers)) == (message, buffers)

    comes_back()


def test_frames_may_be_views_of_other_memory() -> None:
    frames = [memoryview(bytearray(each)) for each in to_frames(Revoke(3, 1), [b"block"])]
    message, (buffer,) = from_frames(frames)
    assert (message, bytes(buffer)) == (Revoke(3, 1), b"block")


def test_a_whole_number_serves_as_a_float_but_not_the_other_way_round() -> None:
    assert from_frames(packed("Heartbeat", [], 1, 2))[0] == Heartbeat([], 1.0, 2.0)
    with pytest.raises(MalformedMessage, match="field of WhatIs is float"):
        from_frames(packed("WhatIs", 1.0))


def test_as_many_frames_as_allowed_and_not_one_more() -> None:
    assert len(from_frames(to_frames(WhatIs(1), [b""] * (FRAMES - 1)))[1]) == FRAMES - 1
    with pytest.raises(MalformedMessage, match=f"a message of {FRAMES + 1} frames"):
        from_frames(to_frames(WhatIs(1), [b""] * FRAMES))
    with pytest.raises(MalformedMessage, match="a message of 0 frames"):
        from_frames([])


def test_a_message_as_large_as_allowed_and_not_one_byte_more() -> None:
    around = len(to_frames(Register("", bytes(1 << 19), 0))[0]) - (1 << 19)
    largest = to_frames(Register("", bytes(MESSAGE_BYTES - around), 0))
    assert len(largest[0]) == MESSAGE_BYTES
    assert to_frames(from_frames(largest)[0]) == largest
    with pytest.raises(MalformedMessage, match=f"a message of {MESSAGE_BYTES + 1:,} bytes"):
        from_frames(to_frames(Register("", bytes(MESSAGE_BYTES - around + 1), 0)))


def test_a_block_as_large_as_allowed_and_not_one_byte_more() -> None:
    # Never touched, so that these pages take no memory.
    room = memoryview(bytearray(BLOCK_BYTES + 1))
    assert len(from_frames([*to_frames(WhatIs(1)), room[:-1]])[1][0]) == BLOCK_BYTES
    with pytest.raises(MalformedMessage, match="a block of more than"):
        from_frames([*to_frames(WhatIs(1)), room])


def test_lists_as_long_as_allowed_and_not_one_item_more() -> None:
    longest = Heartbeat([0] * ITEMS)
    assert from_frames(to_frames(longest)) == (longest, [])
    with pytest.raises(MalformedMessage, match="not MessagePack"):
        from_frames(to_frames(Heartbeat([0] * (ITEMS + 1))))
    versions = {str(i): "" for i in range(ITEMS)}
    assert from_frames(to_frames(Hello(VERSION, "worker", "", 1, versions)))[0] == Hello(
        VERSION, "worker", "", 1, versions
    )
    with pytest.raises(MalformedMessage, match="not MessagePack"):
        from_frames(to_frames(Hello(VERSION, "worker", "", 1, versions | {"one": "more"})))


@pytest.mark.parametrize(
    "data",
    [
        ["Nonsense", 1],
        ["Message", 1],
        ["__class__"],
        ["revoke", 3, 1],
        [b"Revoke", 3, 1],
        [["Revoke"], 3, 1],
        [None],
        [],
        {"Revoke": [3, 1]},
        "Revoke",
        7,
        None,
    ],
)
def test_what_has_no_name_of_a_message_is_refused(data: Any) -> None:
    with pytest.raises(MalformedMessage, match="no message of ours"):
        from_frames([msgpack.packb(data)])


@pytest.mark.parametrize("fields", [[], [3], [3, 1, 0]])
def test_a_wrong_number_of_fields_is_refused(fields: list[int]) -> None:
    with pytest.raises(MalformedMessage, match=f"Revoke has 2 fields, not {len(fields)}"):
        from_frames(packed("Revoke", *fields))


SESSION = (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        (Revoke(3, 1), "split", "3"),
        (Revoke(3, 1), "split", None),
        (Revoke(3, 1), "attempt", True),
        (Revoke(3, 1), "attempt", [1]),
        (Welcome(1, 1.0), "heartbeat_s", "1.0"),
        (Welcome(1, 1.0), "heartbeat_s", True),
        (Register("key", b"", 0), "key", b"key"),
        (Register("key", b"", 0), "graph", "graph"),
        (Open(1, 2, 3, 4), "cursor", "5"),
        (Opened(SESSION, 0), "session", [1, 2, 3, 4]),
        (Opened(SESSION, 0), "session", [1, 2, 3, 4, 5, 6]),
        (Opened(SESSION, 0), "session", [1, 2, 3, 4, "5"]),
        (Opened(SESSION, 0), "session", {"1": 2}),
        (Next(SESSION, 0, 0, 0), "again", 1),
        (Heartbeat(), "leases", {}),
        (Hello(VERSION, "worker", "w", 1, {}), "versions", []),
        (Hello(VERSION, "worker", "w", 1, {}), "versions", {"python": 3}),
        (Hello(VERSION, "worker", "w", 1, {}), "versions", {b"python": "3"}),
        (Refused({}), "error", {b"kind": ""}),
        (Refused({}), "error", None),
    ],
)
def test_a_field_of_another_type_is_refused(message: Any, field: str, value: Any) -> None:
    assert from_frames(to_frames(message))[0] == message
    with pytest.raises(MalformedMessage, match=f"a field of {type(message).__name__} is"):
        from_frames(to_frames(replace(message, **{field: value})))


@pytest.mark.parametrize(
    "extension",
    [
        msgpack.ExtType(5, b"data"),
        msgpack.ExtType(5, b""),
        msgpack.ExtType(127, b"\0" * 16),
        msgpack.Timestamp(1, 2),
    ],
)
def test_extension_types_are_refused(extension: Any) -> None:
    with pytest.raises(MalformedMessage, match="not MessagePack"):
        from_frames(packed("Heartbeat", [extension], 0.0, 0.0))


def test_messages_nest_as_deep_as_allowed_and_not_one_level_deeper() -> None:
    deepest: list[Any] = []
    for _ in range(DEPTH - 2):  # the message is a list, and `leases` is one
        deepest = [deepest]
    assert from_frames(to_frames(Heartbeat(deepest)))[0] == Heartbeat(deepest)
    with pytest.raises(MalformedMessage, match="nested deeper"):
        from_frames(to_frames(Heartbeat([deepest])))


@pytest.mark.parametrize("levels", [200, 500, 900, 1020, 5000, 900_000])
@pytest.mark.parametrize("level", [b"\x91", b"\x81\xa1k"])
def test_deep_nesting_is_refused(levels: int, level: bytes) -> None:
    deep = level * levels + b"\x90"
    for frame in (deep, b"\x94\xa9Heartbeat\x91" + deep + b"\x00\x00"):
        with pytest.raises(MalformedMessage):
            from_frames([frame])


def test_the_structure_of_an_element_nests_as_deep_as_allowed() -> None:
    element: Any = np.int64(1)
    for _ in range(64):
        element = (element,)
    block = Block.of_elements([element])
    message, _ = from_frames(to_frames(Pieces(1, 1, 0, 1, False, block.layout.to_data())))
    assert isinstance(message, Pieces)
    assert BlockLayout.from_data(message.layout or []) == block.layout


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x93\xa6Revoke\x03",
        b"\x93\xa6Revoke\x03\x01\x00",
        b"\x91\xa2\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
        b"\x81\x90\x01",
        b"\x81\x01\x01",
        b"\xd7\xff" + b"\xff" * 8,
        b"\xd6\xff\x00\x00\x00\x00",
    ],
)
def test_garbage_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        from_frames([frame])


@settings(max_examples=300, deadline=None)
@given(st.binary() | PLAIN.map(msgpack.packb) | st.tuples(st.sampled_from(list(MESSAGES)), PLAIN).map(msgpack.packb))
def test_whatever_comes_is_a_message_or_is_refused(frame: bytes) -> None:
    try:
        message, _ = from_frames([frame])
    except MalformedMessage:
        return
    assert type(message) in MESSAGES.values()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(MESSAGES)), st.data())
def test_a_damaged_message_is_a_message_or_is_refused(name: str, data: st.DataObject) -> None:
    (frame,) = to_frames(data.draw(messages(MESSAGES[name])))
    damaged = bytearray(frame)
    damaged[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        message, _ = from_frames([bytes(damaged[: data.draw(st.integers(0, len(frame)))])])
    except MalformedMessage:
        return
    assert type(message) in MESSAGES.values()


def test_a_message_of_text_that_is_very_long_is_shown_in_part() -> None:
    with pytest.raises(MalformedMessage) as caught:
        from_frames(packed("x" * 10_000))
    assert len(str(caught.value)) < 200
    assert from_frames(to_frames(Waiting((1, 2, 3, 4, 5), "x" * 10_000)))[0] == Waiting((1, 2, 3, 4, 5), "x" * 10_000)


def test_a_hello_of_another_version_is_told_from_nonsense_whatever_else_it_says() -> None:
    with pytest.raises(VersionMismatch, match=f"we speak protocol {VERSION}, the peer speaks {VERSION + 7}"):
        from_frames(packed("Hello", VERSION + 7, "of", ["another", 1], "kind"))
