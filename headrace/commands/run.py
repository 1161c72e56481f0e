"""`headrace run`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from .ending import INTERRUPTED, ending
from .options import ConfigFile, KeyFile, RunDir, ServerAddress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from ..pipeline.dataset import Dataset
    from ..trial import Trial

__all__ = ["run"]

#: Between two changes of the progress line, in seconds.
EVERY_S = 0.1

#: From a dataset to its epochs, and what says how the server is; None where there is none.
Way: TypeAlias = "tuple[Callable[[Dataset], Callable[[int], Iterator[Any]]], Callable[[], dict[str, Any]] | None]"


@ending("run")
def run(
    target: Annotated[
        str, typer.Argument(help="A Dataset in a file, or a function that returns one.", metavar="FILE.py:NAME")
    ],
    epochs: Annotated[int, typer.Option(min=1, help="How often to go through it.")] = 1,
    take: Annotated[int | None, typer.Option(min=1, help="Batches of each epoch that are enough.")] = None,
    serve: Annotated[
        int | None, typer.Option(min=1, help="Run it on a service of its own, with so many workers.", metavar="WORKERS")
    ] = None,
    service: Annotated[bool, typer.Option("--service", help="Run it on the server that runs on this machine.")] = False,
    server: ServerAddress = None,
    key: KeyFile = None,
    run_dir: RunDir = None,
    config: ConfigFile = None,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Print a digest of all batches, to compare two ways of running.")
    ] = False,
) -> None:
    """Iterate over a pipeline, in this process or on a service; say how fast it is and where the time goes.

    Runs in this process unless --serve, --service or --server says otherwise.
    Exit code 1 when the pipeline fails.
    """
    from ..digest import Digest
    from ..script import dataset_in
    from ..trial import Trial, makes_batches
    from .report import report
    from .screen import screen

    if serve is not None and (service or server is not None):
        raise typer.BadParameter("--serve starts a service of its own: leave out --service and --server")
    dataset, console = dataset_in(target), screen(stderr=True)
    trial = Trial(makes_batches(dataset.node), Digest() if checksum else None, take)
    if serve is not None:
        way = _embedded(serve)
    elif service or server is not None:
        way = _connected(server, key, run_dir, config)
    else:
        way = _here()
    with way as (open_, ask):
        before = ask() if ask is not None else None
        code = _iterate(trial, open_(dataset), epochs, console)
        report(trial, before, ask() if ask is not None else None, console)
    if trial.digest is not None and code == 0:
        what = "batches" if trial.batched else "elements"
        typer.echo(f"checksum {trial.digest.hexdigest()} of {trial.delivered:,} {what}")
    raise typer.Exit(code)


def _iterate(trial: Trial, epoch: Callable[[int], Iterator[Any]], epochs: int, console: Console) -> int:
    """Go through the epochs; the exit code."""
    from ..pipeline.errors import HeadraceError

    try:
        for number in range(epochs):
            with console.status(f"epoch {number}") as line:
                trial.go_through(epoch(number), partial(_tell, line, number))
            console.print(f"epoch {number}: {trial.show(number)}")
    except HeadraceError as error:
        typer.echo(f"headrace run: {type(error).__name__}: {error}", err=True)
        return 1
    except KeyboardInterrupt:
        # What is still to be said and given back takes a moment; who cannot wait for that presses again.
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
        return INTERRUPTED
    return 0


def _tell(line: Status, epoch: int, trial: Trial) -> None:
    """The progress line, but not for every batch."""
    if monotonic() - trial.told_at >= EVERY_S:
        trial.told_at = monotonic()
        line.update(f"epoch {epoch}: {trial.show(epoch)}")


@contextmanager
def _here() -> Iterator[Way]:
    """In this process."""
    yield (lambda dataset: lambda number: iter(dataset.iterate(number))), None


@contextmanager
def _embedded(workers: int) -> Iterator[Way]:
    """On a service that begins and ends here."""
    from ..client.embedded import serve
    from .target import ask_at

    with serve(workers=workers) as service:
        yield (lambda dataset: _always(service.iterate(dataset))), partial(ask_at, service.address, None)


@contextmanager
def _connected(server: str | None, key: Path | None, run_dir: Path | None, config: Path | None) -> Iterator[Way]:
    """On a server that runs already."""
    from ..client.connecting import connect
    from .target import ask_at, find

    target = find(server, key, run_dir, config)
    with connect(target.address, key=target.key) as service:
        yield (lambda dataset: _always(service.iterate(dataset))), partial(ask_at, target.address, target.lock)


def _always(iterator: Iterator[Any]) -> Callable[[int], Iterator[Any]]:
    """One iterator for all epochs: it begins the next by itself."""
    return lambda _: iter(iterator)
