"""The service handle: what a script holds of a running server."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakSet

import zmq

from ..pipeline.blobs import Blobs, Sent
from ..pipeline.dataset import Dataset
from ..pipeline.errors import FailedPreconditionError, HeadraceError
from ..pipeline.graph import encode
from ..pipeline.keys import ClientLock
from ..pipeline.messages import VERSION, AskStatus, Hello
from ..pipeline.nodes import Configured, Node, Prefetch
from ..pipeline.sockets import connect, open_socket
from ..pipeline.summary import batches
from .iterator import CLOSE_S, ServiceIterator
from .job import Job
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

    def iterate(
        self,
        dataset: Dataset,
        epoch: int = 0,
        *,
        name: str | None = None,
        num_consumers: int = 1,
        consumer_index: int = 0,
        even: str = "drop",
        again: bool = False,
    ) -> ServiceIterator:
        """Iterate over a dataset whose functions the workers run, alone or as one of several consumers.

        The graph is sent now; elements are computed from the first `next()` or `for` on. Epoch n gives the
        same elements, byte for byte, as pass n of the dataset in process; `epoch` is the first one.

        Consumers of a job say the same name and describe the same pipeline, with the same seed. Of n of them number i
        gets elements i, n + i, 2 n + i, ..., and none gets one of a *round* of n before all n are there, so
        that all have as many. See `docs/consumers.md` for who comes late, leaves, or comes again.

        Args:
            dataset: what to compute. It needs a seed of its own, `Options(seed=...)`, where several name it.
            epoch: the first one; who comes again to a named job goes on where it was, if that is later.
            name: of the job. Without it the job is this iterator's own, and ends with it.
            num_consumers: how many share the elements. More than one need a name.
            consumer_index: which of them this is, counted from 0.
            even: what becomes of a last round that is not full. "drop": nobody gets it, and the ledger counts it.
                "pad": consumers for whom there is nothing get its first element again, with `iterator.mask` False.
            again: whether a job of this name that has finished is to be run once more.

        Raises:
            InvalidArgumentError: an epoch below 0, consumers that cannot be, another `even`, a pattern that
                no file matches, or a function that cannot be sent.
            FailedPreconditionError: the service is closed. From the first `next()`: a job of this name differs, and
                how, or has finished; or a newer iterator took over this consumer.
        """
        job = Job.checked(epoch, name, num_consumers, consumer_index, even, again)
        if self._closed:
            raise FailedPreconditionError("this service is closed: use headrace.serve() or connect() again")
        sent = Sent()  # what the server does not find in its folder is sent to it
        graph = encode(dataset.resolved, sent if self._folder is None else Blobs(self._folder))
        own = os.urandom(8).hex()
        hello = Hello(VERSION, "client", f"client-{own}", os.getpid(), {"python": platform.python_version()})
        register = job.register(own, graph, dataset.seed, str(Path.cwd()), consumer_index)
        window, batched = _window(dataset.node), batches(dataset.node)
        iterator = ServiceIterator(
            self._connection,
            hello,
            register,
            sent.content,
            window,
            batched,
            epoch,
            consumer_index,
            graph=dataset.resolved,
            spec=lambda: dataset.element_spec,
        )
        self._iterators.add(iterator)
        return iterator

    def close(self) -> None:
        """End all iterators and, where this script started them, the workers and the server. Twice is allowed."""
        if self._closed:
            return
        self._closed = True
        until = monotonic() + CLOSE_S  # where the server is away, not for each of them
        for iterator in list(self._iterators):
            iterator.close(max(0.0, until - monotonic()))
        self._server.stop()
        self._context.destroy(linger=100)  # a socket that was forgotten would hold `term` up for ever

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
