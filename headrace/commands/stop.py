"""`headrace stop`."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .ending import ending
from .options import ConfigFile, KeyFile, RunDir, ServerAddress

if TYPE_CHECKING:
    from .target import Target

__all__ = ["stop"]

#: After its grace a server ends its workers and its journal; it is gone in so many seconds more.
CLOSING_S = 30.0
#: A generation of clients that is newer than any.
NEWEST = 1 << 62


@ending("stop")
def stop(
    server: ServerAddress = None,
    key: KeyFile = None,
    run_dir: RunDir = None,
    config: ConfigFile = None,
    grace: Annotated[
        str | None, typer.Option(help="How long epochs that run may go on, as '1 min'.", metavar="TIME")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Cut running epochs off at once.")] = False,
    job: Annotated[
        int | None,
        typer.Option(help="Forget this job alone, as where its trainer is gone for good; the server goes on."),
    ] = None,
) -> None:
    """End a server: epochs that run may finish, within its grace; wait until it is gone.

    An epoch that is cut off goes on where it was when a server is started again on the same state directory.
    """
    from ..pipeline.errors import ServiceError
    from .target import find

    try:
        target = find(server, key, run_dir, config)
    except ServiceError as error:
        typer.echo(f"headrace stop: {error}", err=True)
        raise typer.Exit(1) from None
    if job is not None:
        _forget(target, job)
        return
    settings = target.config.changed({"server.grace": ("--grace", grace)})
    Farewell(target, 0.0 if now else settings.server.grace).see_off()


def _forget(target: Target, number: int) -> None:
    """Close a job for all of its consumers: ours, or, as an admin, anybody's."""
    from ..client.visit import visit
    from ..pipeline.errors import NotFoundError
    from ..pipeline.messages import Close

    found = next((each for each in target.ask().get("jobs", ()) if each.get("job") == number), None)
    if found is None:
        raise NotFoundError(f"job {number}", "there is none of that number: `headrace status` lists them")
    for consumer in range(max(1, len(found.get("consumers") or ()))):
        visit(target.address, Close(number, NEWEST, consumer), target.lock)
    typer.echo(f"job {number} is forgotten")


class Farewell:
    """One server's end, watched until it is gone."""

    def __init__(self, target: Target, grace_s: float) -> None:
        from ..pipeline.running import living

        self.target, self.grace_s = target, grace_s
        self.pid = living(target.folder) if target.folder is not None else None
        self.running: list[dict[str, Any]] = []  #: Jobs in an epoch, as last heard.

    def see_off(self) -> None:
        """Ask it to end, wait, and say what was cut off."""
        from .screen import screen

        self._ask()
        began = time.monotonic()
        with screen(stderr=True).status("the server ends") as progress:
            while not self._gone():
                waited = time.monotonic() - began
                self._check(waited)
                many = len(self.running)
                progress.update(f"{many} epochs may go on for {max(0.0, self.grace_s - waited):.0f} s" if many else "")
                time.sleep(0.1)
        ended_itself = time.monotonic() - began < self.grace_s
        typer.echo(f"the server has ended{f' (pid {self.pid})' if self.pid else ''}")
        for job in [] if ended_itself else self.running:
            taken = f"{job.get('acknowledged') or 0:,} taken by its trainer"
            typer.echo(
                f"cut off: job {job.get('job')} in epoch {job.get('epoch')}, {taken}; a server started again on the"
            )
            typer.echo("same state directory goes on with it")

    def _ask(self) -> None:
        from ..client.visit import visit
        from ..pipeline.errors import ServiceError
        from ..pipeline.messages import Stop

        if self.target.folder is None:
            self._learn()  # one that is not there, or refuses us, is not one that has ended
        try:
            self._learn()
            visit(self.target.address, Stop(self.grace_s), self.target.lock)
        except ServiceError:
            if self._gone():  # before its answer was
                return
            if not self.pid:
                raise
            # It is ours and alive, but does not listen, or not any more.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def _learn(self, timeout_s: float = 10.0) -> None:
        self.running = [job for job in self.target.ask(timeout_s).get("jobs", ()) if job.get("running")]

    def _gone(self) -> bool:
        """Whether it is; else what it does is looked at."""
        from ..pipeline.errors import ServiceError
        from ..pipeline.running import living

        if self.target.folder is not None and living(self.target.folder) != self.pid:
            return True
        elsewhere = self.target.folder is None
        try:
            self._learn(3.0 if elsewhere else 0.5)
        except ServiceError as error:  # on its way out it answers nobody
            return elsewhere and "refused: " not in str(error)
        return False

    def _check(self, waited_s: float) -> None:
        from ..pipeline.errors import ServiceError

        if waited_s > self.grace_s + CLOSING_S:
            who = f"pid {self.pid}" if self.pid else self.target.address
            raise ServiceError(f"the server ({who}) is still there {waited_s:.0f} s after it was asked to end")
