"""Placeholders: values that are said later, in any argument."""

from __future__ import annotations

import gzip
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, FailedPreconditionError, InvalidArgumentError

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Build = Callable[..., Dataset]

N = hr.placeholder(np.int64, shape=(), name="n")
ROWS = hr.placeholder(np.float32, shape=[None, 2], name="rows")
TEXT = hr.placeholder(bytes, shape=(), name="text")


def numbered(n: int, start: int = 0) -> Any:
    return iter(range(start, start + n))


#: A dataset by its argument, a placeholder for it, and a value.
ARGUMENTS: dict[str, tuple[Build, Any, Any]] = {
    "stop of a range": (lambda n: Dataset.range(n), N, 5),
    "bounds of a range": (lambda n: Dataset.range(2, n, 2), N, 7),
    "rows": (Dataset.from_tensor_slices, ROWS, np.arange(6, dtype=np.float32).reshape(3, 2)),
    "nested rows": (lambda rows: Dataset.from_tensor_slices({"a": rows, "b": (rows, [1, 2])}), ROWS, [[1, 2], [3, 4]]),
    "one element": (lambda n: Dataset.from_tensors((n, "x")), N, np.int64(3)),
    "text": (lambda text: Dataset.from_tensors(text), TEXT, "abc"),
    "batch": (lambda n: Dataset.range(5).batch(n, drop_remainder=True), N, 2),
    "batch by keyword": (lambda n: Dataset.range(5).batch(batch_size=n), N, 2),
    "take": (lambda n: Dataset.range(5).take(n).map(lambda x: x + 1), N, 2),
    "skip": (lambda n: Dataset.range(5).skip(n), N, 2),
    "repeat": (lambda n: Dataset.range(2).repeat(n), N, 3),
    "shuffle": (lambda n: Dataset.range(20).shuffle(n, seed=5), N, 7),
    "a shuffle's seed": (lambda n: Dataset.range(20).shuffle(20, seed=n), N, 7),
    "shard": (lambda n: Dataset.range(9).shard(n, n - 1 if isinstance(n, int) else 2), N, 3),
    "enumerate": (lambda n: Dataset.range(2).enumerate(start=n), N, 4),
    "prefetch": (lambda n: Dataset.range(2).prefetch(n), N, 4),
    "padded shapes": (lambda n: Dataset.range(3).map(np.ones).padded_batch(2, padded_shapes=[n]), N, 4),
    "cycle of interleave": (lambda n: Dataset.range(4).interleave(lambda _: Dataset.range(2), n), N, 2),
    "files read at once": (lambda n: hr.TextLineDataset([__file__] * 2, num_parallel_reads=n).take(4), N, 2),
    "a generator's argument": (lambda n: Dataset.from_generator(numbered, args=[n, 7], output_types="int64"), N, 3),
    "an input of zip": (lambda n: Dataset.zip((Dataset.range(n), {"b": Dataset.range(9).skip(n)})), N, 3),
    "what is concatenated": (lambda n: Dataset.range(2).concatenate(Dataset.range(n)), N, 3),
    "inside apply": (lambda n: Dataset.range(9).apply(lambda d: d.skip(n).batch(n)), N, 2),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_placeholder_stands_for_an_argument(name: str, same: Same) -> None:
    build, placeholder, value = ARGUMENTS[name]
    bound = build(placeholder).bind({placeholder: value})
    same(list(bound), list(build(placeholder.taken(value) if placeholder is ROWS else value)))


def test_a_dataset_with_values_runs_everywhere(run: Run, text_file: Callable[..., str], same: Same) -> None:
    names = hr.placeholder(bytes, [None], "names")
    template = hr.TextLineDataset(names).map(lambda line: int(line)).shuffle(N, seed=1).batch(N)
    files = [text_file(b"1\n2\n3\n", "a"), text_file(b"4\n5\n", "b")]
    expected = [list(hr.TextLineDataset(files).map(int).shuffle(2, seed=1).batch(2).iterate(n)) for n in range(2)]
    same(run(template.bind(names=files, n=2), epochs=2), expected)


def test_file_names_may_be_one_name_a_list_paths_or_patterns(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "one.gz", "wb") as file:
        file.write(b"1\n2")
    one = hr.placeholder(bytes, (), "one")
    kind = hr.placeholder(bytes, (), "kind")
    lines = hr.TextLineDataset(one, compression_type=kind)
    assert list(lines.bind(one=tmp_path / "one.gz", kind="GZIP")) == [b"1", b"2"]
    found = hr.TextLineDataset(Dataset.list_files(one, shuffle=False), "GZIP")
    assert list(found.bind(one=str(tmp_path / "*.gz"))) == [b"1", b"2"]
    several = hr.placeholder(bytes, [None], "several")
    assert len(list(hr.TextLineDataset(several, "GZIP").bind(several=[tmp_path / "one.gz"] * 3))) == 6


def test_one_placeholder_has_one_value_wherever_it_stands() -> None:
    assert next(iter(Dataset.range(N).batch(N).bind(n=3))).tolist() == [0, 1, 2]


def test_what_is_behind_a_placeholder_is_built_as_ever() -> None:
    dataset = Dataset.range(10).take(N).map(lambda x: x * 2).filter(lambda x: bool(x > 1)).batch(2).prefetch(1)
    assert [each.tolist() for each in dataset.bind(n=4)] == [[2, 4], [6]]
    assert Dataset.range(10).take(N).batch(2, drop_remainder=True).bind(n=7).cardinality() == 3
    assert dataset.bind(n=4).element_spec == hr.TensorSpec((None,), np.int64)


def test_a_dataset_that_is_bound_twice_draws_the_same_numbers() -> None:
    template = Dataset.range(N).shuffle(50).map(lambda x, rng: (x, rng.random()))
    assert list(template.bind(n=50)) == list(template.bind(n=50))
    seeded = template.with_options(hr.Options(seed=4))
    assert seeded.bind(n=9).seed == 4


@pytest.mark.parametrize(
    "use",
    [
        lambda d: iter(d),
        lambda d: next(d.make_one_shot_iterator()),
        lambda d: d.iterate(epoch=3),
        lambda d: len(d),
        lambda d: d.cardinality(),
        lambda d: d.element_spec,
        lambda d: list(Dataset.range(2).flat_map(lambda _: d)),
        lambda d: list(Dataset.zip(d, Dataset.range(3))),
    ],
)
def test_without_values_a_dataset_cannot_be_used_and_says_what_is_missing(use: Callable[[Dataset], Any]) -> None:
    dataset = Dataset.range(9).skip(1).take(N).map(lambda x: x).batch(hr.placeholder("int32", (), "size"))
    with pytest.raises(FailedPreconditionError, match=r"n \(int64 of shape \(\)\), size \(int32 of shape \(\)\)"):
        use(dataset)


def test_no_placeholder_travels(service: hr.Service) -> None:
    with pytest.raises(FailedPreconditionError, match="placeholders without a value: n "):
        service.iterate(Dataset.range(N))


def test_wrong_values_are_told_by_name() -> None:
    dataset = Dataset.from_tensor_slices(ROWS).take(N)
    rows = [[1.0, 2.0]]
    with pytest.raises(InvalidArgumentError, match=r"without a value: rows \(float32 of shape \(None, 2\)\)"):
        dataset.bind(n=1)
    with pytest.raises(InvalidArgumentError, match=r"no placeholder 'm'; its placeholders are: rows .*, n "):
        dataset.bind(n=1, rows=rows, m=2)
    with pytest.raises(InvalidArgumentError, match="no placeholder 'n'; its placeholders are: none"):
        Dataset.range(3).bind(n=1)
    for value in (2.5, "a", np.int32(1), [1], None, np.float64(1)):
        with pytest.raises((TypeError, InvalidArgumentError), match=r"placeholder n |None is no element"):
            dataset.bind(n=value, rows=rows)
    for wrong in ([1.0, 2.0], [[1.0]], np.ones((1, 2)), [["a", "b"]]):
        with pytest.raises(TypeError, match="placeholder rows "):
            dataset.bind(n=1, rows=wrong)
    with pytest.raises(TypeError, match="placeholder text "):
        Dataset.from_tensors(TEXT).bind(text=3)


def test_a_value_that_the_argument_cannot_be_is_refused_in_its_words() -> None:
    with pytest.raises(InvalidArgumentError, match="batch_size is 0: it must be at least 1"):
        Dataset.range(3).batch(N).bind(n=0)
    with pytest.raises(InvalidArgumentError, match="compression_type is 'LZ4'"):
        hr.TextLineDataset("a", TEXT).bind(text="LZ4")


def test_two_placeholders_of_one_name_are_refused() -> None:
    both = Dataset.range(N).take(hr.placeholder(np.int64, (), "n"))
    with pytest.raises(InvalidArgumentError, match="two placeholders of one pipeline are called 'n'"):
        both.make_initializable_iterator()


def test_a_placeholder_without_a_name_gets_one() -> None:
    one, two = hr.placeholder("int64"), hr.placeholder("int64")
    assert one.name != two.name
    assert list(Dataset.range(one, two).bind({one: 3, two: 5})) == [3, 4]
    with pytest.raises(InvalidArgumentError, match="'batch size': it must be an identifier"):
        hr.placeholder("int64", name="batch size")


def test_methods_keep_their_signatures_and_words() -> None:
    assert list(inspect.signature(Dataset.batch).parameters)[:3] == ["self", "batch_size", "drop_remainder"]
    assert list(inspect.signature(Dataset.range).parameters) == ["args", "output_type", "name"]
    assert (Dataset.map.__doc__ or "").startswith("`map_func` of each element")
