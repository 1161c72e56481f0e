"""A chapter: some of the methods of Dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ..nodes import Node

if TYPE_CHECKING:
    from ..dataset import Dataset
    from ..iterator import Running, TellingIterator

__all__ = ["Chapter"]


class Chapter(ABC):
    """What the methods of every chapter stand on: a node, and a way to a dataset of another."""

    node: Node

    @classmethod
    @abstractmethod
    def _made(cls, node: Node) -> Dataset:
        """The dataset of a node; a plain one, also where this is of a class of its own."""

    @staticmethod
    @abstractmethod
    def _dataset(what: str, value: Any) -> Dataset:
        """A value that must be a dataset; `what` needs it.

        Raises:
            InvalidArgumentError: it is none.
        """

    @abstractmethod
    def _spec_to_check(self, look: bool) -> Any:
        """The spec of the elements, computing some only with `look`; None where it is not known so."""

    @abstractmethod
    def _next_pass(self, service: Running | None) -> TellingIterator:
        """The next pass, in this process or on a service."""
