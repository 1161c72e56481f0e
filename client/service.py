"""The service handle: what a script holds of a running server."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakSet

import zmq

from ..pipeline.blobs import Blobs, Sent
from ..pipeline.dataset import Dataset
from ..pipeline.errors import FailedPreconditionError, HeadraceError, InvalidArgumentError
from ..pipeline.graph import encode
from ..pipeline.keys import ClientLock
from ..pipeline.messages import VERSION, AskStatus, Hello, Register
from ..pipeline.nodes import Batch, Configured, Node, PaddedBatch, Prefetch
from ..pipeline.sockets import connect, open_socket
from .iterator import ServiceIterator
from .visit import visit

__all__ = ["Service"]

#: How long to look for the reason of a silence.
VISIT_S = 2.0


class Server(Protocol):
    """The server as the handle's owner knows it: our own process, or one that others run."""

    @property
    def gone(self) -> str | None:
        """How it ended for good, or None."""

    def stop(self) -> None:
        """End it, if it is ours to end."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The way to a server."""

    context: zmq.Context[zmq.Socket[bytes]]
    address: str
    server: Server
    lock: ClientLock | None = None
    patience_s: float = 30.0

    @property
    def gone(self) -> str | None:
        """How the server ended for good, or None."""
        return self.server.gone

    def trouble(self) -> str | None:
        """Why the server does not answer, as whoever comes anew finds; None where it answers them."""
        try:
            visit(self.address, AskStatus(), self.lock, VISIT_S)
        except HeadraceError as error:
            return str(error)
        return None

    def open(self, name: str) -> zmq.Socket[bytes]:
        """A connected socket for one client."""
        socket = open_socket(self.context, zmq.DEALER, name, lock=self.lock)
        connect(socket, self.address)
        return socket


class Service:
    """A running server and its workers.

    Close it, or use it as a context manager; iterators made from it end with it.
    """

    def __init__(
        self,
        address: str,
        server: Server,
        blobs: Path | None = None,
        lock: ClientLock | None = None,
        patience_s: float = 30.0,
    ) -> None:
        self.address = address
        self._server, self._folder = server, blobs
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._connection = Connection(self._context, address, server, lock, patience_s)
        self._iterators: WeakSet[ServiceIterator] = WeakSet()  # one that is dropped gives its job back
        self._closed = False

    def iterate(self, dataset: Dataset, epoch: int = 0) -> ServiceIterator:
        """Iterate over a dataset whose functions the workers run.

        The graph is sent now; elements are computed from the first `next()` or `for` on. Epoch n gives the
        same elements, byte for byte, as pass n of the dataset in process; `epoch` is the first one.

        Raises:
            InvalidArgumentError: an epoch below 0, a pattern that no file matches, or a function that cannot be sent.
            FailedPreconditionError: the service is closed.
        """
        if epoch < 0:
            raise InvalidArgumentError(f"epoch is {epoch}: epochs count from 0")
        if self._closed:
            raise FailedPreconditionError("this service is closed: use headrace.serve() or connect() again")
        sent = Sent()  # what the server does not find in its folder is sent to it
        graph = encode(dataset.resolved, sent if self._folder is None else Blobs(self._folder))
        key = os.urandom(8).hex()
        hello = Hello(VERSION, "client", f"client-{key}", os.getpid(), {"python": platform.python_version()})
        register = Register(key, graph, dataset.seed, str(Path.cwd()))
        iterator = ServiceIterator(
            self._connection, hello, register, sent.content, _window(dataset.node), _batches(dataset.node), epoch
        )
        self._iterators.add(iterator)
        return iterator

    def close(self) -> None:
        """End all iterators and, where this script started them, the workers and the server. Twice is allowed."""
        if self._closed:
            return
        self._closed = True
        for iterator in list(self._iterators):
            iterator.close()
        self._server.stop()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else (self._server.gone or "running")
        return f"<Service at {self.address}: {state}>"


def _window(node: Node) -> int | None:
    """How many elements the end of the pipeline asks to have ready; None leaves it to us."""
    while isinstance(node, Configured):
        node = node.source
    return node.size if isinstance(node, Prefetch) and node.size > 0 else None


def _batches(node: Node) -> bool:
    """Whether batches come out of a pipeline."""
    return isinstance(node, Batch | PaddedBatch) or any(map(_batches, node.inputs))
