"""Cutting: at what a leaf's files can be cut into splits."""

from __future__ import annotations

from .nodes import Csv, FileLeaf, Node, Records

__all__ = ["cut_at"]


def cut_at(leaf: Node | None) -> str | None:
    """What the scanner is to look for: "records", or "lines" for any place near a line's end; None to read it whole.

    A reader finds by itself the first record of one size, or line, that begins in its part. What is compressed cannot
    be entered in the middle; where fields may be in quotes, nothing tells that a line end lies between them.

    >>> from headrace import CsvDataset
    >>> [cut_at(CsvDataset("a.csv", [bytes], use_quote_delim=each).node) for each in (True, False)]
    [None, 'lines']
    """
    if not isinstance(leaf, FileLeaf) or leaf.compression or (isinstance(leaf, Csv) and leaf.quotes):
        return None
    return "records" if isinstance(leaf, Records) else "lines"
