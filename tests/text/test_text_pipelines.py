"""Text through whole pipelines: the same in process and through a service, column by column or line by line."""

from __future__ import annotations

import json
import pydoc_data.topics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace import Dataset, TextLineDataset
from headrace.pipeline.columnwise import columnwise
from headrace.text import Vocabulary, lower, ngrams, pack, split
from tests.conftest import Run, assert_same

from ..pipeline.resuming import resumes_everywhere

#: A real corpus of English that every Python brings along: what `help()` says of the language, 700 kB in one file.
CORPUS = Path(pydoc_data.topics.__file__)


@pytest.fixture(scope="module")
def words() -> list[bytes]:
    """The thousand most frequent words of the corpus."""
    counts: dict[bytes, int] = {}
    for word in CORPUS.read_bytes().lower().split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))[:1000]


def padded(rows: list[list[int]], value: int) -> np.ndarray[Any, Any]:
    longest = max(map(len, rows))
    return np.array([row + [value] * (longest - len(row)) for row in rows], np.int64)


def test_a_real_corpus_goes_from_lines_to_ids_to_padded_batches(run: Run, words: list[bytes]) -> None:
    vocabulary = Vocabulary(words)
    lines = CORPUS.read_bytes().replace(b"\r", b"").split(b"\n")[:-1]
    ids = {word: i for i, word in enumerate(words)}
    rows = [[ids.get(word, len(words)) for word in line.lower().split()] for line in lines]
    rows = [row for row in rows if row]
    assert len(rows) > 5000
    dataset = TextLineDataset(str(CORPUS)).map(lower).map(vocabulary).filter(lambda row: len(row) > 0)
    batches = dataset.padded_batch(256, padding_values=np.int64(-1))
    expected = [padded(rows[i : i + 256], -1) for i in range(0, len(rows), 256)]
    assert_same(run(batches), [expected])


def test_a_column_gives_what_calls_for_each_element_give(run: Run) -> None:
    texts = [b"b a", b"", b"c  a", b"a"] * 3
    vocabulary = Vocabulary(["a", "b"])
    source = Dataset.from_tensor_slices(texts)
    for at_once, one_by_one in (
        (source.map(vocabulary), source.map(lambda text: vocabulary(text))),
        (source.map(split), source.map(lambda text: split(text))),
        (source.map(lower).map(split), source.map(lambda text: split(lower(text)))),
        (source.map(vocabulary).enumerate(), source.map(lambda text: vocabulary(text)).enumerate()),
    ):
        assert_same(run(at_once), run(one_by_one))
    buckets = [
        rows.bucket_by_sequence_length(len, [2], [4, 4])
        for rows in (source.map(vocabulary), source.map(lambda text: vocabulary(text)))
    ]
    assert_same(run(buckets[0]), run(buckets[1]))
    (got,) = run(source.map(lower).map(vocabulary).filter(lambda row: len(row) == 2).map(lambda row: row + 1))
    assert [row.tolist() for row in got] == [[2, 1], [3, 1]] * 3


def test_what_fails_in_a_column_is_told_of_its_element(outcomes: Callable[..., list[Any]]) -> None:
    calls: list[int] = []

    def whole(column: Any) -> Any:
        calls.append(len(column))
        raise hr.InvalidArgumentError("no column of this")

    @columnwise(whole)
    def picky(text: bytes) -> bytes:
        if text == b"bad":
            raise ValueError("a bad one")
        return text

    dataset = Dataset.from_tensor_slices([b"one", b"bad", b"two"]).map(picky)
    one, (kind, told), two = outcomes(iter(dataset))
    assert (one, kind, two) == (b"one", hr.FunctionError, b"two")
    assert "a bad one" in told
    assert "element 1" in told
    assert calls == [3]
    assert list(dataset.ignore_errors()) == [b"one", b"two"]


def test_elements_that_are_no_texts_are_refused_by_name() -> None:
    with pytest.raises(hr.InvalidArgumentError, match=r"takes bytes.*element 0"):
        list(Dataset.range(3).map(Vocabulary(["a"])))


