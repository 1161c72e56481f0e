"""What fuzzing found, each with the input that showed it."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from headrace import Dataset, TFRecordDataset
from headrace.config import load
from headrace.pipeline.authorized import Authorized
from headrace.pipeline.blobs import Blobs
from headrace.pipeline.decoding import decode_jpeg
from headrace.pipeline.errors import (
    DataLossError,
    FileError,
    InvalidArgumentError,
    MalformedMessage,
    ResourceExhaustedError,
)
from headrace.pipeline.features import VarLenFeature
from headrace.pipeline.graph import blobs_in, decode_outline, decode_whole
from headrace.pipeline.keys import is_key, make_client_key, make_server_key, read_client_key
from headrace.pipeline.limits import Limits, enforce
from headrace.pipeline.lines import read_lines
from headrace.pipeline.records import masked, read_records
from headrace.pipeline.sequence_parsing import parse_single_sequence_example
from headrace.pipeline.structure import Structure

IMAGES = Path(__file__).parents[1] / "data" / "images"
#: Forty characters of Z85, each five of which stand for more than four bytes hold.
TOO_MUCH = "#" * 40


@contextmanager
def under(**values: Any) -> Iterator[None]:
    before = enforce(Limits(**values))
    try:
        yield
    finally:
        enforce(before)


def test_a_key_of_forty_characters_that_stand_for_no_bytes_is_no_key(tmp_path: Path) -> None:
    make_server_key(tmp_path / "keys")
    path = make_client_key(tmp_path / "keys", "trainer", ["client"])
    assert not is_key(TOO_MUCH)
    for name in ("public", "secret", "server"):
        changed = tmp_path / f"{name}.key"
        changed.touch(0o600)
        changed.write_text(re.sub(f'{name} = ".*"', f'{name} = "{TOO_MUCH}"', path.read_text()))
        with pytest.raises(FileError, match=f"'{name}' is no key of 40 characters"):
            read_client_key(changed)


def test_an_authorized_key_that_stands_for_no_bytes_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "authorized_keys"
    path.touch(0o600)
    path.write_text(f"{TOO_MUCH.replace('#', '%')} client ann\n")
    said: list[str] = []
    assert Authorized(path, said.append).users == []
    assert "line 1: it does not begin with a public key" in said[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = " + "[" * 5000, "this is no TOML"),
        ("a = " + "9" * 5000, "this is no TOML"),
        (f'[limits]\nbudget = "{"9" * 400} TiB"', r"limits.budget is .*: it must be a size"),
        (f"[limits]\nlease = {'9' * 400}", r"limits.lease is .*: it must be a duration"),
        ("[limits]\nlease = 1e400", "limits.lease is inf"),
        ('[server]\nstate_dir = "~nobody-of-that-name/x"', "there is no user 'nobody-of-that-name' here"),
        (f'[limits]\nlease = "1{" " * 100_000}!"', "limits.lease is .*: it must be a duration"),
        ("# " + "x" * (1 << 20), "longer than 1,048,576 bytes"),
    ],
    ids=["deep", "long number", "no size", "no duration", "infinite", "nobody", "spaces", "long"],
)
def test_a_configuration_that_cannot_be_is_refused(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "headrace.toml"
    file.write_text(text)
    with pytest.raises(InvalidArgumentError, match=told):
        load(file)


RANGE = {"node": ["Range", {"start": 0, "stop": 3, "step": 1, "dtype": {"dtype": "int64"}}]}
LEAF = {"structure": ["leaf", [], [], ""]}
PAIR = {"structure": ["tuple", [], [["leaf", [], [], ""]] * 2, ""]}


def over(name: str, **values: Any) -> list[Any]:
    return [name, {"source": RANGE, **values}]


def rows(*arrays: Any, structure: Any = LEAF) -> list[Any]:
    return ["Rows", {"structure": structure, "arrays": {"tuple": [{"array": each} for each in arrays]}}]


def numbers(**values: Any) -> list[Any]:
    return ["Range", {"start": 0, "stop": 9, "step": 1, "dtype": {"dtype": "int64"}, **values}]


FUNCTION = ["0" * 40, "map(f)", False]
#: Each is well-formed, and met an error of Python's own, or a loop without end, where a server planned it.
GRAPHS: Sequence[Any] = (
    *(numbers(step=0), numbers(stop=1 << 63), numbers(dtype={"dtype": "bytes"}), numbers(dtype={"dtype": "bool"})),
    *(over("Batch", size=0), over("Batch", size=-1), over("PaddedBatch", size=0), over("Shuffle", size=0)),
    *(over("Shuffle", size=3, seed=1 << 63), over("Repeat", count=1 << 63), over("Take", count=1 << 63)),
    *(over("Skip", count=1 << 63), over("Shard", count=0, index=0), over("Shard", count=2, index=2)),
    *(over("Shard", count=2, index=-1), over("Enumerate", start=1 << 63), over("Prefetch", size=-2)),
    over("Configured", buffer_bytes=0),
    over("Configured", seed=1 << 63),
    over("Configured", error_budget=-1),
    over("Configured", on_error=""),
    over("PaddedBatch", size=2, values={"tuple": [5]}),
    over("PaddedBatch", size=2, values={"tuple": [RANGE]}),
    over("PaddedBatch", size=2, shapes={"tuple": [{"tuple": [-5]}]}),
    over("Interleave", function={"function": FUNCTION}, cycle=0, block=1),
    over("Interleave", function={"function": FUNCTION}, cycle=1, block=0),
    over("Map", function={"function": [7, "map(f)", False]}),
    over("Map", function={"function": ["0" * 40, 7, False]}),
    over("Map", function={"function": ["0" * 40, "map(f)", "no"]}),
    ["Records", {"filenames": RANGE, "compression": "BZIP2"}],
    ["Zip", {"sources": [RANGE["node"]], "structure": PAIR}],
    *(rows(), rows(["", "<i8", []]), rows(["", "<i8", [3]], ["", "<i8", [3]])),
    *(rows(["", "<i8", [3]], ["", "<i8", [4]], structure=PAIR), rows(["", "V8", [3]]), rows(["", "i4,i4", [3]])),
    ["Generator", {"function": {"function": FUNCTION}, "structure": LEAF}],
    [
        "Generator",
        {
            "function": {"function": FUNCTION},
            "structure": LEAF,
            "shapes": {"tuple": [5]},
            "dtypes": {"tuple": [{"dtype": "int64"}]},
        },
    ],
)


@pytest.mark.parametrize("graph", GRAPHS, ids=str)
def test_a_graph_of_arguments_that_no_method_takes_is_refused(graph: Any) -> None:
    for decode in (decode_outline, blobs_in):
        with pytest.raises(MalformedMessage):
            decode(msgpack.packb(graph))


@pytest.mark.parametrize("dtype", ["i4," * 1000, "(" * 1000 + "i4", "V99999999999", 5, ["i4"]])
def test_a_dtype_is_a_name_that_is_known(dtype: Any) -> None:
    for graph in (numbers(dtype={"dtype": dtype}), rows(["", dtype, [3]])):
        with pytest.raises((MalformedMessage, InvalidArgumentError)):
            decode_outline(msgpack.packb(graph))


@pytest.mark.parametrize("content", [[1, 2], {}, ["a", "b"], b"ab", [b"a"]])
def test_strings_of_a_graph_are_as_many_as_it_says_and_strings(content: Any, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    data = msgpack.packb(rows([blobs.put(msgpack.packb(content)), "bytes", [2]]))
    with pytest.raises(MalformedMessage):
        decode_whole(data, blobs)


def test_passes_over_nothing_end(tmp_path: Path) -> None:
    assert list(TFRecordDataset([]).filter(bool).repeat(10**15).map(len)) == []
    nothing = TFRecordDataset([]).concatenate(Dataset.from_tensors(b"").take(0))
    assert list(Dataset.zip(nothing, Dataset.from_tensors(1).repeat()).repeat(10**15)) == []


PADDED: dict[str, Callable[[int], Any]] = {
    "few items that need much padding": lambda n: np.zeros((100_000, 1) if n else (1, 100_000), np.uint8),
    # The product of these lengths is a multiple of 2**64.
    "no items that need endless padding": lambda n: np.empty([(1, 1), (1 << 32, 0), (0, 1 << 32)][n], object),
}


@pytest.mark.parametrize("make", PADDED.values(), ids=PADDED)
def test_a_padded_batch_that_no_memory_holds_is_refused_before_it_is_made(make: Callable[[int], Any]) -> None:
    def element(number: Any) -> Any:
        made = make(int(number))
        if made.dtype == object:
            made[...] = b"x"
        return made

    with pytest.raises(ResourceExhaustedError, match="256 MiB are the most for one element or batch"):
        next(iter(Dataset.range(3).map(element).padded_batch(3)))


@pytest.mark.parametrize(
    ("type_", "fields"),
    [("nowhere:class", ("a", "b")), ("nowhere:x", ("ﬁ", "fi")), ("nowhere:\N{MATHEMATICAL BOLD SMALL I}f", ("1", ""))],
)
def test_a_named_tuple_of_names_that_python_does_not_take_has_others(type_: str, fields: tuple[str, ...]) -> None:
    data = Structure("named", fields, (Structure(),) * 2, type_).to_data()
    assert Structure.from_data(data).pack([1, 2]) == (1, 2)


def zipped(content: bytes, path: Path) -> str:
    packer = zlib.compressobj(wbits=31)
    path.write_bytes(packer.compress(content) + packer.flush())
    return str(path)


def test_a_length_that_lies_in_a_compressed_file_costs_no_memory(tmp_path: Path, peak: Callable[[], int]) -> None:
    length = struct.pack("<Q", 1 << 40)
    intact = struct.pack("<Q", 3)
    first = intact + struct.pack("<I", masked(intact)) + b"abc" + struct.pack("<I", masked(b"abc"))
    path = zipped(first + length + struct.pack("<I", masked(length)) + bytes(32 << 20), tmp_path / "a.gz")
    peak()
    with under(element_bytes=1 << 20):
        chunks = read_records(path, "GZIP", chunk_bytes=1 << 16)
        assert next(chunks).payloads() == [b"abc"]
        with pytest.raises(DataLossError, match="the record here would have") as caught:
            next(chunks)
    assert caught.value.offset == len(first)
    assert peak() < 4 << 20


def test_a_line_without_end_costs_no_memory(tmp_path: Path, peak: Callable[[], int]) -> None:
    path = zipped(b"first\n" + b"x" * (64 << 20), tmp_path / "a.gz")
    peak()
    with under(element_bytes=1 << 20):
        lines = read_lines(path, "GZIP")
        assert next(lines).payloads() == [b"first"]
        with pytest.raises(DataLossError, match="no element may be so large"):
            next(lines)
    assert peak() < 16 << 20


def test_a_long_line_costs_a_few_times_its_length(tmp_path: Path, peak: Callable[[], int]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * (16 << 20) + b"\r\nsecond\r\n")
    peak()
    assert [len(line) for chunk in read_lines(str(path)) for line in chunk.payloads()] == [16 << 20, 6]
    assert peak() < 12 * (16 << 20)  # with a count at each byte it was 26


def test_a_large_progressive_image_has_fewer_scans_than_a_small_one() -> None:
    data = (IMAGES / "progressive.jpg").read_bytes()
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    more = data[:end] + data[last:end] * 30 + data[end:]
    pixels = decode_jpeg(more)
    with (
        under(image_pixels=pixels.shape[0] * pixels.shape[1]),
        pytest.raises(InvalidArgumentError, match="more than the 20 that are decoded"),
    ):
        decode_jpeg(more)


def test_a_number_that_does_not_end_in_a_feature_list_is_refused_and_no_memory_is_shown() -> None:
    endless = bytes([255] * 9 + [172, 1])
    packed = bytes([0x0A, len(endless)]) + endless
    feature = bytes([0x1A, len(packed)]) + packed
    steps = bytes([0x0A, len(feature)]) + feature
    entry = b"\x0a\x01x" + bytes([0x12, len(steps)]) + steps
    lists = bytes([0x0A, len(entry)]) + entry
    serialized = bytes([0x12, len(lists)]) + lists
    for _ in range(50):  # what an array holds that nobody has filled differs
        with pytest.raises(InvalidArgumentError, match="its bytes do not parse"):
            parse_single_sequence_example(serialized, None, {"x": VarLenFeature("int64")})


def test_a_graph_whose_number_is_true_is_refused() -> None:
    numbers = {"start": 0, "stop": 9, "step": 1, "dtype": {"dtype": "<i8"}}
    shuffle = {"source": {"node": ["Range", numbers]}, "size": True, "reshuffle": True}
    with pytest.raises(MalformedMessage, match="a Shuffle whose size is bool"):
        decode_outline(msgpack.packb(["Shuffle", shuffle]))


def test_a_manifest_whose_structure_has_more_parts_than_components_is_damaged(tmp_path: Path) -> None:
    Dataset.range(3).map(lambda x: (x, x)).save(str(tmp_path / "saved"))
    manifest = tmp_path / "saved" / "headrace.json"
    said = json.loads(manifest.read_text())
    del said["spec"]["components"][1]
    manifest.write_text(json.dumps(said))
    with pytest.raises(DataLossError, match="1 components for a structure of 2"):
        Dataset.load(str(tmp_path / "saved"))
