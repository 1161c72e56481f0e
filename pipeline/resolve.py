"""Resolving: file patterns become the names they match, once for a job."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import replace

from .deferred import check_bound
from .errors import InvalidArgumentError
from .fingerprint import fingerprint
from .nodes import Configured, FlatMap, Interleave, ListFiles, Node, Shelf, Snapshot
from .numbering import number_records
from .options import Noted
from .seeds import derive
from .sources import file_names, seed_of

__all__ = ["matching", "resolve"]


def resolve(node: Node, folder: str = "") -> Node:
    """The graph without ListFiles, in which nested datasets know the folder of relative names, by default this one.

    Records that are to be found by number are (see `numbering`).

    Raises:
        InvalidArgumentError: no file matches.
        FileError: what `number_records` says of files.
        FailedPreconditionError: it has placeholders without a value.
    """
    check_bound(node)
    found = _resolve(node, folder or os.getcwd())  # noqa: PTH109
    return _shelved(found, seed_of(found))


def _shelved(node: Node, seed: int | None, digest: str = "") -> Node:
    """The graph in which snapshots know their folders, which depend on what is kept there."""
    if isinstance(node, Shelf):
        return replace(node, digest=digest)
    if not isinstance(node, Snapshot):
        return node.with_inputs(lambda each: _shelved(each, seed, digest))
    kept, reader = node.sources
    kept = _shelved(kept, seed)
    own = f"{derive('kept', fingerprint(kept), seed):016x}"
    return replace(node, sources=(kept, _shelved(reader, seed, own)), digest=own)


def _resolve(node: Node, folder: str) -> Node:
    if isinstance(node, ListFiles):
        return file_names(matching(node.patterns, folder))
    found = node.with_inputs(lambda each: _resolve(each, folder))
    if isinstance(found, Noted):
        found = Configured(found.source, found.seed, found.buffer_bytes, found.on_error, found.error_budget)
    return replace(found, folder=folder) if isinstance(found, FlatMap | Interleave) else number_records(found, folder)


def matching(patterns: tuple[str, ...], folder: str) -> list[str]:
    """Files that match any of the patterns, sorted, each once for every pattern that it matches."""
    found = sorted(name for pattern in patterns for name in _glob(pattern, folder))
    if not found:
        shown = ", ".join(repr(each) for each in patterns)
        raise InvalidArgumentError(f"No files matched pattern: {shown} (in {folder}): check the path")
    return found


def _glob(pattern: str, base: str) -> Iterator[str]:
    """Paths that match, part by part; unlike a shell's, `*` takes names that begin with a dot."""
    root, _, rest = (
        pattern.rpartition("/") if "/" not in pattern else ("/" if pattern.startswith("/") else "", "", pattern)
    )
    yield from _match(root, [part for part in rest.split("/") if part], base)


def _match(folder: str, parts: list[str], base: str) -> Iterator[str]:
    part, *rest = parts
    there = os.path.join(base, folder)  # noqa: PTH118
    if not re.search(r"[*?\[]", part):
        names = [part] if os.path.lexists(os.path.join(there, part)) else []  # noqa: PTH118
    else:
        try:
            names = [name for name in os.listdir(there) if fnmatch.fnmatchcase(name, part)]  # noqa: PTH208
        except OSError:  # no folder, or one that we may not read: nothing in it matches
            names = []
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118  (a Path would drop "./", which the user may have written)
        is_folder = os.path.isdir(os.path.join(base, path))  # noqa: PTH112, PTH118
        if rest and is_folder:
            yield from _match(path, rest, base)
        elif not rest and not is_folder:
            yield path
