"""Several elements as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import count_of
from ..bucketing import sizes_given
from ..errors import InvalidArgumentError
from ..functions import UserFunction
from ..nodes import (
    Batch,
    Bucket,
    FlatMap,
    PaddedBatch,
    RaggedBatch,
    Rebatch,
    SparseBatch,
    Tagged,
    Unbatch,
    Window,
    WindowByKey,
)
from ..padding import padding_arguments
from ..probe import known_shapes, ragged_ranks
from ..tags import NUMBER, SIZE
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

    def ragged_batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        row_splits_dtype: npt.DTypeLike = np.int64,
        name: str | None = None,
    ) -> Dataset:
        """Like `batch` for elements of unequal shapes, which become the rows of RaggedTensors.

        Scalars are stacked, and so are arrays whose whole shape is known. Of a spec that leaves dimensions open, the
        rows vary up to the last of these; behind a function, whose results have no spec, in all of their dimensions.

        Raises:
            InvalidArgumentError: row splits that are neither int32 nor int64; when iterated, elements of unequal rank.

        >>> lengths = Dataset.from_tensor_slices([1, 3, 0]).map(lambda n: np.full(n, n))
        >>> [batch.to_list() for batch in lengths.ragged_batch(2)]
        [[[1], [3, 3, 3]], [[]]]
        """
        size, splits = count_of("batch_size", batch_size, least=1), np.dtype(row_splits_dtype)
        if splits not in (np.dtype(np.int32), np.dtype(np.int64)):
            raise InvalidArgumentError(f"row_splits_dtype is {splits}: it must be int32 or int64")
        return self._made(RaggedBatch(self.node, size, bool(drop_remainder), ragged_ranks(self.node), splits))

    def sparse_batch(self, batch_size: int, row_shape: Sequence[int | None], name: str | None = None) -> Dataset:
        """Arrays of unequal shapes, at most of `row_shape`, as rows of a SparseTensor; all their values are in it.

        None or -1 in `row_shape` is the longest of the batch.

        Raises (when iterated):
            InvalidArgumentError: elements of several components, or of another rank.
            DataLossError: an element longer than a row.

        >>> lengths = Dataset.from_tensor_slices([1, 2]).map(lambda n: np.full(n, n))
        >>> [batch.to_dense().tolist() for batch in lengths.sparse_batch(2, [3])]
        [[[1, 0, 0], [2, 2, 0]]]
        """
        lengths = (None if each is None else count_of("row_shape", each, least=-1) for each in row_shape)
        shape = tuple(None if each == -1 else each for each in lengths)
        return self._made(SparseBatch(self.node, count_of("batch_size", batch_size, least=1), shape))

    def rebatch(
        self, batch_size: int | Sequence[int], drop_remainder: bool = False, name: str | None = None
    ) -> Dataset:
        """The rows of batches in batches of other sizes: of one, or of several in turn.

        A size of 0 gives a batch of no rows, also behind the last row, once there was a row. `drop_remainder` leaves
        out a last batch that is smaller than it should be.

        Raises:
            InvalidArgumentError: a size below 0, or none above.

        >>> [batch.tolist() for batch in Dataset.range(7).batch(3).rebatch([1, 2])]
        [[0], [1, 2], [3], [4, 5], [6]]
        """
        given = np.reshape(np.asarray(batch_size, object), -1).tolist()
        sizes = tuple(count_of("batch_size", each, least=0) for each in given)
        if not any(sizes):
            raise InvalidArgumentError(f"batch_size is {batch_size!r}: a size above 0 is needed")
        return self._made(Rebatch(Unbatch(self.node), sizes, bool(drop_remainder)))

    def bucket_by_sequence_length(
        self,
        element_length_func: Callable[..., Any] | str,
        bucket_boundaries: Sequence[int],
        bucket_batch_sizes: Sequence[int],
        padded_shapes: Any = None,
        padding_values: Any = None,
        pad_to_bucket_boundary: bool = False,
        no_padding: bool = False,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Padded batches of elements of about one length, which `element_length_func` gives.

        Bucket k holds lengths from boundary k - 1 to below boundary k; the last one holds all that are longer. A batch
        comes out when its bucket is full, and at the end what is left, the bucket of the shortest first, unless
        `drop_remainder`.

        Args:
            bucket_batch_sizes: how many make a batch, one entry a bucket: one more than there are boundaries.
            padded_shapes, padding_values: as for `padded_batch`.
            pad_to_bucket_boundary: what `padded_shapes` leaves to the longest of a batch gets the greatest length of
                its bucket, its boundary - 1. Without `padded_shapes` these are the dimensions that the spec leaves
                open, or, behind a function whose results have no spec, the first one of each component.
            no_padding: stack them as they are; they must be of one shape then.

        Raises:
            InvalidArgumentError: boundaries that do not grow, or another number of sizes. When iterated: with
                `pad_to_bucket_boundary`, an element as long as the last boundary or longer.

        >>> lengths = Dataset.from_tensor_slices([1, 5, 2, 7, 3]).map(lambda n: np.full(n, n))
        >>> for batch in lengths.bucket_by_sequence_length(len, [4], [2, 2]):
        ...     print(batch.tolist())
        [[1, 0], [2, 2]]
        [[5, 5, 5, 5, 5, 0, 0], [7, 7, 7, 7, 7, 7, 7]]
        [[3, 3, 3]]
        """
        lengths = UserFunction.of(element_length_func, "bucket_by_sequence_length")
        boundaries, sizes = sizes_given(bucket_boundaries, bucket_batch_sizes)
        shapes, values, shapes_nest, values_nest = padding_arguments(padded_shapes, padding_values)
        to_boundary = bool(pad_to_bucket_boundary) and not no_padding
        if to_boundary and shapes is None:
            shapes, shapes_nest = known_shapes(self.node) or (None, None)
        tagged = Tagged(self.node, lengths, NUMBER)
        return self._made(
            Bucket(
                tagged,
                boundaries,
                sizes,
                shapes,
                values,
                shapes_nest,
                values_nest,
                to_boundary,
                bool(no_padding),
                bool(drop_remainder),
            )
        )

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Datasets of `size` elements each, which are `stride` apart; each begins `shift` elements behind the last.

        `shift` is `size` unless it is given. At the end windows have fewer elements, unless `drop_remainder`. Of
        elements with several components each becomes a dataset, nested as they are: `zip` puts them together again.
        A window is what the function of `flat_map` gets, and what iterating gives; it cannot be batched itself.

        Raises:
            InvalidArgumentError: a number below 1. When iterated: a window of elements of unlike structure or dtype.

        >>> windows = Dataset.range(7).window(3, shift=2)
        >>> [[int(x) for x in window] for window in windows]
        [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6]]
        >>> list(Dataset.range(5).window(3, shift=1, drop_remainder=True).flat_map(lambda window: window.batch(3)))
        [array([0, 1, 2]), array([1, 2, 3]), array([2, 3, 4])]
        """
        length = count_of("size", size, least=1)
        moved = length if shift is None else count_of("shift", shift, least=1)
        return self._made(Window(self.node, length, moved, count_of("stride", stride, least=1), bool(drop_remainder)))

    def group_by_window(
        self,
        key_func: Callable[..., Any] | str,
        reduce_func: Callable[..., Any] | str,
        window_size: int | None = None,
        window_size_func: Callable[..., Any] | str | None = None,
        name: str | None = None,
    ) -> Dataset:
        """The elements of the datasets that `reduce_func(key, window)` makes of windows of elements of one key.

        `key_func` gives the key of an element, a whole number. A window is complete with `window_size` elements, or
        with as many as `window_size_func(key)` says for its first one; at the end those that are left come, in the
        order of their keys.

        Raises:
            InvalidArgumentError: both of `window_size` and `window_size_func`, or none. When iterated: a key that is
                no whole number, a size below 1.
            ResourceExhaustedError (when iterated): windows that are not full take more than Options(buffer_bytes=...).

        >>> numbers = Dataset.range(7).group_by_window(lambda x: x % 2, lambda key, window: window.batch(3), 3)
        >>> list(numbers)
        [array([0, 2, 4]), array([1, 3, 5]), array([6])]
        """
        if (window_size is None) == (window_size_func is None):
            raise InvalidArgumentError("group_by_window needs window_size or window_size_func, and only one of them")
        tagged = Tagged(self.node, UserFunction.of(key_func, "group_by_window"), NUMBER)
        if window_size_func is not None:
            tagged = Tagged(tagged, UserFunction.of(window_size_func, "group_by_window"), SIZE)
        size = None if window_size is None else count_of("window_size", window_size, least=1)
        return self._made(FlatMap(WindowByKey(tagged, size), UserFunction.of(reduce_func, "group_by_window")))
