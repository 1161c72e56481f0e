"""Users: whose a peer is, whose a job is, and which files that user may have read.

A peer over TCP is called by the name of its key and, behind a slash, its own name; a peer of this user and host has no
slash in its name. A job's key begins in the same way, so that its owner is in the journal and nobody else can name it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from .pipeline.authorized import Authorized
from .pipeline.errors import ProtocolError
from .pipeline.messages import Message
from .pipeline.roots import ANYWHERE, Roots

__all__ = ["RootsOf", "everywhere", "own_key", "peer_name", "refusal", "roots_by", "their_key", "user_of"]

#: From a user to what that one's jobs may read.
RootsOf: TypeAlias = Callable[[str], Roots]


def peer_name(user: str | None, name: str) -> str:
    """What the server calls a peer of a user; None is whoever came by a door without a gate.

    >>> peer_name("ann", "client-1"), peer_name(None, "ann/client-1")
    ('ann/client-1', 'ann|client-1')
    """
    return name.replace("/", "|") if user is None else f"{user}/{name}"


def user_of(peer: str) -> str:
    """Whose a peer or a job's key is; nothing for this user of this host.

    >>> user_of("ann/client-1"), user_of("client-1")
    ('ann', '')
    """
    return peer.partition("/")[0] if "/" in peer else ""


def own_key(peer: str, key: str) -> str:
    """By which key the server knows a job that a peer calls so: nobody else's is called the same.

    >>> own_key("ann/client-1", "job:night"), own_key("client-1", "ann/job:night")
    ('ann/job:night', 'ann|job:night')
    """
    return peer_name(user_of(peer) or None, key)


def their_key(peer: str, key: str) -> str:
    """What a peer calls its job with that key."""
    return key.removeprefix(f"{user_of(peer)}/") if user_of(peer) else key


def refusal(peer: str, owner: str, message: Message) -> ProtocolError | None:
    """Why a peer may not say this of a job; None where the job is its user's."""
    if user_of(peer) == owner:
        return None
    whose = f"the key {owner!r}" if owner else "the user who runs the server"
    return ProtocolError(
        f"{type(message).__name__} of a job that belongs to {whose}: a job is for the one key that registered it; let "
        "all its consumers come with that key"
    )


def everywhere(user: str) -> Roots:
    """Any file, whoever asks."""
    return ANYWHERE


def roots_by(folders: Sequence[str], authorized: Authorized | None) -> RootsOf:
    """What each user's jobs may read: these folders; where there are none, any file for who may run code anyway.

    Who comes by a door without a gate, and keys with the role submit, run code as the user whose files these are.
    Other keys name files alone: where no folders are said for them, they have none.
    """

    def find(user: str) -> Roots:
        if folders:
            return Roots(tuple(folders))
        roles = {role for each in authorized.users if each.name == user for role in each.roles} if authorized else set()
        return ANYWHERE if not user or authorized is None or "submit" in roles else Roots(())

    return find
