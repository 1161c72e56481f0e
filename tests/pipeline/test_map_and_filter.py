"""map and filter: how functions are called, what they may return, how their failures are told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]


class Named(NamedTuple):
    """Not spread over arguments."""

    a: Any
    b: Any


class Adder:
    """A callable that is no function."""

    def __call__(self, x: Any) -> Any:
        return x + 1

    def add(self, x: Any) -> Any:
        return x + 2


def broken(x: Any) -> Any:
    if x == 2:
        raise KeyError("no such label")
    return x


def test_map_spreads_plain_tuples_over_arguments_and_nothing_else(run: Run) -> None:
    pair = Dataset.from_tensors((1, (2, 3)))
    assert run(pair.map(lambda a, b: a + b[0] + b[1])) == [[6]]
    assert run(Dataset.from_tensors({"a": 1}).map(lambda d: d["a"])) == [[1]]
    assert run(Dataset.from_tensors(Named(1, 2)).map(lambda n: n.a + n.b)) == [[3]]


def test_map_takes_any_callable(run: Run) -> None:
    calls: list[tuple[Any, int]] = [(Adder(), 1), (Adder().add, 2), (partial(np.add, 3), 3), (abs, 0), (np.negative, 0)]
    for call, expected in calls:
        assert run(Dataset.range(1).map(call)) == [[expected]]
    with pytest.raises(InvalidArgumentError, match="map needs a function, not int"):
        Dataset.range(1).map(5)  # type: ignore[arg-type]


def test_map_keeps_order(run: Run) -> None:
    assert run(Dataset.range(3000).map(lambda x: x, num_parallel_calls=hr.AUTOTUNE)) == [list(range(3000))]


def test_maps_after_one_another_see_each_others_results(run: Run) -> None:
    dataset = Dataset.range(3).map(lambda x: (x, 1)).map(lambda a, b: {"sum": a + b}).map(lambda d: d["sum"] * 10)
    assert run(dataset) == [[10, 20, 30]]
    assert run(dataset.batch(2).map(np.sum).shuffle(1).map(lambda x: x + 1)) == [[31, 31]]


def test_map_in_process_is_not_called_far_ahead_of_the_loop_and_once_an_element() -> None:
    seen: list[int] = []

    def see(x: Any) -> Any:
        seen.append(int(x))
        return x

    iterator = iter(Dataset.range(1000).map(see))
    next(iterator)
    assert seen == [0]
    assert len([*iterator]) == 999
    assert seen == list(range(1000))


def test_python_floats_stay_float32_through_maps(run: Run, same: Same) -> None:
    same(run(Dataset.range(2).map(lambda i: 0.5).map(lambda x: x)), [[np.float32(0.5)] * 2])


def test_filter_keeps_what_is_true(run: Run) -> None:
    assert run(Dataset.range(10).filter(lambda x: x % 3 == 0)) == [[0, 3, 6, 9]]
    assert run(Dataset.range(3).filter(lambda x: np.array(x > 0)).map(lambda x: x * 2)) == [[2, 4]]
    assert run(Dataset.range(3).filter(lambda x: False)) == [[]]
    assert run(Dataset.from_tensor_slices(([1, 2], [3, 1])).filter(lambda a, b: bool(a > b))) == [[(2, 1)]]


@pytest.mark.parametrize("result", [1, None, "yes", np.array([True]), 0.0])
def test_filter_refuses_what_is_not_one_boolean(result: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must return one boolean"):
        list(Dataset.range(1).filter(lambda x: result))


def test_filters_and_maps_mix(run: Run) -> None:
    dataset = Dataset.range(20).filter(lambda x: x % 2 == 0).map(lambda x: x * x).filter(lambda x: x > 50)
    assert run(dataset, epochs=2) == [[64, 100, 144, 196, 256, 324]] * 2
    assert run(dataset.batch(4))[0][1].tolist() == [256, 324]


def test_a_failing_function_is_named_with_its_element_and_its_exception_is_the_cause() -> None:
    iterator = iter(Dataset.range(5).map(broken))
    assert [next(iterator), next(iterator)] == [0, 1]
    with pytest.raises(hr.FunctionError) as caught:
        next(iterator)
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.function == "map(broken)"
    assert caught.value.where == "map(broken), element 2"
    assert 'raise KeyError("no such label")' in caught.value.traceback
    assert "segment.py" not in caught.value.traceback
    assert list(iterator) == [3, 4]


def test_behind_a_shuffle_the_failing_element_is_named_by_its_place_in_the_source() -> None:
    with pytest.raises(hr.FunctionError) as caught:
        list(Dataset.range(5).shuffle(5, seed=1).map(broken))
    assert caught.value.where == "map(broken), element 2"


def test_a_failing_function_over_a_file_names_file_record_and_operator(text_file: Callable[..., str]) -> None:
    path = text_file(b"one\ntwo\n")
    iterator = iter(hr.TextLineDataset(path).map(lambda line: int(line)))
    for offset in (0, 4):
        with pytest.raises(hr.FunctionError) as caught:
            next(iterator)
        assert caught.value.where == f"map(<lambda>), the record at byte {offset} of {path}"
    assert list(iterator) == []


@pytest.mark.parametrize("error", [SystemExit(1), StopIteration(), RecursionError(), MemoryError(), GeneratorExit()])
def test_whatever_a_function_raises_is_a_typed_error_and_the_stream_goes_on(error: BaseException) -> None:
    def fail(x: Any) -> Any:
        if x == 0:
            raise error
        return x

    iterator = iter(Dataset.range(3).map(fail))
    with pytest.raises(hr.FunctionError, match=type(error).__name__):
        next(iterator)
    assert list(iterator) == [1, 2]


def test_sys_exit_in_a_function_does_not_leave_the_program() -> None:
    with pytest.raises(hr.FunctionError, match="SystemExit: 3"):
        list(Dataset.range(1).map(lambda x: sys.exit(3)))


def test_none_is_refused_with_the_way_to_leave_elements_out() -> None:
    with pytest.raises(InvalidArgumentError, match="use filter to leave elements out"):
        list(Dataset.range(1).map(lambda x: None))
    with pytest.raises(InvalidArgumentError, match="None is no element"):
        list(Dataset.range(1).map(lambda x: (x, None)))


def test_a_typed_error_that_a_function_raises_keeps_its_type_and_gets_a_place() -> None:
    def refuse(x: Any) -> Any:
        raise hr.ResourceExhaustedError("too much")

    with pytest.raises(hr.ResourceExhaustedError, match="too much") as caught:
        list(Dataset.range(1).map(refuse))
    assert caught.value.where is not None
    assert "refuse), element 0" in caught.value.where


def test_ctrl_c_in_a_function_comes_through_and_no_element_is_lost() -> None:
    calls: list[int] = []

    def interrupted(x: Any) -> Any:
        calls.append(int(x))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return x

    iterator = iter(Dataset.range(5).map(interrupted))
    got = [next(iterator)]
    with pytest.raises(KeyboardInterrupt):
        next(iterator)
    assert [*got, *iterator] == [0, 1, 2, 3, 4]
