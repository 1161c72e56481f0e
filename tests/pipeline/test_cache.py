"""cache: what the input gives in its first pass, in every pass, computed once where there is room."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgpack
import numpy as np
import pytest

import headrace as hr
from headrace import Dataset
from headrace.pipeline.local_run import LocalRun
from headrace.pipeline.operators.protocol import Signal
from headrace.pipeline.token import unpack_state

from ..conftest import assert_same
from .counted import Counted
from .resuming import resumes_everywhere

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]


def drawn(x: Any, rng: np.random.Generator) -> tuple[Any, int]:
    return x, int(rng.integers(1 << 30))


def fussy(x: Any) -> Any:
    if x % 4 == 2:
        raise ValueError(f"bad {x}")
    return x


def integers(elements: Iterable[Any]) -> list[int]:
    return [int(x) for x in elements]


def test_what_is_below_is_as_in_the_first_pass_and_what_is_behind_is_not(run: Run) -> None:
    """Orders and numbers drawn below stay; behind it they are new in every pass and epoch, in all ways of running."""
    below = Dataset.range(12).shuffle(5).map(drawn).filter(lambda x, _: bool(x != 7))
    chain = below.cache().shuffle(4).map(lambda x, y, rng: (x, y, rng.integers(1 << 30))).repeat(2).batch(4)
    chain = chain.with_options(hr.Options(seed=3))
    got = run(chain, 3)
    for epoch in range(3):
        assert_same(got[epoch], list(chain.iterate(epoch)))
    passes = [[(int(x), int(y), int(z)) for batch in epoch for x, y, z in zip(*batch, strict=True)] for epoch in got]
    passes = [half for epoch in passes for half in (epoch[:11], epoch[11:])]
    assert all({x: y for x, y, _ in each} == {x: y for x, y, _ in passes[0]} for each in passes)
    assert len({tuple(x for x, _, _ in each) for each in passes}) == 6, "the shuffle behind it"
    assert len({z for each in passes for _, _, z in each}) == 6 * 11, "what is drawn behind it"


def test_a_cache_does_not_change_the_first_pass() -> None:
    plain = Dataset.range(9).shuffle(9).map(drawn).with_options(hr.Options(seed=1))
    assert_same(list(plain.cache()), list(plain))
    assert integers(Dataset.range(5).shuffle(5, seed=2).repeat(2).cache()) == integers(
        Dataset.range(5).shuffle(5, seed=2).repeat(2)
    )


def test_each_function_runs_once_for_each_element_over_epochs_and_passes() -> None:
    count = Counted()
    numbers = Dataset.range(10).map(count).cache().repeat(3)
    for _ in range(4):
        assert integers(list(numbers)) == [x * x for x in range(10)] * 3
    assert count.calls == 10


def test_a_service_asks_workers_once(service: hr.Service) -> None:
    chain = Dataset.range(10).shuffle(10, seed=3).map(drawn).filter(lambda x, _: bool(x % 2)).cache().repeat(2)
    with service.iterate(chain) as iterator:
        epochs, ledgers = [], []
        for _ in range(3):
            epochs.append(list(iterator))
            ledgers.append(iterator.summary().ledger)
    assert_same(epochs[1:], epochs[:1] * 2)
    assert ledgers[0]["computed"] > 0
    assert [each["computed"] for each in ledgers[1:]] == [0, 0]
    assert [each["filtered"] for each in ledgers] == [10, 10, 10], "what was left out is a property of the stream"


def test_a_pass_that_was_not_read_to_its_end_is_computed_again() -> None:
    count = Counted()
    numbers = Dataset.range(10).map(count).cache()
    assert integers(list(islice(iter(numbers), 6))) == [0, 1, 4, 9, 16, 25]
    before = count.calls
    assert integers(list(numbers)) == [x * x for x in range(10)] == integers(list(numbers))
    assert count.calls == before + 10


def test_a_cache_is_complete_behind_the_last_known_element() -> None:
    """`take` never reads the end; how many there are is known, or, of records behind a filter, is not."""
    count = Counted()
    taken = Dataset.range(4).map(count).cache().take(4)
    assert integers(list(taken)) == integers(list(taken)) == [0, 1, 4, 9]
    assert count.calls == 4
    count.calls = 0
    taken = Dataset.range(4).map(count).filter(lambda _: True).cache().take(4)
    assert integers(list(taken)) == integers(list(taken)) == [0, 1, 4, 9]
    assert count.calls == 8
    claimed = Dataset.range(4).filter(lambda x: bool(x < 3)).assert_cardinality(2).cache().take(3)
    for _ in range(2):
        with pytest.raises(hr.FailedPreconditionError):
            list(claimed)


def test_what_fails_fails_in_its_place_in_every_pass(run: Run, outcomes: Outcomes) -> None:
    numbers = Dataset.range(8).map(fussy).cache()
    first, second = (outcomes(numbers.iterate(epoch)) for epoch in range(2))
    failed = hr.FunctionError
    told = [each if type(each) is not tuple else each[0] for each in first]
    assert told == [0, 1, failed, 3, 4, 5, failed, 7]
    assert first == second
    assert run(numbers.ignore_errors().repeat(2), 2) == [[0, 1, 3, 4, 5, 7] * 2] * 2
    iterator = numbers.iterate(2)
    assert integers([next(iterator), next(iterator)]) == [0, 1]
    with pytest.raises(hr.FunctionError) as raised:
        next(iterator)
    assert isinstance(raised.value.__cause__, ValueError)


def test_caches_over_caches_and_in_branches_and_in_datasets_of_elements(run: Run) -> None:
    inner = Dataset.range(6).shuffle(6).cache().shuffle(6).cache()
    both = Dataset.zip(inner, Dataset.range(6).shuffle(6).cache()).concatenate(Dataset.zip(inner, inner))
    nested = Dataset.range(3).flat_map(lambda x: Dataset.range(x, x + 3).shuffle(3).map(drawn).cache().repeat(2))
    chain = Dataset.zip(both.batch(3).repeat(), nested).with_options(hr.Options(seed=6))
    got = run(chain, 2)
    assert_same(got[0], list(chain.iterate(0)))
    assert_same(got[1], list(chain.iterate(1)))
    assert_same(got[0], got[1])
    assert len(got[0]) == 18
    runs = [[(int(x), int(y)) for _, (x, y) in got[0][at : at + 3]] for at in range(0, 18, 3)]
    assert runs[0::2] == runs[1::2], "the second pass of each dataset is the first"


def test_what_elements_are_stays(run: Run) -> None:
    """Text, dictionaries, numbers of unequal shapes, and no element at all."""
    words = Dataset.from_tensor_slices({"text": ["a", "", "ccc"], "x": np.ones((3, 2), np.uint8)}).cache()
    assert words.element_spec == {"text": hr.TensorSpec((), bytes), "x": hr.TensorSpec((2,), np.uint8)}
    assert words.cardinality() == 3
    assert Dataset.range(9).cache().repeat().cardinality() == hr.INFINITE_CARDINALITY
    assert Dataset.range(9).filter(lambda x: True).cache().cardinality() == hr.UNKNOWN_CARDINALITY
    mixed = Dataset.range(5).map(lambda x: np.arange(x) if x % 2 else (x, x)).cache()
    (got,) = run(mixed.repeat(2))
    assert_same(got, [(np.int64(x), np.int64(x)) if x % 2 == 0 else np.arange(x) for x in range(5)] * 2)
    (texts,) = run(words.repeat(2))
    assert [each["text"] for each in texts] == [b"a", b"", b"ccc"] * 2
    assert run(Dataset.range(0).cache().repeat(3)) == [[]]


def test_an_element_may_be_written_into() -> None:
    arrays = Dataset.range(3).map(lambda x: np.full(2000, x)).cache()
    for _ in range(3):
        for number, each in enumerate(arrays):
            assert (each == number).all()
            each[:] = -1


def test_what_takes_too_much_is_computed_again_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    count = Counted()
    numbers = Dataset.range(100).map(lambda x: np.full(100, count(x))).cache()
    small = numbers.with_options(hr.Options(buffer_bytes=20_000))
    for _ in range(3):
        assert [int(each[0]) for each in small] == [x * x for x in range(100)]
    assert count.calls == 300
    said = capsys.readouterr().err
    assert said.count("cache() would hold more than 20,000 bytes") == 1
    assert "Options(buffer_bytes=...)" in said
    count.calls = 0
    large = numbers.with_options(hr.Options(buffer_bytes=200_000))
    assert [len(list(large)) for _ in range(3)] == [100] * 3
    assert count.calls == 100
    assert capsys.readouterr().err == ""


def test_it_goes_on_behind_each_element(service: hr.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> Dataset:
        below = Dataset.range(9).shuffle(4).map(drawn).map(lambda x, y: (fussy(x), y))
        return below.cache().shuffle(3).map(lambda x, y, rng: (x, y, rng.integers(9))).repeat(2).batch(4)

    assert len(resumes_everywhere(make, service, monkeypatch)) == 4 + 4, "batches, and what failed"


def test_a_pass_from_memory_goes_on_behind_each_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is in memory, and where nothing is, as in another process."""
    monkeypatch.setattr("headrace.pipeline.local_run.LEAST_S", 0)
    monkeypatch.setattr("headrace.pipeline.local_run.SHARE", 0)
    cached = Dataset.range(12).map(lambda x: x * x).cache()
    dataset = cached.shuffle(4).with_options(hr.Options(seed=2))
    assert len(list(dataset)) == 12
    expected = integers(dataset.iterate(5))
    for at in range(13):
        iterator = dataset.iterate(5)
        before = integers(list(islice(iterator, at)))
        token = iterator.state_dict()
        here, elsewhere = dataset.iterate(0), cached.shuffle(4).with_options(hr.Options(seed=2)).iterate(0)
        for other in (here, elsewhere):
            other.load_state_dict(token)
            assert before + integers(list(other)) == expected


