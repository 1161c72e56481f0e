"""Operators that keep elements: in memory, or in files of the folder in which a chain is run."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from headrace import Dataset, Options

from .chain import Chain, Dice, Files
from .functions import classed
from .operators import Operator

__all__ = ["KEEPS"]

#: Numbers what is saved, so that each has a folder of its own.
_SAVED = count()


def _cache(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    return chain.then("cache", chain.dataset.cache(), kind=chain.kind, rows=chain.rows) if chain.plain else None


def _file_cache(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain:
        return None
    name = f"kept{len(chain.words)}"
    made = chain.dataset.cache(name)
    return chain.then(f"cache({name})", made, kind=chain.kind, rows=chain.rows, files=True)


def _snapshot(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain:
        return None
    name, packed = f"kept{len(chain.words)}", dice.choice(("AUTO", "GZIP"))
    made = chain.dataset.snapshot(name, packed)
    return chain.then(f"snapshot({name}, {packed})", made, kind=chain.kind, rows=chain.rows, files=True)


def _saved(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    """Saved here and now, and loaded."""
    if not chain.plain or not chain.sure or chain.files:
        return None
    shards, packed = dice.choice((1, 1, 3)), dice.choice((None, None, "GZIP"))
    folder = str(Path(files.saved) / f"saved{next(_SAVED)}")
    given: dict[str, Any] = {"shard_func": classed(chain.spread, 5, shards)} if shards > 1 else {}
    chain.dataset.with_options(Options(seed=1)).save(folder, packed, **given)
    mixed = shards > 1 and dice.choice((True, False))
    made = Dataset.load(folder, reader_func=files_in_turn if mixed else None)
    words = f"save({shards}, {packed}) > load({mixed})"
    rows = {"rows": chain.rows, "numbered": packed is None and not mixed}
    return chain.then(words, made, kind=chain.kind, leaves=1, **rows)


def files_in_turn(loaded: Dataset) -> Dataset:
    """A block of elements of each file in turn."""
    return loaded.interleave(lambda file: file, cycle_length=2, block_length=2)


KEEPS: tuple[Operator, ...] = (_cache, _cache, _file_cache, _snapshot, _saved)
