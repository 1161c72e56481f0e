"""The four iterators, what all have in common, and Optional."""

from __future__ import annotations

from typing import Any

import numpy as np

import headrace as hr
from headrace import Dataset, FailedPreconditionError, InvalidArgumentError, OutOfRangeError, TensorSpec

from .elements import fails_at
from .row import Raises, Row, Way, simple

__all__ = ["ROWS"]

NUMBER = TensorSpec((), np.int64)


def one_shot(way: Way, dataset: Dataset) -> Any:
    return dataset.make_one_shot_iterator(way.service)


def closed(iterator: Any, do: Any) -> Any:
    """What a function makes of an iterator, which is closed then."""
    with iterator:
        return do(iterator)


def kinds(iterator: Any, count: int) -> list[Any]:
    """What so many calls of get_next give: elements, and kinds of errors."""
    found: list[Any] = []
    for _ in range(count):
        try:
            found.append(simple(iterator.get_next()))
        except hr.HeadraceError as error:
            found.append(type(error))
    return found


def initializable(way: Way) -> Any:
    stop = hr.placeholder(np.int64, (), "stop")
    return Dataset.range(stop).make_initializable_iterator(way.service)


def initialized(way: Way, *values: dict[str, Any]) -> list[list[int]]:
    """What an initializable iterator gives after each initialization."""
    with initializable(way) as iterator:
        found = []
        for each in values:
            iterator.initialize(**each)
            found.append(list(map(simple, iterator)))
        return found


def structured(way: Way, *datasets: Dataset, spec: Any = NUMBER) -> list[list[Any]]:
    """What a reinitializable iterator gives of each."""
    with hr.Iterator.from_structure(spec, way.service) as iterator:
        found = []
        for each in datasets:
            iterator.initialize(each)
            found.append(list(map(simple, iterator)))
        return found


def fed(way: Way, turns: str) -> list[Any]:
    """What a feedable iterator gives of a, from 0 to 2, and of b, from 10 on."""
    with one_shot(way, Dataset.range(2)) as a, one_shot(way, Dataset.range(10, 19)) as b:
        either, handles = hr.Iterator.from_string_handle(a.string_handle(), NUMBER), {"a": a, "b": b}
        found: list[Any] = []
        for each in turns:
            try:
                found.append(int(either.get_next(handle=handles[each].string_handle())))
            except OutOfRangeError:
                found.append(None)
        return found


def filled(way: Way, **values: Any) -> list[int]:
    """A dataset with a placeholder as its size of batches."""
    size = hr.placeholder(np.int64, (), "size")
    return way(Dataset.range(4).batch(size).bind(**values))


def resumed(way: Way, dataset: Dataset, at: int) -> list[Any]:
    """What comes behind a place, in another iterator."""
    with way.iterate(dataset) as first:
        for _ in range(at):
            next(first)
        token = first.state_dict()
    with way.iterate(dataset) as second:
        second.load_state_dict(token)
        return list(map(simple, second))


