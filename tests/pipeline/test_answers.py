"""assert_cardinality, get_single_element, reduce, get_next_as_optional."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]


class TestAssertCardinality:
    def test_as_many_as_expected_come_as_they_are(self, run: Run) -> None:
        evens = Dataset.range(10).filter(lambda x: bool(x % 2 == 0))
        assert run(evens.assert_cardinality(5))[0] == [0, 2, 4, 6, 8]
        assert len(evens.assert_cardinality(5)) == 5
        assert evens.assert_cardinality(-1).cardinality() == hr.INFINITE_CARDINALITY
        assert run(evens.assert_cardinality(9).take(3))[0] == [0, 2, 4]  # nobody looks at the end

    @pytest.mark.parametrize(
        ("expected", "given", "told"), [(4, 4, "at least 5"), (6, 5, "only 5"), (-1, 5, "only 5"), (0, 0, "at least 1")]
    )
    def test_another_number_fails_once(self, expected: int, given: int, told: str, outcomes: Outcomes) -> None:
        *numbers, error = outcomes(iter(Dataset.range(5).filter(lambda x: bool(x < 9)).assert_cardinality(expected)))
        assert numbers == list(range(given))
        assert error[0] is hr.FailedPreconditionError
        assert told in error[1]

    def test_it_fails_in_a_service_and_what_failed_before_does_not_count(
        self, outcomes: Outcomes, service: hr.Service
    ) -> None:
        dataset = Dataset.range(5).map(lambda x: x if x != 1 else {}[x]).assert_cardinality(4).repeat(2)
        expected = outcomes(iter(dataset))
        assert [each for each in expected if not isinstance(each, tuple)] == [0, 2, 3, 4] * 2
        short = Dataset.range(3).shuffle(2, seed=1).assert_cardinality(4)
        with service.iterate(short) as iterator:
            assert outcomes(iterator) == outcomes(iter(short))

    def test_a_number_that_is_none_is_refused(self) -> None:
        with pytest.raises(InvalidArgumentError):
            Dataset.range(3).assert_cardinality(-2)


class TestSingleElement:
    def test_the_one_element(self, service: hr.Service) -> None:
        one = Dataset.range(4).map(lambda x: x + 1).batch(4)
        assert one.get_single_element().tolist() == [1, 2, 3, 4] == one.get_single_element(service=service).tolist()

    def test_none_and_more_are_refused(self) -> None:
        with pytest.raises(InvalidArgumentError, match="Dataset was empty"):
            Dataset.range(0).get_single_element()
        with pytest.raises(InvalidArgumentError, match="more than one element"):
            Dataset.range(2).get_single_element()


class TestReduce:
    def test_a_state_is_made_anew_from_each_element(self, service: hr.Service) -> None:
        numbers = Dataset.range(100).shuffle(10).map(lambda x: x * 2)
        for where in (None, service):
            assert numbers.reduce(np.int64(1), lambda total, x: total + x, service=where) == 9901
        assert Dataset.range(0).reduce(7, lambda state, x: x) == 7

    def test_elements_and_states_are_not_spread_and_keep_their_nesting(self, same: Same) -> None:
        def count(state: Any, element: Any) -> Any:
            (number, total), (index, value) = state, element
            return number + 1, {"sum": total["sum"] + index * value}

        pairs = Dataset.range(5).enumerate()
        same(pairs.reduce((0, {"sum": np.int64(0)}), count), (np.int32(5), {"sum": np.int64(30)}))

    def test_shapes_may_change_dtypes_and_structures_may_not(self) -> None:
        joined = Dataset.range(3).reduce(np.zeros(0, np.int64), lambda state, x: np.append(state, x))
        assert joined.tolist() == [0, 1, 2]
        with pytest.raises(TypeError, match="component 0 is int64, and that of the initial state is int32"):
            Dataset.range(3).reduce(0, lambda state, x: state + x)
        with pytest.raises(InvalidArgumentError, match="nested alike"):
            Dataset.range(3).reduce((0, 0), lambda state, x: state[0])

    def test_the_state_given_is_not_written_to(self) -> None:
        first = np.zeros(2)

        def add(state: Any, x: Any) -> Any:
            state += x
            return state

        assert Dataset.range(4).reduce(first, add).tolist() == [6, 6]
        assert first.tolist() == [0, 0]

    def test_what_fails_raises(self) -> None:
        with pytest.raises(hr.FunctionError, match="KeyError") as raised:
            Dataset.range(3).reduce(0, lambda state, x: {}[x])
        assert isinstance(raised.value.__cause__, KeyError)
        with pytest.raises(hr.FunctionError, match="map"):
            Dataset.range(3).map(lambda x: {}[x]).reduce(0, lambda state, x: state)


def test_an_optional_has_the_next_element_or_none(service: hr.Service) -> None:
    dataset = Dataset.range(2).map(lambda x: x + 5)
    with service.iterate(dataset) as served:
        for iterator in (iter(dataset), served):
            found = [iterator.get_next_as_optional() for _ in range(4)]
            assert [each.has_value() for each in found] == [True, True, False, False]
            assert [int(each.get_value()) for each in found[:2]] == [5, 6]
            with pytest.raises(InvalidArgumentError, match="no value"):
                found[2].get_value()
    assert isinstance(found[0], hr.Optional)
