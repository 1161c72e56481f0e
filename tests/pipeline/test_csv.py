"""CSV files: fields, defaults, quotes, what is wrong with records, and where files are cut."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import CsvDataset
from headrace.pipeline import local_run
from headrace.pipeline.blobs import Sent
from headrace.pipeline.delimited import read_csv
from headrace.pipeline.errors import MalformedMessage
from headrace.pipeline.graph import decode_outline, encode
from headrace.pipeline.nodes import Csv

Run = Callable[..., list[list[Any]]]
Same = Callable[[Any, Any], None]
Outcomes = Callable[[Iterator[Any]], list[Any]]
Write = Callable[..., str]

PEOPLE = b'name,age,height\n"Ada ""the first"", of\nLondon",36,1.65\r\nGrace,,1.7\n,85,NA\n'


@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_records_are_tuples_of_scalars_file_after_file(
    run: Run, text_file: Write, same: Same, compression: Any
) -> None:
    content = PEOPLE if compression is None else gzip.compress(PEOPLE)
    files = [text_file(content), text_file(content, "b.csv")]
    once = [
        (b'Ada "the first", of\nLondon', np.int32(36), np.float64(1.65)),
        (b"Grace", np.int32(-1), np.float64(1.7)),
    ]
    dataset = CsvDataset(files, ["unknown", [-1], np.float64(0)], compression, header=True, na_value="NA")
    wanted = [*once, (b"unknown", np.int32(85), np.float64(0))] * 2
    same(run(dataset, epochs=2), [wanted, wanted])
    assert dataset.cardinality() == hr.UNKNOWN_CARDINALITY
    assert dataset.element_spec == tuple(hr.TensorSpec((), each) for each in (bytes, np.int32, np.float64))


def test_one_column_is_a_tuple_of_one(run: Run, text_file: Write, same: Same) -> None:
    same(run(CsvDataset(text_file(b"1\n2\n"), [np.int64])), [[(np.int64(1),), (np.int64(2),)]])


def test_a_default_says_the_dtype_and_a_dtype_alone_wants_a_value(text_file: Write, outcomes: Outcomes) -> None:
    path = text_file(b",,,\n1,2,3,4\n")
    defaults: list[Any] = [[7], np.array([1.5]), "x", np.array([], np.int64)]
    missing, (*found,) = outcomes(iter(CsvDataset(path, defaults)))
    assert missing[0] is hr.InvalidArgumentError
    assert missing[1].startswith(f"{path}, byte 0, column 3: there is no value, and record_defaults has no default")
    assert [type(each) for each in found] == [np.int32, np.float64, bytes, np.int64]
    assert list(CsvDataset(path, [*defaults[:3], [9]]).take(1)) == [(7, 1.5, b"x", 9)]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a,b", [b"a", b"b"]),
        ("a,", [b"a", b"-"]),
        (",", [b"-", b"-"]),
        ('"a,b","c\nd"', [b"a,b", b"c\nd"]),
        ('"a\r\nb",""', [b"a\r\nb", b"-"]),
        ('"""",a""""', [b'"', "a field that does not begin with one"]),
        ('"say ""hi""",b', [b'say "hi"', b"b"]),
        (" a , b ", [b" a ", b" b "]),
        ('"a"b,c', ["text behind the quote that closes a field"]),
        ('a"b,c', ["a quote inside a field that does not begin with one"]),
        ('a,"b', ["a field in quotes that is not closed before the file ends"]),
        ("a", ["too few fields: 2 are wanted"]),
        ("", ["too few fields: 2 are wanted"]),
        ("a,b,c", ["more fields than the 2 that are wanted"]),
    ],
)
def test_quotes_and_numbers_of_fields(text_file: Write, outcomes: Outcomes, text: str, fields: list[Any]) -> None:
    path = text_file(b"x,y\n" + text.encode() + (b"" if text == 'a,"b' else b"\nz,z\n"))
    found = outcomes(iter(CsvDataset(path, ["-", "-"])))
    assert found.pop(0) == (b"x", b"y")
    if text != 'a,"b':
        assert found.pop() == (b"z", b"z")  # what comes behind can still be read
    if isinstance(fields[-1], str):
        kind, told = found[0]
        assert (kind, fields[-1] in told, f"{path}, byte 4:" in told) == (hr.InvalidArgumentError, True, True), told
    else:
        assert found == [tuple(fields)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_records_end_as_any_system_ends_lines_and_the_last_need_not(text_file: Write, end: bytes) -> None:
    path = text_file(end.join([b"1,a", b"2,b", b"3,c"]))
    assert list(CsvDataset(path, [np.int32, bytes])) == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert list(CsvDataset(path, [np.int32, bytes], header=True)) == [(2, b"b"), (3, b"c")]


def test_columns_are_chosen_or_left_out(run: Run, text_file: Write) -> None:
    path = text_file(b"0,1,2,3\n4,5,6,7\n")
    assert run(CsvDataset(path, [np.int32] * 2, select_cols=[1, 3])) == [[(1, 3), (5, 7)]]
    assert list(CsvDataset(path, [np.int32], select_cols=[0])) == [(0,), (4,)]
    assert list(CsvDataset(path, [np.int32] * 3, exclude_cols=[2])) == [(0, 1, 3), (4, 5, 7)]
    assert list(CsvDataset(path, [np.int32] * 3, exclude_cols=[3])) == [(0, 1, 2), (4, 5, 6)]
    with pytest.raises(hr.InvalidArgumentError, match="more fields than the 2"):
        next(iter(CsvDataset(path, [np.int32] * 2, exclude_cols=[0])))
    with pytest.raises(hr.InvalidArgumentError, match="too few fields: 2 are wanted"):
        next(iter(CsvDataset(path, [np.int32] * 2, select_cols=[1, 4])))


def test_another_delimiter_and_no_quotes(text_file: Write) -> None:
    path = text_file(b'a\t"b\n"\tc"\n')
    assert list(CsvDataset(path, [bytes, bytes], field_delim="\t", use_quote_delim=False)) == [
        (b"a", b'"b'),
        (b'"', b'c"'),
    ]


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        (np.int32, " -12 ", -12),
        (np.int32, "+5", 5),
        (np.int32, "2147483647", 2147483647),
        (np.int32, "-2147483648", -2147483648),
        (np.int32, "2147483648", None),
        (np.int64, "-9223372036854775808", -(2**63)),
        (np.int64, "9223372036854775807", 2**63 - 1),
        (np.int64, "9223372036854775808", None),
        (np.int64, "99999999999999999999999", None),
        (np.uint8, "255", 255),
        (np.uint8, "-1", None),
        (np.int64, "1.0", None),
        (np.int64, "-", None),
        (np.int64, "1 2", None),
        (np.float64, "1e22", 1e22),
        (np.float64, "1e23", 1e23),
        (np.float64, "-0.1", -0.1),
        (np.float64, "123456789012345678901234567890", 1.2345678901234568e29),
        (np.float64, "4.9e-324", 5e-324),
        (np.float64, ".5", 0.5),
        (np.float64, "5.", 5.0),
        (np.float64, "1E+2", 100.0),
        (np.float64, "inf", np.inf),
        (np.float64, "1e999999999999", np.inf),
        (np.float64, "1e-999999999999", 0.0),
        (np.float64, ".e5", None),
        (np.float64, "1e", None),
        (np.float64, ".", None),
        (np.float64, "1_0", None),
        (np.float64, "0x1", None),
        (np.float64, "one", None),
        (np.float32, "0.1", np.float32(0.1)),
        (np.float32, "1e39", np.inf),
        # Just above the middle between 1 and the next float: rounded to a double first, it would be in the middle.
        (np.float32, "1.00000005960464477539062500001", np.float32(1) + np.finfo(np.float32).eps),
        (np.float32, "1.000000059604644775390625", np.float32(1)),
        (np.float32, "1e-45", np.float32(1e-45)),
    ],
)
def test_numbers_are_read_to_the_last_bit_or_refused(
    text_file: Write, outcomes: Outcomes, dtype: Any, text: str, value: Any
) -> None:
    path = text_file(b"7,0\n7," + text.encode() + b"\n")
    found = outcomes(iter(CsvDataset(path, [np.int32, dtype])))[1]
    if value is None:
        assert found[0] is hr.InvalidArgumentError
        assert found[1] == f"{path}, byte 4, column 1: {text.encode()!r} is no {np.dtype(dtype).name}"
    else:
        assert found[1].dtype == dtype
        assert found[1] == value


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.lists(st.text(st.sampled_from('a,"\n\r ;é')), min_size=3, max_size=3), max_size=12),
    chunk=st.integers(1, 40),
)
def test_what_python_writes_is_read_whatever_the_pieces(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], chunk: int
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(written.getvalue().encode())
    node = CsvDataset(str(path), ["", "", ""]).node
    assert isinstance(node, Csv)
    chunks = list(read_csv(str(path), node, chunk_bytes=chunk))
    columns = [[value for each in chunks for value in each.columns[k]] for k in range(3)]
    assert list(zip(*columns, strict=True)) == [tuple(each.encode() for each in row) for row in rows]
    at = 0
    for each in chunks:
        assert each.offsets[0] == at
        at = each.next_offset
    assert at == len(path.read_bytes())


