"""A local run: the operators of one epoch in this process, saved now and then, and set up again from a checkpoint."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import numpy as np

from .building import Settings, judged
from .caching import LocalDesk
from .errors import FailedPreconditionError, HeadraceError, MalformedMessage, ResourceExhaustedError
from .execution import Stream, settings
from .held import saved
from .kernels.identity import chain
from .memory import Memory
from .nodes import Node
from .operators.protocol import Failed, Operator, Pulled, Signal, State
from .quarantine import Quarantine
from .recovery import Recovered
from .segment import segment_of
from .shelves import LocalShelves
from .store import Store
from .verdicts import Verdict, Verdicts, policy_of, with_verdicts

__all__ = ["LocalRun"]

#: Between two checkpoints, in seconds; and so many times what one takes, so that they cost little where much is held.
LEAST_S = 0.25
SHARE = 50
#: Elements that are passed over at once.
PORTION = 1024


@dataclass(slots=True)
class LocalRun:
    """Counts and sums up what it hands out as a broker does, so that either can go on where the other stood."""

    graph: Node
    seed: int
    epoch: int
    folder: str
    tells: bool = True  #: Whether what is skipped is told where the options say.
    memory: Memory | None = None  #: Of caches; without it, these keep nothing in files, either.
    desk: LocalDesk = field(default_factory=LocalDesk)
    store: Store = field(default_factory=Store)
    pulled: int = 0  #: Elements, failed ones too.
    checksum: int = 0  #: Of their identities.
    saved: State | None = None  #: The newest checkpoint.
    due: float = 0.0  #: When the next one is taken.
    verdicts: Verdicts = field(init=False)
    made: list[Verdict] = field(default_factory=list)  #: Since that checkpoint.
    quarantine: Quarantine | None = None
    waiting: Pulled | None = None  #: What came before something went wrong.
    operator: Operator = field(init=False)

    def __post_init__(self) -> None:
        self.verdicts = self._no_verdicts()
        self.operator = self._built()
        self.due = time.monotonic() + LEAST_S

    def pull(self, limit: int) -> Pulled:
        """Up to `limit` elements, after a checkpoint where it is time for one."""
        if self.waiting is None:
            self.waiting = self._pull(limit)
        self._note()  # it may raise: what came waits
        got, self.waiting = self.waiting, None
        return got

    def _pull(self, limit: int) -> Pulled:
        now = time.monotonic()
        if now >= self.due:
            self._save(now)
        got = self.operator.pull(limit)
        if isinstance(got, np.ndarray):
            self.checksum = int(chain(np.uint64(self.checksum), self.store.identities(got)))
            self.pulled += len(got)
        elif isinstance(got, Failed):
            self.pulled += 1
        return got

    def _note(self) -> None:
        """Keep what was decided, and tell of what was skipped."""
        verdicts = self.verdicts
        while verdicts.warnings:
            text = verdicts.warnings.pop(0)
            if self.tells:
                print(f"headrace: {text}", file=sys.stderr)
        while verdicts.fresh:
            if verdicts.policy.path and self.tells:
                self.quarantine = self.quarantine or Quarantine(verdicts.policy.path)
                self.quarantine.add(verdicts.fresh[0], verdicts.run, self.epoch)
            self.made.append(verdicts.fresh.pop(0))

    def checkpoint(self) -> State | None:
        """The newest, and what was decided since; None where it would say nothing but that the epoch has begun."""
        if self.saved is None and self.made:
            start = LocalRun(self.graph, self.seed, self.epoch, self.folder)
            start.verdicts.run = self.verdicts.run
            start._save(0.0)
            start.close()
            return start.saved and with_verdicts(start.saved, self.made)
        return self.saved and with_verdicts(self.saved, self.made)

    def _save(self, now: float) -> None:
        with suppress(ResourceExhaustedError):  # the one before stays, and more is computed again
            self.saved = {"cursor": self.pulled, "checksum": self.checksum} | saved(self.operator, self.store)
            self.made = []
        after = time.monotonic()
        self.due = after + max(LEAST_S, SHARE * (after - now))

    def resume(self, state: State | None, element: int) -> None:
        """Stand behind so many elements, from a checkpoint on, if there is one; for a run that has not begun.

        Raises:
            MalformedMessage: the checkpoint is not of this pipeline.
            FailedPreconditionError: the epoch does not have so many elements.
        """
        if state is not None:
            try:
                self._restore(state)
            except HeadraceError:
                raise
            except Exception as error:  # whatever hostile data leads to
                raise MalformedMessage(
                    f"the state does not fit this pipeline: {type(error).__name__}: {error}"
                ) from error
        self._pass_over(element)

    def _restore(self, state: State) -> None:
        to = self._settings(Verdicts())
        recovered = Recovered(
            state["held"], self.graph, self.store, lambda path, feed: Stream(segment_of(self.graph, path), feed, to)
        )
        recovered.pull(PORTION)
        recovered.close()
        if not recovered.complete:
            self.store = Store()  # not all came again, as where a function is not deterministic: from the start
            self.verdicts = self._no_verdicts()
            self.operator = self._built()
            return
        self.operator = self._built()
        self.operator.restore(state["operator"], recovered.find)
        self.pulled, self.checksum, self.saved = state["cursor"], state["checksum"], state

    def _pass_over(self, element: int) -> None:
        while self.pulled < element:
            got = self.pull(min(PORTION, element - self.pulled))
            if isinstance(got, np.ndarray):
                self.store.release(got)
            elif got is Signal.END:
                raise FailedPreconditionError(
                    f"the state stands after {element:,} elements of epoch {self.epoch}, which has only "
                    f"{self.pulled:,} here: does a function do other things than when it was taken?"
                )

    @property
    def ledger(self) -> dict[str, Any]:
        """What became of all that was consumed so far, in the words of a service's ledger."""
        return {"computed": self.verdicts.computed, **self.verdicts.counts.ledger(self.pulled, self.checksum)}

    def _built(self) -> Operator:
        return judged(self.graph, self._settings(self.verdicts))

    def _no_verdicts(self) -> Verdicts:
        return Verdicts(policy_of(self.graph, self.folder), token_hex(4))

    def _settings(self, verdicts: Verdicts) -> Settings:
        desk = None if self.memory is None else self.desk
        return settings(
            self.graph,
            self.store,
            self.seed,
            self.epoch,
            self.folder,
            verdicts=verdicts,
            memory=self.memory,
            shelves=LocalShelves(self.verdicts.warnings.append, self.tells),
            desk=desk,
        )

    def close(self) -> None:
        """Give back everything held."""
        self.operator.close()
        self.desk.files.close()
