"""Surveys: what every worker sees of some files, gathered for who asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .events import To
from .pipeline.errors import ResourceExhaustedError, to_data
from .pipeline.messages import AskFiles, Files, Refused, Sample, Sampled
from .pipeline.roots import Roots

__all__ = ["ANSWER_S", "Surveys"]

#: Workers that are at a long call answer late: who asked is told after so long without them.
ANSWER_S = 5.0
#: Surveys at a time, and files in each.
MOST, MOST_FILES = 16, 256


@dataclass(slots=True)
class Survey:
    """One question, and the answers so far."""

    asker: str
    question: AskFiles
    until: float
    found: dict[str, Any]  #: By worker; None for one that has not answered.


@dataclass(slots=True)
class Surveys:
    """All that are under way. A question that is asked again meanwhile is the same one."""

    numbers: count[int] = field(default_factory=count)
    running: dict[int, Survey] = field(default_factory=dict)

    def ask(self, peer: str, question: AskFiles, workers: Sequence[str], roots: Roots, now: float) -> Iterator[To]:
        """Ask all workers."""
        if any((each.asker, each.question) == (peer, question) for each in self.running.values()):
            return
        if len(self.running) >= MOST or len(question.paths) > MOST_FILES:
            told = f"{MOST} surveys at a time, {MOST_FILES} files in each, are the most: ask for fewer, or again later"
            yield To(peer, Refused(to_data(ResourceExhaustedError(told))))
            return
        number = next(self.numbers)
        self.running[number] = Survey(peer, question, now + ANSWER_S, dict.fromkeys(workers))
        for worker in workers:
            yield To(worker, Sample(number, question.paths, roots.to_data()))
        yield from self._answer(number, now)

    def hear(self, worker: str, answer: Sampled, now: float) -> Iterator[To]:
        """A worker has looked."""
        survey = self.running.get(answer.number)
        if survey is not None and worker in survey.found:
            survey.found[worker] = answer.found
            yield from self._answer(answer.number, now)

    def tick(self, now: float) -> Iterator[To]:
        """Answer those that have waited for long enough."""
        for number in list(self.running):
            yield from self._answer(number, now)

    def _answer(self, number: int, now: float) -> Iterator[To]:
        survey = self.running[number]
        if now >= survey.until or None not in survey.found.values():
            del self.running[number]
            yield To(survey.asker, Files(survey.found))
