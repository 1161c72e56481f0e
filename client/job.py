"""A job as a training script names it: which of how many consumers this is, and what is to be even."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ..pipeline.errors import InvalidArgumentError
from ..pipeline.messages import Register

__all__ = ["Job"]

#: A name has so many bytes at most.
NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Job:
    """What the arguments of `iterate` say of a job."""

    name: str
    consumers: int
    even: str
    again: bool

    @classmethod
    def checked(
        cls, epoch: int, name: str | None, num_consumers: int, consumer_index: int, even: str, again: bool
    ) -> Self:
        """Of arguments that fit together.

        Raises:
            InvalidArgumentError: they do not, and how.

        >>> Job.checked(0, "train", 4, 1, "pad", False)
        Job(name='train', consumers=4, even='pad', again=False)
        """
        _count("epoch", epoch, 0, "epochs count from 0")
        _count("num_consumers", num_consumers, 1, "there is at least one")
        _count("consumer_index", consumer_index, 0, "consumers count from 0")
        if consumer_index >= num_consumers:
            _refuse(f"consumer_index is {consumer_index} of {num_consumers} consumers: they count from 0")
        if name is not None and (not isinstance(name, str) or not 0 < len(name.encode()) <= NAME_BYTES):
            _refuse(f"name is {name!r}: a job's name is a text of 1 to {NAME_BYTES} bytes")
        if even not in ("drop", "pad"):
            _refuse(f"even is {even!r}: it is 'drop' or 'pad'")
        if name is None and num_consumers > 1:
            _refuse(f"{num_consumers} consumers find one another by the name of their job: give name=, the same to all")
        if name is None and again:
            _refuse("again=True runs a job of the same name once more: give name=")
        return cls(name or "", num_consumers, even, bool(again))

    def register(self, own: str, graph: bytes, seed: int, folder: str, consumer: int = 0) -> Register:
        """What registers it, as one of its consumers; without a name it has a key of its own."""
        key = f"job:{self.name}" if self.name else own
        return Register(key, graph, seed, folder, self.name, self.consumers, self.even, self.again, consumer)


def _count(name: str, value: Any, least: int, why: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        _refuse(f"{name} is {value!r}: {why}")


def _refuse(why: str) -> None:
    raise InvalidArgumentError(why)
