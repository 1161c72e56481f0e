"""Vocabularies and buckets, against dicts and published fingerprints."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.pipeline.blocks import Block
from headrace.pipeline.code import code_digest
from headrace.pipeline.kernels.farmhash import hash_buckets
from headrace.pipeline.ragged import RaggedTensor
from headrace.pipeline.serialized import joined
from headrace.pipeline.sparse import SparseTensor
from headrace.text import Vocabulary, split, to_hash_bucket
from tests.conftest import assert_same

#: Of FarmHash's Fingerprint64, as published with a port of it (github.com/tecnickcom/farmhash64), one of every branch.
FINGERPRINTS = {
    "": 0x9AE16A3B2F90404F,
    "a": 0xB3454265B6DF75E3,
    "ab": 0xAA8D6E5242ADA51E,
    "abc": 0x24A5B3A074E7F369,
    "abcd": 0x1A5502DE4A1F8101,
    "abcdefg": 0x3C40C92B1CCB7355,
    "abcdefgh": 0xFEE9D22990C82909,
    "0123456789@0123": 0x5361EAE17C1FF6BC,
    "0123456789'01234": 0x4283D4EF43627F64,
    "0123456789=012345": 0x46A7416ED4861E3B,
    "C is as portable as Stonehedge!!": 0xB944F8A16261E414,
    "Discard medicine more than two years old.": 0xE8F89AB6DF9BDD25,
    "How can you write a big system without C++?  -Paul Glick": 0x5A0A6EFD52E84E2A,
    "For every action there is an equal and opposite government program.": 0x55182F8859ECA4CE,
    "Even if I could be Shakespeare, I think I should still choose to be Faraday. - A. Huxley": 0x5A05644EB66E435E,
    "The fugacity of a constituent in a mixture of gases at a given temperature is proportional to its mole fraction."
    "  Lewis-Randall Rule": 0x098EFF6958C5E91A,
}


def test_fingerprints_are_those_that_are_published() -> None:
    found = np.empty(len(FINGERPRINTS), np.int64)
    hash_buckets(*joined([text.encode() for text in FINGERPRINTS]), 0, found)
    assert found.view(np.uint64).tolist() == list(FINGERPRINTS.values())


def test_buckets_are_those_of_tensorflow() -> None:
    # From the documentation of to_hash_bucket_fast.
    assert to_hash_bucket(["Hello", "TensorFlow", "2.x"], 3).tolist() == [0, 2, 2]
    for text, fingerprint in FINGERPRINTS.items():
        assert_same(to_hash_bucket(text, 1 << 62), np.int64(fingerprint % (1 << 62)))
    nested = RaggedTensor.from_row_lengths(["a", "ab", "a"], [2, 1])
    expected = FINGERPRINTS["a"] % 10, FINGERPRINTS["ab"] % 10
    assert to_hash_bucket(nested, 10).to_list() == [[*expected], [expected[0]]]
    assert to_hash_bucket(np.array([["a"], ["ab"]]), 10).tolist() == [[expected[0]], [expected[1]]]


def test_unknown_words_get_the_bucket_that_tensorflow_gives_them_behind_the_vocabulary() -> None:
    vocabulary = Vocabulary(["x", "y"], oov_buckets=7)
    texts = list(FINGERPRINTS)
    assert vocabulary.lookup(texts).tolist() == [2 + FINGERPRINTS[each] % 7 for each in texts]
    assert (len(vocabulary), vocabulary.size) == (2, 9)
    assert Vocabulary(["x"]).lookup(texts).tolist() == [1] * len(texts)
    assert Vocabulary(["x"], oov_buckets=0, default_value=-5).lookup(texts).tolist() == [-5] * len(texts)


WORDS = st.lists(st.binary(min_size=0, max_size=20) | st.sampled_from([b"a" * n for n in range(30)]), unique=True)


@settings(max_examples=150, deadline=None)
@given(words=WORDS, others=WORDS, data=st.data())
def test_lookup_is_that_of_a_dict(words: list[bytes], others: list[bytes], data: st.DataObject) -> None:
    ids = {word: i for i, word in enumerate(words)}
    vocabulary = Vocabulary(words)
    asked = [*others, *words]
    assert vocabulary.lookup(asked).tolist() == [ids.get(each, len(words)) for each in asked]
    lines = [b" ".join(data.draw(st.permutations(asked))) for _ in range(3)]
    expected = [[ids.get(word, len(words)) for word in line.split()] for line in lines]
    assert vocabulary(lines).to_list() == expected
    assert [vocabulary(line).tolist() for line in lines] == expected
    column = vocabulary.on_column(Block.of_elements(lines).columns[0])
    assert column is not None
    column.check()
    assert [each.tolist() for each in column] == expected


def test_words_that_differ_little_are_told_apart() -> None:
    words = [bytes([65 + i % 26, *b"bcdefghi"[: i // 26], 65 + i % 7]) for i in range(234)]
    words += [b"same eight bytes and then %d" % i for i in range(5000)] + [b"\0" * n for n in range(1, 20)]
    words = list(dict.fromkeys(words))
    assert Vocabulary(words).lookup(words).tolist() == list(range(len(words)))


def test_ids_become_words_again() -> None:
    vocabulary = Vocabulary(["to", "be", "or"])
    assert vocabulary.words(vocabulary("be to or be")).tolist() == [b"be", b"to", b"or", b"be"]
    assert vocabulary.words(vocabulary(["to be", "", "what"]), "?").to_list() == [[b"to", b"be"], [], [b"?"]]
    assert (vocabulary.words(1), vocabulary.words(np.int32(-1))) == (b"be", b"[UNK]")
    assert vocabulary.words([[0], [99]]).tolist() == [[b"to"], [b"[UNK]"]]
    sparse = SparseTensor(np.array([[0, 3]]), np.array([b"or"], object), np.array([1, 4]))
    assert vocabulary.lookup(sparse).values.tolist() == [2]
    assert vocabulary.words(vocabulary.lookup(sparse)).values.tolist() == [b"or"]


def test_a_mapping_has_any_ids() -> None:
    vocabulary = Vocabulary({"b": 7, b"a": -2, "c": 7}, oov_buckets=1)
    assert vocabulary("a b c d").tolist() == [-2, 7, 7, 8]
    assert vocabulary.words([7, -2, 8]).tolist() == [b"b", b"a", b"[UNK]"]
    assert Vocabulary({}, oov_buckets=3).size == 3


def test_a_file_has_a_word_a_line(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_bytes("to\r\nbé\n\nor not".encode())
    vocabulary = Vocabulary(file)
    assert vocabulary.lookup(["to", "bé", "", "or not", "or"]).tolist() == [0, 1, 2, 3, 4]
    file.write_bytes(b"a\nb\n")
    assert len(Vocabulary(str(file))) == 2
    with pytest.raises(hr.NotFoundError, match="nowhere"):
        Vocabulary(tmp_path / "nowhere")
    file.write_bytes(b"a\nb\na\n")
    with pytest.raises(hr.InvalidArgumentError, match="b'a' twice"):
        Vocabulary(file)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Vocabulary(3),  # type: ignore[arg-type]
        lambda: Vocabulary(b"words"),  # type: ignore[arg-type]
        lambda: Vocabulary(["a", 3]),  # type: ignore[list-item]
        lambda: Vocabulary({"a": "b"}),
        lambda: Vocabulary({"a": True, "b": 1 << 62}),
        lambda: Vocabulary(["a"], oov_buckets=-1),
        lambda: Vocabulary(["a"]).words(["a"]),
        lambda: Vocabulary(["a"])(3),
        lambda: Vocabulary(["a"]).lookup([None]),
        lambda: to_hash_bucket("a", 0),
    ],
)
def test_what_is_no_vocabulary_and_no_word_is_refused(make: Any) -> None:
    with pytest.raises(hr.InvalidArgumentError):
        make()


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_it_travels_with_its_words_and_is_the_same_there(module: Any, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("\n".join(f"word{i}" for i in range(30_000)))
    for vocabulary in (Vocabulary(tmp_path / "words", 5), Vocabulary({"a": 9, "b": -1}, 0, -7)):
        pickled = module.dumps(vocabulary)
        assert len(pickled) < 200_000
        again = module.loads(pickled)
        texts = ["a word7 b", "word29999 c"]
        assert_same(again(texts), vocabulary(texts))
        assert code_digest(again) == code_digest(vocabulary)
        assert repr(again) == repr(vocabulary)
    assert code_digest(Vocabulary(["a"])) != code_digest(Vocabulary(["b"]))


def test_words_that_are_split_already_are_looked_up_as_they_are() -> None:
    vocabulary = Vocabulary(["a b", "a"])
    assert vocabulary.lookup(split("a b,a", ",")).tolist() == [0, 1]
    assert vocabulary.lookup(split(["a b,a", "x"], ",")).to_list() == [[0, 1], [2]]
