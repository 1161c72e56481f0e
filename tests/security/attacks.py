"""What a hostile peer can do to a TCP port of which it knows nothing but the number."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

__all__ = ["ATTACKS", "Connect", "greeting"]

#: `connect()`: one more connection to the port; it is kept open until the attack has been judged.
Connect = Callable[[], socket.socket]

MIB = 1 << 20
#: What is tried to be sent where the server takes everything.
MOST = 256 * MIB


def greeting(mechanism: bytes) -> bytes:
    """The first 64 bytes of ZMTP 3.0 (RFC 23)."""
    return b"\xff" + bytes(8) + b"\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


def header(size: int, flags: int) -> bytes:
    """Of a long frame: 1 more follow, 2 long, 4 command."""
    return bytes([flags | 2]) + struct.pack(">Q", size)


def pour(connection: socket.socket, parts: Iterator[bytes]) -> None:
    """Send until the server has had enough, or does not take any more."""
    with suppress(OSError):
        for part in parts:
            connection.sendall(part)


def endless(part: bytes) -> Iterator[bytes]:
    """So much that it might as well have no end."""
    return (part for _ in range(MOST // len(part)))


def garbage(connect: Connect) -> None:
    for _ in range(8):
        pour(connect(), endless(os.urandom(MIB)))


def zeros(connect: Connect) -> None:
    pour(connect(), endless(bytes(MIB)))


def an_http_request(connect: Connect) -> None:
    for _ in range(8):
        pour(connect(), iter([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]))
        pour(connect(), endless(b"X-Header: " + b"a" * MIB + b"\r\n"))


def a_frame_of_a_gigabyte(connect: Connect) -> None:
    for mechanism in (b"CURVE", b"NULL"):
        for flags in (0, 4):
            connection = connect()
            pour(connection, iter([greeting(mechanism), header(1 << 30, flags)]))
            pour(connection, endless(bytes(MIB)))


def frames_of_almost_so_much_that_they_are_refused(connect: Connect) -> None:
    for _ in range(400):
        connection = connect()
        size = (256 << 10) + 1000
        pour(connection, iter([greeting(b"CURVE"), header(size, 4), bytes(size - 1)]))


def a_few_frames_of_sixty_megabytes(connect: Connect) -> None:
    for _ in range(4):
        connection = connect()
        pour(connection, iter([greeting(b"CURVE"), header(60 * MIB, 4), bytes(59 * MIB)]))


def a_message_without_end(connect: Connect) -> None:
    for mechanism in (b"CURVE", b"NULL"):
        connection = connect()
        pour(connection, iter([greeting(mechanism)]))
        pour(connection, endless(header(64 << 10, 1) + bytes(64 << 10)))


def commands_without_end(connect: Connect) -> None:
    for mechanism in (b"CURVE", b"NULL"):
        connection = connect()
        pour(connection, iter([greeting(mechanism)]))
        pour(connection, endless(header(7, 4) + b"\x04PING\0\0"))


def a_message_without_end_in_the_first_version_of_the_protocol(connect: Connect) -> None:
    connection = connect()
    pour(connection, iter([b"\x01\x00"]))  # no name
    pour(connection, endless(b"\xff" + struct.pack(">Q", 64 << 10) + b"\x01" + bytes((64 << 10) - 1)))


def a_message_without_end_in_the_second_version_of_the_protocol(connect: Connect) -> None:
    connection = connect()
    pour(connection, iter([b"\xff" + bytes(8) + b"\x7f\x01\x05", b"\0\0"]))
    pour(connection, endless(header(64 << 10, 1) + bytes(64 << 10)))


def connections_that_say_nothing(connect: Connect) -> None:
    for _ in range(700):
        connect()


def connections_that_only_greet(connect: Connect) -> None:
    for _ in range(700):
        pour(connect(), iter([greeting(b"CURVE")]))


def connections_that_come_and_go(connect: Connect) -> None:
    for _ in range(2000):
        connect().close()


ATTACKS = (
    garbage,
    zeros,
    an_http_request,
    a_frame_of_a_gigabyte,
    frames_of_almost_so_much_that_they_are_refused,
    a_few_frames_of_sixty_megabytes,
    a_message_without_end,
    commands_without_end,
    a_message_without_end_in_the_first_version_of_the_protocol,
    a_message_without_end_in_the_second_version_of_the_protocol,
    connections_that_say_nothing,
    connections_that_only_greet,
    connections_that_come_and_go,
)
