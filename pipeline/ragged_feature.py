"""RaggedFeature: a feature of any number of values, whose rows other features may divide further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import InvalidArgumentError
from .features import parsed_dtype
from .spec import DType, as_dtype, dtype_name

__all__ = ["Partition", "RaggedFeature"]


@dataclass(frozen=True, init=False)
class RaggedFeature:
    """A feature with any number of values, none where it is absent; of a batch, a RaggedTensor.

    The values are those of the feature `value_key`, or of the one that the RaggedFeature stands for. `partitions`
    divide the values of an Example into rows, and these into longer ones, the outermost first: `RowSplits`,
    `RowLengths`, `RowStarts`, `RowLimits` and `ValueRowIds` of int64 features, and `UniformRowLength`. Without any,
    one Example gives an array of rank 1. `row_splits_dtype` is int32 or int64. `validate` does nothing: partitions
    that do not fit are always an error.

    >>> RaggedFeature("int64", partitions=[RaggedFeature.RowLengths("lengths")])
    RaggedFeature(dtype=int64, partitions=(RaggedFeature.RowLengths(key='lengths'),))

    Raises InvalidArgumentError.
    """

    @dataclass(frozen=True, slots=True)
    class RowSplits:
        """Rows between places: the feature `key` has 0, where each row ends, and so the number of values last."""

        key: str

    @dataclass(frozen=True, slots=True)
    class RowLengths:
        """Rows of lengths that the feature `key` has."""

        key: str

    @dataclass(frozen=True, slots=True)
    class RowStarts:
        """Rows that begin where the feature `key` says; the first at 0."""

        key: str

    @dataclass(frozen=True, slots=True)
    class RowLimits:
        """Rows that end where the feature `key` says; the last with the values."""

        key: str

    @dataclass(frozen=True, slots=True)
    class ValueRowIds:
        """Rows by a number beside each value, in the feature `key`: which row it is in; they never fall."""

        key: str

    @dataclass(frozen=True, slots=True)
    class UniformRowLength:
        """Rows of one length."""

        length: int

        def __post_init__(self) -> None:
            if not isinstance(self.length, (int, np.integer)) or self.length < 1:
                raise InvalidArgumentError(f"UniformRowLength({self.length!r}): a row has at least one value")

    dtype: DType
    value_key: str | None
    partitions: tuple[Partition, ...]
    row_splits_dtype: np.dtype[Any]

    def __init__(
        self,
        dtype: npt.DTypeLike | type[bytes],
        value_key: str | None = None,
        partitions: Sequence[Partition] = (),
        row_splits_dtype: npt.DTypeLike = np.int32,
        validate: bool = False,
    ) -> None:
        if value_key is not None and not isinstance(value_key, str):
            raise InvalidArgumentError(f"value_key is {value_key!r}: it is the name of a feature")
        splits_dtype = as_dtype(row_splits_dtype)
        if splits_dtype not in (np.int32, np.int64):
            raise InvalidArgumentError(f"row_splits_dtype is {dtype_name(splits_dtype)}: use int32 or int64")
        for each in partitions:
            if not isinstance(each, Partition) or not isinstance(getattr(each, "key", ""), str):
                raise InvalidArgumentError(
                    f"{each!r} is no partition: use RaggedFeature.RowSplits, RowLengths, RowStarts, RowLimits or "
                    "ValueRowIds with the name of a feature, or UniformRowLength(n)"
                )
        object.__setattr__(self, "dtype", parsed_dtype(dtype))
        object.__setattr__(self, "value_key", value_key)
        object.__setattr__(self, "partitions", tuple(partitions))
        object.__setattr__(self, "row_splits_dtype", splits_dtype)

    def __repr__(self) -> str:
        told = [f"dtype={dtype_name(self.dtype)}"]
        told += [f"value_key={self.value_key!r}"] if self.value_key is not None else []
        told += [f"partitions={self.partitions!r}"] if self.partitions else []
        told += ["row_splits_dtype=int64"] if self.row_splits_dtype == np.int64 else []
        return f"RaggedFeature({', '.join(told)})"


Partition: TypeAlias = (
    RaggedFeature.RowSplits
    | RaggedFeature.RowLengths
    | RaggedFeature.RowStarts
    | RaggedFeature.RowLimits
    | RaggedFeature.ValueRowIds
    | RaggedFeature.UniformRowLength
)
