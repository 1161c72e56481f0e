"""The server's process: sockets, the machine, the workers it starts. All input and output, no decisions."""

from __future__ import annotations

import os
import platform
import resource
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import zmq

from .broker.actions import Answered, AskFile
from .broker.book import Closed
from .depot import Depot
from .events import (
    Dead,
    End,
    Ending,
    Examine,
    Finish,
    From,
    Gone,
    Journal,
    Look,
    Quarantine,
    Report,
    Said,
    Seen,
    Store,
    Tick,
    To,
    Trouble,
    Unkept,
)
from .facts import Fact
from .journal import Journal as DiskJournal
from .log import Log
from .peers import Door, Peers
from .pipeline.cache_files import CacheFiles, Request
from .pipeline.cache_files import Look as LookAtCache
from .pipeline.errors import HeadraceError
from .pipeline.kernels.compile import marker
from .pipeline.keys import ROLES
from .pipeline.messages import Message, Status
from .quarantines import Quarantines
from .scanner import Scanner
from .scanning import look
from .server import Server
from .shelving import Shelving
from .status import status_of
from .users import user_of
from .workers.launcher import Launcher
from .workers.output import print_named, show

if TYPE_CHECKING:
    pass

__all__ = ["Daemon", "DaemonConfig"]

#: Seconds between the pictures of itself that the server shows.
SHOW_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """Settings of a server and the workers that it starts."""

    folder: Path  #: Its run directory.
    state: Path | None = None  #: What survives it: journal, functions and arrays. None: it all ends with the server.
    workers: int = 2  #: With none, all come from elsewhere.
    listen: tuple[str, ...] = ()  #: TCP addresses, beside the socket in the run directory.
    keys: Path | None = None  #: Folder of `server.key` and `authorized_keys`; without it, no TCP but an insecure one.
    insecure: bool = False  #: Whether TCP without keys is meant.
    metrics: str = ""  #: host:port of the page for people and Prometheus; nothing for none.
    slabs: bool = True  #: Whether peers on this host share memory with the server.
    prefill: bool = True  #: Whether the next epoch is computed while the last elements of one are delivered.
    lifeline: int | None = None  #: Descriptor of a pipe that the starter holds open.
    ready: int | None = None  #: Descriptor to which a line is written once clients can come.
    lease_s: float = 30.0
    heartbeat_s: float = 1.0
    tick_s: float = 0.1
    budget_bytes: int = 256 << 20
    split_bytes: int = 8 << 20  #: About how much of a file makes one split.
    grace_s: float = 8.0  #: For epochs that run when the server is asked to end.
    idle_s: float = 300.0  #: What a client that is gone for so long held in memory is given back; it can still return.
    forget_s: float = 7 * 86400.0  #: A job whose client did not come back for so long is closed.
    roots: tuple[str, ...] = ()  #: Folders that pipelines may read; with none, any that who asks could read anyway.
    allow_code: bool = True  #: Whether keys with the role submit may send functions.
    modules: tuple[str, ...] = ()  #: Whose functions every client may name.
    log: Path | None = None  #: What our output and errors go to, to be set aside now and then.


