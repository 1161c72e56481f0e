"""Graphs as messages: what comes back computes the same, and planning runs none of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import Dataset, Options, TFRecordDataset
from headrace.pipeline import nodes
from headrace.pipeline.blobs import Blobs
from headrace.pipeline.element_records import encode as saved
from headrace.pipeline.errors import (
    FailedPreconditionError,
    FunctionError,
    HeadraceError,
    InvalidArgumentError,
    MalformedMessage,
    NotFoundError,
    ResourceExhaustedError,
)
from headrace.pipeline.graph import HEIGHT, decode_outline, decode_whole, encode
from headrace.pipeline.local import LocalIterator
from headrace.pipeline.nodes import Map, Node, Range
from headrace.pipeline.resolve import resolve

DATA = Path(__file__).parents[1] / "data" / "tfrecord"
SCALE = 3


class Pair(NamedTuple):
    """Something named."""

    left: Any
    right: Any


def scaled(x: Any) -> Any:
    """A function of a module that is no installed one, and that uses a name of it."""
    return x * SCALE


def is_even(x: Any) -> bool:
    return bool(x % 2 == 0)


def drawn(x: Any, rng: np.random.Generator) -> Any:
    return x, rng.integers(1000)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    folder = tmp_path / "blobs"
    folder.mkdir()
    return Blobs(folder)


def elements(node: Node, epoch: int = 0) -> list[Any]:
    return list(LocalIterator(node, seed=5, epoch=epoch))


def kinds(node: Node) -> set[str]:
    return {type(node).__name__}.union(*map(kinds, node.inputs))


ROWS = {"a": np.arange(12.0).reshape(6, 2), "b": (np.array([b"x", b"", b"zzz"] * 2, object), np.arange(6) % 2 == 0)}
RECORDS = str(DATA / "small.tfrecord")
PIPELINES: dict[str, Callable[[], Dataset]] = {
    "rows": lambda: Dataset.from_tensor_slices(ROWS),
    "named rows": lambda: Dataset.from_tensor_slices(
        Pair(np.arange(3, dtype=np.uint8), np.zeros((3, 0), np.complex64))
    ),
    "no rows": lambda: Dataset.from_tensor_slices((np.zeros((0, 4), np.float16), np.array([], object))),
    "one": lambda: Dataset.from_tensors((b"a", np.float64(2.5), np.array([[b"b"], [b"c"]], object))),
    "range": lambda: Dataset.range(10, 2, -3),
    "small range": lambda: Dataset.range(3, output_type=np.float32),
    "files": lambda: Dataset.list_files(str(DATA / "small*.tfrecord"), seed=3),
    "records": lambda: TFRecordDataset([RECORDS, RECORDS]),
    "compressed": lambda: TFRecordDataset(str(DATA / "small.gzip.tfrecord"), "GZIP"),
    "lines": lambda: hr.TextLineDataset(str(DATA / "examples.json")).take(5),
    "fixed records": lambda: hr.FixedLengthRecordDataset(str(DATA / "examples.json"), 1, 5, 2).take(5),
    "csv": lambda: hr.CsvDataset(str(DATA / "examples.json"), ["-"], use_quote_delim=False, select_cols=[0]).take(5),
    "found by number": lambda: hr.FixedLengthRecordDataset(str(DATA / "examples.json"), 1).take(9).global_shuffle(1),
    "saved": lambda: Dataset(nodes.Decoded(Dataset.from_tensor_slices([saved((1, b"a")), saved(b"b")]).node)),
    "map": lambda: Dataset.range(5).map(scaled).map(lambda x: (x, {"twice": 2 * x})),
    "map with rng": lambda: Dataset.range(5).map(drawn),
    "filter": lambda: Dataset.range(9).filter(is_even),
    "shuffle": lambda: Dataset.range(9).shuffle(4),
    "shuffle with seed": lambda: Dataset.range(9).shuffle(4, seed=2, reshuffle_each_iteration=False),
    "batch": lambda: Dataset.range(9).batch(4, drop_remainder=True),
    "padded batch": lambda: Dataset.range(5).map(lambda n: np.full(n, n)).padded_batch(2),
    "padded batch to shapes": lambda: (
        Dataset.range(5)
        .map(lambda n: {"a": np.full((n, 1), n), "b": (b"x", np.full(n, 0.5))})
        .padded_batch(2, {"a": [None, 2], "b": ([], [6])}, {"a": np.int64(-1), "b": (b"", np.float64(0.5))})
    ),
    "repeat": lambda: Dataset.range(3).repeat(2),
    "take and skip": lambda: Dataset.range(9).skip(2).take(4).take(-1),
    "prefetch": lambda: Dataset.range(3).prefetch(None),
    "shard and enumerate": lambda: Dataset.range(9).shard(2, 1).enumerate(5),
    "zip": lambda: Dataset.zip({"a": Dataset.range(3), "b": (Dataset.range(4), Dataset.range(5).batch(2))}),
    "concatenate": lambda: Dataset.range(3).concatenate(Dataset.range(2)).concatenate(Dataset.range(1)),
    "flat_map": lambda: Dataset.range(3).flat_map(lambda n: Dataset.range(n)),
    "interleave": lambda: Dataset.range(3).interleave(lambda n: Dataset.range(n), cycle_length=2),
    "unbatch": lambda: Dataset.range(5).batch(2).unbatch(),
    "generator": lambda: Dataset.from_generator(lambda: iter(range(3)), output_types=np.int64),
    "indexable": lambda: Dataset.from_indexable([(1, "a"), (2, "b")]).shuffle(2, seed=1),
    "take_while": lambda: Dataset.range(9).take_while(lambda x: x < 4),
    "buckets": lambda: Dataset.range(9).bucket_by_sequence_length(lambda x: x, [3, 6], [2, 3, 4]),
    "resampled": lambda: Dataset.range(60).rejection_resample(lambda x: x % 2, [0.5, 1], [1, 1], 4).map(lambda c, x: x),
    "window": lambda: Dataset.range(9).window(3, 2).flat_map(lambda window: window.batch(2)),
    "windows by key": lambda: Dataset.range(9).group_by_window(lambda x: x % 2, lambda key, window: window, 2),
    "one window": lambda: next(iter(Dataset.range(9).window(5, 1, 2))).map(lambda x: x),
    "counter": lambda: Dataset.counter(250, 3, np.uint8).take(5),
    "counter of floats": lambda: Dataset.counter(0, 0.5, np.float32).take(5),
    "random": lambda: Dataset.random(3, True).take(5),
    "sampled": lambda: Dataset.sample_from_datasets([Dataset.range(9), Dataset.range(5)], [0.3, 0.7], 4),
    "sampled by vectors": lambda: Dataset.sample_from_datasets(
        [Dataset.range(9), Dataset.range(5)],
        Dataset.from_tensors([0.3, 0.7]).repeat(9),
        rerandomize_each_iteration=True,
    ),
    "chosen": lambda: Dataset.choose_from_datasets([Dataset.range(9), Dataset.range(5)], Dataset.range(2).repeat(9)),
    "cached": lambda: Dataset.range(9).shuffle(9).cache().shuffle(3).cache("there/is none"),
    "unique": lambda: Dataset.range(9).map(lambda x: x % 3).unique(),
    "ragged": lambda: Dataset.range(5).map(lambda n: np.full(n, n)).ragged_batch(2, row_splits_dtype=np.int32),
    "ragged as declared": lambda: Dataset.from_generator(
        lambda: iter([np.ones((2, 3))]), output_signature=hr.TensorSpec([None, 3], np.float64)
    ).ragged_batch(2),
    "sparse": lambda: Dataset.range(5).map(lambda n: np.full((n, 1), n)).sparse_batch(2, [None, 4]),
    "rebatched": lambda: Dataset.range(9).batch(4).rebatch([0, 3]),
    "asserted": lambda: Dataset.range(9).assert_cardinality(9),
    "snapshot": lambda: Dataset.range(9).snapshot("/dev/null/kept", "GZIP", shard_func=lambda x: x % 2).take(7),
    "scan": lambda: Dataset.range(5).scan((np.int64(0), b"a"), lambda state, x: ((state[0] + x, b"b"), state)),
    "ignore errors": lambda: Dataset.range(3).ignore_errors(),
    "options": lambda: Dataset.range(9).shuffle(9).with_options(Options(seed=7, buffer_bytes=1 << 20)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_graph_comes_back_with_the_same_elements(name: str, blobs: Blobs, same: Any) -> None:
    node = resolve(PIPELINES[name]().node)
    back = decode_whole(encode(node, blobs), blobs)
    for epoch in range(2):
        same(elements(back, epoch), elements(node, epoch))


def test_these_pipelines_have_all_kinds_of_operators() -> None:
    found = set().union(*(kinds(node) | kinds(resolve(node)) for make in PIPELINES.values() for node in [make().node]))
    assert found - {"Noted"} == set(nodes.__all__) - {"Node", "FileLeaf"}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_graph_says_the_same_when_it_is_sent_on(name: str, blobs: Blobs) -> None:
    # A function pickled twice may give other bytes: only graphs without one can be compared.
    node = resolve(PIPELINES[name]().node)
    sent = encode(node, blobs)
    if not kinds(node) & {"Map", "Filter", "Items"}:
        assert encode(decode_whole(sent, blobs), blobs) == sent


@pytest.mark.parametrize("name", PIPELINES)
def test_an_outline_has_the_same_operators_and_shapes(name: str, blobs: Blobs) -> None:
    node = resolve(PIPELINES[name]().node)
    assert_outline(decode_outline(encode(node, blobs)), node)


def assert_outline(there: nodes.Node, here: nodes.Node) -> None:
    assert type(there) is type(here)
    for one, other in zip(getattr(there, "arrays", ()), getattr(here, "arrays", ()), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
    for one, other in zip(there.inputs, here.inputs, strict=True):
        assert_outline(one, other)


def test_the_outline_of_a_function_has_its_name_and_cannot_be_called(blobs: Blobs) -> None:
    node = decode_outline(encode(Dataset.range(3).map(drawn).node, blobs))
    assert isinstance(node, Map)
    assert (node.function.name, node.function.wants_rng) == ("map(drawn)", True)
    with pytest.raises(FailedPreconditionError):
        node.function.call(1)


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)

    def __call__(self, x: Any) -> Any:
        return x


def test_an_outline_unpickles_nothing(blobs: Blobs, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    data = encode(Dataset.range(3).map(Trap(str(sprung))).node, blobs)
    decode_outline(data)
    assert not sprung.exists()
    decode_whole(data, blobs)
    assert sprung.exists(), "otherwise this test could not fail"


def test_an_outline_needs_no_blobs(blobs: Blobs) -> None:
    data = encode(Dataset.from_tensor_slices(np.arange(1000)).map(scaled).node, blobs)
    for each in blobs.folder.iterdir():
        each.unlink()
    assert kinds(decode_outline(data)) == {"Map", "Rows"}


def test_an_outlined_array_takes_no_memory(blobs: Blobs) -> None:
    data = msgpack.packb(
        [
            "Rows",
            {
                "structure": {"structure": ["leaf", [], [], ""]},
                "arrays": {"tuple": [{"array": ["", "<f8", [1 << 50]]}]},
            },
        ]
    )
    node = decode_outline(data)
    assert isinstance(node, nodes.Rows)
    assert node.arrays[0].shape == (1 << 50,)


def test_functions_of_a_module_that_only_the_sender_has_run_elsewhere(blobs: Blobs, tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    graph.write_bytes(encode(Dataset.range(4).map(scaled).filter(is_even).node, blobs))
    program = (
        "import sys; from pathlib import Path\n"
        "from headrace.pipeline.blobs import Blobs; from headrace.pipeline.graph import decode_whole\n"
        "from headrace.pipeline.local import LocalIterator\n"
        "node = decode_whole(Path(sys.argv[1]).read_bytes(), Blobs(Path(sys.argv[2])))\n"
        "print([int(each) for each in LocalIterator(node, 5, 0)])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, graph, blobs.folder], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("[0, 6]\n", "")


def test_a_function_that_holds_what_cannot_be_pickled_is_refused_by_name(blobs: Blobs) -> None:
    with (blobs.folder / "open").open("w") as file, pytest.raises(InvalidArgumentError, match="cannot be sent"):
        encode(Dataset.range(3).map(lambda x: (file, x)).node, blobs)


def test_a_function_whose_blob_is_missing_fails_when_called_and_says_why(blobs: Blobs) -> None:
    data = encode(Dataset.range(3).map(scaled).node, blobs)
    for each in blobs.folder.iterdir():
        each.unlink()
    node = decode_whole(data, blobs)
    with pytest.raises(FunctionError, match=r"map\(scaled\) raised it cannot be loaded here: NotFoundError"):
        elements(node)


def test_a_function_whose_blob_is_damaged_fails_when_called(blobs: Blobs) -> None:
    data = encode(Dataset.range(3).map(scaled).node, blobs)
    for each in blobs.folder.iterdir():
        each.write_bytes(b"no pickle")
    with pytest.raises(FunctionError, match="it cannot be loaded here: UnpicklingError"):
        elements(decode_whole(data, blobs))


def test_an_array_whose_blob_is_missing_is_named(blobs: Blobs) -> None:
    data = encode(Dataset.from_tensor_slices(np.arange(10)).node, blobs)
    (blob,) = blobs.folder.iterdir()
    blob.unlink()
    with pytest.raises(NotFoundError, match=blob.name):
        decode_whole(data, blobs)


def test_an_array_whose_blob_is_cut_is_refused(blobs: Blobs) -> None:
    data = encode(Dataset.from_tensor_slices(np.arange(10)).node, blobs)
    (blob,) = blobs.folder.iterdir()
    os.truncate(blob, 72)
    with pytest.raises(MalformedMessage):
        decode_whole(data, blobs)


def test_an_array_over_the_budget_is_refused_with_the_arithmetic(blobs: Blobs) -> None:
    node = Dataset.from_tensor_slices(np.zeros(101, np.uint8)).node
    with pytest.raises(ResourceExhaustedError, match="an array of 101 bytes is over the budget of 100"):
        encode(node, Blobs(blobs.folder, budget=100))
    assert list(blobs.folder.iterdir()) == []
    encode(node, Blobs(blobs.folder, budget=101))


def test_as_many_operators_as_can_travel_and_not_one_more(blobs: Blobs) -> None:
    dataset = Dataset.range(2)
    for _ in range(HEIGHT):
        dataset = dataset.map(lambda x: x + 1)
    assert elements(decode_whole(encode(dataset.node, blobs), blobs)) == [HEIGHT, HEIGHT + 1]
    with pytest.raises(InvalidArgumentError, match=f"{HEIGHT + 1} operators on one another, {HEIGHT} are the most"):
        encode(dataset.take(1).node, blobs)


def test_junctions_on_one_another_travel_as_far(blobs: Blobs) -> None:
    dataset = Dataset.range(2)
    for _ in range(HEIGHT):
        dataset = Dataset.zip(dataset)
    assert elements(decode_whole(encode(dataset.node, blobs), blobs)) == [0, 1]


def test_a_junction_of_nothing_is_refused() -> None:
    nothings: list[Any] = [[], {"tuple": []}]
    for nothing in nothings:
        with pytest.raises(MalformedMessage, match="a Concatenate whose sources is tuple"):
            decode_outline(msgpack.packb(["Concatenate", {"sources": nothing}]))


RANGE = {"node": ["Range", {"start": 0, "stop": 3, "step": 1, "dtype": {"dtype": "int64"}}]}


@pytest.mark.parametrize(
    "graph",
    [
        None,
        7,
        "Range",
        [],
        ["Range"],
        ["Range", {}],
        ["Range", {}, {}],
        ["Nothing", {}],
        ["Node", {}],
        [["Range"], {}],
        ["Range", {"start": 0, "stop": 3, "step": 1}],
        ["Range", {"start": "0", "stop": 3, "step": 1, "dtype": {"dtype": "int64"}}],
        ["Range", {"start": 0, "stop": 3, "step": 1, "dtype": "int64"}],
        ["Range", {"start": 0, "stop": 3, "step": 1, "dtype": {"dtype": "M8[s]"}}],
        ["Range", {"start": 0, "stop": 3, "step": 1, "dtype": {"dtype": "i4,,"}}],
        ["Take", {"source": RANGE, "count": 1, "more": 1}],
        ["Take", {"source": RANGE, "count": None}],
        ["Take", {"source": RANGE, "count": 1.5}],
        ["Take", {"source": None, "count": 1}],
        ["Take", {"source": 5, "count": 1}],
        ["Take", {"source": {"tuple": [RANGE]}, "count": 1}],
        ["Take", {"source": {"node": 5}, "count": 1}],
        ["Take", {"source": {"what": 5}, "count": 1}],
        ["Take", {"source": {}, "count": 1}],
        ["Take", {"source": RANGE | {"bytes": b""}, "count": 1}],
        ["Map", {"source": RANGE, "function": None}],
        ["Map", {"source": RANGE, "function": {"function": []}}],
        ["Map", {"source": RANGE, "function": {"function": ["digest", 5]}}],
        ["Batch", {"source": RANGE, "size": 2, "drop_remainder": "no"}],
        ["PaddedBatch", {"source": RANGE, "size": 2, "shapes": {"tuple": [{"tuple": ["3"]}]}}],
        ["PaddedBatch", {"source": RANGE, "size": 2, "shapes_nest": {"structure": ["knot", [], [], ""]}}],
        ["PaddedBatch", {"source": RANGE, "size": 2, "values": {"tuple": [{"scalar": ["<i8", b"1"]}]}}],
        ["ListFiles", {"patterns": {"tuple": [b"*"]}}],
        ["ListFiles", {"patterns": ["*"]}],
        ["Rows", {"structure": {"structure": ["leaf", [], [], ""]}, "arrays": {"tuple": [5]}}],
        ["Rows", {"structure": {"structure": 5}, "arrays": {"tuple": []}}],
        *(
            ["Rows", {"structure": {"structure": ["leaf", [], [], ""]}, "arrays": {"tuple": [{"array": array}]}}]
            for array in (None, [], ["", "<i8"], ["", "i4,,", [1]], ["", "<i8", [-1]], ["", "<i8", [1 << 62, 1 << 62]])
        ),
    ],
    ids=repr,
)
def test_what_is_no_graph_is_refused(graph: Any, blobs: Blobs) -> None:
    data = msgpack.packb(graph)
    for decode in (decode_outline, lambda each: decode_whole(each, blobs)):
        with pytest.raises(HeadraceError) as caught:
            decode(data)
        assert isinstance(caught.value, MalformedMessage | InvalidArgumentError | NotFoundError)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000])
def test_what_is_no_messagepack_is_no_graph(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match="not a graph"):
        decode_outline(data)


def test_a_graph_that_nests_without_end_is_refused() -> None:
    graph: list[Any] = RANGE["node"]
    for _ in range(165):
        graph = ["Take", {"source": {"node": graph}, "count": 1}]
    with pytest.raises(MalformedMessage, match="operators on one another"):
        decode_outline(msgpack.packb(graph))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_damaged_graph_is_a_graph_or_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blobs = Blobs(tmp_path_factory.getbasetemp())
    damaged = bytearray(encode(PIPELINES["rows"]().shuffle(3).batch(2).take(4).node, blobs))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(decode_outline(bytes(damaged)), Node)
    except HeadraceError:
        return


def test_a_range_keeps_its_dtype(blobs: Blobs) -> None:
    node = decode_outline(encode(Dataset.range(3, output_type=np.uint8).node, blobs))
    assert isinstance(node, Range)
    assert node.dtype == np.dtype(np.uint8)
