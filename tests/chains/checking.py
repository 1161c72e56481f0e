"""Checks of a chain: every way of running it, from its start or from any place on, gives the same bytes and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import headrace as hr
from headrace.pipeline import local_run

from .chain import Chain, Dice
from .functions import plain

__all__ = ["DiffersError", "Found", "check", "outcomes"]

#: Elements and errors of a chain that are looked at.
MOST = 150
#: The epoch that is run: not the first, so that its number must have travelled.
EPOCH = 1
LOCAL = "in process"
#: Where an iterator was stopped: which way, behind how many elements, and its state.
Stopped: TypeAlias = tuple[str, int, Any]


class DiffersError(AssertionError):
    """Two ways of running a chain gave other things."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a chain gave."""

    elements: int
    errors: int


def outcomes(iterator: Iterator[Any], most: int) -> list[Any]:
    """The next elements, so many at most; of one that fails the kind, the first line and the place of its error."""
    found: list[Any] = []
    while len(found) < most:
        try:
            found.append(plain(next(iterator)))
        except StopIteration:
            break
        except hr.HeadraceError as error:
            found.append((type(error).__name__, error.describe().partition("\n")[0], error.where))
    return found


def check(chain: Chain, dice: Dice, services: Mapping[str, hr.Service]) -> Found:
    """Run it in process and on each service, stop each at random, and go on elsewhere.

    Raises:
        DiffersError: with the chain, the two ways, and where they part.
    """
    try:
        return _checked(chain, dice, services)
    except Exception as error:
        error.add_note(str(chain))
        raise


def _checked(chain: Chain, dice: Dice, services: Mapping[str, hr.Service]) -> Found:
    if chain.files:
        return _checked_in_folders(chain, dice, services)
    expected: list[Any] = []
    tokens: list[Stopped] = []
    with ExitStack() as stack:
        ways: dict[str, Any] = {LOCAL: chain.dataset.iterate(EPOCH)}
        for name, service in services.items():
            ways[name] = stack.enter_context(service.iterate(chain.dataset, epoch=EPOCH))
        for name, iterator in ways.items():
            expected = _run(name, iterator, dice, tokens, expected)
        if (way := dice.choice((*services, None))) is not None:
            _resumed(way, ways[way], dice.choice([each for each in tokens if each[0] != way]), expected)
        _resumed(LOCAL, chain.dataset.iterate(EPOCH), dice.choice(tokens), expected)
    return _counted(expected)


def _checked_in_folders(chain: Chain, dice: Dice, services: Mapping[str, hr.Service]) -> Found:
    """The same of a chain that writes files, one iterator at a time.

    Each way has a folder of its own, or reads what the first one left in its; a state is loaded where it was taken.
    """
    expected: list[Any] = []
    tokens: list[Stopped] = []
    with TemporaryDirectory() as root:
        folders = {name: Path(root, LOCAL if dice.randint(0, 2) == 0 else name) for name in (LOCAL, *services)}
        for name, folder in folders.items():
            with _iterator(chain, services.get(name), folder) as iterator:
                expected = _run(name, iterator, dice, tokens, expected)
        for way in (dice.choice((*services, LOCAL)), LOCAL):
            stopped = dice.choice(tokens)
            with _iterator(chain, services.get(way), folders[stopped[0]]) as iterator:
                _resumed(way, iterator, stopped, expected)
    return _counted(expected)


@contextmanager
def _iterator(chain: Chain, service: hr.Service | None, folder: Path) -> Iterator[Any]:
    """One in process or on a service, whose relative file names are in this folder."""
    folder.mkdir(exist_ok=True)
    with chdir(folder):
        iterator = chain.dataset.iterate(EPOCH) if service is None else service.iterate(chain.dataset, epoch=EPOCH)
    with closing(iterator):
        yield iterator


def _counted(expected: list[Any]) -> Found:
    errors = sum(type(each) is tuple for each in expected)
    return Found(len(expected) - errors, errors)


def _run(name: str, iterator: Any, dice: Dice, tokens: list[Stopped], expected: list[Any]) -> list[Any]:
    """What is expected from now on: what the first way gave. A token is taken on the way."""
    found, token = _stopped(iterator, dice.randint(0, len(expected) if tokens else 12))
    expected = expected if tokens else found
    tokens.append((name, *token))
    _same(name, found, expected)
    return expected


def _stopped(iterator: Any, at: int) -> tuple[list[Any], tuple[int, Any]]:
    """All that it gives; and behind how many elements it was stopped and told where it stands."""
    with _saved_at_every_pull():
        found = outcomes(iterator, at)
    token = json.loads(json.dumps(iterator.state_dict()))
    at = len(found)
    return found + outcomes(iterator, MOST - at), (at, token)


def _resumed(way: str, iterator: Any, stopped: Stopped, expected: list[Any]) -> None:
    """What comes behind that place is as it was."""
    name, at, token = stopped
    iterator.load_state_dict(token)
    _same(f"{way}, behind {at} of {name}", outcomes(iterator, MOST - at), expected[at:])


@contextmanager
def _saved_at_every_pull() -> Iterator[None]:
    """Checkpoints in process are taken each time, not now and then."""
    before = local_run.LEAST_S, local_run.SHARE
    local_run.LEAST_S, local_run.SHARE = 0.0, 0
    try:
        yield
    finally:
        local_run.LEAST_S, local_run.SHARE = before


def _same(way: str, found: list[Any], expected: list[Any]) -> None:
    if found == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), None)
    at = min(len(found), len(expected)) if at is None else at
    one, other = ("nothing" if at >= len(each) else repr(each[at])[:500] for each in (found, expected))
    raise DiffersError(f"{way}: {len(found)} for {len(expected)}; number {at} is\n  {one}\nand not\n  {other}")
