"""The coordinator: which worker computes what. Events in, actions out; no clock, socket or file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..pipeline.messages import NO_WORKER, Bye, Heartbeat, Lease, Message, Pieces, Revoke
from ..pipeline.orders import Granted, Release, Want, Withdrawn
from ..pipeline.work import Payload, Poison
from .strikes import CAUSE, MOST, Cleared, Fact, Forgiven, Strikes, element_at

__all__ = [
    "Action",
    "Coordinator",
    "Died",
    "Event",
    "Examine",
    "Executing",
    "Heard",
    "Joined",
    "Kill",
    "Notify",
    "Over",
    "Record",
    "Send",
    "Silent",
    "Tick",
]


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker said hello."""

    worker: str
    fresh: bool = True  #: Whether it has computed nothing yet, for this server or for a former life of it.


@dataclass(frozen=True, slots=True)
class Heard:
    """A worker said something; all it holds is renewed."""

    worker: str
    message: Message


@dataclass(frozen=True, slots=True)
class Executing:
    """A worker was seen to be on this element of a split."""

    split: int
    position: int


@dataclass(frozen=True, slots=True)
class Died:
    """A worker's process is gone, and what it was executing then, if anything."""

    worker: str
    executing: Executing | None = None
    cause: str = "the process ended"


@dataclass(frozen=True, slots=True)
class Silent:
    """The answer to Examine: what a worker that says nothing is executing, if anything."""

    worker: str
    executing: Executing | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes: seconds on the server's own monotonic clock."""

    now: float


@dataclass(frozen=True, slots=True)
class Over:
    """Epochs of a job before `before` are over; all of them, where that is None."""

    job: int
    before: int | None


Event: TypeAlias = Joined | Heard | Died | Silent | Tick | Over | Want | Release


@dataclass(frozen=True, slots=True)
class Record:
    """To disk, before anything that follows."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Send:
    """To a worker, with the elements that are handed along, if any."""

    worker: str
    message: Message
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """To the broker."""

    order: Granted | Withdrawn


@dataclass(frozen=True, slots=True)
class Kill:
    """End this worker's process, if it is ours to end, so that a fresh one takes its place."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Examine:
    """See what this silent worker is executing, and come back with Silent, if it can be seen from here."""

    worker: str


Action: TypeAlias = Record | Send | Notify | Kill | Examine


@dataclass(slots=True)
class Worker:
    """What is known of one worker."""

    name: str
    heard: float  #: When it last said something.
    fresh: bool = True  #: Whether it never had a lease.
    killed: bool = False
    examined: bool = False  #: Whether it was silent for a lease, and looked at.
    leases: dict[int, int] = field(default_factory=dict)  #: Split to attempt.


@dataclass(slots=True)
class Granting:
    """A lease as it was granted."""

    worker: str
    attempt: int
    at: float  #: When it was granted, or last named by its worker.
    confirmed: bool = False  #: Whether the worker ever named it.


