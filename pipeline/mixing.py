"""From what a user passed in to a graph that takes each element from one of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import InvalidArgumentError
from .nodes import Choose, Node, Sample, Take
from .probe import check_alike, known_specs

__all__ = ["chosen", "sampled"]


def chosen(choices: Node, sources: Sequence[Node], stop_on_empty: bool) -> Choose:
    """The elements of inputs as others number them.

    Raises:
        InvalidArgumentError: no input, inputs that are not alike, or choices that are no integers.
    """
    _check("choose_from_datasets", sources)
    found = known_specs(choices)
    if found is not None and (len(found) != 1 or found[0].shape != () or not _is_integer(found[0].dtype)):
        raise InvalidArgumentError(f"choice_dataset must give integers, one an element, not {found}")
    return Choose(choices, tuple(sources), stop_on_empty)


def _is_integer(dtype: Any) -> bool:
    return dtype is not bytes and np.dtype(dtype).kind in "iu"


def sampled(sources: Sequence[Node], weights: Any, seed: int | None, stop_on_empty: bool, anew: bool) -> Node:
    """The elements of inputs as drawn by weights: numbers, or a node of vectors, or None for equal ones.

    Raises:
        InvalidArgumentError: no input, inputs that are not alike, or weights that are not one from 0 for each.
    """
    _check("sample_from_datasets", sources)
    if not isinstance(weights, Node):
        numbers = _weights(weights, len(sources))
        sources = [each for each, weight in zip(sources, numbers, strict=True) if weight > 0] or [Take(sources[0], 0)]
        if len(sources) == 1:
            return sources[0]
        weights = tuple(each for each in numbers if each > 0)
    return Sample(tuple(sources), weights, seed, stop_on_empty, anew)


def _check(what: str, sources: Sequence[Node]) -> None:
    if not sources:
        raise InvalidArgumentError(f"{what} needs at least one dataset")
    for other in sources[1:]:
        check_alike(sources[0], other)


def _weights(given: Any, count: int) -> list[np.float64]:
    if given is None:
        return [np.float64(1)] * count
    try:
        weights = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"weights are {given!r:.80}: they must be numbers, or a dataset of vectors"
        ) from None
    if weights.shape != (count,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise InvalidArgumentError(f"weights are {given!r:.80}: give one number from 0 for each of {count} datasets")
    return list(weights)