def test_elements_of_a_column_are_the_callers(tmp_path: Path) -> None:
    first, second = list(Dataset.from_tensor_slices([b"a b", b"a a"]).map(Vocabulary(["a", "b"])))
    first[:] = 7
    assert second.tolist() == [0, 0]


def test_batches_of_lines_become_ragged_ids(run: Run) -> None:
    lines = Dataset.from_tensor_slices(["to be", "or", "not to be"])
    vocabulary = Vocabulary(["to", "be"])
    (got,) = run(lines.batch(2).map(vocabulary))
    assert [each.to_list() for each in got] == [[[0, 1], [2]], [[2, 0, 1]]]
    (got,) = run(lines.batch(3).map(lambda texts: ngrams(split(texts), 2)))
    assert got[0].to_list() == [[b"to be"], [], [b"not to", b"to be"]]


def test_sequences_are_packed_into_rows_of_one_length(run: Run) -> None:
    sequences = Dataset.range(6).map(lambda n: np.full(n, n, np.int32))
    flat = [n for n in range(6) for _ in range(n)]
    (rows,) = run(sequences.apply(pack(4)))
    assert [row.tolist() for row in rows] == [flat[i : i + 4] for i in range(0, 15, 4)]
    assert rows[0].dtype == np.int32
    (rows,) = run(sequences.apply(pack(4, drop_remainder=True)))
    assert [row.tolist() for row in rows] == [flat[i : i + 4] for i in range(0, 12, 4)]
    ended = [n for i in range(6) for n in [i] * i + [0]] + [-1] * 3
    (rows,) = run(sequences.apply(pack(4, end=0, pad_value=-1)))
    assert [row.tolist() for row in rows] == [ended[i : i + 4] for i in range(0, 24, 4)]
    assert {row.dtype for row in rows} == {np.dtype(np.int32)}


def test_packing_that_cannot_be_is_refused() -> None:
    for length, filler in ((0, None), (2.5, None), (2, 0)):
        with pytest.raises(hr.InvalidArgumentError):
            pack(length, drop_remainder=True, pad_value=filler)  # type: ignore[arg-type]
    with pytest.raises(hr.InvalidArgumentError, match="sequences of numbers"):
        list(Dataset.range(3).apply(pack(2, end=0)))


def test_lines_looked_up_shuffled_and_packed_go_on_anywhere(
    service: hr.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" ".join("abcd"[(i * j) % 4] for j in range(i % 5)) for i in range(14)]

    def make() -> Dataset:
        lines = Dataset.from_tensor_slices(texts)
        return lines.map(Vocabulary(["a", "b", "c"])).shuffle(5, seed=3).apply(pack(4, end=9))

    found = resumes_everywhere(make, service, monkeypatch, lambda row: row.tolist())
    expected = sorted(n for text in texts for n in [*("abcd".index(word) for word in text.split()), 9])
    assert sorted(n for row in found for n in row) == expected


def test_a_header_is_skipped_in_each_file(run: Run, text_file: Callable[..., str]) -> None:
    files = [text_file(b"id,text\n1,to be\n", "one.csv"), text_file(b"id,text\n2,or\n3,not\n", "two.csv")]
    lines = Dataset.from_tensor_slices(files).flat_map(lambda file: TextLineDataset(file).skip(1))
    (got,) = run(lines.map(lambda line: split(line, ",")[1]))
    assert got == [b"to be", b"or", b"not"]


def test_a_token_of_a_vocabulary_that_changed_warns() -> None:
    def make(words: list[str]) -> Dataset:
        return Dataset.from_tensor_slices(["a b", "b"]).map(Vocabulary(words))

    first = iter(make(["a", "b"]))
    next(first)
    token = json.loads(json.dumps(first.state_dict()))
    same, other = iter(make(["a", "b"])), iter(make(["b", "a"]))
    same.load_state_dict(token)
    assert next(same).tolist() == [1]
    with pytest.warns(hr.FunctionChangedWarning):
        other.load_state_dict(token)
