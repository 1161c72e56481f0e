"""A worker's process: sockets and computing around its session. It decides nothing."""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import zmq

from ..pipeline.blobs import Blobs
from ..pipeline.ends import look_at
from ..pipeline.errors import FileError, MalformedMessage, from_data
from ..pipeline.execution import execute
from ..pipeline.frames import from_frames, to_frames
from ..pipeline.graph import decode_whole
from ..pipeline.keys import read_client_key
from ..pipeline.leaf_files import files_of
from ..pipeline.lifeline import die_with_parent, watch
from ..pipeline.messages import VERSION, Bye, Hello, Lease, Message, Pieces, Program, Refused, Sample, Sampled
from ..pipeline.nodes import Node
from ..pipeline.pieces import payload_from, piece_buffers
from ..pipeline.roots import Roots
from ..pipeline.segment import Segment, segment_of
from ..pipeline.sharing import PeerMemory
from ..pipeline.sockets import connect, open_socket, send
from ..pipeline.work import BEHIND, Appetite, Piece, Work
from .box import Box
from .fetching import Fetching
from .machine import Begin, Drop, Learn, Produced, Received, Say, Tick, WorkerSession

__all__ = ["WorkerConfig", "run"]

#: After so long without work a worker gives its slabs back; the next job's pages would have to be zeroed first.
REST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What a worker needs to know."""

    server: str
    name: str
    blobs: Path
    box: Path
    launcher: str = ""  #: The name of its launcher, where that is not the server itself.
    key: Path | None = None  #: Of the connection.
    lifeline: int | None = None  #: Descriptor of a pipe that its starter holds open.
    warmed: bool = False  #: Whether all kernels are loaded already.
    piece_bytes: int = 1 << 20
    piece_s: float = 0.02
    poll_s: float = 0.1


@dataclass(slots=True)
class Begun:
    """A lease being computed. What it needs of its job is looked up at the first piece, when the job is known."""

    lease: Lease
    work: Work
    buffers: Sequence[Any]
    pieces: Iterator[Piece] | None = None


@dataclass(slots=True)
class WorkerService:
    """The loop: hear, tick, compute one piece, say."""

    config: WorkerConfig
    socket: zmq.Socket[bytes]
    session: WorkerSession
    box: Box
    begun: dict[int, Begun] = field(default_factory=dict)
    graphs: dict[int, tuple[Node, int, Roots]] = field(default_factory=dict)
    segments: dict[tuple[int, tuple[int, ...]], Segment] = field(
        default_factory=dict
    )  #: By job and place in its graph.
    fetching: Fetching = field(init=False)
    memory: PeerMemory = field(default_factory=PeerMemory)
    computed: float = 0.0  #: When it last did.
    warming: Iterator[None] | None = None
    warmed: bool = field(init=False)  #: Whether all kernels are loaded.
    stopping: bool = False

    def __post_init__(self) -> None:
        self.fetching, self.warmed = Fetching(Blobs(self.config.blobs)), self.config.warmed

    def loop(self) -> None:
        """Until told to stop."""
        while not self.stopping:
            started = monotonic()
            self._do(self.session.handle(Tick(started)))
            for say in (*self.fetching.again(started), *self.memory.news()):
                self._send(say)
            split = self.session.choose()
            wait_s = 0.0 if split is not None else self.config.poll_s
            while self.socket.poll(int(wait_s * 1000)):
                self._hear(self.socket.recv_multipart(copy=False))
                wait_s = 0.0
            split = self.session.choose()
            if split is not None:
                self._compute(split)
            elif self.session.parked:
                self.session.parked_s += monotonic() - started
            elif not self.session.held and not self.warmed:
                self._warm()
            elif not self.session.held and started - self.computed > REST_S:
                for say in self.memory.rest():
                    self._send(say)
        self._send(Bye())

    def _warm(self) -> None:
        """Nobody needs us yet: load some of the kernels, so that the first elements need not wait for that."""
        from ..pipeline.warm import steps  # it pulls in everything

        self.warming = self.warming or steps()
        try:
            self.warmed = next(self.warming, self) is self
        except OSError:  # no temporary folder: the first elements wait a moment longer
            self.warmed = True

    def _hear(self, frames: Sequence[Any]) -> None:
        try:
            message, buffers = from_frames([frame.buffer for frame in frames])
        except MalformedMessage as error:
            print(f"headrace {self.config.name}: {error}", file=sys.stderr)
            return
        if isinstance(message, Refused):
            print(f"headrace {self.config.name}: refused: {from_data(message.error)}", file=sys.stderr)
            self.stopping = True
        if isinstance(message, Sample):
            self._send(sampled(message))
        heard, content, answers = self.memory.received(message, buffers)
        for answer in answers:
            self._send(answer)
        if heard is not None:
            for known in self.fetching.hear(heard, content):
                self._heard(known, content)

    def _heard(self, message: Message, buffers: Sequence[Any]) -> None:
        for action in self.session.handle(Received(message)):
            if isinstance(action, Begin):
                lease = action.lease
                self.begun[lease.split] = Begun(lease, Work.from_data(lease.work), buffers)
            else:
                self._do([action])

    def _do(self, actions: Sequence[Any]) -> None:
        for action in actions:
            match action:
                case Say(message, piece):
                    self._say(message, piece)
                case Drop(split):
                    self.begun.pop(split, None)
                case Learn(program):
                    self._learn(program)

    def _learn(self, program: Program) -> None:
        self.box.working()
        graph, roots = decode_whole(program.graph, self.fetching.blobs), Roots.from_data(program.roots)
        self.graphs[program.job] = graph, program.seed, roots
        self.box.clear()
        self.graphs = {job: each for job, each in self.graphs.items() if job in self.session.known}
        kept = self.graphs.keys() - {program.job}
        self.segments = {at: each for at, each in self.segments.items() if at[0] in kept}

    def _say(self, message: Message, piece: Piece | None) -> None:
        buffers: list[Any] = []
        if piece is not None and isinstance(message, Pieces) and message.split in self.begun:
            buffers = [np.ascontiguousarray(each) for each in piece_buffers(piece, self.begun[message.split].work)]
        self._send(message, buffers)

    def _send(self, message: Message, buffers: Sequence[Any] = ()) -> None:
        try:
            send(self.socket, to_frames(*self.memory.sent(message, buffers)))
        except zmq.Again:
            return  # the server is away; what matters is said again

    def _compute(self, split: int) -> None:
        begun = self.begun[split]
        if begun.pieces is None:
            begun.pieces = self._start(begun)
        started = monotonic()
        self.box.working()
        piece = next(begun.pieces)
        if piece.error is not None:
            # Its text says all. Its frames hold what was at hand, this error, too, and would do so for long.
            piece.error.__traceback__ = piece.error.__cause__ = piece.error.__context__ = None
        self.box.clear()
        self.computed = monotonic()
        self.session.busy_s += self.computed - started
        self._do(self.session.handle(Produced(split, begun.lease.attempt, piece)))

    def _start(self, begun: Begun) -> Iterator[Piece]:
        lease = begun.lease
        graph, seed, roots = self.graphs[lease.job]
        at = lease.job, begun.work.segment
        segment = self.segments[at] = self.segments.get(at) or segment_of(graph, begun.work.segment)
        try:
            for path in files_of(segment.leaf, begun.work):
                roots.check(path)
        except FileError as error:
            return refused(begun.work, error)
        payload = payload_from(lease.layout, begun.buffers) if lease.layout is not None else None
        appetite = Appetite(nbytes=self.config.piece_bytes, seconds=self.config.piece_s, allocate=self.memory.allocate)
        split, executing = lease.split, self.box.executing
        return execute(
            segment,
            begun.work,
            payload,
            seed,
            lease.epoch,
            appetite,
            watch=lambda position: executing(split, position),
        )


def refused(work: Work, error: FileError) -> Iterator[Piece]:
    """A file that is not to be read: one failure that covers all of it."""
    yield Piece(work.start, BEHIND, error=error)
    yield Piece(BEHIND, BEHIND, last=True)


def sampled(message: Sample) -> Sampled:
    """What this worker sees of some files."""
    roots = Roots.from_data(message.roots)

    def look(path: Any) -> list[int] | str:
        try:
            roots.check(str(path))
        except FileError as error:
            return error.reason
        found = look_at(str(path))
        return found if isinstance(found, str) else list(found)

    return Sampled(message.number, [look(each) for each in message.paths])


def versions() -> dict[str, str]:
    """What workers of one job should agree on, so that their results do."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "host": platform.node(),
    }


def run(config: WorkerConfig) -> None:
    """Serve until told to stop, or the starter is gone."""
    die_with_parent()
    if config.lifeline is not None:
        # A function may hold the loop for long: the thread ends the process all the same.
        watch(config.lifeline, lambda: os._exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's; it closes us
    context = zmq.Context()
    lock = read_client_key(config.key) if config.key is not None else None
    socket = open_socket(context, zmq.DEALER, config.name, lock=lock)
    connect(socket, config.server)
    box = Box(config.box)
    box.clear()
    hello = Hello(VERSION, "worker", config.name, os.getpid(), versions(), config.launcher)
    service = WorkerService(config, socket, WorkerSession(hello=hello), box)

    def stop(*_: Any) -> None:
        service.stopping = True

    signal.signal(signal.SIGTERM, stop)
    service.loop()
    socket.close(linger=200)
    context.term()
