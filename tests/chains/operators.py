"""Operators on elements and their order: what chains go on with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .chain import Chain, Dice, Files
from .functions import CHANGES, INNER, changed, classed, datasets, keeps, total
from .kinds import NUMBER, TEXT, Kind, Leaf, Nest, over

__all__ = ["OPERATORS", "Operator"]

#: Puts itself behind a chain; None where it does not fit.
Operator = Callable[[Dice, Files, Chain], Chain | None]


def _salt(dice: Dice) -> int:
    return dice.randint(0, 99)


def _fails(dice: Dice) -> int:
    return dice.choice((0, 0, 0, 0, 7))


def _map(dice: Dice, files: Files, chain: Chain) -> Chain:
    name, salt, fails = dice.choice(tuple(CHANGES)), _salt(dice), _fails(dice)
    noisy = dice.choice((False, False, True))
    kinds: dict[str, Kind] = {
        "raised": chain.kind,
        "number": NUMBER,
        "row": Leaf("int64", (None,)),
        "text": TEXT,
        "longer": Nest("tuple", (chain.kind, Leaf("int32", (None,)))),
        "worded": Nest("dict", (chain.kind, TEXT), ("of", "text")),
        "texts": Nest("dict", (chain.kind, Leaf("bytes", (None,))), ("of", "texts")),
        "paired": Nest("named", (chain.kind, Leaf("float32")), ("first", "second")),
        "listed": Nest("tuple", (chain.kind, Leaf("uint8", (2, None)))),
    }
    kind = Nest("tuple", (kinds[name], NUMBER)) if noisy else kinds[name]
    made = chain.dataset.map(changed(name, chain.spread, salt, fails, noisy))
    words = f"map({name}, {salt}, {fails}, {noisy})"
    return chain.then(words, made, kind=kind, sure=chain.sure and not fails, numbered=chain.numbered)


def _filter(dice: Dice, files: Files, chain: Chain) -> Chain:
    salt, of, fails, noisy = _salt(dice), dice.choice((2, 3, 5, 7, 9, 0)), _fails(dice), dice.choice((False, True))
    made = chain.dataset.filter(keeps(chain.spread, salt, of, fails, noisy))
    return chain.then(f"filter({salt}, {of}, {fails}, {noisy})", made, sure=chain.sure and not fails)


def _flat_map(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    name, salt = dice.choice(tuple(INNER)), _salt(dice)
    if chain.most > 30 or (not chain.plain and name in ("again", "nested")):
        return None
    kinds: dict[str, Kind] = {
        "counted": NUMBER,
        "again": chain.kind,
        "shuffled": Leaf("int64", (None,)),
        "sometimes": NUMBER,
        "nested": Nest("tuple", (NUMBER, chain.kind)),
        "lines": TEXT,
    }
    function = datasets(name, chain.spread, salt, files.texts)
    changes = {"kind": kinds[name], "most": 5 * chain.most, "sure": chain.sure and name != "sometimes"}
    if dice.choice((True, False)):
        return chain.then(f"flat_map({name}, {salt})", chain.dataset.flat_map(function), **changes)
    cycle, block = dice.choice((None, 1, 2, 3)), dice.choice((None, 1, 2))
    words = f"interleave({name}, {salt}, {cycle}, {block})"
    return chain.then(words, chain.dataset.interleave(function, cycle, block), **changes)


def _unbatch(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.rows:
        return None
    kind = over(chain.kind, lambda leaf: Leaf(leaf.dtype, leaf.shape[1:]))
    return chain.then("unbatch", chain.dataset.unbatch(), kind=kind, most=4 * chain.most)


def _scan(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.plain:
        return None
    state = (np.int64(0), np.zeros(0, np.uint8))
    inner = Nest("tuple", (NUMBER, Leaf("uint8", (None,))))
    kind = Nest("dict", (chain.kind, inner), ("of", "sum"))
    return chain.then("scan", chain.dataset.scan(state, total), kind=kind, sure=False)


def _ignore_errors(dice: Dice, files: Files, chain: Chain) -> Chain:
    return chain.then("ignore_errors", chain.dataset.ignore_errors(), sure=True)


def _shuffle(dice: Dice, files: Files, chain: Chain) -> Chain:
    size, seed, anew = dice.choice((1, 2, 5, 9, 100)), dice.choice((None, 4)), dice.choice((True, True, False))
    return chain.then(f"shuffle({size}, {seed}, {anew})", chain.dataset.shuffle(size, seed, anew))


def _global_shuffle(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.numbered:
        return None
    return chain.then("global_shuffle", chain.dataset.global_shuffle())


def _repeat(dice: Dice, files: Files, chain: Chain) -> Chain:
    times = dice.choice((0, 1, 2, 2, 3, None, None) if chain.sure else (2, 3))
    if times is None:
        taken = dice.randint(1, 50)
        made = chain.dataset.repeat().take(taken)
        return chain.then(f"repeat().take({taken})", made, most=taken)
    return chain.then(f"repeat({times})", chain.dataset.repeat(times), most=chain.most * times)


def _take(dice: Dice, files: Files, chain: Chain) -> Chain:
    count = dice.choice((-1, 1, 7, 20, 30))
    most = chain.most if count < 0 else min(count, chain.most)
    return chain.then(f"take({count})", chain.dataset.take(count), most=most, numbered=chain.numbered)


def _skip(dice: Dice, files: Files, chain: Chain) -> Chain:
    count = dice.randint(-1, 4)
    return chain.then(f"skip({count})", chain.dataset.skip(count), numbered=chain.numbered)


def _shard(dice: Dice, files: Files, chain: Chain) -> Chain:
    count = dice.randint(1, 3)
    index = dice.randint(0, count - 1)
    return chain.then(f"shard({count}, {index})", chain.dataset.shard(count, index), numbered=chain.numbered)


def _enumerate(dice: Dice, files: Files, chain: Chain) -> Chain:
    start = dice.randint(-2, 7)
    return chain.then(f"enumerate({start})", chain.dataset.enumerate(start), kind=Nest("tuple", (NUMBER, chain.kind)))


def _take_while(dice: Dice, files: Files, chain: Chain) -> Chain:
    salt, of, fails = _salt(dice), dice.choice((20, 50)), _fails(dice)
    made = chain.dataset.take_while(keeps(chain.spread, salt, of, fails))
    return chain.then(f"take_while({salt}, {of}, {fails})", made, sure=chain.sure and not fails)


def _unique(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not isinstance(chain.kind, Leaf) or chain.kind.shape or not chain.plain:
        return None
    return chain.then("unique", chain.dataset.unique())


def _resample(dice: Dice, files: Files, chain: Chain) -> Chain:
    salt, fails, initial = _salt(dice), _fails(dice), dice.choice((None, [0.5, 0.5]))
    classes = classed(chain.spread, salt, 2, fails)
    made = chain.dataset.rejection_resample(classes, [0.3, 0.7], initial, seed=dice.choice((None, 2)))
    kind = Nest("tuple", (NUMBER, chain.kind))
    return chain.then(f"rejection_resample({salt}, {fails}, {initial})", made, kind=kind, sure=chain.sure and not fails)


def _prefetch(dice: Dice, files: Files, chain: Chain) -> Chain:
    size = dice.choice((0, 2, None))
    return chain.then(f"prefetch({size})", chain.dataset.prefetch(size))


def _assert_cardinality(dice: Dice, files: Files, chain: Chain) -> Chain | None:
    if not chain.sure or dice.choice((True, True, False)):
        return None
    count = dice.randint(0, 20)
    made = chain.dataset.assert_cardinality(count)
    return chain.then(f"assert_cardinality({count})", made, sure=False)


OPERATORS: tuple[Operator, ...] = (
    _map,
    _map,
    _map,
    _map,
    _filter,
    _filter,
    _flat_map,
    _flat_map,
    _unbatch,
    _unbatch,
    _unbatch,
    _scan,
    _ignore_errors,
    _shuffle,
    _shuffle,
    _shuffle,
    _global_shuffle,
    _repeat,
    _repeat,
    _take,
    _skip,
    _shard,
    _enumerate,
    _take_while,
    _unique,
    _resample,
    _prefetch,
    _assert_cardinality,
)
