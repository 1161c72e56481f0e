"""Scanning: where a file can be cut into splits, and by which ends it is known again."""

from __future__ import annotations

from pathlib import Path

from .pipeline.ends import ends_of
from .pipeline.errors import HeadraceError
from .pipeline.orders import Scan, Scanned
from .pipeline.records import scan_records
from .pipeline.roots import ANYWHERE, Roots
from .pipeline.shelves import held_in

__all__ = ["look"]


def look(scan: Scan, every: int, roots: Roots = ANYWHERE) -> Scanned:
    """Where a file can be cut into splits of about `every` bytes. What cannot be read is left to its reader to tell.

    So is what must not be read, and what is no regular file: to open a pipe could take for ever.
    """
    if scan.kind == "ends":
        return Scanned(scan.job, scan.path, _ends(scan.path, roots), "ends")
    if scan.kind == "shelf":
        return Scanned(scan.job, scan.path, _shelf(scan.path, roots), "shelf")
    try:
        roots.check(scan.path)
        if not Path(scan.path).is_file():
            return Scanned(scan.job, scan.path, (0, None))
        if scan.kind == "records":
            found = scan_records(scan.path, every)
            bounds: tuple[int | None, ...] = (*found[:-1], None) if len(found) > 1 else (0, None)
        else:
            size = Path(scan.path).stat().st_size
            bounds = (*range(0, max(1, size), every), None)
    except (HeadraceError, OSError, ValueError):
        bounds = (0, None)
    return Scanned(scan.job, scan.path, bounds)


def _ends(path: str, roots: Roots) -> tuple[int, ...]:
    """Size and sum of a file; nothing where it cannot be read, or must not be."""
    try:
        roots.check(path)
        return ends_of(path)
    except (HeadraceError, OSError, ValueError):
        return ()


def _shelf(folder: str, roots: Roots) -> tuple[int | None, ...]:
    """What is kept in a folder, in numbers; None alone where it must not be used."""
    try:
        roots.check_folder(folder)
    except HeadraceError:
        return (None,)
    found = held_in(folder)
    return () if found is None else found.to_numbers()
