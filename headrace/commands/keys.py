"""`headrace keys`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .ending import ending

__all__ = ["keys"]


@ending("keys")
def keys(
    name: Annotated[str | None, typer.Argument(help="The same as --add.", metavar="NAME")] = None,
    add: Annotated[
        str | None, typer.Option(help="Make the key NAME.key of a trainer or worker, and let it in.", metavar="NAME")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="What it may do: worker, client, submit (a client with functions), admin. Repeatable."),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the keys. Default: ~/.config/headrace.", metavar="DIR")
    ] = None,
    if_missing: Annotated[bool, typer.Option(help="Leave a key of that name as it is where there is one.")] = False,
) -> None:
    """Make keys for TCP: the server's own, and one for each trainer or worker; say who is let in.

    Copy NAME.key to where it is used: it holds all that is needed there.
    To take a key away, remove its line from authorized_keys.
    """
    from ..pipeline.errors import InvalidArgumentError
    from ..pipeline.keys import AUTHORIZED, SERVER, keys_folder, make_client_key, make_server_key

    if name and add and name != add:
        raise InvalidArgumentError(f"one key at a time: {name!r}, or --add {add}")
    folder, wanted = directory or keys_folder(), add or name
    if role and not wanted:
        raise InvalidArgumentError("--role says what a new key may do: name it with --add")
    if not (folder / SERVER).exists():
        typer.echo(f"made {make_server_key(folder)}: it stays on the server's host")
    if wanted and if_missing and (folder / f"{wanted}.key").exists():
        typer.echo(f"{folder / f'{wanted}.key'} is there")
    elif wanted:
        if not role:
            raise InvalidArgumentError(f"what may {wanted} do? Say --role worker, client, submit or admin")
        typer.echo(f"made {make_client_key(folder, wanted, role)}: copy it to where it is used, mode 0600")
    typer.echo(f"let in by {folder / AUTHORIZED}:")
    _list(folder / AUTHORIZED)


def _list(authorized: Path) -> None:
    lines = authorized.read_text("utf-8").splitlines() if authorized.exists() else []
    known = [line.split(None, 2) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for public, *rest in known:
        typer.echo(f"  {' '.join(reversed(rest)) or '(nothing)':32} {public}")
    if not known:
        typer.echo("  nobody yet: `headrace keys --add NAME --role ROLE`")
