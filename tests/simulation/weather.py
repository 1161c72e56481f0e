"""The weather: how bad the network is and how often things crash; and what is said where a promise did not hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Faults", "Lost"]


class Lost(AssertionError):  # noqa: N818  (what it says happened to a promise)
    """A promise was broken: another element than expected, one missing, one twice, or no progress."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How bad the weather is: probabilities for each message, and crashes a virtual second."""

    drop: float = 0.0
    double: float = 0.0
    delay_s: float = 0.02
    late: float = 0.0  #: Share of messages that take a hundred times as long.
    echo: float = 0.0  #: Share of messages that come once more, up to ten seconds later.
    server_crashes: float = 0.0
    worker_crashes: float = 0.0
    worker_stops: float = 0.0  #: SIGSTOP for longer than a lease, and back.
    client_crashes: float = 0.0
    client_away_s: float = 0.0  #: For up to so long nobody comes in place of a client that crashed.
    client_cuts: float = 0.0  #: A client that lives cannot be reached, nor be heard, for up to CUT_S.
    compactions: float = 0.0

    @property
    def calm(self) -> Faults:
        """The same without crashes."""
        return replace(
            self, server_crashes=0, worker_crashes=0, worker_stops=0, client_crashes=0, client_away_s=0, client_cuts=0
        )