@dataclass(slots=True)
class Daemon:
    """The loop around the machine."""

    config: DaemonConfig
    peers: Peers
    server: Server
    launcher: Launcher
    depot: Depot
    listen: Sequence[str]
    journal: DiskJournal | None = None
    show: Callable[[dict[str, Any]], None] | None = None  #: Is given a picture of the server every second.
    shown: float = 0.0
    poller: zmq.Poller = field(default_factory=zmq.Poller)
    polled: set[int] = field(default_factory=set)  #: Descriptors of what workers print.
    scanner: Scanner = field(init=False)
    shelving: Shelving = field(default_factory=lambda: Shelving(show))
    started: float = field(default_factory=monotonic)
    ticked: float = 0.0
    until: float | None = None  #: When to end, whoever still is in an epoch.
    stop_now: bool = False
    asked: bool = False  #: Whether a signal asked to end in good order.
    parent: int = field(default_factory=os.getppid)
    quarantines: Quarantines = field(init=False)
    caches: CacheFiles = field(default_factory=CacheFiles)

    def __post_init__(self) -> None:
        self.quarantines = Quarantines(self.config.state)
        self.scanner = Scanner(partial(look, every=self.config.split_bytes))
        lifeline = [self.config.lifeline] if self.config.lifeline is not None else []
        for each in (*(socket for door in self.peers.doors for socket in door.sockets), *lifeline):
            self.poller.register(each, zmq.POLLIN)

    def loop(self) -> None:
        """Until the starter is gone, or says stop."""
        while not self._over():
            ready = self._wait()
            if self.config.lifeline in ready or (self.config.lifeline is not None and os.getppid() != self.parent):
                return
            for door in self.peers.doors:
                door.tend(ready)
                if door.socket in ready:
                    self._hear(door)
            self._look_around()

    def _over(self) -> bool:
        if self.asked and self.until is None:
            self._end_in(self.config.grace_s)
        if self.stop_now or self.until is None:
            return self.stop_now
        return not self.server.busy or monotonic() >= self.until

    def _end_in(self, grace_s: float) -> None:
        self.until = min(self.until or monotonic() + grace_s, monotonic() + grace_s)
        self._do(Ending(grace_s))

    def _wait(self) -> dict[Any, int]:
        printing = set(self.launcher.descriptors)
        for gone in self.polled - printing:
            self.poller.unregister(gone)
        for new in printing - self.polled:
            self.poller.register(new, zmq.POLLIN)
        self.polled = printing
        return dict(self.poller.poll(int(self.config.tick_s * 1000)))

    def _hear(self, door: Door) -> None:
        for heard in self.peers.hear(door):
            answer = self.depot.answer(heard.peer, heard.message, heard.buffers)
            if answer is not None:
                self._send(heard.peer, *answer)
            else:
                self._do(From(heard.peer, heard.message, heard.buffers, heard.admin))

    def _look_around(self) -> None:
        """Memory, deaths, what workers print, scans, time."""
        self.peers.say_news()
        for death in self.launcher.poll():
            if death.status not in (0, -signal.SIGTERM):
                show(f"headrace: {death.name} is gone: {death.cause}; another one takes its place")
            self._do(Dead(death.name, death.executing, death.cause))
        for worker, text, stream in self.launcher.printed():
            print_named(worker, text, stream)
            if self.config.state is not None:  # an embedded server's terminal is the trainer's own
                self._do(Said(worker, text))
        if self.launcher.trouble != self.server.trouble:
            self._do(Trouble(self.launcher.trouble))
        for scanned in self.scanner.done():
            self._do(scanned)
        now = monotonic()
        if now - self.ticked >= self.config.tick_s:
            self.ticked = now
            self._do(Tick(now))
        self._settle()
        if now - self.shown >= SHOW_S:
            self.shown = now
            if self.config.log is not None:
                Log(self.config.log).turn()
            if self.show is not None:
                self.show(self._status())

    def give_up(self, error: HeadraceError) -> None:
        """Tell clients why this server ends, as where its disk is full; nothing can be written any more."""
        for action in self.server.handle(Ending(0.0, str(error))):
            if isinstance(action, To):
                self.peers.send(action.peer, action.message, action.buffers)

    def _settle(self) -> None:
        """What nothing was sent after is put on disk, too; and the journal is made small now and then."""
        if self.journal is not None:
            self.journal.commit()
            if self.journal.overgrown:
                # Not while actions are done: the memory holds facts that are still to be written.
                self.journal.compact(self.server.memory.facts())

    def _do(self, event: Any) -> None:
        answers: list[Answered] = []
        for action in self.server.handle(event):
            match action:
                case To(peer, message, buffers):
                    if self.journal is not None:
                        self.journal.commit()
                    self._send(peer, message, buffers)
                case Look(scan):
                    self.scanner.ask(scan, self.server.roots_in(scan.job))
                case Store(order):
                    self.shelving.do(order, self.server.roots_in(order.job))
                case End(peer, reason):
                    show(f"headrace: {peer} is ended: {reason}")
                    self.launcher.kill(peer)
                case Examine(peer):
                    self._do(Seen(peer, self.launcher.executing(peer)))
                case Report(peer):
                    self._send(peer, Status(self._status() | {"you": self._you(peer)}))
                case Finish(grace_s):
                    show(f"headrace: asked to end within {grace_s:g} s")
                    self._end_in(grace_s)
                case Journal(fact):
                    self._write(fact)
                case Quarantine(job):
                    self._quarantine(job, action)
                case AskFile(job, request):
                    answers += self._files(job, request)
        for each in answers:
            self._do(each)

    def _files(self, job: int, request: Request) -> list[Answered]:
        """Look at the files of a cache, or write them."""
        if isinstance(request, LookAtCache):
            return [Answered(job, request.number, self.caches.look(request, self.server.roots_in(job)))]
        trouble = self.caches.do(request)
        return [] if trouble is None else [Answered(job, request.number, trouble)]

    def _quarantine(self, job: int, told: Quarantine) -> None:
        """To its file, but not before it is on record that the element was skipped."""
        if self.journal is not None:
            self.journal.commit()
        if (trouble := self.quarantines.add(told)) is not None:
            show(f"headrace: {trouble}")
            self._do(Unkept(job, trouble))

    def _write(self, fact: Fact) -> None:
        """To disk, where something outlives us: an embedded server's journal would not outlive what it serves."""
        if self.journal is not None:
            self.journal.write(fact)
        # In an embedded server's folder its client puts things itself, before it registers them.
        if isinstance(fact, Closed) and self.config.state is not None:
            self.depot.keep(entry.graph for entry in self.server.broker.book.jobs.values())

    def _send(self, peer: str, message: Message, buffers: Sequence[Any] = ()) -> None:
        # A peer that is gone, or does not read: a worker loses its leases; a client asks again when it is back.
        if not self.peers.send(peer, message, buffers):
            self._do(Gone(peer))

    def _status(self) -> dict[str, Any]:
        return status_of(self.server) | {
            "version": version("headrace"),
            "pid": os.getpid(),
            "host": platform.node(),
            "uptime_s": round(monotonic() - self.started, 1),
            "listen": list(self.listen),
            "insecure": self.config.insecure,
            "stopping": self.until is not None,
            "rss_bytes": resident_bytes(),
            "versions": versions(),
            "kernels": marker().exists(),
            "descriptors": descriptors(),
            "slabs": self.config.slabs,
            "roots": list(self.config.roots),
            "state": str(self.config.state or ""),
        }

    def _you(self, peer: str) -> dict[str, Any]:
        """Who asks, as the list of keys has it now; this user of this host is nobody there, and may do all."""
        lists = [door.gate.authorized for door in self.peers.doors if door.gate is not None]
        roles = {role for each in lists for user in each.users if user.name == user_of(peer) for role in user.roles}
        return {"name": user_of(peer), "roles": sorted(roles) if user_of(peer) else list(ROLES)}


def versions() -> dict[str, str]:
    """What workers and server should agree on."""
    return {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}


def descriptors() -> dict[str, int]:
    """How many this process has open, where the system says it simply, and may have."""
    with suppress(OSError):
        return {"open": len(os.listdir("/proc/self/fd")), "most": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}  # noqa: PTH208
    return {}


def resident_bytes() -> int | None:
    """Memory of this process, where the system says it simply."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
