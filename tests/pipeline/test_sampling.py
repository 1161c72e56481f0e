"""sample_from_datasets and choose_from_datasets: each element from one of several inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError, TensorSpec

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]

sample, choose = Dataset.sample_from_datasets, Dataset.choose_from_datasets


def tens(k: int, count: int = 10) -> Dataset:
    """`count` numbers from 10 * k."""
    return Dataset.range(10 * k, 10 * k + count)


def fussy(x: Any) -> Any:
    if x % 5 == 2:
        raise ValueError(f"bad {x}")
    return x


class TestChoose:
    def test_elements_come_as_they_are_numbered(self, run: Run) -> None:
        choices = Dataset.from_tensor_slices(np.array([2, 0, 0, 1, 2, 0]))
        assert run(choose([tens(1), tens(2), tens(3)], choices))[0] == [30, 10, 11, 20, 31, 12]

    def test_one_that_has_ended_ends_all_unless_it_is_passed_over(self, run: Run) -> None:
        choices = Dataset.range(2).repeat(4)
        assert run(choose([tens(1, 2), tens(2)], choices))[0] == [10, 20, 11, 21]
        passed_over = choose([tens(1, 2), tens(2)], choices, stop_on_empty_dataset=False)
        assert run(passed_over)[0] == [10, 20, 11, 21, 22, 23]
        short = choose([tens(1, 2), tens(2, 1)], Dataset.range(2).repeat(), stop_on_empty_dataset=False)
        assert run(short)[0] == [10, 20, 11]  # all have ended, the choices have not

    def test_inputs_behind_buffers_and_functions(self, run: Run) -> None:
        one = tens(0, 300).shuffle(50, seed=1).map(lambda x: x * 2)
        other = tens(100, 300).filter(lambda x: bool(x % 3)).batch(1).unbatch()
        (got,) = run(choose([one, other], Dataset.random(seed=3).map(lambda x: x % 2), stop_on_empty_dataset=False))
        evens = [x for x in got if x < 1000]
        assert sorted(evens) == [2 * x for x in range(300)]
        assert [x for x in got if x >= 1000] == [x for x in range(1000, 1300) if x % 3]

    def test_a_wrong_choice_fails_in_its_place(self, outcomes: Outcomes, service: hr.Service) -> None:
        choices = Dataset.from_tensor_slices(np.array([0, 3, 1, -1, 0]))
        dataset = choose([tens(1), tens(2)], choices)
        got = outcomes(iter(dataset))
        assert [each if isinstance(each, np.int64) else each[0] for each in got] == [
            10,
            InvalidArgumentError,
            20,
            InvalidArgumentError,
            11,
        ]
        assert "the choice np.int64(3) is none of 0 to 1" in got[1][1]
        with service.iterate(dataset) as iterator:
            assert outcomes(iterator) == got
        no_integer = outcomes(iter(choose([tens(1), tens(2)], Dataset.range(2).map(lambda x: (x, x)))))
        assert [each[0] for each in no_integer] == [InvalidArgumentError] * 2

    def test_what_fails_takes_its_choice_along(self, outcomes: Outcomes, service: hr.Service) -> None:
        dataset = choose([tens(1, 4).map(fussy), tens(2)], Dataset.range(2).map(fussy).repeat(3))
        got = outcomes(iter(dataset))
        assert [each if isinstance(each, np.int64) else "bad" for each in got] == [10, 20, 11, 21, "bad", 22]
        with service.iterate(dataset) as iterator:
            assert [str(each).partition("\n")[0] for each in outcomes(iterator)] == [
                str(each).partition("\n")[0] for each in got
            ]

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(InvalidArgumentError, match="differ in dtype"):
            choose([tens(1), Dataset.from_tensors(np.float32(1))], tens(0))
        with pytest.raises(InvalidArgumentError, match="at least one dataset"):
            choose([], tens(0))
        with pytest.raises(InvalidArgumentError, match="choice_dataset must give integers"):
            choose([tens(1)], Dataset.from_tensors(np.float32(1)))
        with pytest.raises(InvalidArgumentError, match="needs a Dataset, not int"):
            choose([tens(1)], 3)  # type: ignore[arg-type]

    def test_how_many_and_what(self) -> None:
        dataset = choose([tens(1), tens(2)], tens(0, 2))
        assert dataset.cardinality() == hr.UNKNOWN_CARDINALITY
        assert dataset.element_spec == TensorSpec((), np.int64)
        endless = [tens(1).repeat(), Dataset.counter()]
        assert choose(endless, Dataset.range(2).repeat()).cardinality() == hr.INFINITE_CARDINALITY
        assert choose(endless, Dataset.range(2)).cardinality() == hr.UNKNOWN_CARDINALITY


class TestSample:
    def test_all_elements_come_each_input_in_its_order(self, run: Run) -> None:
        first, second = run(sample([tens(1), tens(2, 5), tens(3)], seed=2), 2)
        assert first == second  # draws are the same in every epoch
        for k, count in ((1, 10), (2, 5), (3, 10)):
            assert [x for x in first if x // 10 == k] == list(range(10 * k, 10 * k + count))
        assert first != sorted(first)

    def test_draws_follow_seed_epoch_and_pass(self, run: Run) -> None:
        def inputs() -> list[Dataset]:
            return [Dataset.counter(k, 0) for k in range(2)]

        anew = sample(inputs(), seed=2, rerandomize_each_iteration=True).take(20).repeat(2)
        first, second = run(anew, 2)
        assert len({tuple(each) for each in (first[:20], first[20:], second[:20], second[20:])}) == 4
        assert [
            list(sample(inputs(), seed=2, rerandomize_each_iteration=True).take(20).iterate(e)) for e in (0, 1)
        ] != [first[:20]] * 2
        kept = sample(inputs(), seed=2).take(20).repeat(2)
        assert list(kept)[:20] == list(kept)[20:] != list(sample(inputs(), seed=3).take(20))

    def test_weights_say_how_often(self, run: Run) -> None:
        endless = [Dataset.counter(k, 0) for k in range(3)]
        got = list(sample(endless, [0.6, 0.3, 0.1], seed=1).take(20_000))
        counts = np.bincount(got, minlength=3) / 20_000
        np.testing.assert_allclose(counts, [0.6, 0.3, 0.1], atol=0.02)  # a standard deviation is below 0.0035
        weights = Dataset.from_tensor_slices(np.array([[1, 0], [0, 2], [1, 0], [0, 1]]))
        assert run(sample([tens(1), tens(2)], weights, seed=5))[0] == [10, 20, 11, 21]
        fixed = Dataset.from_tensors([0.25, 0.75]).repeat()
        drawn = sample(endless[:2], fixed, seed=6).take(4000)
        assert abs(float(np.mean(list(drawn))) - 0.75) < 0.05

    def test_inputs_of_no_weight_are_left_out(self) -> None:
        assert list(sample([tens(1), tens(2, 3), tens(3)], [0, 2, 0])) == [20, 21, 22]
        assert list(sample([tens(1), tens(2)], [0.0, 0.0])) == []

    def test_the_first_that_is_drawn_and_has_ended_may_end_all(self, run: Run) -> None:
        weights = Dataset.from_tensor_slices(np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 1]])
        assert run(sample([tens(1, 2), tens(2)], weights, 1, stop_on_empty_dataset=True))[0] == [10, 20, 11, 21]
        assert run(sample([tens(1, 2), tens(2)], weights, 1))[0] == [10, 20, 11, 21, 22]

    def test_wrong_weights_fail_in_their_place(self, outcomes: Outcomes) -> None:
        weights = Dataset.from_tensor_slices(np.array([[1.0, 0], [-1, 2], [0, 0], [0, 1]]))
        got = outcomes(iter(sample([tens(1), tens(2)], weights)))
        assert [each if isinstance(each, np.int64) else each[0] for each in got] == [
            10,
            InvalidArgumentError,
            InvalidArgumentError,
            20,
        ]
        with pytest.raises(InvalidArgumentError, match="one number from 0 for each of 2 datasets"):
            sample([tens(1), tens(2)], [1.0])
        with pytest.raises(InvalidArgumentError, match="one number from 0"):
            sample([tens(1), tens(2)], [1.0, -1.0])

    def test_how_many_and_what(self) -> None:
        assert sample([tens(1), tens(2)]).cardinality() == hr.UNKNOWN_CARDINALITY
        mixed = [tens(1), Dataset.counter()]
        assert sample(mixed).cardinality() == hr.INFINITE_CARDINALITY
        assert sample(mixed, stop_on_empty_dataset=True).cardinality() == hr.UNKNOWN_CARDINALITY
        assert sample(mixed).element_spec == TensorSpec((), np.int64)

    def test_without_an_end_it_goes_on_in_a_service(self, service: hr.Service) -> None:
        endless = sample([Dataset.counter(), Dataset.counter(10**6).map(lambda x: x)], seed=3).batch(50)
        expected = list(islice(endless, 20))
        with service.iterate(endless) as iterator:
            got = list(islice(iterator, 20))
        np.testing.assert_array_equal(got, expected)
