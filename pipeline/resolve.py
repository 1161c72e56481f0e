"""Resolving: file patterns become the names they match, once for a job."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator

from .errors import InvalidArgumentError
from .nodes import ListFiles, Node
from .sources import file_names

__all__ = ["matching", "resolve"]


def resolve(node: Node) -> Node:
    """The graph without ListFiles.

    Raises:
        InvalidArgumentError: no file matches.
    """
    if isinstance(node, ListFiles):
        return file_names(matching(node.patterns))
    return node.with_inputs(resolve)


def matching(patterns: tuple[str, ...]) -> list[str]:
    """Files that match any of the patterns, sorted, each once for every pattern that it matches."""
    found = sorted(name for pattern in patterns for name in _glob(pattern))
    if not found:
        shown = ", ".join(repr(each) for each in patterns)
        raise InvalidArgumentError(f"No files matched pattern: {shown} (in {os.getcwd()}): check the path")  # noqa: PTH109
    return found


def _glob(pattern: str) -> Iterator[str]:
    """Paths that match, part by part; unlike a shell's, `*` takes names that begin with a dot."""
    root, _, rest = (
        pattern.rpartition("/") if "/" not in pattern else ("/" if pattern.startswith("/") else "", "", pattern)
    )
    yield from _match(root, [part for part in rest.split("/") if part])


def _match(folder: str, parts: list[str]) -> Iterator[str]:
    part, *rest = parts
    if not re.search(r"[*?\[]", part):
        names = [part] if os.path.lexists(os.path.join(folder, part)) else []  # noqa: PTH118
    else:
        try:
            names = [name for name in os.listdir(folder or ".") if fnmatch.fnmatchcase(name, part)]  # noqa: PTH208
        except OSError:  # no folder, or one that we may not read: nothing in it matches
            names = []
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118  (a Path would drop "./", which the user may have written)
        if rest and os.path.isdir(path):  # noqa: PTH112
            yield from _match(path, rest)
        elif not rest and not os.path.isdir(path):  # noqa: PTH112
            yield path
