"""`headrace doctor`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .ending import ending
from .options import ConfigFile, KeyFile, RunDir, ServerAddress

if TYPE_CHECKING:
    from ..checkup.finding import Finding
    from ..checkup.way import Way
    from ..config import Config

__all__ = ["doctor"]

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("problem", "bold red")}


@ending("doctor")
def doctor(
    server: ServerAddress = None,
    key: KeyFile = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="File or folder that every worker should see as this machine does. Repeatable.", metavar="PATH"
        ),
    ] = None,
    run_dir: RunDir = None,
    config: ConfigFile = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for each answer.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list, for programs.")] = False,
) -> None:
    """Look for what keeps a server, its workers and this machine from working together, and say what to do.

    Looks at this machine, the way to the server, the server and its workers, and the files that --data names.
    Exit code 1 when there is a problem.
    """
    from ..config import Config, load

    settings = (load(config) if config is not None else Config()).changed(
        {
            "worker.server": ("--server", server or (os.environ.get("HEADRACE_SERVER") if run_dir is None else None)),
            "worker.key": ("--key", key or os.environ.get("HEADRACE_KEY")),
            "server.run_dir": ("--run-dir", run_dir),
        }
    )
    found = list(_look(settings, list(data or ()), timeout))
    if as_json:
        typer.echo(json.dumps([each.to_data() for each in found], indent=2))
    else:
        _show(found)
    raise typer.Exit(int(any(each.level == "problem" for each in found)))


def _look(settings: Config, data: list[Path], timeout_s: float) -> Iterator[Finding]:
    from ..checkup.service import check_service
    from ..checkup.way import Way
    from ..pipeline.running import daemon_folder
    from ..pipeline.sockets import address_in

    here = not settings.worker.server
    yield from _machine(settings, here)
    address = settings.worker.server or address_in(daemon_folder(settings.server.run_dir))
    way = Way(address, settings.worker.key, timeout_s)
    yield from way.check()
    if way.status:
        yield from check_service(way.status)
        yield from _files(way, data)


def _machine(settings: Config, here: bool) -> Iterator[Finding]:
    """This machine; with the server's folders where it is the server's."""
    from ..checkup import machine
    from ..pipeline.keys import keys_folder
    from ..pipeline.running import daemon_folder, named_state_folder

    yield from machine.check_kernels()
    yield from machine.check_memory()
    yield from machine.check_descriptors()
    if here:
        yield from machine.check_folder("run directory", daemon_folder(settings.server.run_dir))
        state = named_state_folder(settings.server.state_dir)
        yield from machine.check_folder("state directory", state)
        yield from machine.check_journal(state)
        wanted = bool(settings.server.listen) and not settings.security.insecure
        yield from machine.check_keys(settings.security.keys or keys_folder(), wanted)
        yield from machine.check_roots(tuple(map(str, settings.server.roots)))


def _files(way: Way, data: list[Path]) -> Iterator[Finding]:
    from ..checkup.files import check_files, spread
    from ..checkup.finding import problem
    from ..pipeline.errors import HeadraceError
    from ..pipeline.messages import AskFiles, Files

    if not data:
        return
    paths: list[str] = []
    for each in data:
        try:
            paths += spread([each])
        except OSError as error:
            yield problem("files", f"{each}: {error.strerror}", "name files or folders that are there")
    try:
        answer = way.ask(AskFiles(paths))
    except HeadraceError as error:
        yield problem("files", " ".join(str(error).split()), "ask with a key that has the role client, submit or admin")
        return
    assert isinstance(answer, Files), "the answer to AskFiles"
    yield from check_files(paths, answer.found)


def _show(found: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from .screen import screen

    table = Table("", "what", "how it is", box=None, header_style="bold", pad_edge=False)
    for each in found:
        word, style = _MARKS[each.level]
        text = Text(each.text)
        if each.fix:
            text.append(f"\n→ {each.fix}", "italic")
        table.add_row(Text(word, style), each.topic, text)
    console = screen()
    console.print(table)
    counts = {level: sum(each.level == level for each in found) for level in ("problem", "warning")}
    told = [f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items() if count]
    console.print(", ".join(told) or "all is well")
