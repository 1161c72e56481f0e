"""What is done, where, and what must come of it: the rows of docs/faults.md, each of which a test plays.

`python -m tests.chaos.matrix` writes the table into docs/faults.md.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_NOFILE

from .harms import (
    LONG_S,
    SHORT_S,
    clear,
    cut,
    descriptors,
    doubled,
    ended,
    forsaken,
    late,
    left,
    lost,
    memory,
    nobody,
    nothing,
    nothing_more,
    reset,
    scribble,
    second_server,
    sent,
    short_of,
    shorten,
    stalled,
    stopped,
    taken_over,
    torn,
    weathered,
    worker_gone,
)
from .proxy import Weather
from .stage import Harm

__all__ = ["CELLS", "PLACES", "Cell", "table"]

#: Where things happen, in words, and how many workers the server and the agent have then.
PLACES = {
    "worker": ("a worker of the server", 2, 0),
    "away": ("a worker of an agent", 0, 2),
    "agent": ("an agent (`headrace worker`)", 1, 1),
    "server": ("the server", 1, 1),
    "trainer": ("the trainer", 2, 0),
    "trainer named": ("a trainer of a job with a name", 2, 0),
    "trainer token": ("a trainer that saves `state_dict()`", 2, 0),
    "trainer line": ("the line of trainer and server", 2, 0),
    "agent line": ("the line of agent and server", 0, 2),
    "workers line": ("the lines of an agent's workers and server", 0, 2),
    "nobody at first": ("before the first worker", 0, 0),
    "nobody left": ("in the middle, the agent left", 0, 2),
    "nobody killed": ("in the middle, the agent was killed", 0, 2),
    "map": ("in a function of `map`", 2, 0),
    "filter": ("in a predicate of `filter`", 1, 1),
    "inside": ("in a dataset inside `flat_map`", 0, 2),
    "same run directory": ("a server with the same run directory", 1, 1),
    "same state": ("a server with the same state directory", 1, 1),
    "same port": ("a server that listens at the same port", 1, 1),
    "journal cut": ("the end of the journal's log is missing", 1, 1),
    "journal noise": ("the end of the journal's log is noise", 1, 1),
    "journal zeros": ("the end of the journal's log is zeros", 1, 1),
}

SAME = "nothing: the same batches"
AGAIN = "the trainer's process is gone; another one gets the whole epoch, the same batches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row: a fault at a place."""

    fault: str
    place: str
    happens: str
    sees: str = SAME
    harm: Harm = nothing
    strikes: int = 2
    pipeline: str = "plain"
    quick: bool = False  #: Whether it is played with each run of the tests.

    @property
    def name(self) -> str:
        """By which its test is called."""
        return f"{self.fault} - {self.place}"


def rows(fault: str, *cells: tuple[str, Harm, str], sees: str = SAME, quick: str = "", strikes: int = 2) -> list[Cell]:
    """Cells of one fault: place, harm and what happens; one of them may be quick."""
    return [
        Cell(
            fault=fault,
            place=place,
            harm=harm,
            happens=happens,
            strikes=strikes,
            sees=AGAIN if place == "trainer" and "new trainer" in happens else sees,
            quick=place == quick,
        )
        for place, harm, happens in cells
    ]


def failing(fault: str, *pairs: tuple[str, str], happens: str, sees: str, quick: str = "") -> list[Cell]:
    """Cells whose pipeline harms itself: place and pipeline."""
    return [
        Cell(
            fault=fault,
            place=place,
            pipeline=pipeline,
            happens=happens,
            sees=sees,
            strikes=0,
            quick=place == quick,
        )
        for place, pipeline in pairs
    ]


