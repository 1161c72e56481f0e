"""Token: where an iteration stands, as `state_dict()` gives it and `load_state_dict()` takes it.

A plain dict of numbers and text, as JSON and `torch.load(weights_only=True)` take it, the same in process and from a
service:

    headrace     2, the format's version
    fingerprint  of the pipeline (see `fingerprint`)
    seed         what everything random is drawn from
    epoch        and
    element      how many elements of it are done with, all consumers together
    ended        whether the end of the epoch was seen
    state        a checkpoint at or before that element: MessagePack in Base85; empty for the epoch's start

A checkpoint says where all operators stood when `cursor` elements had been made, `checksum` their identities, and names
the files that it needs, with their ends (see `ends`). Loading computes again what its operators held, and what
lies between it and the element. What is no such thing is refused with a typed error, within the limits of messages.
"""

from __future__ import annotations

import warnings
from base64 import b85decode, b85encode
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from .arguments import MOST
from .ends import Ends, Look, candidates, check_files, look_at
from .errors import FunctionChangedWarning, InvalidArgumentError, MalformedMessage
from .fields import check_fields
from .fingerprint import compare
from .frames import plain
from .limits import limits
from .nodes import Node
from .operators.protocol import State
from .sources import seed_of

__all__ = [
    "BEGINNING",
    "FORMAT",
    "Token",
    "accept",
    "named",
    "pack_state",
    "placed",
    "places",
    "position_of",
    "unpack_state",
    "with_files",
]

