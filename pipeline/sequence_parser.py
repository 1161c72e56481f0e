"""A parser of tf.train.SequenceExamples: context features, and feature lists of any number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .composing import Found, alone, composed, keys_of, padded, value_key
from .errors import InvalidArgumentError
from .features import FixedLenSequenceFeature, VarLenFeature
from .kernels import example, feature_lists
from .kernels.places import places_in_steps
from .parser import Parser, Spec, variable_parts
from .parts import Names, Rows, Variable, Whose, malformed, program_of, words_of
from .ragged import RaggedTensor, splits_of_lengths
from .ragged_feature import RaggedFeature
from .sparse import SparseTensor

__all__ = ["SequenceParser"]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.int64]
#: Features that steps can have.
Listed: TypeAlias = VarLenFeature | FixedLenSequenceFeature | RaggedFeature


class Steps(NamedTuple):
    """The values of a feature list in all Examples, where those of each step begin, and the steps of each Example."""

    values: npt.NDArray[Any]
    inner: Words
    outer: Words


class _StepNames:
    """How errors call the steps of a list."""

    def __init__(self, who: Whose, outer: Words) -> None:
        self._who, self._outer = who, outer

    def __getitem__(self, row: int) -> str:
        owner = int(np.searchsorted(self._outer, row, "right")) - 1
        return f"{self._who[owner]}, step {row - int(self._outer[owner])}"


class SequenceParser:
    """Parses SequenceExamples by one specification; it holds nothing that changes, so threads can share it."""

    def __init__(self, context: Mapping[str, Spec], lists: Mapping[str, Listed]) -> None:
        self.context = Parser(context, "tf.train.SequenceExample")
        self._lists = dict(lists)
        parts, self._lent = variable_parts(self._lists, {})
        names = sorted(parts, key=str.encode)
        self._parts = [Variable(name, parts[name], i * Variable.words) for i, name in enumerate(names)]
        self._program = program_of(self._parts, len(names) * Variable.words)

    def one(self, serialized: bytes, who: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """One SequenceExample: its context and its lists."""
        context = self.context.one(serialized, who)
        splits = np.array([0, len(serialized)])
        lists, _ = self._many_lists(np.frombuffer(serialized, np.uint8), splits, Names([who]))
        return context, {name: alone(column) for name, column in lists.items()}

    def many(
        self, data: Bytes, splits: Words, names: Sequence[str] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Words]]:
        """SequenceExamples that lie one behind the other: contexts, lists, and the lengths of the padded lists."""
        context = self.context.many(data, splits, names)
        return context, *self._many_lists(data, splits, Names(names))

    def _many_lists(self, data: Bytes, splits: Words, who: Whose) -> tuple[dict[str, Any], dict[str, Words]]:
        spans = np.empty((len(splits) - 1) * len(self._parts) * Variable.words, np.int64)
        row = feature_lists.find_lists(data, splits, self._program, spans)
        if row >= 0:
            malformed(who[row], self.context.message)
        found = {part.name: self._steps(part, spans, data, who) for part in self._parts}
        columns = {name: self._column(name, spec, found, who) for name, spec in self._lists.items()}
        padded_lists = (name for name, spec in self._lists.items() if isinstance(spec, FixedLenSequenceFeature))
        return columns, {name: np.diff(found[name].outer) for name in padded_lists}

    def _steps(self, part: Variable, spans: Words, data: Bytes, who: Whose) -> Steps:
        rows = len(spans) // (Variable.words * len(self._parts))
        own = spans[rows * part.before : rows * (part.before + part.words)]
        counts = own[part.words - 1 :: part.words]
        spec = self._lists.get(part.name)
        if isinstance(spec, FixedLenSequenceFeature) and not spec.allow_missing and (counts < 0).any():
            raise InvalidArgumentError(
                f"{who[int(np.argmax(counts < 0))]}: feature list {part.name!r} is required but could not be found: "
                f"check the key, or use allow_missing=True"
            )
        outer = splits_of_lengths(np.maximum(counts, 0))
        inner = np.zeros(outer[-1] + 1, np.int64)
        self._take(part, own, data, outer, inner, np.empty(0, np.int64), who, decode=False)
        np.cumsum(inner, out=inner)
        words = np.empty(words_of(part.kind, int(inner[-1])), np.int64)
        # Counted, numbers of more than ten bytes are still numbers.
        self._take(part, own, data, outer, inner, words, who, decode=True)
        return Steps(part.taken(words, int(inner[-1]), data), inner, outer)

    def _take(
        self, part: Variable, own: Words, data: Bytes, outer: Words, inner: Words, out: Words, who: Whose, decode: bool
    ) -> None:
        code, row, step, state = feature_lists.take_steps(data, part.kind, own, outer, inner, out, decode)
        if code == example.MALFORMED:
            malformed(who[row], self.context.message)
        if code != example.OK:
            raise InvalidArgumentError(f"{who[row]}, step {step}: {part.complaint(code, state)}")

    def _column(self, name: str, spec: Listed, steps: Mapping[str, Steps], who: Whose) -> Any:
        outers = {key: steps[key].outer for key in keys_of(name, spec)}
        outer = outers[value_key(name, spec)]
        for key, other in outers.items():
            if (other != outer).any():
                row = int(np.argmax(other != outer)) - 1
                raise InvalidArgumentError(
                    f"{who[row]}: feature list {name!r} has {outer[row + 1] - outer[row]} steps and its partition "
                    f"{key!r} {other[row + 1] - other[row]}: each step needs its own"
                )
        rows = {key: Rows(each.values, each.inner) for key, each in steps.items()}
        found = Found(rows, self._lent, _StepNames(who, outer))
        if isinstance(spec, FixedLenSequenceFeature):
            return padded(Rows(found.equal(name, spec), outer), spec.default)
        if isinstance(spec, VarLenFeature):
            return _sparse(found.values(name, spec.dtype), outer)
        column: RaggedTensor = composed(name, spec, found)
        return RaggedTensor(column, outer.astype(column.row_splits.dtype))


def _sparse(steps: Rows, outer: Words) -> SparseTensor:
    """[Examples, steps, values]."""
    values, inner = steps
    indices = np.empty((len(values), 3), np.int64)
    places_in_steps(outer, inner, indices)
    sizes = len(outer) - 1, np.diff(outer).max(initial=0), np.diff(inner).max(initial=0)
    return SparseTensor(indices, values, np.array(sizes, np.int64))
