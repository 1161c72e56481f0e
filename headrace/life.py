"""A server's life: put together, served until it is to end, taken apart."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

import zmq

from .broker.run import Limits
from .daemon import Daemon, DaemonConfig
from .depot import Depot
from .facts import Memory
from .gate import Rules
from .journal import NAME, Journal
from .peers import Door, Peers, open_doors
from .pipeline.blobs import Blobs
from .pipeline.errors import HeadraceError
from .pipeline.graph import decode_outline
from .pipeline.kernels.compile import marker
from .pipeline.sharing import ServerMemory
from .pipeline.sockets import own
from .server import Server
from .users import roots_by
from .workers.launcher import Launcher
from .workers.nursery import Nursery
from .workers.output import print_named

if TYPE_CHECKING:
    from .page import Page

__all__ = ["run"]

#: A worker may place so many times the budget in shared memory. What it computes waits in shuffle buffers, too.
PLACED_EACH = 8
#: As much is placed for each client at least: twice of what it asks for ahead of its loop.
CLIENT_BYTES = 128 << 20


def run(config: DaemonConfig) -> None:
    """Serve until the starter is gone or says stop.

    An embedded server leaves nothing behind; another one its state, with which the next one goes on.

    Raises:
        ServiceError: it cannot listen where it should.
        InvalidArgumentError: TCP without keys, or an address that is none.
    """
    nursery = Nursery.open()  # before there is a socket, a secret or a thread
    warm_up()
    context = zmq.Context()
    own(config.folder)
    rules = Rules(config.allow_code, config.modules)
    doors, listen = open_doors(context, config.folder, config.listen, config.keys, config.insecure, rules)
    page = open_page(config.metrics)
    daemon = put_together(config, doors, listen, nursery)
    daemon.show = page.show if page is not None else None
    heed_signals(daemon)
    try:
        daemon.launcher.poll()
        if config.ready is not None:
            os.write(config.ready, f"{listen[0]}\n".encode())
            os.close(config.ready)
        daemon.loop()
    except HeadraceError as error:
        daemon.give_up(error)
        raise
    finally:
        if page is not None:
            page.stop()
        take_apart(daemon, doors, context)


def put_together(config: DaemonConfig, doors: list[Door], listen: list[str], nursery: Nursery | None) -> Daemon:
    """A daemon behind open doors, with all that it remembers of its last life."""
    blobs = (config.state or config.folder) / "blobs"
    blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = Journal.open(config.state / NAME) if config.state is not None else None
    server = server_of(config, journal)
    slabs = ServerMemory(
        PLACED_EACH * config.budget_bytes, max(CLIENT_BYTES, config.budget_bytes), enabled=config.slabs
    )
    server.broker.allocate = slabs.allocate
    server.roots_of = roots_by(config.roots, next((door.gate.authorized for door in doors if door.gate), None))
    launcher = Launcher(count=config.workers, folder=config.folder, server=listen[0], blobs=blobs, nursery=nursery)
    depot = Depot(Blobs(blobs))
    if config.state is not None:
        depot.sweep(entry.graph for entry in server.broker.book.jobs.values())
    return Daemon(config, Peers(doors, slabs), server, launcher, depot, listen, journal)


def server_of(config: DaemonConfig, journal: Journal | None) -> Server:
    """The machine, as it is set and with what the journal says."""
    server = Server.new(
        # An embedded server's next life shares nothing with this one: its number need not grow.
        journal.incarnation() if journal is not None else int.from_bytes(os.urandom(3), "little") + 1,
        decode_outline,
        remembered(journal) if journal is not None else None,
        limits=Limits(budget_bytes=config.budget_bytes, look_ahead=2, look_ahead_each=3),
        lease_s=config.lease_s,
        heartbeat_s=config.heartbeat_s,
        idle_s=config.idle_s,
    )
    server.broker.forget_s, server.coordinator.own = config.forget_s, config.workers
    server.broker.prefill = config.prefill
    return server


def remembered(journal: Journal) -> Memory:
    """What was so in the server's last life, less what nobody will come back for."""
    memory = Memory.of(journal.replay())
    for fact in memory.book.leftovers():
        memory.apply(fact)
        journal.write(fact)
    journal.commit()
    return memory


def heed_signals(daemon: Daemon) -> None:
    """The first asks to end in good order, the second at once; an embedded server ends with who started it."""

    def stop(*_: Any) -> None:
        daemon.stop_now, daemon.asked = daemon.asked, True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN if daemon.config.state is None else stop)


def take_apart(daemon: Daemon, doors: list[Door], context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """End its workers, close all that is open, leave nothing half-written; an embedded server leaves no folder."""
    daemon.launcher.stop()
    for said in daemon.launcher.printed():
        print_named(*said)
    daemon.scanner.close()
    for door in doors:
        door.close()
    context.term()
    if daemon.journal is not None:
        daemon.journal.close()
    daemon.caches.close()
    if daemon.config.state is None:
        shutil.rmtree(daemon.config.folder, ignore_errors=True)


def open_page(address: str) -> Page | None:
    """The page of metrics, where there is to be one. What it needs is loaded for it alone."""
    if not address:
        return None
    from .page import Page

    page = Page(address)
    print(f"headrace: metrics at http://{page.start()}/metrics", file=sys.stderr, flush=True)
    return page


def warm_up() -> None:
    """Compile kernels, unless that was done on this machine."""
    if not marker().exists():
        from .pipeline.warm import warm  # it pulls in everything

        told = "headrace: compiling kernels, once on this machine (about half a minute)"
        warm(lambda: print(told, file=sys.stderr, flush=True))
