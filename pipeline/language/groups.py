"""Several elements as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..arguments import count_of
from ..nodes import (
    Batch,
    PaddedBatch,
)
from ..padding import padding_arguments
from .chapter import Chapter

if TYPE_CHECKING:
    from ..dataset import Dataset

__all__ = ["Groups"]


class Groups(Chapter):
    """Several elements as one."""

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """`batch_size` consecutive elements stacked along a new first dimension.

        Raises (when iterated):
            InvalidArgumentError: elements of unequal shapes; `padded_batch` takes those.
        """
        return self._made(Batch(self.node, count_of("batch_size", batch_size, least=1), bool(drop_remainder)))

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Like `batch` for elements of unequal shapes: pads each to the longest of its batch, or to `padded_shapes`.

        Args:
            padded_shapes: nested like the elements; None or -1 in a shape means the longest of the batch.
            padding_values: nested like the elements, or one value for all; 0 or "" where not given.

        >>> list(Dataset.from_tensor_slices([1, 3]).map(lambda n: np.full(n, n)).padded_batch(2))
        [array([[1, 0, 0],
               [3, 3, 3]], dtype=int32)]
        """
        size = count_of("batch_size", batch_size, least=1)
        return self._made(
            PaddedBatch(self.node, size, bool(drop_remainder), *padding_arguments(padded_shapes, padding_values))
        )
