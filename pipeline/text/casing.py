"""Letters in lower case."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..columns import Column
from ..columnwise import columnwise
from ..errors import InvalidArgumentError
from ..kernels import text as kernels
from .texts import Array, Texts, each_text, of_column, strings

__all__ = ["lower"]


def _lower_column(column: Column) -> Column | None:
    texts = of_column(column)
    if texts is None:
        return None
    values = np.empty(len(texts.data), np.uint8)
    kernels.lower(texts.data, values)
    return Column(bytes, column.rank, values, column.splits, column.rows, column.shapes)


@columnwise(_lower_column)
def lower(text: Any, encoding: str = "") -> Any:
    """Texts in lower case, nested as they were.

    Without an encoding the letters A to Z change and all other bytes stay; with `encoding="utf-8"` every letter
    changes that Unicode has a small one for, and bytes that are no UTF-8 stay.

    >>> lower([b"To BE", "\\u00dcBER"]).tolist()
    [b'to be', b'\\xc3\\x9cber']
    >>> lower("\\u00dcBER", encoding="utf-8").decode()
    'über'

    Raises InvalidArgumentError: another encoding, or what is no text.
    """
    if encoding not in ("", "utf-8"):
        raise InvalidArgumentError(f"encoding is {encoding!r}: it is '' for ASCII, or 'utf-8'")
    return each_text("lower", text, _unicode if encoding else _ascii)


def _ascii(texts: Texts) -> Array:
    small = np.empty(len(texts.data), np.uint8)
    kernels.lower(texts.data, small)
    return _strings(small, texts)


def _unicode(texts: Texts) -> Array:
    small = np.empty(len(texts.data), np.uint8)
    if not kernels.lower(texts.data, small):
        return _strings(small, texts)
    found = _strings(texts.data, texts)
    found[:] = [each.decode(errors="surrogateescape").lower().encode(errors="surrogateescape") for each in found]
    return found


def _strings(data: Array, texts: Texts) -> Array:
    return strings(data, np.column_stack([texts.splits[:-1], texts.splits[1:]]).reshape(-1))
