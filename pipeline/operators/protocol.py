"""What every operator can do: be pulled, be closed, be saved and set up again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..draws import Draws
from ..errors import FunctionError, HeadraceError
from ..spot import Spot
from ..store import Handles, Store

__all__ = ["NOTHING", "Failed", "Find", "Keep", "Operator", "Pulled", "Pump", "Signal", "State", "Unary"]


class Signal(Enum):
    """Why there are no elements."""

    PENDING = "nothing yet; pull again after something arrived"
    END = "no more, ever"


@dataclass(frozen=True, slots=True)
class Failed:
    """An element that failed, in its place; pulling again goes on behind it."""

    error: HeadraceError
    spot: Spot | None = None  #: Where it stands in a segment's input, if it does.
    ignored: bool = False  #: Whether an `ignore_errors` behind it, in the same segment, drops it.
    operator: str = ""  #: What failed, where the error does not tell.

    def __post_init__(self) -> None:
        _untrace(self.error)


def _untrace(error: BaseException | None) -> None:
    """Let go of the frames in which something failed: they hold all that was at hand, and soon that failure, too.

    Only the collector would break such a circle, and late. What a function raised keeps its own, for people to see.
    """
    while error is not None:
        error.__traceback__ = None
        error = None if isinstance(error, FunctionError) else error.__cause__ or error.__context__


Pulled: TypeAlias = Handles | Signal | Failed
#: A checkpoint of an operator: plain data.
State: TypeAlias = dict[str, Any]
#: From what `Keep` gave back to the elements.
Find: TypeAlias = Callable[[Any], Handles]


class Keep(Protocol):
    """From held elements to plain data by which they are found again."""

    def __call__(self, handles: Any, draws: Draws | None = None, numbers: Handles | None = None) -> Any:
        """The data; `draws` lead to the increasing `numbers` of inputs that these handles are."""


NOTHING: Handles = np.empty(0, np.int64)


class Operator(ABC):
    """A stage that hands out handles of elements, in order.

    Whoever pulls handles owns them, and releases them to the store when done. `pull` gives at least
    one handle and at most `limit`, or a Signal, or a failed element. Once it gave END it does so for ever.
    """

    @abstractmethod
    def pull(self, limit: int) -> Pulled:
        """Up to `limit` elements."""

    @abstractmethod
    def close(self) -> None:
        """Give back everything held, here and below; a second call does nothing."""

    @abstractmethod
    def snapshot(self, keep: Keep) -> State:
        """Where this operator and all below it stand, as plain data."""

    @abstractmethod
    def restore(self, state: State, find: Find) -> None:
        """Stand where `snapshot` was taken; called once, before the first pull."""


@dataclass(slots=True)
class Unary(Operator):
    """An operator over one input."""

    source: Operator
    store: Store
    closed: bool = field(default=False, init=False)
    finished: bool = field(default=False, init=False)  #: Whether the input was closed before its end.

    def finish(self) -> None:
        """Close the input: nothing more of it is wanted."""
        self.finished = True
        self.source.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.store.release(self.held)
            self.source.close()

    @property
    def held(self) -> Handles:
        """The elements that wait in this operator, in order."""
        return NOTHING

    def snapshot(self, keep: Keep) -> State:
        return {"source": None if self.finished else self.source.snapshot(keep), **self.own_state(keep)}

    def restore(self, state: State, find: Find) -> None:
        if state["source"] is None:
            self.finish()
        else:
            self.source.restore(state["source"], find)
        self.set_own_state(state, find)

    @abstractmethod
    def own_state(self, keep: Keep) -> State:
        """What this operator adds to its input's snapshot; {} where it remembers nothing."""

    @abstractmethod
    def set_own_state(self, state: State, find: Find) -> None:
        """The reverse of `own_state`."""


@dataclass(slots=True)
class Pump:
    """Handles that an operator collects until it has enough."""

    parts: list[Handles] = field(default_factory=list)
    count: int = 0

    def add(self, handles: Handles) -> None:
        """Put these behind the others."""
        self.parts.append(handles)
        self.count += len(handles)

    def take(self, count: int) -> Handles:
        """The first `count`, or as many as there are."""
        joined = self.peek()
        self.parts = [joined[count:]] if len(joined) > count else []
        self.count = max(0, len(joined) - count)
        return joined[:count]

    def peek(self) -> Handles:
        """All of them, left where they are."""
        if len(self.parts) != 1:
            self.parts = [np.concatenate(self.parts)] if self.parts else [NOTHING]
        return self.parts[0]
