"""Drawing chains: a source, or several that come together, and operators behind it."""

from __future__ import annotations

from dataclasses import replace

from headrace import Options

from .chain import Chain, Dice, Files
from .groups import GROUPS
from .joining import JOINS
from .keeping import KEEPS
from .operators import OPERATORS
from .sources import source

__all__ = ["drawn"]

ALL = (*OPERATORS, *GROUPS, *JOINS, *KEEPS)
#: More elements than these are cut off, and no chain reads its source more often: what is wrong shows with few.
MOST, LEAVES = 60, 4


def drawn(dice: Dice, files: Files) -> Chain:
    """A chain of up to eight operators, with a seed of its own."""
    chain = source(dice, files)
    for _ in range(dice.randint(1, 8)):
        chain = _longer(dice, files, chain)
    options = Options(seed=dice.randint(0, 9))
    if not chain.sure and dice.randint(0, 5) == 0:
        options.on_error, options.error_budget = "skip", dice.choice((None, 3))
    words = f"options({options.seed}, {options.on_error}, {options.error_budget})"
    return chain.then(words, chain.dataset.with_options(options), kind=chain.kind, rows=chain.rows)


def _longer(dice: Dice, files: Files, chain: Chain) -> Chain:
    """One operator more: the first drawn that fits."""
    while True:
        longer = dice.choice(ALL)(dice, files, chain)
        if longer is not None and longer.leaves <= LEAVES:
            break
    if longer.most <= MOST:
        return longer
    count = dice.randint(20, 40)
    cut = longer.then(f"take({count})", longer.dataset.take(count), most=count)
    return replace(cut, kind=longer.kind, rows=longer.rows)
