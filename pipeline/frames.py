"""The one codec: a message and its blocks to frames and back.

Frame 0 is the message in MessagePack, as a list of its class name and fields; the others are raw
buffers. Limits and field types are checked here, and nowhere else.
"""

from __future__ import annotations

import reprlib
import types
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgpack

from .chunks import join
from .errors import MalformedMessage, VersionMismatch
from .limits import Limits, limits
from .messages import MESSAGES, VERSION, Hello, Message

__all__ = ["Buffer", "from_frames", "plain", "to_frames"]

Buffer: TypeAlias = "bytes | bytearray | memoryview"

#: The limits where nobody set others.
MESSAGE_BYTES, BLOCK_BYTES, FRAMES = Limits().message_bytes, Limits().frame_bytes, Limits().frames
DEPTH, ITEMS = Limits().depth, Limits().items
#: Fields that name somebody or something, in any message.
_NAMING = frozenset({"name", "role", "worker", "launcher", "nonce", "secret"})
#: File names may hold bytes that are no text; Python carries them as lone surrogates, and so do we.
_NAMES = "surrogateescape"


def to_frames(message: Message, buffers: Sequence[Any] = ()) -> list[Any]:
    """A message as frames, its buffers as they are.

    >>> from headrace.pipeline.messages import Revoke
    >>> from_frames(to_frames(Revoke(3, 1)))
    (Revoke(split=3, attempt=1), [])
    """
    data = [type(message).__name__, *(getattr(message, f.name) for f in fields(message))]
    return [msgpack.packb(data, unicode_errors=_NAMES), *buffers]


def from_frames(frames: Sequence[Buffer]) -> tuple[Message, list[Buffer]]:
    """The message and the buffers behind it.

    Raises:
        MalformedMessage: what is no message, has fields of another type, or exceeds a limit.
        VersionMismatch: a Hello of another version.
    """
    most = limits()
    frames = join(frames, most.frames, most.frame_bytes)
    if not frames or len(frames) > most.frames:
        raise MalformedMessage(f"a message of {len(frames)} frames: 1 to {most.frames} are possible")
    if len(frames[0]) > most.message_bytes:
        raise MalformedMessage(f"a message of {len(frames[0]):,} bytes: {most.message_bytes:,} are the most")
    if any(len(each) > most.frame_bytes for each in frames[1:]):
        raise MalformedMessage(f"a block of more than {most.frame_bytes:,} bytes")
    data = plain(frames[0])
    return _message(data), list(frames[1:])


def plain(packed: Buffer) -> Any:
    """What MessagePack holds, within the limits of messages.

    Raises:
        MalformedMessage: it is none, or exceeds a limit.
    """
    most = limits()
    try:
        data = msgpack.unpackb(
            packed,
            strict_map_key=True,
            unicode_errors=_NAMES,
            max_array_len=most.items,
            max_map_len=most.items,
            max_ext_len=0,
            ext_hook=_no_extension,  # is asked about empty ones
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"not MessagePack: {error}") from error
    if _deeper(data, most.depth):
        raise MalformedMessage(f"a message nested deeper than {most.depth}")
    return data


def _deeper(data: Any, levels: int) -> bool:
    """Whether plain data nests more than so many levels."""
    if isinstance(data, dict):
        return not levels or any(_deeper(each, levels - 1) for each in data.values())
    return isinstance(data, list) and (not levels or any(_deeper(each, levels - 1) for each in data))


def _no_extension(code: int, _: bytes) -> Any:
    raise ValueError(f"extension type {code}: there is none here")


def _message(data: Any) -> Message:
    if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] not in MESSAGES:
        raise MalformedMessage(f"no message of ours: {reprlib.repr(data)}")
    kind, given = MESSAGES[data[0]], data[1:]
    hints = _HINTS[data[0]]
    if kind is Hello and given and type(given[0]) is int and given[0] != VERSION:
        raise VersionMismatch(VERSION, given[0])  # its other fields are those of that version
    if len(given) != len(hints):
        raise MalformedMessage(f"{data[0]} has {len(hints)} fields, not {len(given)}")
    values = [_checked(value, hint, data[0]) for value, hint in zip(given, hints, strict=True)]
    message: Message = kind(*values)
    for field in _NAMED[data[0]]:
        _short(getattr(message, field), f"{data[0]}.{field}")
    return message


def _short(name: str, where: str) -> None:
    """A name that is none too long; characters have one byte or more."""
    most = limits().name_bytes
    size = len(name) if len(name) > most else len(name.encode("utf-8", _NAMES))
    if size > most:
        raise MalformedMessage(f"{where} has {size:,} bytes: {most} are the most for a name")


def _fields_of(kind: type[Any]) -> tuple[Any, ...]:
    found = get_type_hints(kind)
    return tuple(found[f.name] for f in fields(kind))


#: The types of each message's fields, in order.
_HINTS = {name: _fields_of(kind) for name, kind in MESSAGES.items()}
#: The fields of each message that are names.
_NAMED = {name: [f.name for f in fields(kind) if f.name in _NAMING] for name, kind in MESSAGES.items()}


def _checked(value: Any, hint: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, Union):
        if value is None and type(None) in get_args(hint):
            return None
        inner = next(each for each in get_args(hint) if each is not type(None))
        return _checked(value, inner, where)
    if origin is tuple:
        kinds = get_args(hint)
        if isinstance(value, list) and len(value) == len(kinds):
            return tuple(_checked(v, k, where) for v, k in zip(value, kinds, strict=True))
    elif origin is dict:
        if isinstance(value, dict):
            name, kind = get_args(hint)
            return {_checked(k, name, where): _checked(v, kind, where) for k, v in value.items()}
    elif (type(value) is (origin or hint)) or (hint is float and type(value) is int):
        return value
    raise MalformedMessage(f"a field of {where} is {type(value).__name__}, not {hint}")
