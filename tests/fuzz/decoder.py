"""A decoder as fuzzing sees it: a function of bytes that may raise nothing but typed errors, and real inputs for it."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headrace.pipeline.errors import HeadraceError
from headrace.pipeline.limits import Limits, enforce

from .mutation import Edit, cut_and_pasted

__all__ = ["Array", "Decoder", "Place", "a_folder", "anywhere", "under"]

Array: TypeAlias = npt.NDArray[Any]
#: Puts bytes into memory, uint8; `guard` has one that cannot be read beyond.
Place: TypeAlias = Callable[[bytes], Array]


def anywhere(data: bytes) -> Array:
    """Bytes where they are."""
    return np.frombuffer(data, np.uint8)


def a_folder() -> Path:
    """A new folder of this process, gone with it."""
    folder = mkdtemp(prefix="headrace-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def under(wanted: Limits) -> Iterator[None]:
    """Other limits than the usual ones, which are too large to be met often."""
    before = enforce(wanted)
    try:
        yield
    finally:
        enforce(before)


@dataclass(frozen=True, slots=True)
class Decoder:
    """One of them. `run` asserts what must hold of a result, beside that there is one."""

    name: str
    run: Callable[[bytes, Place], None]
    inputs: Callable[[], Sequence[bytes]]  #: Real ones, to be mutated.
    edits: Sequence[Edit] = (cut_and_pasted,)

    def survives(self, data: bytes, place: Place = anywhere) -> bool:
        """Run it; whether the input was taken. Any other exception than ours is a finding."""
        try:
            self.run(data, place)
        except HeadraceError as error:
            told = str(error)
        else:
            return True
        assert told, "an error says what it is"
        return False

    def changed(self, rng: Random) -> bytes:
        """A real input with changes."""
        inputs = self.inputs()
        return rng.choice(self.edits)(rng.choice(inputs), rng, inputs)
