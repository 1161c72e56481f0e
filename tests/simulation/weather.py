"""The weather: how bad the network is and how often things crash; and what is said where a promise did not hold."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from .timeline import Timeline

__all__ = ["Faults", "Lost", "Network", "Weather"]

#: An echo is on its way for so long at most.
ECHO_S = 10.0
#: What is late comes within so long, with what is said at once in answer.
LATE_S = 2.5
#: What strikes now and then.
STRIKES = (
    "server_crashes",
    "worker_crashes",
    "worker_stops",
    "scaling",
    "client_crashes",
    "client_cuts",
    "saves",
    "rewinds",
)


class Lost(AssertionError):  # noqa: N818  (what it says happened to a promise)
    """A promise was broken: another element than expected, one missing, one twice, or no progress."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How bad the weather is: probabilities for each message, and what happens in a virtual second."""

    drop: float = 0.0
    double: float = 0.0
    delay_s: float = 0.02
    late: float = 0.0  #: Share of messages that take a hundred times as long.
    echo: float = 0.0  #: Share of messages that come once more, up to ECHO_S later.
    server_crashes: float = 0.0
    power_cuts: float = 0.0  #: Share of the server's crashes that tear the end off its journal, committed or not.
    worker_crashes: float = 0.0
    worker_stops: float = 0.0  #: SIGSTOP for longer than a lease, and back,
    stop_s: float = 5.0  #: after so long at most.
    scaling: float = 0.0  #: Another number of workers from now on, perhaps none.
    client_crashes: float = 0.0
    client_away_s: float = 0.0  #: For up to so long nobody comes in place of a client that crashed.
    client_cuts: float = 0.0  #: A client that lives cannot be reached, nor be heard, for up to CUT_S.
    saves: float = 0.0  #: A training script asks for a token,
    rewinds: float = 0.0  #: or loads one that was given.
    compactions: float = 0.0

    @cached_property
    def strike(self) -> bool:
        """Whether anything happens beside what becomes of messages."""
        return any(getattr(self, name) for name in STRIKES)

    @property
    def stray_s(self) -> float:
        """After so long all that was said has come."""
        return ECHO_S * (self.echo > 0) + LATE_S

    @property
    def calm(self) -> Faults:
        """The same without crashes."""
        return replace(
            self,
            server_crashes=0,
            worker_crashes=0,
            worker_stops=0,
            scaling=0,
            client_crashes=0,
            client_away_s=0,
            client_cuts=0,
            rewinds=0,
        )


@dataclass(slots=True)
class Weather:
    """The faults of the hour, and the dice."""

    faults: Faults
    dice: random.Random

    def strikes(self, chance: float) -> bool:
        """Whether something happens that is so likely; nothing is drawn for what cannot."""
        return chance > 0 and self.dice.random() < chance


@dataclass(slots=True)
class Network:
    """Between all of them: it loses, doubles, delays and reorders."""

    weather: Weather
    timeline: Timeline

    def send(self, deliver: Callable[[], None]) -> None:
        """Let a message come, some time, or not."""
        weather, faults = self.weather, self.weather.faults
        if faults.drop and weather.strikes(faults.drop):
            return
        for _ in range(2 if faults.double and weather.strikes(faults.double) else 1):
            delay = weather.dice.uniform(0.001, faults.delay_s)
            self.timeline.at(delay * (100 if faults.late and weather.strikes(faults.late) else 1), deliver)
        if faults.echo and weather.strikes(faults.echo):
            self.timeline.at(weather.dice.uniform(0.0, ECHO_S), deliver)
