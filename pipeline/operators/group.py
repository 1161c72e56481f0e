"""Groups: elements collected by a key that their tags say, until there are enough of one for a window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import HeadraceError, MalformedMessage, ResourceExhaustedError, from_data, to_data
from ..store import Handles, Store, Tags
from ..tracks import pack_small, unpack_small
from .protocol import NOTHING, Failed, Find, Keep, Pulled, Pump, Signal, State, Unary

__all__ = ["GroupOperator", "Grouping"]

#: Windows that are ready are made together, up to about this many bytes at once.
TOGETHER = 1 << 20
_Numbers: TypeAlias = npt.NDArray[np.int64]


class Grouping(ABC):
    """What is a group, when there is enough of it, and what is made of it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Of the operator."""

    @property
    @abstractmethod
    def portion(self) -> int:
        """About how many elements make a window."""

    @property
    def drop_remainder(self) -> bool:
        """Whether nothing is made of what is left at the end."""
        return False

    @abstractmethod
    def sort(self, tags: Tags) -> tuple[_Numbers, _Numbers]:
        """The key of each element, and how many make a window that it begins; 0 where it can be in none."""

    @abstractmethod
    def fits(self, key: int, size: int) -> bool:
        """Whether a window can have this key, and so many elements."""

    @property
    def several(self) -> bool:
        """Whether windows of one size can be made at once."""
        return False

    @abstractmethod
    def make(self, store: Store, keys: list[int], handles: Handles) -> Handles:
        """One element of those in each window, which are released; as many belong to each key, in order.

        Raises:
            HeadraceError: they do not fit one another; none is released then.
        """

    def refusal(self, tag: int) -> HeadraceError:
        """Why an element with this tag can be in no window."""
        return MalformedMessage(f"{self.name}: a worker told of a window without elements, of key {tag}")


@dataclass(slots=True)
class _Window:
    """One that is not full."""

    size: int
    handles: Pump = field(default_factory=Pump)
    numbers: Pump = field(default_factory=Pump)  #: The how-manieth each was to come.
    nbytes: int = 0


@dataclass(slots=True)
class _Full:
    """A window that is to come out."""

    key: int
    handles: Handles
    nbytes: int


_Ready: TypeAlias = _Full | Failed


@dataclass(slots=True)
class GroupOperator(Unary):
    """A window comes out when it is full; at the end those that are left do, in the order of their keys.

    An element that fails is in no window.
    """

    grouping: Grouping
    budget: int  #: Bytes that windows which are not full may take.
    windows: dict[int, _Window] = field(default_factory=dict)
    ready: deque[_Ready] = field(default_factory=deque)
    came: int = 0
    nbytes: int = 0  #: In windows that are not full.
    ended: bool = False
    alone: int = 0  #: So many of those that are ready are made one by one.

    @property
    def held(self) -> Handles:
        return np.concatenate([self._waiting()[0], self._full()])

    def _waiting(self) -> tuple[Handles, _Numbers]:
        """What is in windows that are not full, as it came, and the places of these windows among all."""
        parts = [each.handles.peek() for each in self.windows.values()]
        numbers = np.concatenate([NOTHING, *(each.numbers.peek() for each in self.windows.values())])
        places = np.repeat(np.arange(len(parts)), list(map(len, parts)))
        order = np.argsort(numbers)
        return np.concatenate([NOTHING, *parts])[order], places[order]

    def _full(self) -> Handles:
        return np.concatenate([NOTHING, *(each.handles for each in self.ready if isinstance(each, _Full))])

    def pull(self, limit: int) -> Pulled:
        while not self.ready:
            if self.ended:
                return Signal.END
            got = self.source.pull(limit * self.grouping.portion)
            if got is Signal.END:
                self._end()
            elif isinstance(got, np.ndarray):
                self._take(got)
            else:
                return got
        return self._make(limit)

    def _end(self) -> None:
        self.ended = True
        for key in sorted(self.windows):
            window = self.windows.pop(key)
            if self.grouping.drop_remainder:
                self.store.release(window.handles.peek())
            else:
                self.ready.append(_Full(key, window.handles.peek(), window.nbytes))

    def _take(self, got: Handles) -> None:
        """Put elements into their windows. Where these take too much behind one of them, that is all."""
        tags, nbytes = self.store.tags(got), self.store.sizes(got)
        keys, sizes = self.grouping.sort(tags)
        # What comes out: behind which of these elements, and how many bytes go with it.
        done: list[tuple[int, int, _Ready]] = []
        for row in np.flatnonzero(sizes < 1).tolist():
            error = self.grouping.refusal(int(tags[row, 0]))
            done.append((row, int(nbytes[row]), Failed(error, operator=self.grouping.name)))
        self.store.release(got[sizes < 1])
        for rows in _alike(keys, np.flatnonzero(sizes > 0)):
            done += self._fill(int(keys[rows[0]]), got, rows, int(sizes[rows[0]]), nbytes)
        self.came += len(got)
        done.sort(key=lambda each: each[0])
        gone = np.zeros(len(got), np.int64)
        gone[[at for at, _, _ in done]] = [each for _, each, _ in done]
        held = self.nbytes + np.cumsum(nbytes - gone)
        self.nbytes = int(held[-1])
        over = np.flatnonzero(held > self.budget)
        stop = int(over[0]) if len(over) else len(got)
        self.ready.extend(each for at, _, each in done if at < stop)
        if stop < len(got):
            self._give_up(int(held[stop]), [each for at, _, each in done if at >= stop])

    def _fill(
        self, key: int, got: Handles, rows: _Numbers, size: int, nbytes: _Numbers
    ) -> Iterator[tuple[int, int, _Ready]]:
        """Put the elements in these rows, all of one key, into windows; those that became full."""
        while len(rows):
            window = self.windows.setdefault(key, _Window(size))
            mine, rows = rows[: window.size - window.handles.count], rows[window.size - window.handles.count :]
            window.handles.add(got[mine])
            window.numbers.add(self.came + mine)
            window.nbytes += int(nbytes[mine].sum())
            if window.handles.count == window.size:
                del self.windows[key]
                yield int(mine[-1]), window.nbytes, _Full(key, window.handles.peek(), window.nbytes)

    def _give_up(self, nbytes: int, behind: list[_Ready]) -> None:
        """All that is collected goes, and the input with it."""
        self.store.release(self._waiting()[0])
        for each in behind:
            if isinstance(each, _Full):
                self.store.release(each.handles)
        error = ResourceExhaustedError(
            f"{self.grouping.name} would hold {nbytes:,} bytes in windows that are not full, over the budget of "
            f"{self.budget:,}: use smaller windows or fewer keys, group before elements grow, or raise "
            "Options(buffer_bytes=...)"
        )
        self.windows.clear()
        self.ready.append(Failed(error, operator=self.grouping.name))
        self.ended = True
        self.finish()

    def _make(self, limit: int) -> Pulled:
        """Elements of the first windows that are ready, or a failure in its place."""
        made: list[Handles] = []
        count = nbytes = 0
        while self.ready and count < limit and nbytes < TOGETHER:
            if isinstance(first := self.ready[0], Failed):
                if count:
                    break
                self.ready.popleft()
                return first
            windows = self._next(limit - count)
            handles = np.concatenate([each.handles for each in windows])
            try:
                made.append(self.grouping.make(self.store, [each.key for each in windows], handles))
            except HeadraceError as error:
                self._failed(windows, error)
            else:
                count += len(windows)
                nbytes += sum(each.nbytes for each in windows)
        return np.concatenate(made)

    def _next(self, most: int) -> list[_Full]:
        """The windows that are made next: several where they are small and alike in size."""
        found: list[_Full] = []
        nbytes = 0
        while self.ready and isinstance(each := self.ready[0], _Full):
            nbytes += each.nbytes
            if found and (nbytes > TOGETHER or len(each.handles) != len(found[0].handles)):
                break
            self.ready.popleft()
            found.append(each)
            if self.alone or not self.grouping.several or len(found) == most:
                break
        self.alone = max(0, self.alone - 1)
        return found

    def _failed(self, windows: list[_Full], error: HeadraceError) -> None:
        """One of these cannot be made: it is seen which, or it is that one."""
        if len(windows) > 1:
            self.alone = len(windows)
            self.ready.extendleft(reversed(windows))
            return
        self.store.release(windows[0].handles)
        self.ready.appendleft(Failed(error, operator=self.grouping.name))

    def own_state(self, keep: Keep) -> State:
        waiting, places = self._waiting()
        return {
            "held": keep(waiting),
            "places": pack_small(places),
            "windows": [[key, each.size] for key, each in self.windows.items()],
            "ready": [_told(each) for each in self.ready],
            "full": keep(self._full()),
            "ended": self.ended,
        }

    def set_own_state(self, state: State, find: Find) -> None:
        waiting, full = find(state["held"]), find(state["full"])
        self.ended, self.came = bool(state["ended"]), len(waiting)
        self.nbytes = self.store.nbytes_of(waiting)
        self._set_windows(waiting, unpack_small(state["places"], len(waiting)), state["windows"])
        for each in state["ready"]:
            if isinstance(each, dict):
                self.ready.append(Failed(from_data(each["error"])))
                continue
            key, count = each
            if not self.grouping.fits(key, count) or not 0 < count <= len(full):
                raise MalformedMessage(f"a window of {count} elements that cannot be full")
            self.ready.append(_Full(key, full[:count], self.store.nbytes_of(full[:count])))
            full = full[count:]
        if len(full) or (self.ended and self.windows):
            raise MalformedMessage("elements of no window, or of windows behind the end")

    def _set_windows(self, handles: Handles, places: _Numbers, told: Any) -> None:
        if len(places) and not (places.min() >= 0 and places.max() < len(told)):
            raise MalformedMessage("elements of no window")
        sizes = self.store.sizes(handles)
        ends = np.cumsum(np.bincount(places, minlength=len(told)))
        apart = np.split(np.argsort(places, kind="stable"), ends)
        for (key, size), mine in zip(told, apart, strict=False):
            if key in self.windows or not self.grouping.fits(key, size) or not 0 < len(mine) < size:
                raise MalformedMessage(f"a window of {len(mine)} elements of {size!r:.20}, key {key!r:.20}")
            window = self.windows[key] = _Window(size, nbytes=int(sizes[mine].sum()))
            window.handles.add(handles[mine])
            window.numbers.add(mine)


def _alike(keys: _Numbers, rows: _Numbers) -> Iterator[_Numbers]:
    """These rows, in order, key by key."""
    order = rows[np.argsort(keys[rows], kind="stable")]
    for each in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if len(each):
            yield each


def _told(each: _Ready) -> Any:
    return {"error": to_data(each.error)} if isinstance(each, Failed) else [each.key, len(each.handles)]
