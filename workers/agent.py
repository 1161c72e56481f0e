"""The agent: on a host other than the server's, keeps workers running and tells the server how they fare."""

from __future__ import annotations

import os
import platform
import shutil
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import zmq

from ..pipeline.addresses import parse_address
from ..pipeline.doorbell import Doorbell
from ..pipeline.errors import InvalidArgumentError, ServiceError, from_data
from ..pipeline.frames import from_frames, to_frames
from ..pipeline.keys import read_client_key
from ..pipeline.messages import (
    VERSION,
    Bye,
    Heartbeat,
    Hello,
    Inspect,
    Inspected,
    Kill,
    Lost,
    Message,
    Printed,
    Refused,
    Stale,
    Welcome,
)
from ..pipeline.sockets import connect, make_run_directory, open_socket, send
from .launcher import Launcher
from .nursery import Nursery
from .output import print_named, show

__all__ = ["AgentConfig", "run"]

#: Words of a server that has been silent for so long are no longer expected.
BEAT_S = 2.0
#: How often to say that the server is away; the first time sooner.
NEWS_S = 10.0
FIRST_NEWS_S = 2.0
#: How often to look for functions and arrays of jobs that are over, and after how long without use they are.
TIDY_S = 60.0
UNUSED_S = 3600.0
POLL_MS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Which server to work for, and with how many workers."""

    server: str
    workers: int = 2
    key: Path | None = None  #: Key file; needed over TCP, unless the server is insecure.
    folder: Path | None = (
        None  #: For boxes, functions and arrays; a new run directory, removed at the end, unless given.
    )
    grace_s: float = 5.0  #: For workers to finish what they are at.


@dataclass(slots=True)
class Agent:
    """The loop: workers that died or printed, and what the server says of them."""

    config: AgentConfig
    socket: zmq.Socket[bytes]
    doorbell: Doorbell
    launcher: Launcher
    hello: Hello
    welcomed: bool = False
    heard_at: float = field(default_factory=monotonic)
    beat_at: float = -1e9
    told_at: float = -1e9
    tidied_at: float = field(default_factory=monotonic)
    stopping: bool = False

    def loop(self) -> None:
        """Until told to stop, or refused."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        while not self.stopping:
            watched = self.launcher.descriptors
            for descriptor in watched:
                poller.register(descriptor, zmq.POLLIN)
            poller.poll(POLL_MS)
            for descriptor in watched:
                poller.unregister(descriptor)
            self._hear()
            self._look_around()
            self._beat(monotonic())
            self._tidy(monotonic())

    def _tidy(self, now: float) -> None:
        """Give back the room of functions and arrays that no worker has asked for lately."""
        if now - self.tidied_at >= TIDY_S:
            self.tidied_at = now
            self.launcher.folder_of_blobs.tidy(UNUSED_S)

    def _hear(self) -> None:
        while not self.stopping:
            try:
                frames: Sequence[Any] = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self.heard_at = monotonic()
            self._obey(from_frames([frame.buffer for frame in frames])[0])

    def _obey(self, message: Message) -> None:
        match message:
            case Welcome():
                if not self.welcomed:
                    many = "1 worker" if self.launcher.count == 1 else f"{self.launcher.count} workers"
                    tell(f"connected to {self.config.server} with {many}")
                self.welcomed = True
            case Stale():
                self.welcomed, self.beat_at = False, -1e9
            case Refused(error):
                raise from_data(error)
            case Inspect(worker):
                self._say(Inspected(worker, as_list(self.launcher.executing(worker))))
            case Kill(worker, reason):
                tell(f"{worker} is ended: {reason}")
                self.launcher.kill(worker)

    def _look_around(self) -> None:
        for death in self.launcher.poll():
            if death.status not in (0, -signal.SIGTERM):
                tell(f"{death.name} is gone: {death.cause}; another one takes its place")
            self._say(Lost(death.name, as_list(death.executing), death.cause))
        for worker, text, stream in self.launcher.printed():
            print_named(worker, text, stream)
            self._say(Printed(worker, text))
        if self.launcher.trouble is not None:
            raise ServiceError(self.launcher.trouble)

    def _beat(self, now: float) -> None:
        """Say hello, or that we are still here; and, now and then, that the server is not."""
        if now - self.beat_at >= BEAT_S:
            self.beat_at = now
            self._say(Heartbeat() if self.welcomed else self.hello)
        verdict = self.doorbell.verdict()
        if verdict is not None and verdict.startswith("refused"):
            raise ServiceError(f"{self.config.server}: {verdict}")
        silent_s = now - self.heard_at
        if silent_s >= (NEWS_S if self.welcomed else FIRST_NEWS_S) and now - self.told_at >= NEWS_S:
            self.told_at, self.welcomed = now, False
            tell(f"{self.config.server} has not answered for {silent_s:.0f} s ({verdict or 'no answer'}): trying on")

    def leave(self) -> None:
        """Our last word, behind those of our workers."""
        if self.welcomed:
            self._say(Bye())

    def _say(self, message: Message) -> None:
        try:
            send(self.socket, to_frames(message))
        except zmq.Again:
            return  # the server is away; leases run out there, and it is told of what is then


def as_list(executing: tuple[int, int] | None) -> list[int] | None:
    """Split and position, for a message."""
    return list(executing) if executing is not None else None


def tell(text: str) -> None:
    """To whoever watches this agent."""
    show(f"headrace: {text}")


def run(config: AgentConfig) -> None:
    """Keep workers of a server running here until SIGTERM or Ctrl-C; the server may come, go and come back.

    Raises:
        ServiceError: the server refuses us, or workers cannot be kept running.
        InvalidArgumentError: what is no address, or no number of workers.
        FileError: a key file that is none, or that others can read.
    """
    if config.workers < 1:
        raise InvalidArgumentError(f"workers is {config.workers}: it must be at least 1")
    tcp = not parse_address(config.server).is_ipc
    lock = read_client_key(config.key) if config.key is not None and tcp else None
    nursery = Nursery.open()  # before there is a socket or a thread
    folder = config.folder or make_run_directory()
    name = f"{platform.node() or 'host'}-{os.urandom(3).hex()}"
    key = config.key if tcp else None
    launcher = Launcher(count=config.workers, folder=folder, server=config.server, name=name, key=key, nursery=nursery)
    versions = {"python": platform.python_version(), "host": platform.node()}
    with (
        zmq.Context() as context,
        open_socket(context, zmq.DEALER, name, lock=lock) as socket,
        closing(Doorbell(socket, config.server, lock)) as doorbell,
    ):
        connect(socket, config.server, wait_s=0.0)
        agent = Agent(config, socket, doorbell, launcher, Hello(VERSION, "launcher", name, os.getpid(), versions))

        def stop(*_: Any) -> None:
            agent.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        try:
            agent.loop()
        finally:
            launcher.stop(config.grace_s)
            agent.leave()
            for said in launcher.printed():
                print_named(*said)
            if config.folder is None:
                shutil.rmtree(folder, ignore_errors=True)
