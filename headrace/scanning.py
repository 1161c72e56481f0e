"""Scanning: where a file can be cut into splits."""

from __future__ import annotations

from pathlib import Path

from .pipeline.errors import HeadraceError
from .pipeline.orders import Scan, Scanned
from .pipeline.records import scan_records

__all__ = ["look"]


def look(scan: Scan, every: int) -> Scanned:
    """Where a file can be cut into splits of about `every` bytes. What cannot be read is left to its reader to tell."""
    try:
        if scan.kind == "records":
            found = scan_records(scan.path, every)
            bounds: tuple[int | None, ...] = (*found[:-1], None) if len(found) > 1 else (0, None)
        else:
            size = Path(scan.path).stat().st_size
            bounds = (*range(0, max(1, size), every), None)
    except (HeadraceError, OSError, ValueError):
        bounds = (0, None)
    return Scanned(scan.job, scan.path, bounds)