def test_doubles_are_those_of_python(text_file: Write) -> None:
    dice = random.Random(4)
    texts = [repr(dice.uniform(-1, 1) * 10.0 ** dice.randint(-25, 25)) for _ in range(3000)]
    texts += [f"{dice.getrandbits(60)}e{dice.randint(-30, 30)}" for _ in range(3000)]
    found = next(iter(CsvDataset(text_file("\n".join(texts).encode()), [np.float64]).batch(6000)))[0]
    assert found.tolist() == [float(each) for each in texts]


def test_every_part_of_a_file_without_quotes_has_the_records_that_begin_in_it(text_file: Write) -> None:
    content = b"head\r\n1,a\r\n22,\r333,ccc\n\n4,d"
    starts, path = [6, 11, 15, 23, 24], text_file(content)
    node = CsvDataset(path, [np.int64, ""], use_quote_delim=False, header=True).node
    assert isinstance(node, Csv)
    for start in range(len(content)):
        for stop in (*range(start, len(content)), None):
            chunks = read_csv(path, node, start, stop, chunk_bytes=5)
            found = [place for each in chunks for place in (each.offsets.tolist() if each.error is None else [23])]
            assert found == [each for each in starts if start <= each and (stop is None or each < stop)], (start, stop)


@pytest.mark.parametrize("quotes", [True, False])
def test_a_large_file_comes_whole_and_in_order(run: Run, tmp_path: Path, quotes: bool) -> None:
    path = tmp_path / "large.csv"
    path.write_text("".join(f"{i},{i / 8},name {i}\n" for i in range(200_000)))  # 4.4 MB: several splits
    dataset = CsvDataset(str(path), [np.int64, np.float64, bytes], use_quote_delim=quotes)
    found = run(dataset.shuffle(5000, seed=1).batch(10_000))[0]
    numbers, eighths, names = (np.concatenate([batch[k] for batch in found]) for k in range(3))
    assert (np.sort(numbers) == np.arange(200_000)).all()
    assert (eighths == numbers / 8).all()
    assert names.tolist() == [b"name %d" % each for each in numbers.tolist()]


