"""A parse specification, compiled: the program that the kernel runs, and the columns that come out of its pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from .columns import Column
from .composing import Found, Varying, alone, composed, keys_of
from .errors import InvalidArgumentError
from .features import FixedLenFeature, FixedLenSequenceFeature, wire_kind
from .kernels import example as kernels
from .parts import Fixed, Names, Variable, malformed, program_of, sequences
from .spec import DType

__all__ = ["Parser", "Spec", "checked_features", "variable_parts"]

Spec: TypeAlias = FixedLenFeature | Varying
Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.int64]


class Parser:
    """Parses Examples by one specification; it holds nothing that changes, so threads can share it."""

    def __init__(self, features: Mapping[str, Spec], message: str = "tf.train.Example") -> None:
        self.message = message
        fixed = {name: spec for name, spec in features.items() if isinstance(spec, FixedLenFeature)}
        self._varying = {name: spec for name, spec in features.items() if not isinstance(spec, FixedLenFeature)}
        varying, self._lent = variable_parts(self._varying, fixed)
        self.parts: list[Fixed | Variable] = []
        self.width = 0  # words of the pool that a row has
        # In the order of the keys in most files; the kernel looks at the next one first.
        for name in sorted({*fixed, *varying}, key=str.encode):
            known = name in fixed
            part = Fixed(name, fixed[name], self.width) if known else Variable(name, varying[name], self.width)
            self.parts.append(part)
            self.width += part.words
        self.program = program_of(self.parts, self.width)
        self._fixed = [part for part in self.parts if isinstance(part, Fixed)]
        self._variable = [part for part in self.parts if isinstance(part, Variable)]
        self._order = list(features)

    def one(self, serialized: bytes, who: str) -> dict[str, Any]:
        """One Example; `who` is how errors call it."""
        data = np.frombuffer(serialized, np.uint8)
        pool = np.empty(self.width + len(self.parts), np.int64)
        code, _, feature, state = kernels.parse_one(data, self.program, pool)
        if code != kernels.OK:
            self._refuse(code, feature, state, who)
        found = {part.name: part.one(pool, serialized, who) for part in self._fixed}
        if self._varying:
            columns = self._composed(pool, 1, data, Names([who]))
            found |= {name: alone(column) for name, column in columns.items()}
        return {name: found[name] for name in self._order}

    def many(self, data: Bytes, splits: Words, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Examples that lie one behind the other, as a batch; `data` is read-only."""
        rows, called = len(splits) - 1, Names(names)
        pool = self._pool(data, splits, called)
        found = {part.name: part.many(pool, rows, data, called) for part in self._fixed}
        found |= self._composed(pool, rows, data, called)
        return {name: found[name] for name in self._order}

    def columns(self, data: Bytes, splits: Words) -> dict[str, Column] | None:
        """Each feature of what `one` gives for many Examples; None where a feature is more than one component."""
        if not all(
            isinstance(spec, FixedLenSequenceFeature) and spec.dtype is not bytes for spec in self._varying.values()
        ):
            return None
        rows, called = len(splits) - 1, Names(None)
        pool = self._pool(data, splits, called)
        found = {part.name: part.column(pool, rows, data, called) for part in self._fixed}
        steps = self._found(pool, rows, data, called)
        for name, spec in self._varying.items():
            assert isinstance(spec, FixedLenSequenceFeature)  # looked at above
            found[name] = sequences(steps.steps(name, spec), spec.shape)
        return found

    def _pool(self, data: Bytes, splits: Words, who: Names) -> Words:
        """What the kernel leaves of many Examples."""
        pool = np.empty((len(splits) - 1) * self.width + len(self.parts), np.int64)
        code, row, feature, state = kernels.parse_many(data, splits, self.program, pool)
        if code != kernels.OK:
            self._refuse(code, feature, state, who[row])
        return pool

    def _found(self, pool: Words, rows: int, data: Bytes, who: Names) -> Found:
        return Found({part.name: part.rows(pool, rows, data, who) for part in self._variable}, self._lent, who)

    def _composed(self, pool: Words, rows: int, data: Bytes, who: Names) -> dict[str, Any]:
        found = self._found(pool, rows, data, who)
        return {name: composed(name, spec, found) for name, spec in self._varying.items()}

    def _refuse(self, code: int, feature: int, state: int, who: str) -> NoReturn:
        if code == kernels.MALFORMED:
            malformed(who, self.message)
        raise InvalidArgumentError(f"{who}: {self.parts[feature].complaint(code, state)}")


def variable_parts(
    features: Mapping[str, Varying], fixed: Mapping[str, FixedLenFeature]
) -> tuple[dict[str, DType], set[str]]:
    """The dtype of each feature that a specification reads, and which of them are read more than once.

    Raises:
        InvalidArgumentError: one feature is to be of two kinds.
    """
    found: dict[str, DType] = {}
    lent: set[str] = set()
    for name, spec in features.items():
        for key, dtype in keys_of(name, spec).items():
            if key in fixed or (key in found and wire_kind(found[key]) != wire_kind(dtype)):
                raise InvalidArgumentError(
                    f"feature {key!r} is read as two kinds of feature, once by {name!r}: {spec!r}. "
                    "Parse a second time for the other"
                )
            if key in found:
                lent.add(key)
            found.setdefault(key, dtype)
    return found, lent


def checked_features(features: Mapping[str, Spec]) -> Mapping[str, Spec]:
    """A specification, as it is.

    Raises:
        InvalidArgumentError: it is none.
    """
    for name, spec in features.items():
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a feature's name must be str, {name!r} is not")
        if not isinstance(spec, Spec):
            raise InvalidArgumentError(f"feature {name!r} is {spec!r}: use FixedLenFeature, VarLenFeature or another")
        if isinstance(spec, FixedLenSequenceFeature) and not spec.allow_missing:
            raise InvalidArgumentError(
                f"feature {name!r}: a FixedLenSequenceFeature of an Example has length 0 where it is absent, so it "
                "needs allow_missing=True"
            )
    return features
