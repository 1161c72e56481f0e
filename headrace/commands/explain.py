"""`headrace explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from .ending import ending

__all__ = ["explain"]


@ending("explain", code=1)
def explain(
    target: Annotated[
        str, typer.Argument(help="A Dataset in a file, or a function that returns one.", metavar="FILE.py:NAME")
    ],
    look: Annotated[
        bool, typer.Option(help="Compute a few elements to tell what functions give, and how large it is.")
    ] = True,
) -> None:
    """Say what of a pipeline runs where, how elements travel between workers and broker, and what costs too much.

    Nothing is started. Exit code 1 when the pipeline cannot be explained, as where no file matches a pattern.
    """
    from ..script import dataset_in

    typer.echo(str(dataset_in(target).explain(look)))
