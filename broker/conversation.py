"""A conversation with one consumer: in which session, how far it asked, when it was heard, whether it is there."""

from __future__ import annotations

from dataclasses import dataclass

from ..pipeline.errors import HeadraceError, to_data
from ..pipeline.messages import Refused, Session
from .actions import Reply

__all__ = ["Conversation"]

#: A client that said nothing for so long may be busy with a step, or gone: something is sent to find out.
PROBE_S = 10.0
#: What a network gives at least, in bytes a second: what is large may be under way for long.
SLOWEST = 25e6
#: And so many bytes take no time.
AT_ONCE = 1 << 20


@dataclass(slots=True)
class Conversation:
    """With the newest life of a consumer."""

    peer: str
    session: Session
    until: int = 0
    ended_told: bool = False
    sent: float = -1e9  #: When elements were last sent.
    heard: float = 0.0  #: When the client last said something.
    probed: float = 0.0  #: When it was last sent something to see whether it is there.
    reached: bool = True  #: Whether nothing failed to reach it since.
    gone: float | None = None  #: Since when nothing reaches it.
    printed: int = 0  #: Characters of what workers printed that were sent since it last said something.

    @property
    def run(self) -> tuple[int, int]:
        """The job and the epoch that it is about."""
        return self.session[2], self.session[3]

    @property
    def consumer(self) -> int:
        """Who it is of the job's consumers."""
        return self.session[4]

    def speaks(self, peer: str, now: float) -> None:
        """The client said something."""
        self.peer, self.heard, self.probed, self.reached, self.gone = peer, now, now, True, None
        self.printed = 0

    def refused(self, error: HeadraceError, key: str) -> Reply:
        """Why it is over, for the client, whose job has this key."""
        return Reply(self.peer, Refused(to_data(error), key, self.session[0]))

    def unreachable(self, now: float) -> None:
        """What was sent did not reach it."""
        self.reached, self.gone = False, now if self.gone is None else self.gone

    def probe(self, now: float, idle_s: float) -> bool | None:
        """Whether it is gone for good; None where it is to be sent something, to see whether it is there.

        Silence alone does not count, and neither does one connection that broke: gone is where each
        probe failed for as long as `idle_s`.
        """
        if now - self.probed < min(PROBE_S, idle_s / 2):
            return False
        if self.reached:
            self.gone = None
        elif self.gone is not None and now - self.gone >= idle_s:
            return True
        self.probed, self.reached = now, True
        return None

    def lost(self, nbytes: int, now: float) -> bool:
        """Whether so many bytes would have arrived since they were sent: or else large ones would be sent for ever."""
        return now - self.sent >= (nbytes - AT_ONCE) / SLOWEST
