"""Verdicts: what was decided about each element that failed in an epoch, so that it is decided once.

A function may fail now and succeed when it is run again, as where a disk was busy. What comes behind an element in
the stream depends on whether that was there, so whoever computes it again, after a death or from a token, is told
what has been decided, and leaves it failed. What is decided has a number in the order of the stream; that and the
counts are part of every checkpoint, so that nothing is counted twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from typing import Any

from .counts import Counts
from .errors import FunctionError, HeadraceError, MalformedMessage, ResourceExhaustedError, from_data, to_data
from .feeds import Job
from .nodes import Configured, Node
from .operators.protocol import Failed, State
from .spot import Name, Spot
from .store import Store
from .work import BEHIND, Piece

__all__ = [
    "BUDGET",
    "IGNORED",
    "RAISED",
    "SKIPPED",
    "Policy",
    "Verdict",
    "Verdicts",
    "policy_of",
    "with_verdicts",
]

#: How many elements of an epoch may be skipped, unless Options say otherwise.
BUDGET = 1000
#: So much is kept of what an element that is left out failed with, in characters.
TEXT = 500
#: And of the name of a run.
NAME = 64

SKIPPED, RAISED, IGNORED = "skipped", "raised", "ignored"


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of elements that fail."""

    skip: bool = False
    budget: int = BUDGET
    path: str = ""  #: Of the file that tells what was skipped, if there is one.


def policy_of(node: Node, folder: str = "") -> Policy:
    """What `Options(on_error=..., error_budget=...)` set, each the outermost first; a relative path is of `folder`."""
    on_error, budget = _option(node, "on_error"), _option(node, "error_budget")
    skip = on_error not in (None, "raise")
    path = os.path.join(folder, on_error) if skip and on_error != "skip" else ""  # noqa: PTH118
    return Policy(skip, BUDGET if budget is None else budget, path)


