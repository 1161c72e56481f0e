"""from_generator: what a function's iterable gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import UNKNOWN_CARDINALITY, Dataset, TensorSpec

Run = Callable[..., list[list[Any]]]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Same = Callable[[Any, Any], None]


def count(stop: Any = 5) -> Iterator[int]:
    yield from range(int(stop))


def test_the_function_is_called_anew_for_each_epoch(run: Run) -> None:
    assert run(Dataset.from_generator(count), epochs=2) == [[0, 1, 2, 3, 4]] * 2
    assert run(Dataset.from_generator(count).repeat(2)) == [[0, 1, 2, 3, 4] * 2]


def test_any_iterable_will_do(run: Run) -> None:
    assert run(Dataset.from_generator(lambda: [b"a", "b"])) == [[b"a", b"b"]]
    assert run(Dataset.from_generator(lambda: range(3))) == [[0, 1, 2]]
    assert run(Dataset.from_generator(lambda: ())) == [[]]


def test_arguments_come_as_numpy(run: Run) -> None:
    def made(n: Any, text: Any, array: Any) -> Iterator[Any]:
        yield n.dtype.name == "int32", text, array.dtype.name

    assert run(Dataset.from_generator(made, args=(3, "x", np.zeros(2, np.uint8)))) == [[(True, b"x", b"uint8")]]


def test_an_endless_generator_is_taken_from(run: Run) -> None:
    def forever() -> Iterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    assert run(Dataset.from_generator(forever).take(3000)) == [list(range(3000))]


def test_without_a_declaration_elements_are_as_everywhere(run: Run, same: Same) -> None:
    same(run(Dataset.from_generator(lambda: [(1, 2.0)])), [[(np.int32(1), np.float32(2))]])
    same(run(Dataset.from_generator(lambda: [1, b"x", {"a": 1}])), [[np.int32(1), b"x", {"a": np.int32(1)}]])


SIGNATURE = {"a": TensorSpec([], np.int64), "b": (TensorSpec([None], np.float32), TensorSpec([], bytes))}


def test_plain_numbers_become_what_the_signature_says(run: Run, same: Same) -> None:
    def made() -> Iterator[Any]:
        yield {"a": 1, "b": ([1, 2.5], "x")}
        yield {"b": [np.zeros(3, np.float32), b"y"], "a": np.int64(2)}

    (got,) = run(Dataset.from_generator(made, output_signature=SIGNATURE))
    same(got[0], {"a": np.int64(1), "b": (np.array([1, 2.5], np.float32), b"x")})
    same(got[1], {"a": np.int64(2), "b": (np.zeros(3, np.float32), b"y")})


def test_types_and_shapes_do_what_a_signature_does(run: Run, same: Same) -> None:
    def made() -> Iterator[Any]:
        yield 1, [2, 3]

    types, shapes = (np.uint8, np.float64), ((), (2,))
    same(
        run(Dataset.from_generator(made, output_types=types, output_shapes=shapes)),
        [[(np.uint8(1), np.array([2.0, 3]))]],
    )
    same(run(Dataset.from_generator(made, types)), [[(np.uint8(1), np.array([2.0, 3]))]])
    assert Dataset.from_generator(made, types, shapes).element_spec == (
        TensorSpec([], np.uint8),
        TensorSpec([2], np.float64),
    )


@pytest.mark.parametrize(
    ("given", "declared", "told"),
    [
        (1.5, TensorSpec([], np.int64), "component 0 is .*float32.* was declared"),
        (np.int32(1), TensorSpec([], np.int64), "component 0 is .*int32"),
        ("text", TensorSpec([], np.int64), "component 0 is .*bytes"),
        (300, TensorSpec([], np.uint8), "component 0 is"),
        (-1, TensorSpec([], np.uint8), "component 0 is"),
        (1, TensorSpec([], bytes), "component 0 is"),
        (1, TensorSpec([], bool), "component 0 is"),
        ([1, 2], TensorSpec([3], np.int64), r"component 0 has shape \(2,\)"),
        ((1, 2.5), (TensorSpec([], np.int64),) * 2, "component 1 is"),
        ({"a": 1, "b": {"c": 2.5}}, {"a": TensorSpec([], int), "b": {"c": TensorSpec([], int)}}, "component b.c is"),
        ((1,), (TensorSpec([], np.int64),) * 2, "an element must be a tuple of 2, not a tuple of 1"),
        ({"a": (1,)}, {"a": (TensorSpec([], int),) * 2}, "component a must be a tuple of 2"),
        (5, {"a": TensorSpec([], np.int64)}, "an element must be a dict with the keys"),
    ],
)
def test_what_was_not_declared_is_a_type_error_that_names_the_component(
    run: Run, given: Any, declared: Any, told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        run(Dataset.from_generator(lambda: [given], output_signature=declared))


def test_elements_behind_a_wrong_one_come(service: hr.Service, outcomes: Outcomes) -> None:
    dataset = Dataset.from_generator(lambda: [1, 2.5, 3], output_types=np.int64)
    for iterator in (iter(dataset), service.iterate(dataset)):
        first, error, last = outcomes(iterator)
        assert (first, last) == (1, 3)
        assert "element 1" in error[1]


def breaks() -> Iterator[int]:
    yield 1
    yield 2
    raise OSError("the line is cut")


def test_where_a_generator_raises_is_the_end(service: hr.Service, outcomes: Outcomes) -> None:
    for iterator in (iter(Dataset.from_generator(breaks)), service.iterate(Dataset.from_generator(breaks))):
        found = outcomes(iterator)
        assert found[:2] == [1, 2]
        assert found[2][0] is hr.FunctionError
        assert "from_generator(breaks) raised OSError: the line is cut" in found[2][1]
        assert "element 2" in found[2][1]
        assert len(found) == 3


def test_what_is_no_iterable_is_told(run: Run) -> None:
    with pytest.raises(hr.FunctionError, match="TypeError: 'int' object is not iterable"):
        run(Dataset.from_generator(lambda: 3))


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(hr.InvalidArgumentError, match="from_generator needs a function that returns an iterable"):
        Dataset.from_generator(count())  # type: ignore[arg-type]
    with pytest.raises(hr.InvalidArgumentError, match="not both"):
        Dataset.from_generator(count, np.int64, output_signature=TensorSpec([], np.int64))
    with pytest.raises(hr.InvalidArgumentError, match="output_shapes needs output_types"):
        Dataset.from_generator(count, output_shapes=())
    with pytest.raises(TypeError, match="not a TensorSpec"):
        Dataset.from_generator(count, output_signature=np.int64)


def test_what_it_yields_may_be_used_again_by_the_generator(run: Run) -> None:
    def reuses() -> Iterator[Any]:
        buffer = np.zeros(2, np.int64)
        for n in range(20):
            buffer[:] = n
            yield buffer

    (got,) = run(Dataset.from_generator(reuses))
    assert [each.tolist() for each in got] == [[n, n] for n in range(20)]


def test_randomness_behind_and_inside(run: Run) -> None:
    def drawn(rng: np.random.Generator) -> Iterator[int]:
        for _ in range(5):
            yield int(rng.integers(1 << 30))

    def noisy(x: Any, rng: np.random.Generator) -> Any:
        return x * 1000 + rng.integers(1000)

    for dataset in (Dataset.from_generator(drawn), Dataset.from_generator(count).map(noisy).shuffle(3)):
        seeded = dataset.with_options(hr.Options(seed=3))
        first, second = run(seeded, epochs=2)
        assert first != second
        assert [first, second] == [list(seeded.iterate(epoch)) for epoch in range(2)]


def test_a_generator_inside_flat_map_and_interleave(run: Run) -> None:
    def inside(n: Any) -> Dataset:
        return Dataset.from_generator(count, args=[n])

    assert run(Dataset.range(4).flat_map(inside)) == [[0, 0, 1, 0, 1, 2]]
    assert run(Dataset.range(4).interleave(inside)) == [[0, 0, 0, 1, 1, 2]]


def test_cardinality_and_spec() -> None:
    assert Dataset.from_generator(count).cardinality() == UNKNOWN_CARDINALITY
    assert Dataset.from_generator(count, output_signature=SIGNATURE).element_spec == SIGNATURE
    assert Dataset.from_generator(count).element_spec == TensorSpec([], np.int32)
