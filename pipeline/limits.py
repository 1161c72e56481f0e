"""Limits: the most of everything that this process takes from peers and files.

They bound what hostile or broken input can cost before it is looked at. A process has one set of them, which its
start puts in force: `headrace serve` and `headrace worker` take it from the section [limits] of the configuration, an
embedded server from the script that starts it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

__all__ = ["FORMATS", "Limits", "enforce", "from_text", "limits", "to_text"]

#: Image formats that there are decoders for.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP")
#: A block of one element has its bounds beside it, and what its message says of it.
_ROOM = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is taken. What comes in larger is a typed error, told before it is made anything of.

    Raises:
        ValueError: numbers that cannot hold together.
    """

    message_bytes: int = 1 << 20  #: Of the control frame of a message.
    frame_bytes: int = 320 << 20  #: Of each frame behind it: a block.
    frames: int = 8  #: Of one message.
    depth: int = 160  #: Levels in a control frame. The structure of an element nests 64 of its own, two lists each.
    items: int = 100_000  #: In one list or map of a control frame.
    name_bytes: int = 255  #: Of the name of a peer, a job, a worker. ZeroMQ takes no longer ones.
    element_bytes: int = 256 << 20  #: Of one element, decoded; of one batch, too.
    content_bytes: int = 1 << 30  #: Of a compressed file's content, if it is also
    content_ratio: int = 200  #: so many times larger than what is compressed. Either alone is common.
    image_pixels: int = 50_000_000  #: That an image's header may announce; all frames of an animation together.
    image_formats: tuple[str, ...] = FORMATS  #: That are decoded.
    error_bytes: int = 4096  #: Of each text in an error that travels.
    graph_bytes: int = 8 << 30  #: Of the functions and arrays that one graph carries, each.
    upload_bytes: int = 16 << 30  #: Of all functions and arrays that are on their way to a server.

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "image_formats" and (type(value) is not int or value < 1):
                raise ValueError(f"{each.name} is {value!r}: it must be a whole number above 0")
        if self.element_bytes + _ROOM > self.frame_bytes:
            raise ValueError(
                f"frame_bytes is {self.frame_bytes:,} and element_bytes {self.element_bytes:,}: a frame has to hold an "
                f"element and {_ROOM:,} bytes"
            )
        if unknown := sorted(set(self.image_formats) - set(FORMATS)):
            raise ValueError(f"image_formats has {unknown[0]!r}: there are {', '.join(FORMATS)}")


_IN_FORCE = [Limits()]


def limits() -> Limits:
    """Those in force in this process."""
    return _IN_FORCE[-1]


def enforce(wanted: Limits) -> Limits:
    """Put limits in force in this process, and say which were before.

    A server that this process starts with `headrace.serve()`, and its workers, take them over.

    >>> before = enforce(Limits(image_pixels=1000))
    >>> limits().image_pixels, enforce(before).image_pixels, limits() == before
    (1000, 1000, True)
    """
    before, _IN_FORCE[-1] = _IN_FORCE[-1], wanted
    return before


def to_text(wanted: Limits) -> str:
    """Limits for the command line of a process that is started: what differs from the defaults, as JSON."""
    usual = asdict(Limits())
    return json.dumps({name: value for name, value in asdict(wanted).items() if value != usual[name]})


def from_text(text: str) -> Limits:
    """Back from `to_text`.

    >>> from_text(to_text(Limits(frames=9, image_formats=("PNG",)))) == Limits(frames=9, image_formats=("PNG",))
    True
    """
    found = json.loads(text)
    if "image_formats" in found:
        found["image_formats"] = tuple(found["image_formats"])
    return Limits(**found)
