"""A TCP proxy that does to connections what networks do: delay, stall, lose, cut, reset, slice.

It listens on a port of its own and passes bytes on to a server, which knows nothing of it. Each connection is a
`Line` of two `Way`s; a way's `Weather` says how bytes travel on it. What is random is drawn from the proxy's seed.

A black hole swallows bytes that the kernel had acknowledged. A line that lost some is of no use again, as one whose
packets were dropped for so long that its ends gave up: when the weather is fair again, new lines are.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypeVar

__all__ = ["FAIR", "Line", "Proxy", "Side", "Way", "Weather"]

Result = TypeVar("Result")
#: "up": from who connected to the server; "down": back.
Side: TypeAlias = Literal["client", "server"]
Direction: TypeAlias = Literal["up", "down", "both"]
Choice: TypeAlias = Callable[["Line"], bool]

CHUNK = 1 << 16
#: Chunks that are on their way: a sender that is faster has to wait.
UNDERWAY = 64
#: So many packets are sent before others have their turn.
TURN = 256
#: A receiver that reads nothing is waited for so long.
LEAVE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How bytes travel one way."""

    latency_s: float = 0.0
    jitter_s: float = 0.0  #: Up to so much more, never out of order.
    bytes_per_s: float = math.inf
    packet: int = CHUNK  #: Bytes that are sent at a time.
    stalled: bool = False  #: Nothing is taken from the sender, whose buffers fill.
    lost: bool = False  #: All is taken from the sender, and nothing arrives.


FAIR = Weather()


@dataclass(slots=True)
class Way:
    """One direction of a line."""

    source: asyncio.StreamReader
    sink: asyncio.StreamWriter
    dice: random.Random
    weather: Weather = FAIR
    left: int | None = None  #: Bytes before the line is cut; None for no end.
    passed: int = 0
    holed: bool = False  #: Whether bytes were lost.
    due: float = 0.0  #: When the last chunk arrives.
    going: asyncio.Event = field(default_factory=asyncio.Event)
    underway: asyncio.Queue[tuple[float, bytes]] = field(default_factory=lambda: asyncio.Queue(UNDERWAY))

    def change(self, weather: Weather) -> None:
        """From now on."""
        self.weather = weather
        self.holed = self.holed or weather.lost
        if weather.stalled:
            self.going.clear()
        else:
            self.going.set()

    async def take(self) -> None:
        """From the sender, until it ends."""
        with suppress(OSError):  # a reset is passed on as an end
            while data := await self.source.read(CHUNK):
                await self.going.wait()
                if not self.holed:
                    await self.underway.put((self._arrival(), data))
        await self.underway.put((self.due, b""))

    def _arrival(self) -> float:
        delay = self.weather.latency_s + self.dice.random() * self.weather.jitter_s
        self.due = max(self.due, asyncio.get_running_loop().time() + delay)
        return self.due

    async def give(self) -> None:
        """To the receiver, when it is time, until the end."""
        while True:
            due, data = await self.underway.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await self.going.wait()
            if not data or not await self._send(data):
                return

    async def _send(self, data: bytes) -> bool:
        """Whether the line goes on."""
        sent = 0
        while sent < len(data) and not self.holed:
            step = self.weather.packet if self.left is None else min(self.weather.packet, self.left)
            packet = data[sent : sent + step]
            self.sink.write(packet)
            await self.sink.drain()
            sent, self.passed = sent + len(packet), self.passed + len(packet)
            if self.left is not None:
                self.left -= len(packet)
                if self.left <= 0:
                    return False
            await self._rest(len(packet))
        return True

    async def _rest(self, count: int) -> None:
        if self.weather.bytes_per_s < math.inf:
            await asyncio.sleep(count / self.weather.bytes_per_s)
        elif self.passed % TURN < count:
            await asyncio.sleep(0)