ONE_SHOT = [
    Row(
        "make_one_shot_iterator",
        "stays at its end",
        lambda way: closed(one_shot(way, Dataset.range(1)), lambda it: kinds(it, 3)),
        [0, OutOfRangeError, OutOfRangeError],
    ),
    Row(
        "make_one_shot_iterator",
        "each is the next pass",
        lambda way: (lambda d: [closed(one_shot(way, d), lambda it: it.epoch) for _ in range(2)])(Dataset.range(1)),
        [0, 1],
    ),
    Row(
        "make_one_shot_iterator",
        "next() raises StopIteration",
        lambda way: closed(one_shot(way, Dataset.range(1)), lambda it: [next(it, None), next(it, None)]),
        [0, None],
    ),
]
INITIALIZABLE = [
    Row(
        "make_initializable_iterator",
        "as often as wanted",
        lambda way: initialized(way, {"stop": 2}, {"stop": 3}, {"stop": 0}),
        [[0, 1], [0, 1, 2], []],
    ),
    Row(
        "make_initializable_iterator",
        "use before it is initialized",
        lambda way: initializable(way).get_next(),
        Raises(FailedPreconditionError),
    ),
    Row(
        "make_initializable_iterator",
        "a value for no placeholder",
        lambda way: initialized(way, {"other": 2}),
        Raises(InvalidArgumentError),
    ),
    Row(
        "make_initializable_iterator",
        "a value of another dtype",
        lambda way: initialized(way, {"stop": "a"}),
        Raises(InvalidArgumentError),
    ),
]
REINITIALIZABLE = [
    Row(
        "from_structure",
        "one dataset after the other",
        lambda way: structured(way, Dataset.range(2), Dataset.range(7, 9)),
        [[0, 1], [7, 8]],
    ),
    Row(
        "from_structure",
        "another structure is refused",
        lambda way: structured(way, Dataset.range(2).enumerate()),
        Raises(InvalidArgumentError),
    ),
    Row(
        "from_structure",
        "another dtype, too",
        lambda way: structured(way, Dataset.range(2, output_type=np.int32)),
        Raises(InvalidArgumentError),
    ),
    Row(
        "from_structure",
        "None is any length",
        lambda way: structured(way, Dataset.range(3).batch(2), spec=TensorSpec((None,), np.int64)),
        [[[0, 1], [2]]],
    ),
    Row(
        "from_structure",
        "use before it is initialized",
        lambda way: hr.Iterator.from_structure(NUMBER, way.service).get_next(),
        Raises(FailedPreconditionError),
    ),
]
FEEDABLE = [
    Row("from_string_handle", "each keeps its place", lambda way: fed(way, "abba"), [0, 10, 11, 1]),
    Row("from_string_handle", "one may have ended", lambda way: fed(way, "aaaba"), [0, 1, None, 10, None]),
    Row(
        "from_string_handle",
        "a handle of none",
        lambda way: hr.Iterator.from_string_handle("none", NUMBER),
        Raises(FailedPreconditionError),
    ),
    Row("string_handle", "is text", lambda way: type(iter(Dataset.range(1)).string_handle()), str),
    Row(
        "string_handle",
        "is always the same",
        lambda way: closed(one_shot(way, Dataset.range(1)), lambda it: it.string_handle() == it.string_handle()),
        True,
    ),
    Row(
        "string_handle",
        "two iterators have their own",
        lambda way: (lambda d: iter(d).string_handle() == iter(d).string_handle())(Dataset.range(1)),
        False,
    ),
]
GET_NEXT = [
    Row("get_next", "is the next", lambda way: closed(way.iterate(Dataset.range(2)), lambda it: kinds(it, 2)), [0, 1]),
    Row(
        "get_next",
        "raises at the end",
        lambda way: closed(way.iterate(Dataset.range(0)), lambda it: it.get_next()),
        Raises(OutOfRangeError),
    ),
    Row(
        "get_next",
        "goes on behind an error",
        lambda way: closed(way.iterate(Dataset.range(3).map(fails_at(1))), lambda it: kinds(it, 4)),
        [0, hr.FunctionError, 2, OutOfRangeError],
    ),
    Row(
        "get_next_as_optional",
        "has the next",
        lambda way: closed(way.iterate(Dataset.range(1)), lambda it: int(it.get_next_as_optional().get_value())),
        0,
    ),
    Row(
        "get_next_as_optional",
        "has none at the end, again and again",
        lambda way: closed(
            way.iterate(Dataset.range(0)), lambda it: [it.get_next_as_optional().has_value() for _ in range(2)]
        ),
        [False, False],
    ),
    Row(
        "get_next_as_optional",
        "an element that fails raises",
        lambda way: closed(way.iterate(Dataset.range(3).map(fails_at(0))), lambda it: it.get_next_as_optional()),
        Raises(hr.FunctionError),
    ),
    Row(
        "element_spec of an iterator",
        "is its dataset's",
        lambda way: closed(way.iterate(Dataset.range(3).batch(2)), lambda it: it.element_spec),
        TensorSpec((None,), np.int64),
    ),
    Row(
        "element_spec of an iterator",
        "of a reinitializable one is given",
        lambda way: hr.Iterator.from_structure(NUMBER, way.service).element_spec,
        NUMBER,
    ),
    Row(
        "element_spec of an iterator",
        "of one that waits for values is not known",
        lambda way: initializable(way).element_spec,
        Raises(FailedPreconditionError),
    ),
    Row(
        "close",
        "may be called twice",
        lambda way: closed(one_shot(way, Dataset.range(3)), lambda it: (it.close(), it.close())),
        (None, None),
    ),
    Row(
        "close",
        "at the end of a with block",
        lambda way: closed(one_shot(way, Dataset.range(3)), lambda it: int(next(it))),
        0,
    ),
    Row("close", "one that was not initialized, too", lambda way: initializable(way).close(), None),
]
OPTIONAL = [
    Row("Optional", "has its value", lambda way: (hr.Optional(3).has_value(), hr.Optional(3).get_value()), (True, 3)),
    Row("Optional", "of none has none", lambda way: hr.Optional().has_value(), False),
    Row("Optional", "of none raises", lambda way: hr.Optional().get_value(), Raises(InvalidArgumentError)),
]
PLACEHOLDERS = [
    Row("placeholder", "stands for an argument", lambda way: filled(way, size=3), [[0, 1, 2], [3]]),
    Row("placeholder", "needs a value", lambda way: filled(way), Raises(InvalidArgumentError)),
    Row("placeholder", "checks its shape", lambda way: filled(way, size=[1, 2]), Raises(InvalidArgumentError)),
    Row("bind", "gives a dataset as any other", lambda way: filled(way, size=2), [[0, 1], [2, 3]]),
    Row("bind", "refuses names of none", lambda way: filled(way, size=2, other=3), Raises(InvalidArgumentError)),
    Row("bind", "a value that an argument cannot be", lambda way: filled(way, size=0), Raises(InvalidArgumentError)),
]
RESUMING = [
    Row("state_dict", "goes on behind the element at hand", lambda way: resumed(way, Dataset.range(5), 3), [3, 4]),
    Row("state_dict", "at the beginning is all", lambda way: resumed(way, Dataset.range(2), 0), [0, 1]),
    Row(
        "state_dict",
        "in the middle of a shuffle",
        lambda way: (lambda d: resumed(way, d, 4) == way(d)[4:])(Dataset.range(20).shuffle(9, seed=1)),
        True,
    ),
    Row(
        "load_state_dict",
        "refuses another pipeline",
        lambda way: closed(
            way.iterate(Dataset.range(4)), lambda it: it.load_state_dict(iter(Dataset.range(5)).state_dict())
        ),
        Raises(InvalidArgumentError),
    ),
    Row(
        "load_state_dict",
        "of in process, anywhere",
        lambda way: closed(
            way.iterate(Dataset.range(4)),
            lambda it: (it.load_state_dict(behind(Dataset.range(4), 3)), simple(next(it)))[1],
        ),
        3,
    ),
    Row(
        "load_state_dict",
        "refuses what is none",
        lambda way: closed(way.iterate(Dataset.range(4)), lambda it: it.load_state_dict({})),
        Raises(hr.HeadraceError),
    ),
]


def behind(dataset: Dataset, count: int) -> dict[str, Any]:
    """A state, from in process."""
    iterator = iter(dataset)
    for _ in range(count):
        next(iterator)
    return iterator.state_dict()


ROWS = [
    *ONE_SHOT,
    *INITIALIZABLE,
    *REINITIALIZABLE,
    *FEEDABLE,
    *GET_NEXT,
    *OPTIONAL,
    *PLACEHOLDERS,
    *RESUMING,
]