KILLED = "its leases are granted again, from the last element that the server has; another process takes its place"
REVIVED = "the next server goes on from the journal; trainers and workers come back by themselves"
NEW = "a new trainer begins a job of its own; what the old one held is given back after `--idle`"
REJOINED = "a new trainer of the same job goes on after the last batch that was acknowledged"
RESUMED = "a new trainer goes on from its token, with what is in the buffers computed again"
KNOCK = "libzmq connects again within 5 s, under the same name; what was not acknowledged is said again"
OVERDUE = "its leases go to others; its launcher ends it, and starts another"
SILENT = "both ends notice by heartbeats within 6 s and connect again; leases that ran out are granted again"
SLOW = "credit and window bound what is under way; leases are renewed as long as pieces come"

CELLS: tuple[Cell, ...] = (
    *rows(
        "SIGKILL",
        ("worker", sent(signal.SIGKILL, "worker"), KILLED),
        ("away", sent(signal.SIGKILL, "away"), KILLED),
        ("agent", sent(signal.SIGKILL, "agent"), "its workers die with it; " + KILLED),
        ("server", sent(signal.SIGKILL, "server"), REVIVED),
        ("trainer", sent(signal.SIGKILL, "trainer"), NEW),
        ("trainer named", sent(signal.SIGKILL, "trainer"), REJOINED),
        ("trainer token", sent(signal.SIGKILL, "trainer"), RESUMED),
        quick="agent",
        strikes=3,
    ),
    *rows(
        "SIGSTOP, shorter than a lease",
        ("worker", stopped("worker", SHORT_S), "it goes on with its lease"),
        ("agent", stopped("agent", SHORT_S), "it goes on"),
        ("server", stopped("server", SHORT_S), "all wait for it"),
        ("trainer", stopped("trainer", SHORT_S), "the workers wait for it"),
    ),
    *rows(
        "SIGSTOP, longer than a lease",
        (
            "worker",
            stopped("worker", LONG_S),
            OVERDUE,
        ),
        ("away", stopped("away", LONG_S), OVERDUE),
        ("agent", stopped("agent", LONG_S), "its workers go on without it"),
        ("server", stopped("server", LONG_S), "trainers and workers notice, say why they wait, and connect again"),
        ("trainer", stopped("trainer", LONG_S), "after `--idle` its memory is given back; it goes on where it was"),
        quick="worker",
        strikes=1,
    ),
    *failing(
        "Segmentation fault",
        ("worker", "segfault once"),
        ("away", "segfault once"),
        happens="the element is tried again by another worker: a record is poison after three deaths",
        sees=SAME,
    ),
    *rows(
        "Segmentation fault",
        ("agent", sent(signal.SIGSEGV, "agent"), "its workers die with it; " + KILLED),
        ("server", sent(signal.SIGSEGV, "server"), REVIVED),
        ("trainer", sent(signal.SIGSEGV, "trainer"), NEW),
    ),
    *failing(
        "Out of memory: MemoryError in a function",
        ("worker", "memory"),
        ("away", "memory"),
        happens="the error is the element's",
        sees="`FunctionError` at its place, with record and traceback; the rest follows",
        quick="worker",
    ),
    *failing(
        "Out of memory: killed by the kernel",
        ("worker", "killed once"),
        ("away", "killed once"),
        happens="as SIGKILL, and counted: a record is poison after three deaths while it was executed",
        sees=SAME,
    ),
    *rows(
        "Out of memory: no address space left",
        ("server", short_of(RLIMIT_AS, "server", memory), "if it ends, " + REVIVED),
        ("agent", short_of(RLIMIT_AS, "agent", memory), "if it ends, its workers end with it; " + KILLED),
        ("trainer", short_of(RLIMIT_AS, "trainer", memory), "if it ends, " + NEW),
        strikes=1,
    ),
    *failing(
        "Disk full",
        ("worker", "disk"),
        ("away", "disk"),
        happens="a function that writes raises OSError, which is the element's",
        sees="`FunctionError` at its place, with record and traceback; the rest follows",
    ),
    *rows(
        "Disk full",
        (
            "server",
            short_of(RLIMIT_FSIZE, "server", nothing_more),
            "the journal cannot be written: the server ends, says so, and sends nothing that is not on disk; "
            + REVIVED,
        ),
        quick="server",
        strikes=1,
    ),
    *failing(
        "No descriptors left",
        ("worker", "descriptors"),
        happens="a function that opens a file raises OSError, which is the element's",
        sees="`FunctionError` at its place, with record and traceback; the rest follows",
    ),
    *rows(
        "No descriptors left",
        (
            "server",
            short_of(RLIMIT_NOFILE, "server", descriptors, reset("trainer")),
            "who connects has to wait; if the server ends, " + REVIVED,
        ),
        (
            "agent",
            short_of(RLIMIT_NOFILE, "agent", descriptors, worker_gone),
            "it cannot start a worker in place of one that died, says so and ends; " + KILLED,
        ),
        (
            "trainer",
            short_of(RLIMIT_NOFILE, "trainer", descriptors, reset("trainer")),
            "it cannot connect until there are some; if it ends, a new trainer begins: " + NEW,
        ),
        strikes=1,
    ),
    *rows(
        "Connection lost",
        ("trainer line", ended("trainer"), KNOCK),
        ("agent line", ended("agent"), KNOCK),
        ("workers line", ended("workers"), KNOCK),
        strikes=4,
    ),
    *rows(
        "Reset (RST)",
        ("trainer line", reset("trainer"), KNOCK),
        ("agent line", reset("agent"), KNOCK),
        ("workers line", reset("workers"), KNOCK),
        quick="trainer line",
        strikes=4,
    ),
    *rows(
        "Half-open: the server is not told",
        (
            "trainer line",
            forsaken("trainer", "client"),
            "the old connection has the name until heartbeats end it; " + KNOCK,
        ),
        (
            "agent line",
            forsaken("agent", "client"),
            "the old connection has the name until heartbeats end it; " + KNOCK,
        ),
        ("workers line", forsaken("workers", "client"), "leases run out, and are granted again; " + KNOCK),
        quick="trainer line",
    ),
    *rows(
        "Half-open: the peer is not told",
        ("trainer line", forsaken("trainer", "server"), SILENT),
        ("agent line", forsaken("agent", "server"), SILENT),
        ("workers line", forsaken("workers", "server"), SILENT),
    ),
    *rows(
        "Black hole: packets vanish",
        ("trainer line", lost("trainer", LONG_S), SILENT),
        ("agent line", lost("agent", LONG_S), SILENT),
        ("workers line", lost("workers", LONG_S), SILENT),
        quick="trainer line",
        strikes=1,
    ),
    *rows(
        "Stall: packets are held up",
        ("trainer line", stalled("trainer", 3.0), "the workers wait"),
        ("agent line", stalled("agent", 3.0), "nothing: the workers have lines of their own"),
        ("workers line", stalled("workers", 3.0), "leases that ran out are granted again; late pieces count no more"),
    ),
    *rows(
        "Slices of one byte",
        ("trainer line", weathered("trainer", Weather(packet=1)), SLOW),
        ("agent line", weathered("agent", Weather(packet=1)), SLOW),
        ("workers line", weathered("workers", Weather(packet=1)), SLOW),
        quick="workers line",
    ),
    *rows(
        "Truncation: cut in the middle of a message",
        ("trainer line", cut("trainer"), "half a message is none; " + KNOCK),
        ("agent line", cut("agent"), "half a message is none; " + KNOCK),
        ("workers line", cut("workers"), "half a message is none; " + KNOCK),
        quick="workers line",
        strikes=4,
    ),
    *rows(
        "Latency of 20 to 40 ms",
        ("trainer line", weathered("trainer", Weather(latency_s=0.02, jitter_s=0.02)), SLOW),
        ("agent line", weathered("agent", Weather(latency_s=0.02, jitter_s=0.02)), SLOW),
        ("workers line", weathered("workers", Weather(latency_s=0.02, jitter_s=0.02)), SLOW),
    ),
    *rows(
        "A narrow line: 200 kB/s",
        ("trainer line", weathered("trainer", Weather(bytes_per_s=2e5, packet=1000)), SLOW),
        ("agent line", weathered("agent", Weather(bytes_per_s=2e5, packet=1000)), SLOW),
        ("workers line", weathered("workers", Weather(bytes_per_s=2e5, packet=1000)), SLOW),
    ),
    *rows(
        "Restart in good order",
        ("away", left("away"), KILLED),
        ("agent", left("agent"), "its workers hand on what they have computed and leave; those of the next one join"),
        ("server", left("server"), REVIVED),
        ("trainer", left("trainer"), "a new trainer without a token begins a job of its own"),
        ("trainer token", left("trainer"), RESUMED),
        quick="trainer token",
    ),
    *rows(
        "Two lives of one worker",
        ("worker", doubled("worker"), "the second is refused: another process is connected by that name; it ends"),
        ("away", doubled("away"), "the second is refused: another process is connected by that name; it ends"),
        ("agent", doubled("away", stop=True), "the first is stopped: after 6 s the second has the name, and is heard"),
    ),
    *rows(
        "Two lives of one trainer",
        ("trainer named", taken_over, "the newer one goes on after the last batch that was acknowledged"),
        sees="`FailedPreconditionError` in the older one, which says that a newer iterator took over; the same batches",
        strikes=2,
    ),
    *rows(
        "Two lives of one server",
        ("same run directory", second_server("run directory"), "the second is refused by the first one's pid"),
        ("same state", second_server("state"), "the second is refused by the first one's pid"),
        ("same port", second_server("port"), "the second is refused: the address is in use"),
        strikes=1,
    ),
    *rows(
        "Torn journal",
        (
            "journal cut",
            torn(shorten),
            "what is left is what was so a moment before; who comes back says the rest again",
        ),
        ("journal noise", torn(scribble), "frames whose checksum differs are not read; as above"),
        ("journal zeros", torn(clear), "frames whose checksum differs are not read; as above"),
        quick="journal noise",
        strikes=1,
    ),
    *failing(
        "Poison record",
        ("map", "poison in map"),
        ("filter", "poison in filter"),
        ("inside", "poison inside"),
        happens="after three deaths while it was executed, the last alone in a fresh process, it is given up",
        sees="`PoisonError` at its place, with record and cause of death; the rest follows",
        quick="map",
    ),
    *failing(
        "A function that hangs",
        ("map", "hang in map"),
        ("filter", "hang in filter"),
        ("inside", "hang inside"),
        happens="its worker is killed when the lease is over; after three, the record is poison",
        sees="`PoisonError` at its place, which names the lease; the rest follows",
    ),
    *failing(
        "A function that hangs once",
        ("worker", "hang once"),
        ("away", "hang once"),
        happens="its worker is killed when the lease is over; the element is tried again",
        sees=SAME,
    ),
    *rows(
        "No workers",
        ("nobody at first", late, "the trainer waits, and says why; it goes on when one comes"),
        (
            "nobody left",
            nobody(signal.SIGTERM),
            "the trainer waits, and says why; it goes on when one comes",
        ),
        (
            "nobody killed",
            nobody(signal.SIGKILL),
            "the trainer waits, and says why; it goes on when one comes",
        ),
        quick="nobody left",
        strikes=1,
    ),
)

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- the table: python -m tests.chaos.matrix -->", "<!-- the end of the table -->"
TEST = "tests/chaos/test_chaos.py"


def table() -> str:
    """The rows as Markdown."""
    lines = ["| fault | where | what happens | what the user sees | its test |", "| --- | --- | --- | --- | --- |"]
    for cell in CELLS:
        place = PLACES[cell.place][0]
        lines.append(f"| {cell.fault} | {place} | {cell.happens} | {cell.sees} | `{cell.name}` |")
    return "\n".join(lines)


def written(page: str) -> str:
    """A page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