@dataclass(slots=True)
class Line:
    """One connection, through us."""

    port: int  #: Of who connected.
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None  #: None: its packets never got there.
    ways: dict[str, Way] = field(default_factory=dict)
    half: bool = False  #: Whether one end was closed, and the other is not to know.

    async def carry(self) -> None:
        """Pass bytes on until an end is reached; then both are."""
        tasks = [asyncio.ensure_future(task) for way in self.ways.values() for task in (way.take(), way.give())]
        try:
            takes, gives = tasks[::2], tasks[1::2]
            await asyncio.wait(gives, return_when=asyncio.FIRST_COMPLETED)
            if self.half or any(way.holed for way in self.ways.values()):  # an end is lost as all else is
                await asyncio.wait(takes, return_when=asyncio.ALL_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    async def closed(self) -> None:
        """Until what was sent has left us."""
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(end.wait_closed() for end in self.ends())), LEAVE_S)

    def ends(self) -> list[asyncio.StreamWriter]:
        """Those that there are."""
        return [each for each in (self.client, self.server) if each is not None]

    def close(self) -> None:
        """In good order, both ends."""
        for end in self.ends():
            end.close()

    def reset(self) -> None:
        """Both ends get an RST: closing with a linger time of 0 sends one."""
        for end in self.ends():
            if (raw := end.get_extra_info("socket")) is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()

    def forsake(self, side: Side) -> None:
        """Close one end; the other is not told, and speaks to nobody."""
        self.half = True
        for way in self.ways.values():
            way.change(Weather(lost=True))
        end = self.client if side == "client" else self.server
        if end is not None:
            end.close()


class Proxy:
    """Listens at `port` of 127.0.0.1, and passes on to the server at `target`. A thread of its own carries the bytes.

    What is done to lines is done when the call returns. `of` chooses lines; without it, all of them are meant.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target, self.dice = target, random.Random(seed)
        self.lines: list[Line] = []
        self.accepted = 0  #: Lines so far.
        self.default = {"up": FAIR, "down": FAIR}  #: For lines to come.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{target}")
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._enter, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(writer.get_extra_info("peername")[1], writer)
        self.accepted += 1
        self.lines.append(line)
        try:
            with suppress(OSError):
                await self._join(line, reader)
        finally:
            self.lines.remove(line)
            line.close()
            await line.closed()
            line.reset()

    async def _join(self, line: Line, reader: asyncio.StreamReader) -> None:
        if any(weather.lost for weather in self.default.values()):
            while await reader.read(CHUNK):  # who comes now waits for an answer, as if packets were lost
                pass
            return
        theirs, line.server = await asyncio.open_connection("127.0.0.1", self.target)
        line.ways = {"up": Way(reader, line.server, self.dice), "down": Way(theirs, line.client, self.dice)}
        for name, way in line.ways.items():
            way.change(self.default[name])
        await line.carry()

    def _do(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def _each(self, do: Callable[[Line], None], of: Choice | None) -> int:
        """On the thread that carries: for each line chosen; how many those are."""

        async def run() -> int:
            chosen = [line for line in self.lines if of is None or of(line)]
            for line in chosen:
                do(line)
            return len(chosen)

        return self._do(run())

    def change(self, weather: Weather, direction: Direction = "both", of: Choice | None = None) -> int:
        """How bytes travel from now on; without a choice of lines also on those to come. How many lines it concerns."""
        ways = ("up", "down") if direction == "both" else (direction,)
        if of is None:
            self.default |= dict.fromkeys(ways, weather)

        def change(line: Line) -> None:
            for way in ways:
                if way in line.ways:
                    line.ways[way].change(weather)

        return self._each(change, of)

    def heal(self) -> None:
        """Fair weather for all; what was lost stays lost."""
        self.change(FAIR)

    def end(self, of: Choice | None = None) -> int:
        """Close lines in good order, in between messages or not."""
        return self._each(Line.close, of)

    def reset(self, of: Choice | None = None) -> int:
        """Both ends get an RST."""
        return self._each(Line.reset, of)

    def forsake(self, side: Side, of: Choice | None = None) -> int:
        """The end of this side is closed, the other one not told."""
        return self._each(lambda line: line.forsake(side), of)

    def cut(self, after: int, direction: Direction = "both", of: Choice | None = None) -> int:
        """Close lines when so many bytes more have passed, in the middle of whatever that is."""

        def arm(line: Line) -> None:
            for name, way in line.ways.items():
                if direction in (name, "both"):
                    way.left = after

        return self._each(arm, of)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _leave(self) -> None:
        self._server.close()
        for line in self.lines:
            for way in line.ways.values():
                way.change(FAIR)  # who waits for the weather
            line.reset()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=LEAVE_S)
