"""The server's process: one socket, the machine, the workers it starts. All input and output, no decisions."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import zmq

from .broker.run import Limits
from .pipeline.errors import HeadraceError, ProtocolError, ServiceError, to_data
from .pipeline.frames import from_frames, to_frames
from .pipeline.graph import decode_outline
from .pipeline.kernels.compile import marker
from .pipeline.messages import Message, Refused
from .pipeline.orders import Scan, Scanned
from .pipeline.records import scan_records
from .pipeline.sockets import address_in, open_socket, own
from .server import Dead, End, Examine, From, Journal, Look, Seen, Server, Tick, To, Trouble
from .workers.launcher import Launcher

__all__ = ["DaemonConfig", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """Settings of a server and the workers that it starts."""

    folder: Path  #: Its run directory, which it removes at the end.
    workers: int = 2
    lifeline: int | None = None  #: Descriptor of a pipe that the starter holds open.
    ready: int | None = None  #: Descriptor to which a line is written once clients can come.
    lease_s: float = 30.0
    heartbeat_s: float = 1.0
    tick_s: float = 0.1
    budget_bytes: int = 256 << 20
    split_bytes: int = 8 << 20  #: About how much of a file makes one split.


@dataclass(slots=True)
class Daemon:
    """The loop around the machine."""

    config: DaemonConfig
    socket: zmq.Socket[bytes]
    server: Server
    launcher: Launcher
    scanner: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "scan"))
    scans: list[Future[Scanned]] = field(default_factory=list)
    clients: set[str] = field(default_factory=set)
    stopping: bool = False
    ticked: float = 0.0
    parent: int = field(default_factory=os.getppid)

    def loop(self) -> None:
        """Until the starter is gone, or says stop."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        if self.config.lifeline is not None:
            poller.register(self.config.lifeline, zmq.POLLIN)
        while not self.stopping:
            ready = dict(poller.poll(int(self.config.tick_s * 1000)))
            if self.config.lifeline in ready or os.getppid() != self.parent:
                return
            if self.socket in ready:
                self._drain()
            self._look_around()

    def _drain(self) -> None:
        """Whatever has come, but not so much that time stands still."""
        for _ in range(256):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._hear(frames)

    def _hear(self, frames: Sequence[Any]) -> None:
        peer = bytes(frames[0].buffer).decode("utf-8", "replace")
        try:
            message, buffers = from_frames([frame.buffer for frame in frames[1:]])
        except ProtocolError as error:
            self._send(peer, Refused(to_data(error)))
            return
        self._do(From(peer, message, buffers))

    def _look_around(self) -> None:
        """Deaths, scans, time."""
        for death in self.launcher.poll():
            if death.status not in (0, -signal.SIGTERM):
                print(f"headrace: {death.name} is gone: {death.cause}; another one takes its place", file=sys.stderr)
            self._do(Dead(death.name, death.executing, death.cause))
        if self.launcher.trouble != self.server.trouble:
            self._do(Trouble(self.launcher.trouble))
        for scan in [each for each in self.scans if each.done()]:
            self.scans.remove(scan)
            self._do(scan.result())
        now = monotonic()
        if now - self.ticked >= self.config.tick_s:
            self.ticked = now
            self._do(Tick(now))

    def _do(self, event: Any) -> None:
        for action in self.server.handle(event):
            match action:
                case To(peer, message, buffers):
                    self._send(peer, message, buffers)
                case Look(scan):
                    self.scans.append(self.scanner.submit(look, scan, self.config.split_bytes))
                case End(peer, reason):
                    print(f"headrace: {peer} is ended: {reason}", file=sys.stderr)
                    self.launcher.kill(peer)
                case Examine(peer):
                    self._do(Seen(peer, self.launcher.executing(peer)))
                case Journal():
                    pass  # an embedded server's journal would not outlive what it serves

    def _send(self, peer: str, message: Message, buffers: Sequence[Any] = ()) -> None:
        try:
            self.socket.send_multipart([peer.encode(), *to_frames(message, buffers)], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            # EHOSTUNREACH or EAGAIN: the peer is gone, or does not read. A worker loses its leases;
            # a client asks again when it is back.
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            if peer in self.server.coordinator.workers:
                self._do(Dead(peer))


def look(scan: Scan, every: int) -> Scanned:
    """Where a file can be cut into splits of about `every` bytes. What cannot be read is left to its reader to tell."""
    try:
        if scan.kind == "records":
            found = scan_records(scan.path, every)
            bounds: tuple[int | None, ...] = (*found[:-1], None) if len(found) > 1 else (0, None)
        else:
            size = Path(scan.path).stat().st_size
            bounds = (*range(0, max(1, size), every), None)
    except (HeadraceError, OSError, ValueError):
        bounds = (0, None)
    return Scanned(scan.job, scan.path, bounds)


def run(config: DaemonConfig) -> None:
    """Serve until the starter is gone or says stop; leaves nothing behind."""
    if not marker().exists():
        from .pipeline.warm import warm  # it pulls in everything

        print("headrace: compiling kernels, once on this machine (about half a minute)", file=sys.stderr, flush=True)
        warm()
    context = zmq.Context()
    socket = open_socket(context, zmq.ROUTER)
    address = address_in(config.folder)
    own(config.folder)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise ServiceError(f"cannot listen on {address}: {error}") from error
    limits = Limits(budget_bytes=config.budget_bytes, look_ahead=2 + 3 * max(1, config.workers))
    incarnation = int.from_bytes(os.urandom(3), "little") + 1
    server = Server.new(
        incarnation, decode_outline, limits=limits, lease_s=config.lease_s, heartbeat_s=config.heartbeat_s
    )
    daemon = Daemon(config, socket, server, Launcher(count=config.workers, folder=config.folder, server=address))

    def stop(*_: Any) -> None:
        daemon.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        daemon.launcher.poll()
        if config.ready is not None:
            os.write(config.ready, f"{address}\n".encode())
            os.close(config.ready)
        daemon.loop()
    finally:
        daemon.launcher.stop()
        daemon.scanner.shutdown(wait=False, cancel_futures=True)
        socket.close()
        context.term()
        shutil.rmtree(config.folder, ignore_errors=True)
