"""What CsvDataset was given, as the fields of its node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arguments import count_of
from .errors import InvalidArgumentError
from .spec import DType, as_dtype
from .structure import as_component

__all__ = ["MOST_COLUMNS", "csv_fields", "is_csv_dtype", "is_delimiter"]

#: Columns of a record are counted up to here.
MOST_COLUMNS = 1 << 20


def is_csv_dtype(dtype: Any) -> bool:
    """Whether a field may be read as this: integers of up to 64 bits, floats, text."""
    if dtype is bytes:
        return True
    kind = dtype if isinstance(dtype, np.dtype) else None
    return kind is not None and (kind in (np.float32, np.float64) or (kind.kind in "iu" and kind != np.uint64))


def is_delimiter(text: str) -> bool:
    """Whether fields may lie on both sides of it.

    >>> is_delimiter("\\t"), is_delimiter("::")
    (True, False)
    """
    return len(text) == 1 and text.isascii() and text not in '"\r\n'


def csv_fields(
    record_defaults: Any,
    header: bool,
    field_delim: str,
    use_quote_delim: bool,
    na_value: str | bytes,
    select_cols: Sequence[int] | None,
    exclude_cols: Sequence[int] | None,
) -> dict[str, Any]:
    """The fields of a Csv node, but for its input and its compression.

    Raises:
        InvalidArgumentError: an argument that does not fit; the message names it.
    """
    if not isinstance(record_defaults, list | tuple) or not len(record_defaults):
        raise InvalidArgumentError("record_defaults must be a list with one entry, a dtype or a default, a column")
    columns = [_column(number, each) for number, each in enumerate(record_defaults)]
    if not isinstance(field_delim, str) or not is_delimiter(field_delim):
        raise InvalidArgumentError(f"field_delim is {field_delim!r}: it must be one ASCII character, and no quote")
    if select_cols is not None and exclude_cols is not None:
        raise InvalidArgumentError("select_cols and exclude_cols: only one of them can be given")
    name, given = ("exclude_cols", exclude_cols) if select_cols is None else ("select_cols", select_cols)
    chosen = None if given is None or (name == "exclude_cols" and not len(given)) else _numbers(name, given)
    if chosen is not None and name == "select_cols" and len(chosen) != len(columns):
        raise InvalidArgumentError(f"select_cols names {len(chosen)} columns, record_defaults {len(columns)}")
    return {
        "dtypes": tuple(dtype for dtype, _ in columns),
        "defaults": tuple(default for _, default in columns),
        "columns": chosen,
        "excluded": name == "exclude_cols" and chosen is not None,
        "delimiter": field_delim,
        "quotes": bool(use_quote_delim),
        "missing": na_value.encode() if isinstance(na_value, str) else bytes(na_value),
        "header": bool(header),
    }


def _numbers(name: str, given: Sequence[int]) -> tuple[int, ...]:
    numbers = tuple(count_of(name, each, least=0) for each in given)
    if not numbers or list(numbers) != sorted(set(numbers)) or numbers[-1] >= MOST_COLUMNS:
        raise InvalidArgumentError(
            f"{name} is {list(numbers)}: it must name columns, each once, the lower ones first, up to {MOST_COLUMNS:,}"
        )
    return numbers


def _column(number: int, given: Any) -> tuple[DType, Any]:
    """Dtype and default, if there is one, of a column."""
    if isinstance(given, type | np.dtype):
        dtype, default = as_dtype(given), None
    else:
        dtype, default = _with_default(number, given)
    if not is_csv_dtype(dtype):
        raise InvalidArgumentError(
            f"record_defaults[{number}] is of {dtype}: a field is read as an integer, float32, float64 or bytes"
        )
    return dtype, default


def _with_default(number: int, given: Any) -> tuple[DType, Any]:
    value = as_component(given)
    if isinstance(value, np.ndarray):
        if value.size > 1 or value.ndim > 1:
            raise InvalidArgumentError(f"record_defaults[{number}] has {value.size} values: a column has one default")
        dtype = bytes if value.dtype == object else value.dtype
        value = value[0] if value.size else None
        return dtype, as_component(value) if value is not None else None
    return (bytes if isinstance(value, bytes) else value.dtype), value