@dataclass(slots=True, kw_only=True)
class Coordinator:
    """Leases splits to workers, fences lost ones, tells poison from bad luck.

    An attempt's number grows with every lease and starts above those of earlier incarnations, so that
    nothing an earlier lease left behind can be taken for a later one's.
    """

    incarnation: int
    lease_s: float = 30.0  #: A worker silent for so long loses its leases; for twice as long, its process.
    resend_s: float = 1.0  #: A lease that its worker does not name after so long was lost on the way.
    slots: int = 2  #: Leases a worker holds at a time, beside urgent ones.
    now: float = 0.0
    attempts: int = 0
    workers: dict[str, Worker] = field(default_factory=dict)
    wants: dict[int, Want] = field(default_factory=dict)  #: By split; all that is not released.
    granted: dict[int, Granting] = field(default_factory=dict)
    strikes: Strikes = field(default_factory=Strikes)  #: All that must survive a death of the server.
    repeated: int = 0  #: Leases granted again, in all.
    own: int = 0  #: Workers that the server keeps running by itself.
    blocked_at: float = math.inf  #: Since when all workers try suspects while something else is waited for.

    def handle(self, event: Event) -> list[Action]:
        """What to do about an event."""
        return [*self._react(event), *self._assign()]

    def _react(self, event: Event) -> Iterator[Action]:
        match event:
            case Joined(worker, fresh):
                yield from self._lose(worker)
                self.workers[worker] = Worker(worker, self.now, fresh)
            case Heard(worker, message) if worker in self.workers:
                self.workers[worker].heard, self.workers[worker].examined = self.now, False
                yield from self._hear(self.workers[worker], message)
            case Died(worker, executing, cause):
                yield from self._strike(worker, executing, cause)
                yield from self._lose(worker)
                self.workers.pop(worker, None)
            case Silent(worker, executing) if worker in self.workers and self.workers[worker].examined:
                yield from self._strike(worker, executing, f"it did not return within the lease of {self.lease_s:g} s")
                yield from self._lose(worker)
            case Want(split):
                self.wants[split] = event
            case Release(split):
                yield from self._release(split)
            case Over(job, before) if self.strikes.over(job, before):
                yield self._record(Cleared(job, before))
            case Tick(now):
                self._pass(now)
                yield from self._expire()

    def _hear(self, worker: Worker, message: Message) -> Iterator[Action]:
        if isinstance(message, Bye):
            yield from self._lose(worker.name)
            del self.workers[worker.name]
        elif isinstance(message, Pieces) and worker.leases.get(message.split) == message.attempt:
            yield from self._forgive(self.wants[message.split], message)
        elif worker.killed and isinstance(message, Heartbeat):
            yield Kill(worker.name, "it was to end, and has not")  # the word went astray, as when a network was cut
        elif isinstance(message, Heartbeat):
            # What is not two numbers is of no lease of ours.
            named = {(each[0], each[1]) for each in message.leases if list(map(type, each)) == [int, int]}
            for split, attempt in sorted(named):
                if worker.leases.get(split) != attempt:
                    yield Send(worker.name, Revoke(split, attempt))
            for split, attempt in list(worker.leases.items()):
                yield from self._compare(worker, split, attempt, (split, attempt) in named)

    def _compare(self, worker: Worker, split: int, attempt: int, named: bool) -> Iterator[Action]:
        """One lease against what its worker says it holds."""
        lease = self.granted[split]
        if named:
            lease.at, lease.confirmed = self.now, True
        elif self.now - lease.at >= self.resend_s:
            if lease.confirmed:  # it had the lease, and lost it
                yield from self._withdraw(split, attempt)
            else:
                lease.at = self.now
                yield self._lease(worker, self.wants[split], attempt)

    def _record(self, fact: Fact) -> Record:
        self.strikes.apply(fact)
        return Record(fact)

    def _strike(self, worker: str, executing: Executing | None, cause: str) -> Iterator[Action]:
        """A loss counts against the element only while its worker still held that split."""
        if executing is None or worker not in self.workers or executing.split not in self.workers[worker].leases:
            return
        if (element := element_at(self.wants[executing.split], executing.position)) is not None:
            yield self._record(element.struck(cause[:CAUSE]))

    def _forgive(self, want: Want, message: Pieces) -> Iterator[Action]:
        """What came through is not suspect any more, also where it has to be computed again; poison stays poison."""
        for position, element, causes in list(self.strikes.within(want)):
            if message.first <= position < message.next and len(causes) < MOST:
                yield self._record(Forgiven(*element))

    def _lose(self, worker: str) -> Iterator[Action]:
        """All leases of a worker end; the broker is told, and says where to go on."""
        if worker in self.workers:
            for split, attempt in list(self.workers[worker].leases.items()):
                yield from self._withdraw(split, attempt)

    def _withdraw(self, split: int, attempt: int) -> Iterator[Action]:
        lease = self.granted.pop(split)
        del self.workers[lease.worker].leases[split]
        del self.wants[split]
        self.repeated += 1
        yield Notify(Withdrawn(split, attempt))

    def _release(self, split: int) -> Iterator[Action]:
        self.wants.pop(split, None)
        if (lease := self.granted.pop(split, None)) is not None:
            self.workers[lease.worker].leases.pop(split, None)
            yield Send(lease.worker, Revoke(split, lease.attempt))

    def _pass(self, now: float) -> None:
        """Where time made a leap, it was us who were stopped: what workers said meanwhile is still to be read."""
        leap = now - self.now
        if leap >= self.lease_s / 2:
            for worker in self.workers.values():
                worker.heard += leap
        self.now = now

    def _expire(self) -> Iterator[Action]:
        for worker in list(self.workers.values()):
            silent = self.now - worker.heard
            if silent >= self.lease_s and worker.leases:
                if worker.examined:
                    yield from self._lose(worker.name)
                else:
                    worker.examined = True
                    yield Examine(worker.name)
            if silent >= 2 * self.lease_s and not worker.killed:
                worker.killed = True
                yield Kill(worker.name, f"silent for {silent:.0f} s")
            if silent >= 3 * self.lease_s and worker.killed:
                # Its host is gone or cut off, and nobody there to end it. If it speaks again, it is told to say hello.
                yield from self._lose(worker.name)
                del self.workers[worker.name]

    # Who gets what.

    def _assign(self) -> Iterator[Action]:
        blocked = False
        if len(self.wants) > len(self.granted):  # else nothing is wanted that is not granted
            waiting = [(self._suspect(each), each) for split, each in self.wants.items() if split not in self.granted]
            # A fresh process goes to the suspect that it was made for: to others it would be lost, again and again.
            for suspect, want in sorted(waiting, key=lambda each: _rank(*each)):
                worker = self._solitary(want) if suspect else self._least_busy(want)
                if worker is not None:
                    yield from self._grant(worker, want)
                elif suspect and want.urgent:
                    yield from self._make_fresh()
                blocked |= worker is None and not suspect and want.urgent
        self.blocked_at = min(self.blocked_at, self.now) if blocked else math.inf

    def _suspect(self, want: Want) -> bool:
        """Whether the next loss on one of its elements would make that poison."""
        return bool(self.strikes.causes) and any(len(each[2]) == MOST - 1 for each in self.strikes.within(want))

    def _alive(self) -> list[Worker]:
        return [each for each in self.workers.values() if self.now - each.heard < self.lease_s and not each.killed]

    def _alone(self, worker: Worker) -> bool:
        """Whether a worker is kept for one suspect split."""
        return any(self._suspect(self.wants[split]) for split in worker.leases)

    def _trying(self, worker: Worker) -> bool:
        """Whether a worker is at a suspect split that consumption waits for."""
        wants = [self.wants[split] for split in worker.leases]
        return any(each.urgent and self._suspect(each) for each in wants)

    def _least_busy(self, want: Want) -> Worker | None:
        """Who can take what is not suspect; what is waited for goes to a worker that keeps a suspect for later, too."""
        alive = self._alive()
        if want.urgent:
            free = [each for each in alive if not self._trying(each)]
            if not free and self.now - self.blocked_at >= self.lease_s / 4:
                # Nobody else comes, and a suspect upstream gets no credit before this is done.
                free = [each for each in alive if want.depth > self._deepest(each)]
        else:
            free = [each for each in alive if not self._alone(each) and len(each.leases) < self.slots]
        return min(free, key=lambda each: (self._alone(each), len(each.leases), each.name), default=None)

    def _deepest(self, worker: Worker) -> int:
        """How far downstream the suspects are that a worker has."""
        return max(want.depth for split in worker.leases if self._suspect(want := self.wants[split]))

    def _solitary(self, want: Want) -> Worker | None:
        """A fresh process with nothing else to do; only where consumption waits, so that it surely gets credit."""
        if not want.urgent:
            return None
        return next((each for each in self._alive() if each.fresh and not each.leases), None)

    def _make_fresh(self) -> Iterator[Action]:
        """Have a used worker replaced, unless one is on its way already, or the only ones try other suspects."""
        alive = [each for each in self._alive() if not self._trying(each)]
        if any(each.killed for each in self.workers.values()) or not alive:
            return
        worker = min(alive, key=lambda each: (len(each.leases), each.name))
        worker.killed = True
        yield from self._lose(worker.name)
        yield Kill(worker.name, "a suspect record is tried alone in a fresh process")

    def _grant(self, worker: Worker, want: Want) -> Iterator[Action]:
        self.attempts += 1
        attempt = (self.incarnation << 32) + self.attempts
        self.granted[want.split] = Granting(worker.name, attempt, self.now)
        worker.leases[want.split] = attempt
        worker.fresh = False
        yield Notify(Granted(want.split, attempt, worker.name))
        yield self._lease(worker, want, attempt)

    def _lease(self, worker: Worker, want: Want, attempt: int) -> Send:
        layout = want.payload.block.layout.to_data() if want.payload is not None else None
        poison = tuple(self._poison(want))
        work = replace(want.work, poison=poison) if poison else want.work
        lease = Lease(want.split, attempt, want.job, want.epoch, work.to_data(), want.limit, want.depth, layout)
        return Send(worker.name, lease, want.payload)

    def _poison(self, want: Want) -> Iterator[Poison]:
        for position, _, causes in self.strikes.within(want):
            if len(causes) >= MOST:
                yield Poison(position, len(causes), ", ".join(dict.fromkeys(causes)))

    def why_waiting(self) -> str | None:
        """In words, why nothing may be coming; None where workers are at work."""
        if not self.workers and self.own:
            return f"the server's own workers ({self.own}) are starting"
        if not self.workers:
            return f"{NO_WORKER}: none has connected yet, or all have died. Start some with `headrace worker`"
        if not self._alive():
            longest = max(self.now - each.heard for each in self.workers.values())
            return f"no worker has said anything for {longest:.0f} s: a function may be stuck"
        return None

    def check(self) -> None:
        """What holds at all times."""
        for split, lease in self.granted.items():
            assert split in self.wants, f"split {split} is leased and not wanted"
            assert self.workers[lease.worker].leases[split] == lease.attempt, f"split {split} is leased to another"
        held = [split for worker in self.workers.values() for split in worker.leases]
        assert sorted(held) == sorted(self.granted), "a worker holds what was not granted"


def _rank(suspect: bool, want: Want) -> tuple[bool, bool, int, int]:
    """What is leased first: suspects that consumption waits for, what else it waits for, the most downstream."""
    return not (suspect and want.urgent), not want.urgent, -want.depth, want.split