#: Of tokens. Loaders of PyTorch wrote one of their own, 1.
FORMAT = 2
_LARGEST = 1 << 62
_KINDS = {"fingerprint": dict, "seed": int, "epoch": int, "element": int, "ended": bool, "state": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Where an iteration stands."""

    fingerprint: dict[str, Any]
    seed: int
    epoch: int
    element: int
    ended: bool = False
    state: bytes = b""

    def to_dict(self) -> dict[str, Any]:
        """As `state_dict()` gives it.

        >>> sorted(Token(fingerprint={}, seed=1, epoch=0, element=5).to_dict())
        ['element', 'ended', 'epoch', 'fingerprint', 'headrace', 'seed', 'state']
        """
        told = {name: getattr(self, name) for name in _KINDS}
        return {"headrace": FORMAT} | told | {"state": b85encode(self.state).decode()}

    @classmethod
    def from_dict(cls, data: Any) -> Token:
        """Back from `to_dict`.

        Raises:
            InvalidArgumentError: what is no token, or one of another format; the message says which.
        """
        version = data.get("headrace") if isinstance(data, Mapping) else None
        if version is None:
            raise InvalidArgumentError("this is no state of a headrace iterator: it does not say of which format it is")
        if version != FORMAT:
            raise InvalidArgumentError(
                f"the state is of format {version!r:.20}, and this headrace reads {FORMAT}: load it with the version "
                "of headrace that wrote it, or begin anew without it"
            )
        for name, kind in _KINDS.items():
            if type(data.get(name)) is not kind:
                raise InvalidArgumentError(
                    f"the state's {name} is {type(data.get(name)).__name__}, not {kind.__name__}"
                )
        if not (0 <= data["epoch"] <= _LARGEST and 0 <= data["element"] <= _LARGEST):
            raise InvalidArgumentError("the state's epoch and element must be counts")
        if abs(data["seed"]) > MOST:
            raise InvalidArgumentError(f"the state's seed must lie between -{MOST} and {MOST}")
        try:
            state = b85decode(data["state"])
        except ValueError as error:
            raise InvalidArgumentError(f"the state's state is no Base85: {error}") from None
        return cls(**{name: data[name] for name in _KINDS} | {"state": state})

    def checkpoint(self, folder: str) -> State | None:
        """Its checkpoint, if it has one, with files named as they are here, where `folder` holds relative names.

        Raises:
            MalformedMessage: it is none, or one after the token's element.
            FailedPreconditionError: a file that it needs is not there, or not the same; the message names it.
        """
        state = unpack_state(self.state, self.element)
        return None if state is None else placed(state, folder)

    def position(self) -> bytes:
        """Its element and its checkpoint, as a consumer hands them to a server."""
        return bytes(msgpack.packb([self.element, self.state]))


#: The position of an epoch's first element.
BEGINNING = Token(fingerprint={}, seed=0, epoch=0, element=0).position()


def position_of(packed: bytes) -> tuple[int, State | None]:
    """The reverse of `Token.position`.

    Raises:
        MalformedMessage: what is none.
    """
    data = plain(packed)
    if not isinstance(data, list) or [type(each) for each in data] != [int, bytes] or not 0 <= data[0] <= _LARGEST:
        raise MalformedMessage("a token that does not say where to go on")
    return data[0], unpack_state(data[1], data[0])


def accept(token: Token, graph: Node, here: dict[str, Any]) -> None:
    """See that a token is of a pipeline, whose fingerprint is `here`.

    Raises:
        InvalidArgumentError: it is of another one, or of one with another seed; the message names the difference.

    Warns:
        FunctionChangedWarning: a function does not do what it did.
    """
    changed = compare(token.fingerprint, here)
    if (own := seed_of(graph)) not in (None, token.seed):
        raise InvalidArgumentError(
            f"the token is of another pipeline: token: Options(seed={token.seed}), here: Options(seed={own})"
        )
    if changed:
        warnings.warn(FunctionChangedWarning(changed), stacklevel=3)


def pack_state(state: State | None) -> bytes:
    """A checkpoint as bytes; none where it is larger than what is read back."""
    if state is None:
        return b""
    packed = bytes(msgpack.packb(state, unicode_errors="surrogateescape"))
    try:
        unpack_state(packed)
    except MalformedMessage:
        return b""
    return packed


def unpack_state(packed: bytes, element: int = _LARGEST) -> State | None:
    """The reverse of `pack_state`, for a checkpoint at or before an element.

    Raises:
        MalformedMessage: what is no such checkpoint.
    """
    if not packed:
        return None
    if len(packed) > limits().message_bytes // 2:
        raise MalformedMessage(f"a checkpoint of {len(packed):,} bytes: {limits().message_bytes // 2:,} are the most")
    state: Any = plain(packed)
    if not isinstance(state, dict) or not isinstance(state.get("operator"), dict):
        raise MalformedMessage("a checkpoint that holds no operators")
    check_fields(state["operator"])
    cursor, checksum = state.get("cursor"), state.get("checksum")
    if type(cursor) is not int or type(checksum) is not int or not (cursor >= 0 and 0 <= checksum < 1 << 64):
        raise MalformedMessage("a checkpoint that does not say of which element it is")
    if cursor > element:
        raise MalformedMessage(f"a state of element {element} with a checkpoint of {cursor}")
    files, folder = state.setdefault("files", []), state.setdefault("folder", "")
    if not isinstance(folder, str) or not isinstance(files, list) or not all(map(_is_file, files)):
        raise MalformedMessage("a checkpoint that does not say which files it needs")
    return state


def _is_file(entry: Any) -> bool:
    return isinstance(entry, list) and [type(each) for each in entry] == [str, int, int]


def named(state: State, paths: Collection[str]) -> list[str]:
    """Those of these files that a checkpoint needs."""
    return sorted(set(_texts(state)).intersection(paths))


def with_files(state: State, ends: Mapping[str, Ends], folder: str) -> State:
    """A checkpoint that tells the ends of the files that it needs, and in which folder relative names were looked up.

    A file that could not be read is left out: reading on will tell why.
    """
    return {**state, "files": [[path, *found] for path, found in sorted(ends.items())], "folder": folder}


def placed(state: State, folder: str, look: Look = look_at) -> State:
    """A checkpoint with files named as they are here, where `folder` holds relative names.

    Raises:
        FailedPreconditionError: a file that it needs is not there, or not the same; the message names it.
    """
    names = check_files(state["files"], state["folder"], folder, look)
    renamed: State = _renamed(state, {old: new for old, new in names.items() if old != new})
    return renamed


def places(state: State, folder: str) -> set[str]:
    """All paths at which `placed` looks."""
    return {each for path, *_ in state["files"] for each in candidates(path, state["folder"], folder)}


def _texts(data: Any) -> Iterator[str]:
    """All text in a checkpoint, but for what is told of elements that are over and done with."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for name, each in data.items():
            if name != "verdicts":
                yield from _texts(each)
    elif isinstance(data, list | tuple):
        for each in data:
            yield from _texts(each)


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Plain data with other names of files."""
    if not names:
        return data
    if isinstance(data, str):
        return names.get(data, data)
    if isinstance(data, dict):
        return {key: _renamed(each, names) for key, each in data.items()}
    return [_renamed(each, names) for each in data] if isinstance(data, list) else data