def test_errors_stand_in_their_place_through_a_service_too(run: Run, text_file: Write) -> None:
    dataset = CsvDataset(text_file(b"1\nx\n3\n\n5\n"), [np.int32])
    assert run(dataset.ignore_errors()) == [[(1,), (3,), (5,)]]
    assert run(dataset.with_options(hr.Options(on_error="skip"))) == [[(1,), (3,), (5,)]]


def test_a_file_that_is_missing_or_cut_is_a_typed_error(text_file: Write, outcomes: Outcomes, tmp_path: Path) -> None:
    cut = text_file(gzip.compress(b"1,2\n" * 5000)[:-12], "cut")
    good = text_file(gzip.compress(b"7,8\n"), "good")
    found = outcomes(iter(CsvDataset([str(tmp_path / "none"), cut, good], [np.int32] * 2, "GZIP")))
    assert (found[0][0], found[-1]) == (hr.NotFoundError, (7, 8))
    kind, told = found[-2]
    assert kind is hr.DataLossError
    assert "the GZIP stream is cut" in told


@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize("compression", [None, "GZIP"])
def test_an_iteration_goes_on_from_every_record(
    text_file: Write, same: Same, outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, quotes: bool, compression: Any
) -> None:
    monkeypatch.setattr(local_run, "LEAST_S", 0)
    monkeypatch.setattr(local_run, "SHARE", 0)
    content = b"head,er\n" + b"".join(b'%d,"a\nb"\n' % i if quotes else b"%d,ab\n" % i for i in range(20)) + b"x,y\n1,z"
    path = text_file(content if compression is None else gzip.compress(content))
    dataset = CsvDataset(path, [np.int32, bytes], compression, header=True, use_quote_delim=quotes).shuffle(4, seed=1)
    expected = outcomes(dataset.iterate(1))
    assert len(expected) == 22
    for at in range(len(expected) + 1):
        first, second = dataset.iterate(1), dataset.iterate(0)
        before: list[Any] = []
        while len(before) < at:
            try:
                before.append(next(first))
            except hr.HeadraceError as error:
                before.append((type(error), str(error)))
        second.load_state_dict(first.state_dict())
        same(before + outcomes(second), expected)


