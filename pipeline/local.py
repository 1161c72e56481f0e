"""In process: the whole plan run by the caller, with no server. It is the reference for every other way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .blocks import Block
from .ends import Ends, look_at
from .fingerprint import fingerprint
from .iterator import TellingIterator
from .local_run import LocalRun
from .memory import Memory
from .nodes import Node
from .operators.protocol import NOTHING, Failed, Signal, State
from .store import Handles
from .structure import Element
from .summary import Summary, Tally, batches
from .token import Token, accept, named, pack_state, with_files

__all__ = ["LocalIterator"]

#: Told of the seed and the pass of a token that was loaded.
Moved: TypeAlias = Callable[[int, int], None]

#: How many elements are computed at once, at most. A loop that just began gets one at a time, so that a function
#: is never called much further ahead than the loop has come.
MOST_AHEAD = 1024


class LocalIterator(TellingIterator):
    """The elements of one pass, computed in this process.

    An element that fails raises; the next call goes on behind it. After the end `next()` raises
    StopIteration and `get_next()` OutOfRangeError, again and again.

    >>> from headrace import Dataset
    >>> iterator = Dataset.range(1).make_one_shot_iterator()
    >>> iterator.get_next()
    np.int64(0)
    """

    def __init__(
        self,
        node: Node,
        seed: int,
        epoch: int,
        moved: Moved | None = None,
        *,
        tells: bool = True,
        spec: Callable[[], Any] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._folder, self._moved, self._spec = str(Path.cwd()), moved, spec
        self._run = LocalRun(node, seed, epoch, self._folder, tells, memory)
        self._ready: Iterator[Element] = iter(())
        self._rest = NOTHING  #: Of what was pulled last: what is of another structure than the elements before.
        self._ahead = 1
        self._ended = False
        self._taken = 0  #: Elements, failed ones too.
        self._tally = Tally(batches(node))
        self._ends: dict[str, Ends | str] = {}  #: Of files that were looked at.
        self._fingerprint: dict[str, Any] | None = None

    @property
    def epoch(self) -> int:
        """The pass at hand, counted from 0."""
        return self._run.epoch

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s, nested like the elements; None of a bare graph's."""
        return None if self._spec is None else self._spec()

    def __next__(self) -> Element:
        for element in self._ready:
            self._taken += 1
            return element
        if self._ended:
            raise StopIteration
        with self._tally.waiting(self._taken):
            got = self._rest if len(self._rest) else self._run.pull(self._ahead)
        if isinstance(got, np.ndarray):
            self._ahead = min(MOST_AHEAD, 2 * self._ahead)
            self._ready = self._deliver(got)
            return next(self)
        if isinstance(got, Failed):
            self._ahead = 1
            self._taken += 1
            self._tally.failed += 1
            raise got.error
        assert got is Signal.END, "in process nothing is waited for"
        self._ended = True
        self._run.close()
        raise StopIteration

    def _deliver(self, handles: Handles) -> Iterator[Element]:
        count = self._run.store.alike(handles)
        first, self._rest = handles[:count], handles[count:]
        block = self._run.store.whole(first) or self._run.store.gather(first)
        self._run.store.release(first)
        self._tally.begins(block)
        return delivered(block)

    def summary(self) -> Summary:
        """Elements, seconds, who waited for whom, and the ledger, of this pass up to now.

        >>> from headrace import Dataset
        >>> iterator = iter(Dataset.range(5).filter(lambda x: x != 3).batch(2))
        >>> _ = list(iterator)
        >>> summary = iterator.summary()
        >>> summary.batches, summary.elements, summary.ledger["filtered"]
        (2, 4, 1)
        """
        return self._tally.summary(self._taken, {**self._run.ledger, "delivered": self._taken})

    def state_dict(self) -> dict[str, Any]:
        """Where this iterator stands, as plain data to be saved with the model: see `token`.

        Taken between any two elements, and loaded by an iterator of the same pipeline in any process, or by one of
        a service.

        >>> from headrace import Dataset
        >>> iterator = iter(Dataset.range(4))
        >>> first = next(iterator)
        >>> token = iterator.state_dict()
        >>> again = iter(Dataset.range(4))
        >>> again.load_state_dict(token)
        >>> [int(each) for each in again]
        [1, 2, 3]
        """
        run, state = self._run, None if self._ended else self._run.checkpoint()
        if state is not None:
            state = with_files(state, self._files(state), self._folder)
        return Token(
            fingerprint=self._told(),
            seed=run.seed,
            epoch=run.epoch,
            element=self._taken,
            ended=self._ended,
            state=pack_state(state),
        ).to_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was taken, here or by an iterator of a service.

        What buffers held is computed again, and so is what came since the last checkpoint.

        Raises:
            InvalidArgumentError: what is no such state, or that of another pipeline; the message names the difference.
            FailedPreconditionError: a file that it needs has changed or is missing, or the epoch is shorter.
            MalformedMessage: a state that was damaged.

        Warns:
            FunctionChangedWarning: a function does not do what it did.
        """
        token = Token.from_dict(state_dict)
        accept(token, self._run.graph, self._told())
        run = LocalRun(self._run.graph, token.seed, token.epoch, self._folder, memory=self._run.memory)
        if token.ended:
            run.close()
        else:
            run.resume(token.checkpoint(self._folder), token.element)
        self._run.close()
        self._run, self._ready, self._rest, self._ahead = run, iter(()), NOTHING, 1
        self._taken, self._ended = token.element, token.ended
        self._tally = Tally(self._tally.batched, first=token.element)
        if self._moved is not None:
            self._moved(token.seed, token.epoch)

    def _files(self, state: State) -> dict[str, Ends]:
        """The ends of the files that a checkpoint needs, each as it was when it was first looked at."""
        for path in named(state, set(self._run.store.paths.values())):
            if path not in self._ends:
                self._ends[path] = look_at(path)
        needed = {path: self._ends[path] for path in named(state, self._ends)}
        return {path: ends for path, ends in needed.items() if not isinstance(ends, str)}

    def _told(self) -> dict[str, Any]:
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._run.graph)
        return self._fingerprint

    def __del__(self) -> None:
        # Who breaks off a loop gives up the file of a cache, and its lock.
        if (run := getattr(self, "_run", None)) is not None:
            run.desk.files.close()

    def close(self) -> None:
        """Let go of what it holds; where a cache's file was not read to its end, nothing is left of that."""
        self._run.close()
        self._ended, self._ready, self._rest = True, iter(()), NOTHING

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{': at its end' if self._ended else ''}>"


#: An element smaller than this is copied out, so that keeping it does not keep its whole block.
_SMALL = 4 << 10


def delivered(block: Block) -> Iterator[Element]:
    """The elements of a block, as their receiver owns them: writable, and alike whatever block they came in."""
    if all(column.rank == 0 for column in block.columns):
        return iter(block)
    rows = block.rows
    free = ([_free(each, rows) for each in components] for components in block.components())
    return map(block.structure.packer(), free)


def _free(component: Any, rows: int) -> Any:
    if not isinstance(component, np.ndarray) or component.base is None:
        return component
    if (rows > 1 and component.nbytes < _SMALL) or not component.flags.behaved:
        return component.copy()
    return component
