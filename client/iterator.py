"""The service iterator: batches in a training loop, epoch after epoch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol, Self

import zmq

from ..pipeline.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    MalformedMessage,
    ServiceError,
)
from ..pipeline.fingerprint import fingerprint
from ..pipeline.frames import from_frames, to_frames
from ..pipeline.iterator import TellingIterator
from ..pipeline.local import delivered
from ..pipeline.messages import NO_WORKER, Hello, Message, Register
from ..pipeline.nodes import Node
from ..pipeline.pieces import block_from
from ..pipeline.sharing import PeerMemory
from ..pipeline.sockets import send
from ..pipeline.structure import Element
from ..pipeline.summary import Summary
from ..pipeline.token import BEGINNING, Token, accept
from .machine import ClientSession, Go, Parcel, Received, Say, Stand, Take, Tick

__all__ = ["ServiceIterator"]

#: After so long without an element, say why.
PATIENCE_S = 20.0
#: Where nothing comes before somebody does something, sooner.
SOON_S = 3.0
POLL_MS = 100
#: For the server to hear that we are done with a job.
CLOSE_S = 1.0
CLOSE_TRIES = 5
#: Elements asked for ahead of the loop take about so much memory, unless prefetch says how many.
WINDOW_BYTES = 64 << 20
WINDOW_MOST = 4096


class Connection(Protocol):
    """The way to a server."""

    @property
    def address(self) -> str:
        """Where it listens."""

    @property
    def patience_s(self) -> float:
        """How long it may be silent; it answers everything at once."""

    @property
    def gone(self) -> str | None:
        """How it ended for good, or None."""

    def trouble(self) -> str | None:
        """Why the server does not answer, as whoever comes anew finds; None where it answers them."""

    def open(self, name: str) -> zmq.Socket[bytes]:
        """A connected socket for one client."""


class ServiceIterator(TellingIterator):
    """The elements of one epoch after another, computed by workers.

    `for` goes through what is left of the epoch at hand, or through the next one; `epoch` says which that is.
    After the end `next()` keeps raising StopIteration, and `get_next()` OutOfRangeError, until `iter()` begins the
    next epoch. An element that failed raises, and the next call goes on behind it. Not for several threads.
    """

    def __init__(
        self,
        connection: Connection,
        hello: Hello,
        register: Register,
        blobs: Mapping[str, memoryview],
        window: int | None,
        batched: bool,
        epoch: int = 0,
        consumer: int = 0,
        *,
        graph: Node,
        spec: Callable[[], Any] | None = None,
    ) -> None:
        self._connection, self._socket = connection, connection.open(hello.name)
        self._adapt = window is None
        generation = time.time_ns()  # the newest life of a client is the one that is heard
        self._session = ClientSession(
            hello=hello,
            register=register,
            generation=generation,
            consumer=consumer,
            blobs=blobs,
            window=window or 2,
            now=time.monotonic(),
        )
        self._session.heard_at = self._session.now
        self._memory = PeerMemory()
        self._ready: Iterator[Element] = iter(())
        self._epoch = epoch
        self._next_epoch: int | None = None  #: That `set_epoch` asked for.
        self._mask = True
        self._begun = self._ended = self._closed = self._came = self._afresh = False
        self._graph, self._spec = graph, spec
        self._fingerprint: dict[str, Any] | None = None
        self._loaded: Token | None = None  #: Where this epoch was begun, if not with its first element.
        self._start = b""  #: The same, as the server is told.
        self._idle = False  #: Whether a state was loaded that was taken after the end of an epoch.
        self._batched = batched
        self._summary = Summary(batched)

    @property
    def element_spec(self) -> Any:
        """`TensorSpec`s, nested like the elements, as the dataset tells them: below a `map` by looking, here."""
        return None if self._spec is None else self._spec()

    @property
    def epoch(self) -> int:
        """The epoch at hand, counted from 0. Who comes back to a named job may find itself in a later one."""
        opened = self._session.epoch if self._begun and not self._idle else None
        return self._epoch if opened is None or opened < 0 else opened

    @property
    def num_consumers(self) -> int:
        """How many share the elements of an epoch."""
        return self._session.register.consumers

    @property
    def mask(self) -> bool:
        """False while the element taken last only fills up a round, for `even="pad"`: another consumer has it, too."""
        return self._mask

    def set_epoch(self, epoch: int) -> None:
        """Let the next `iter()` begin this epoch, as with PyTorch's DistributedSampler; the rest of another is left.

        In the middle of the same epoch it goes on. A single consumer may go back, to compute an epoch again.

        Raises:
            InvalidArgumentError: an epoch below 0.
            FailedPreconditionError: several consumers, and an epoch that is over: they go forward together.
        """
        if not isinstance(epoch, int) or epoch < 0:
            raise InvalidArgumentError(f"epoch is {epoch!r}: epochs count from 0")
        if self._begun and self._session.register.consumers > 1 and epoch < self.epoch + self._ended:
            raise FailedPreconditionError(
                f"epoch {epoch} is over, this iterator is {'at the end of' if self._ended else 'in'} epoch "
                f"{self.epoch}: several consumers go forward together"
            )
        self._next_epoch = epoch

    def __iter__(self) -> Self:
        wanted = self.epoch + self._ended if self._next_epoch is None else self._next_epoch
        self._next_epoch = None
        if self._ended or wanted != self.epoch:
            self._afresh = self._begun and wanted <= self.epoch
            self._came = self._came or self._begun
            # Wherever the job has come since: it goes on behind the epoch whose end was loaded.
            self._start = BEGINNING if self._idle and wanted == self._epoch + 1 else b""
            self._loaded, self._idle = None, False
            self._epoch, self._begun, self._ended = wanted, False, False
        return self

    def __next__(self) -> Element:
        if self._closed:
            raise FailedPreconditionError("this iterator is closed")
        if self._ended:
            raise StopIteration
        if not self._begun:
            self._begun = True
            self._summary, self._ready = Summary(self._batched), iter(())
            # A named job may have been begun in an earlier life of ours.
            first = bool(self._session.register.name) and not self._came and not self._start
            self._say(self._session.handle(Go(-1 - self._epoch if first else self._epoch, self._afresh, self._start)))
        self._session.now = self._summary.loop_came()
        try:
            return self._take()
        except BaseException:
            self._ready = iter(())  # Ctrl-C may have come between two steps: the session knows what was taken
            raise
        finally:
            self._summary.loop_left()

    def _take(self) -> Element:
        for element in self._ready:
            return self._taken(element)
        parcel = self._await()
        if parcel is None:
            self._finish()
            raise StopIteration
        self._mask = parcel.mask
        if (error := parcel.error) is not None:
            self._say(self._session.handle(Take(1)))
            try:
                raise error
            finally:
                del error, parcel  # its traceback holds this frame: else they, and this iterator, would hold each other
        assert parcel.layout is not None, "a parcel holds a block or an error"
        block = block_from(parcel.layout, parcel.buffer)
        self._learn(block.nbytes / block.rows)
        self._ready = islice(delivered(block), parcel.skip, None)
        return self._taken(next(self._ready))

    def _taken(self, element: Element) -> Element:
        self._say(self._session.handle(Take(1)))
        self._summary.count(element)
        return element

    def _learn(self, each_bytes: float) -> None:
        """Ask for as many elements ahead as their size allows."""
        if self._adapt:
            self._session.window = int(max(2, min(WINDOW_MOST, WINDOW_BYTES / max(1.0, each_bytes))))

    def _finish(self) -> None:
        self._say(self._session.handle(Take(0)))
        self._ended = True
        if self._session.end is not None:
            self._summary.finish(self._session.end.ledger)

    def _await(self) -> Parcel | None:
        """The next parcel, or None at the end of the epoch."""
        self._wait(lambda: self._session.ready is not None or self._session.finished, "next()")
        return self._session.ready

    def _wait(self, done: Callable[[], bool], call: str) -> None:
        """Listen until something is so; for whoever made this call."""
        said = began = time.monotonic()
        while True:
            self._hear(zmq.NOBLOCK)
            if self._session.refused is not None:
                raise self._session.refused
            if done():
                return
            now = time.monotonic()
            self._say(self._session.handle(Tick(now)))
            self._check(now - max(began, self._session.heard_at), call)
            helpless = said == began and self._session.waiting.startswith(NO_WORKER)
            if now - said > (SOON_S if helpless else PATIENCE_S):
                said = now
                print(f"headrace: waiting for {now - began:.0f} s: {self._why(now)}", file=sys.stderr)
            self._socket.poll(POLL_MS)

    def _check(self, silent_s: float, call: str) -> None:
        """Nobody waits for a server that is gone."""
        if (how := self._connection.gone) is not None:
            raise ServiceError(f"{how}: start the service again; what was delivered stays delivered")
        if silent_s > self._connection.patience_s:
            why = self._end_told() if self._session.stopping else "is it stopped, or cut off?"
            raise ServiceError(
                f"the server at {self._connection.address} has not answered for {silent_s:.0f} s: {why} "
                f"Once it is back, call {call} again: nothing is lost"
            )

    def _why(self, now: float) -> str:
        if now - self._session.heard_at > PATIENCE_S / 2 and (trouble := self._connection.trouble()) is not None:
            if "refused: " in trouble:
                raise ServiceError(trouble)  # waiting is of no use
            return trouble + (f" ({self._end_told()})" if self._session.stopping else "")
        return self._session.waiting or "the server has not said why"

    def _end_told(self) -> str:
        """The server's last words."""
        return "it said that it ends" + (f": {self._session.ending}" if self._session.ending else "")

    def _hear(self, flags: int) -> None:
        self._send(self._memory.news())
        while True:
            try:
                frames: Sequence[Any] = self._socket.recv_multipart(flags, copy=False)
            except zmq.Again:
                return
            try:
                message, came = from_frames([frame.buffer for frame in frames])
            except MalformedMessage as error:
                raise ServiceError(f"the server sent what cannot be read: {error}") from error
            # No Tick yet: after a long step of the loop what it would ask for again lies here, still to be read.
            self._session.now = time.monotonic()
            heard, buffers, answers = self._memory.received(message, came)
            self._send(answers)
            if heard is not None:
                self._say(self._session.handle(Received(heard, buffers[0] if buffers else None)))
            for worker, text in self._session.printed:
                print("\n".join(f"[{worker}] {line}" for line in text.splitlines()), file=sys.stderr)
            self._session.printed.clear()

    def _say(self, said: Sequence[Say]) -> None:
        for each in said:
            self._send([each.message], each.buffers)

    def _send(self, messages: Sequence[Message], buffers: Sequence[Any] = ()) -> None:
        for each in messages:
            try:
                send(self._socket, to_frames(each, buffers))
            except zmq.Again:
                return  # the server is away; it is all said again

    def state_dict(self) -> dict[str, Any]:
        """Where this iterator stands, all consumers of its job together: plain data to be saved with the model.

        Taken between any two elements, and loaded by an iterator of the same pipeline, in process or on any service,
        with any number of workers and consumers. Of several consumers, each may save its own, or one for all.

        Raises:
            ServiceError: the server, which knows where the pipeline stands, does not answer.
            FailedPreconditionError: this iterator is closed.
        """
        if self._closed:
            raise FailedPreconditionError("this iterator is closed: take its state before")
        epoch = self.epoch if self._begun or self._next_epoch is None else self._next_epoch
        element, state = self._stand()
        return Token(
            fingerprint=self._told(),
            seed=self._session.register.seed,
            epoch=epoch,
            element=element,
            ended=self._ended,
            state=state,
        ).to_dict()

    def _stand(self) -> tuple[int, bytes]:
        """Elements of the epoch that are done with, and a checkpoint."""
        session, loaded = self._session, self._loaded
        if loaded is not None and (self._idle or not self._begun or not session.taken):
            return loaded.element, loaded.state
        if not self._begun:
            return 0, b""
        if self._ended:
            return session.base + session.register.consumers * session.taken, b""
        self._say(session.handle(Stand()))
        self._wait(lambda: session.standing is not None, "state_dict()")
        assert session.standing is not None, "it was waited for"
        return session.standing.element, session.standing.state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Stand where `state_dict` was taken: `iter()` goes on with that epoch. Here or elsewhere, at any time.

        All consumers of a job load the same state; those who do not are told so. The server learns of it with the
        next `next()`, and computes again what buffers held.

        Raises:
            InvalidArgumentError: what is no such state, or that of another pipeline; the message names the difference.
            FailedPreconditionError: this iterator is closed. From the first `next()`: a file that the state needs has
                changed or is missing, or the epoch is shorter.
            MalformedMessage: from the first `next()`: a state that was damaged.

        Warns:
            FunctionChangedWarning: a function does not do what it did.
        """
        if self._closed:
            raise FailedPreconditionError("this iterator is closed")
        token = Token.from_dict(state_dict)
        accept(token, self._graph, self._told())
        self._reseed(token.seed)
        self._epoch, self._next_epoch, self._loaded, self._start = token.epoch, None, token, token.position()
        self._begun = self._ended = self._idle = token.ended
        self._ready, self._mask, self._afresh = iter(()), True, False
        self._summary = Summary(self._batched)

    def _reseed(self, seed: int) -> None:
        """A dataset without a seed of its own goes on with that of the state: as another job, if there was one."""
        session = self._session
        if seed == session.register.seed:
            return
        if session.register.name and session.job is not None:
            raise InvalidArgumentError(
                f"the token is of a run with seed {seed}, and job {session.register.name!r} has "
                f"{session.register.seed}: give the dataset that seed, with_options(Options(seed=...))"
            )
        self._say(session.close())
        key = session.register.key if session.register.name else os.urandom(8).hex()
        session.register = replace(session.register, seed=seed, key=key)
        session.job = session.session = None

    def _told(self) -> dict[str, Any]:
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._graph)
        return self._fingerprint

    def summary(self) -> Summary:
        """Elements, seconds, and who waited for whom, in the epoch at hand or the one just ended."""
        return self._summary

    def close(self, within_s: float = CLOSE_S) -> None:
        """Give the job back; wait until the server knows, for so long at most. Closing twice is allowed."""
        if not self._closed:
            self._closed = True
            self._part(within_s)
            self._socket.close(linger=100)
            # What came and was not taken; what was is the loop's own.
            self._ready, self._memory = iter(()), PeerMemory()
            self._session.inbox.clear()

    def _part(self, within_s: float) -> None:
        """Say that we are done until that is heard: a job whose client's last word was lost stays for days."""
        for _ in range(CLOSE_TRIES):
            self._say(said := self._session.close())
            if not said or within_s <= 0 or self._connection.gone is not None:
                return
            while self._socket.poll(int(1000 * within_s / CLOSE_TRIES)):
                self._hear(zmq.NOBLOCK)
                if self._session.parted or self._session.refused is not None:
                    return

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close(0.0)

    def __repr__(self) -> str:
        if self._closed:
            state = "closed"
        elif not self._begun:
            state = f"before epoch {self._epoch}"
        else:
            state = f"epoch {self.epoch}, element {self._session.taken}{', ended' if self._ended else ''}"
        return f"<ServiceIterator: {state}>"