def test_an_epoch_goes_on_in_a_service(service: hr.Service, text_file: Write, same: Same) -> None:
    path = text_file(b"".join(b'%d,"a\nb"\n' % i for i in range(900)))
    dataset = CsvDataset(path, [np.int64, bytes]).shuffle(50, seed=1).batch(2)
    expected, first = list(dataset.iterate(0)), dataset.iterate(0)
    before = [next(first) for _ in range(333)]
    with service.iterate(dataset) as iterator:
        iterator.load_state_dict(first.state_dict())
        same(before + list(iterator), expected)


def test_a_record_that_no_element_may_be_is_refused(text_file: Write, enforced: Callable[..., None]) -> None:
    enforced(element_bytes=1 << 20)
    with pytest.raises(hr.DataLossError, match=r"no element may be so large \(limits.element\)"):
        next(iter(CsvDataset(text_file(b'"' + bytes(5 << 20)), [bytes])))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"record_defaults": []}, "record_defaults must be a list"),
        ({"record_defaults": [np.complex64]}, "a field is read as an integer, float32, float64 or bytes"),
        ({"record_defaults": [[1, 2]]}, "has 2 values: a column has one default"),
        ({"field_delim": ",,"}, "field_delim is ',,'"),
        ({"field_delim": '"'}, "field_delim is"),
        ({"select_cols": [1], "exclude_cols": [0]}, "only one of them"),
        ({"select_cols": [1, 2]}, "names 2 columns, record_defaults 1"),
        ({"select_cols": [-1]}, "select_cols is -1"),
        ({"exclude_cols": [2, 1]}, "the lower ones first"),
        ({"compression_type": "LZ4"}, "compression_type is 'LZ4'"),
    ],
)
def test_wrong_arguments_are_refused_where_they_are_given(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(hr.InvalidArgumentError, match=told):
        CsvDataset("a", **{"record_defaults": [bytes]} | arguments)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dtypes": ()}, "components that are none"),
        ({"dtypes": (np.dtype("c8"),)}, "components that are none"),
        ({"defaults": (b"x",)}, "defaults of other dtypes"),
        ({"columns": (3, 3), "excluded": True}, "columns that are none"),
        ({"columns": (1 << 40,)}, "columns that are none"),
        ({"columns": ()}, "columns that are none"),
        ({"delimiter": '"'}, "a delimiter of"),
        ({"compression": "LZ4"}, "a compression of"),
    ],
)
def test_a_graph_from_elsewhere_is_checked(fields: dict[str, Any], told: str) -> None:
    node = CsvDataset("a", [np.int32]).node
    assert decode_outline(encode(node, Sent())).dtypes == (np.dtype(np.int32),)  # type: ignore[attr-defined]
    with pytest.raises(MalformedMessage, match=told):
        decode_outline(encode(replace(node, **fields), Sent()))
