"""What coordinator and broker say to each other. They live in one process, or, one day, apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .work import Payload, Work

__all__ = ["Granted", "Order", "Release", "Scan", "Scanned", "Shelve", "Want", "Withdrawn"]


@dataclass(frozen=True, slots=True)
class Want:
    """The broker wants a split computed, from where its work now starts. Wanting it again replaces the order."""

    split: int
    job: int
    epoch: int
    work: Work
    depth: int
    limit: int  #: Bytes that may be sent at once.
    urgent: bool  #: Consumption waits for it: it goes to a worker however busy they are.
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """The broker needs nothing more of this split: all has come, or its epoch is over."""

    split: int


@dataclass(frozen=True, slots=True)
class Scan:
    """The broker wants to know where a file can be cut, or, of kind "ends", its size and sum (see `ends`).

    Of kind "shelf", what is kept in a folder (see `shelves`).
    """

    job: int
    path: str
    kind: str  #: "records", "lines", "whole", "ends" or "shelf".


@dataclass(frozen=True, slots=True)
class Shelve:
    """The broker has elements to be kept in a folder, or no more of them."""

    job: int
    number: int  #: Of the run of writing that these belong to.
    folder: str
    compression: str
    records: tuple[bytes, ...] = ()
    shards: tuple[int, ...] = ()  #: To which each goes.
    ended: bool | None = None  #: Whether all have come; None where more may.


@dataclass(frozen=True, slots=True)
class Granted:
    """The split is leased; only blocks of this attempt count, and they come from this worker."""

    split: int
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The lease is over; the broker says Want again, from its watermark."""

    split: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """A file's boundaries, the last one None where the end is not known; of kind "ends", these, or nothing.

    Of kind "shelf", a manifest in numbers, or nothing; None alone where the folder must not be used.
    """

    job: int
    path: str
    bounds: tuple[int | None, ...]
    kind: str = ""


Order: TypeAlias = Want | Release | Scan | Shelve | Granted | Withdrawn | Scanned
