"""Resuming a pipeline at each of its elements, in process and on a service, with a checkpoint before every pull."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import headrace as hr
from headrace.pipeline import local_run

from ..conftest import assert_same


def outcome(iterator: Iterator[Any]) -> Any:
    """The next element, the kind of error and the first line of its text, or None at the end."""
    try:
        return next(iterator)
    except StopIteration:
        return None
    except hr.HeadraceError as error:
        return type(error), str(error).partition("\n")[0]


def outcomes(iterator: Iterator[Any], count: int = 1 << 20) -> list[Any]:
    """The next so many, or all."""
    found: list[Any] = []
    while len(found) < count and (each := outcome(iterator)) is not None:
        found.append(each)
    return found


def resumes_everywhere(
    make: Callable[[], hr.Dataset], service: hr.Service, monkeypatch: pytest.MonkeyPatch, plain: Any = lambda x: x
) -> list[Any]:
    """What the second epoch gives, after checking that it goes on behind each element, here and on the service.

    `plain` makes of an element what can be compared.
    """
    monkeypatch.setattr(local_run, "LEAST_S", 0)
    monkeypatch.setattr(local_run, "SHARE", 0)

    def dataset() -> hr.Dataset:
        return make().with_options(hr.Options(seed=4))

    def rest(iterator: Any) -> list[Any]:
        return [plain(each) for each in outcomes(iterator)]

    expected = rest(dataset().iterate(1))
    checkpoints = 0
    with service.iterate(dataset()) as served:
        for at in range(len(expected) + 1):
            first = dataset().iterate(1)
            before = [plain(each) for each in outcomes(first, at)]
            token = json.loads(json.dumps(first.state_dict()))
            checkpoints += bool(token["state"])
            here = dataset().iterate(0)
            here.load_state_dict(token)
            assert_same(before + rest(here), expected)
            served.load_state_dict(token)
            one = [plain(each) for each in outcomes(served, 1)]
            if at % 4 == 1:
                again = dataset().iterate(0)
                again.load_state_dict(json.loads(json.dumps(served.state_dict())))
                assert_same(rest(again), expected[at + 1 :])
            assert_same(one + rest(served), expected[at:])
    assert checkpoints
    return expected