def test_a_state_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.pipeline.local_run.LEAST_S", 0)
    monkeypatch.setattr("headrace.pipeline.local_run.SHARE", 0)
    graph = Dataset.range(9).map(fussy).cache().shuffle(3).node
    run = LocalRun(graph, 1, 0, ".")
    for _ in range(3):
        run.pull(1)
    state = run.checkpoint()
    assert state is not None
    cached = state["operator"]["source"]["source"]
    assert cached["source"] is not None
    broken: list[Callable[[Any, Any], Any]] = [
        lambda state, cached: cached.update(ended=True),
        lambda state, cached: cached.update(given="all"),
        lambda state, cached: cached.update(source={"feed": {}}),
        lambda state, cached: cached.pop("branch"),
        lambda state, cached: state["held"]["runs"][0][1].__setitem__(1, 1 << 40),
        lambda state, cached: state["held"]["runs"][0][1].__setitem__(2, -1),
        lambda state, cached: state["held"]["runs"][0][1].__setitem__(4, ["numbers", 3, b""]),
    ]
    assert state["held"]["runs"][0][1][0] == "cached"
    for breaks in broken:
        wrong = copy.deepcopy(state)
        breaks(wrong, wrong["operator"]["source"]["source"])
        with pytest.raises(hr.HeadraceError):
            go_through(LocalRun(graph, 1, 0, "."), wrong)


def go_through(run: LocalRun, state: Any) -> None:
    """All from a state of element 3 on."""
    run.resume(unpack_state(msgpack.packb(state)), 3)
    while run.pull(1) is not Signal.END:
        pass


def test_explain_says_where_it_is() -> None:
    told = str(Dataset.range(5).map(drawn).cache().batch(2).explain())
    assert "broker: cache() > batch(2)" in told
