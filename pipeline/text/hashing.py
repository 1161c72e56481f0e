"""Words to buckets by their hash."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidArgumentError
from ..kernels.farmhash import hash_buckets
from .texts import Array, Texts, each_text

__all__ = ["to_hash_bucket"]


def to_hash_bucket(text: Any, num_buckets: int) -> Any:
    """The bucket of each text, int64 from 0 to before `num_buckets`, nested as they are.

    It is the remainder of FarmHash's Fingerprint64, which depends on nothing but the bytes, never changes, and is
    what TensorFlow's `to_hash_bucket_fast` computes. Who chooses the text can choose the bucket.

    >>> to_hash_bucket(["Hello", "TensorFlow", "2.x"], 3).tolist()
    [0, 2, 2]

    Raises InvalidArgumentError: no bucket, or what is no text.
    """
    if not isinstance(num_buckets, int | np.integer) or not 0 < num_buckets < 1 << 63:
        raise InvalidArgumentError(f"num_buckets is {num_buckets!r}: it is a whole number from 1")

    def buckets(texts: Texts) -> Array:
        found = np.empty(len(texts.splits) - 1, np.int64)
        hash_buckets(texts.data, texts.splits, int(num_buckets), found)
        return found

    return each_text("to_hash_bucket", text, buckets)
