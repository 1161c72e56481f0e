"""Splitting texts into words: at blanks, at a separator, or where a pattern matches."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import numpy as np

from ..columns import Column
from ..columnwise import columnwise
from ..errors import InvalidArgumentError
from ..kernels import text as kernels
from ..ragged import splits_of_lengths
from .texts import Array, Words, encoded, of_column, row_by_row

__all__ = ["regex_split", "split"]


def _split_column(column: Column) -> Column | None:
    texts = of_column(column) if column.rank == 0 else None
    if texts is None:
        return None
    data, bounds = texts
    # Every word but the last of a text has a blank behind it.
    places, rows = np.empty(len(data) + len(bounds), np.int64), np.zeros(len(bounds), np.int64)
    kernels.split_blanks(data, bounds, places, rows)
    places = places[: 2 * rows[-1]]
    low, high = places[::2], places[1::2]
    splits = splits_of_lengths(high - low)
    values = np.empty(splits[-1], np.uint8)
    kernels.join_words(data, places, splits, values)
    return Column(bytes, 1, values, splits, rows, np.diff(rows)[:, None])


@columnwise(_split_column)
def split(text: Any, sep: bytes | str | None = None) -> Any:
    """The words of a text: an object array of `bytes`; of a row of texts, a RaggedTensor of them.

    Without `sep` words stand between ASCII blanks (space, \\t, \\n, \\v, \\f, \\r), any number of them, as with
    `bytes.split()`. With it they stand between separators, and between two in a row stands an empty word. `text` is
    `bytes`, `str` (taken as UTF-8), a list or 1-D array of them, or a RaggedTensor, whose texts become rows.

    >>> split(b"to be  or not").tolist()
    [b'to', b'be', b'or', b'not']
    >>> split(["a,b", "", "c,"], sep=",").to_list()
    [[b'a', b'b'], [b''], [b'c', b'']]

    Raises InvalidArgumentError: an empty separator, or what is no text.
    """
    separator = None if sep is None else encoded("sep", sep)
    if separator == b"":
        raise InvalidArgumentError("sep is empty: leave it out to split at blanks")
    return row_by_row("split", text, lambda rows: _words([each.split(separator) for each in rows]))


def regex_split(text: Any, pattern: bytes | str, keep: bytes | str | None = None) -> Any:
    """The words of a text between matches of a regular expression, as of `split`; empty ones are left out.

    `pattern` is one of Python's `re`, over bytes. A match that `keep` matches as a whole is a word, too.

    >>> regex_split(b"Wait -- what?!", rb"[\\s\\-]+|[?!.]", keep=rb"[?!.]").tolist()
    [b'Wait', b'what', b'?', b'!']

    Raises InvalidArgumentError: what is no pattern, or no text.
    """
    between = _compiled("pattern", pattern)
    kept = None if keep is None else _compiled("keep", keep)

    return row_by_row("regex_split", text, lambda rows: _words([_cut(each, between, kept) for each in rows]))


def _words(rows: list[list[bytes]]) -> tuple[Array, Words]:
    splits = splits_of_lengths(np.fromiter(map(len, rows), np.int64, len(rows)))
    found = np.empty(splits[-1], object)
    found[:] = [*chain.from_iterable(rows)]
    return found, splits


def _compiled(what: str, pattern: bytes | str) -> re.Pattern[bytes]:
    try:
        return re.compile(encoded(what, pattern))
    except re.error as error:
        raise InvalidArgumentError(f"{what} is {pattern!r}, no regular expression: {error}") from error


def _cut(text: bytes, between: re.Pattern[bytes], kept: re.Pattern[bytes] | None) -> list[bytes]:
    words, begin = [], 0
    for match in between.finditer(text):
        words.append(text[begin : match.start()])
        if kept is not None and kept.fullmatch(match[0]):
            words.append(match[0])
        begin = match.end()
    return [word for word in (*words, text[begin:]) if word]