def _option(node: Node, name: str) -> Any:
    if isinstance(node, Configured) and (value := getattr(node, name)) is not None:
        return value
    found = (_option(each, name) for each in node.inputs)
    return next((each for each in found if each is not None), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An element failed, and it was decided what becomes of it."""

    serial: int  #: Counts all verdicts of the epoch, as they were made.
    number: int  #: Of those at the end of the pipeline, in the order of the stream; 0 where an operator dropped it.
    outcome: str
    spot: Spot | None  #: None where an operator of many elements failed: that fails again by itself.
    operator: str
    error: dict[str, Any]

    def to_data(self) -> list[Any]:
        """As plain data."""
        spot = None if self.spot is None else [list(self.spot.segment), *astuple(self.spot)[1:]]
        return [self.serial, self.number, self.outcome, spot, self.operator, self.error]

    @classmethod
    def from_data(cls, data: Any) -> Verdict:
        """Back from `to_data`.

        Raises:
            MalformedMessage: what is no verdict.
        """
        try:
            serial, number, outcome, spot, operator, error = data
            found = None if spot is None else Spot(tuple(spot[0]), *spot[1:])
            numbers = [serial, number] if found is None else [serial, number, *found.segment, *astuple(found)[1:5]]
            plain = all(type(each) is int and 0 <= each < 1 << 64 for each in numbers)
            if not plain or outcome not in (SKIPPED, RAISED, IGNORED) or not isinstance(operator, str):
                raise ValueError("its fields are none")
            from_data(error)
        except (TypeError, ValueError, KeyError) as trouble:
            raise MalformedMessage(f"a verdict that is none: {trouble}") from trouble
        return cls(serial, number, outcome, found, operator, error)


@dataclass(slots=True)
class Verdicts:
    """What is decided in an epoch, what is known to have been decided, and how much of each there was."""

    policy: Policy = field(default_factory=Policy)
    run: str = ""  #: Names the epochs of one iterator, or job, in what is quarantined.
    counts: Counts = field(default_factory=Counts)
    computed: int = 0  #: Elements that were computed in this process, again or not: work, not in any checkpoint.
    fresh: list[Verdict] = field(default_factory=list)  #: Made since they were taken, to be kept by whoever runs this.
    warnings: list[str] = field(default_factory=list)  #: What `ignore_errors(log_warning=True)` has to say; as above.
    serial: int = 0  #: Of the verdict made last.
    _known: dict[tuple[tuple[int, ...], int], dict[Name, Verdict]] = field(default_factory=dict)
    _pending: dict[int, Verdict] = field(default_factory=dict)  #: Known, and not met yet by this run.

    def learn(self, verdicts: Iterable[Verdict]) -> None:
        """These were made before."""
        for each in verdicts:
            self.serial = max(self.serial, each.serial)
            self._pending[each.serial] = each
            if each.spot is not None:
                self._known.setdefault((each.spot.segment, each.spot.origin), {})[each.spot.name] = each

    # Where elements are computed.

    def failed(self, job: Job, store: Store, piece: Piece) -> Failed:
        """What failed in a piece of a job; of what was decided before, in the words of then."""
        assert piece.error is not None, "it failed"
        origin, offset, within, work = job.work.origin, piece.first, 0, job.work
        if job.inputs is not None:
            row, within = divmod(piece.first, job.grain)
            origin, offset = store.identities(job.inputs[row : row + 1])[0].tolist()
        elif work.view:
            offset = work.offset_at(piece.first)
        span = 0 if piece.next >= BEHIND else piece.next - piece.first
        path = work.path or store.paths.get(origin, "")
        spot = Spot(job.segment, origin, offset, within, span, path)
        known = self._known.get((spot.segment, spot.origin), {}).get(spot.name)
        if known is None:
            return Failed(piece.error, spot, piece.ignored)
        # What is not computed again does not show whether it failed before or behind an `ignore_errors`.
        return Failed(from_data(known.error), spot, piece.ignored and known.outcome == IGNORED)

    def rulings(self, job: Job, store: Store) -> tuple[tuple[int, int], ...]:
        """What of a job is not to be computed, but fails: first position and the one behind the last, in order."""
        if not self._known:
            return ()
        first = job.work.start if job.work.since is None else job.work.since
        return tuple(sorted(found for found in self._ruled(job, store) if found[0] >= first))

    def _ruled(self, job: Job, store: Store) -> Iterable[tuple[int, int]]:
        work = job.work
        if job.inputs is None:
            for each in self._of(job.segment, work.origin):
                first = work.position_of(each.offset)
                if first >= 0 and (work.stop is None or first < work.stop):
                    yield first, BEHIND if not each.span else first + each.span
        elif any(segment == job.segment for segment, _ in self._known):
            for row, (origin, offset) in enumerate(store.identities(job.inputs).tolist()):
                for each in self._of(job.segment, origin):
                    if each.offset == offset:
                        first = row * job.grain + each.within
                        yield first, (row + 1) * job.grain if not each.span else first + each.span

    def _of(self, segment: tuple[int, ...], origin: int) -> list[Spot]:
        found = self._known.get((segment, origin), {}).values()
        return [each.spot for each in found if each.spot is not None]

    # Where it is decided.

    def ignore(self, failed: Failed, counts: Counts, log_warning: bool = False) -> None:
        """An operator drops it, and counts it there."""
        counts.ignored += 1
        if not self._met(failed, 0) and log_warning:
            self.warnings.append(f"ignore_errors leaves out: {brief(failed.error)}")
        if failed.spot is not None:
            self._make(0, IGNORED, failed, brief(failed.error))

    def judge(self, failed: Failed) -> HeadraceError | None:
        """The end of the pipeline has it: what to raise in its place, or nothing where it is left out."""
        counts, number = self.counts, self.counts.skipped + self.counts.failed + 1
        skip = self.policy.skip and counts.skipped < self.policy.budget
        error = failed.error
        if skip:
            counts.skipped += 1
        else:
            counts.failed += 1
            error = self._over(error) if self.policy.skip else error
        self._met(failed, number)
        told = brief(failed.error) if self.policy.skip else failed.error
        self._make(number, SKIPPED if skip else RAISED, failed, told)
        return None if skip else error

    def _met(self, failed: Failed, number: int) -> bool:
        """Whether it was decided before. From now on the verdict made now stands for that."""
        name = None if failed.spot is None else failed.spot.name
        met = [
            serial
            for serial, each in self._pending.items()
            if (number and each.number == number) or (name and each.spot and each.spot.name == name)
        ]
        for serial in met:
            del self._pending[serial]
        return bool(met)

    def _make(self, number: int, outcome: str, failed: Failed, error: HeadraceError) -> None:
        self.serial += 1
        operator = failed.operator or (failed.error.where or "").partition(", ")[0]
        self.fresh.append(Verdict(self.serial, number, outcome, failed.spot, operator, to_data(error)))

    def _over(self, error: HeadraceError) -> ResourceExhaustedError:
        return ResourceExhaustedError(
            f"{self.counts.skipped:,} elements of this epoch failed and were skipped, and more than "
            f"{self.policy.budget:,} may not be (Options(error_budget=...)). The next one: "
            f"{type(error).__name__}: {brief(error)}"
        )

    def take(self) -> list[Verdict]:
        """What was decided since this was asked last."""
        taken, self.fresh = self.fresh, []
        return taken

    # In checkpoints.

    def state(self) -> dict[str, Any]:
        """How far it is, as plain data."""
        made = [self._pending[serial].to_data() for serial in sorted(self._pending)]
        return {"run": self.run, "counts": self.counts.to_data(), "serial": self.serial, "made": made}

    def set_state(self, state: dict[str, Any]) -> None:
        """The reverse.

        Raises:
            MalformedMessage: what is none.
        """
        counts, run, serial = dict(state["counts"]), state["run"], state["serial"]
        if not isinstance(run, str) or any(type(each) is not int or each < 0 for each in (serial, *counts.values())):
            raise MalformedMessage("a state of verdicts that is none")
        for kind in self.counts.to_data():
            setattr(self.counts, kind, counts[kind])
        self.run, self.serial = run[:NAME], max(self.serial, serial)
        self.learn(map(Verdict.from_data, state["made"]))


def with_verdicts(state: State, made: Iterable[Verdict]) -> State:
    """A checkpoint of a whole pipeline, with what was decided since: whoever goes on from it has to know."""
    operator = state["operator"]
    verdicts = operator["verdicts"]
    told = [*verdicts["made"], *(each.to_data() for each in made)]
    return {**state, "operator": {**operator, "verdicts": {**verdicts, "made": told}}}


def brief(error: HeadraceError) -> HeadraceError:
    """The same error in few words, without the traceback of the user's function."""
    data = to_data(error)
    arguments = data["args"][:2] if isinstance(error, FunctionError) else data["args"]
    data["args"] = [each[:TEXT] if isinstance(each, str) else each for each in arguments]
    return from_data(data)
