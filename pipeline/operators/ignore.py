"""Ignoring: failures of an operator are left out where the user says so."""

from __future__ import annotations

from dataclasses import dataclass

from ..counts import Counts
from ..verdicts import Verdicts
from .protocol import Failed, Find, Keep, Pulled, State, Unary

__all__ = ["IgnoreErrorsOperator"]


@dataclass(slots=True)
class IgnoreErrorsOperator(Unary):
    """The elements of its input that do not fail."""

    verdicts: Verdicts
    counts: Counts
    log_warning: bool

    def pull(self, limit: int) -> Pulled:
        while isinstance(got := self.source.pull(limit), Failed):
            self.verdicts.ignore(got, self.counts, self.log_warning)
        return got

    def own_state(self, keep: Keep) -> State:
        return {}  # what it dropped is among the verdicts

    def set_own_state(self, state: State, find: Find) -> None:
        pass
