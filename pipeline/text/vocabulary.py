"""A vocabulary: words and their numbers, looked up in a hash table."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..columns import Column
from ..errors import InvalidArgumentError, NotFoundError
from ..kernels import text as kernels
from ..ragged import RaggedTensor, splits_of_lengths
from ..serialized import joined
from ..sparse import SparseTensor
from .texts import Array, Texts, each_text, encoded, of_column, one_text, row_by_row

__all__ = ["Vocabulary"]

Words: TypeAlias = npt.NDArray[np.int64]
#: What an id without a word is shown as.
UNKNOWN = b"[UNK]"


class Vocabulary:
    """The ids of words: texts to rows of ids for an embedding, words to ids, and ids to words.

    `source` is a file with a word a line, which have the ids 0, 1, 2, ... in its order; or a list of words, likewise;
    or a mapping from words to ids. A word that is not among them gets an id behind the largest: one of `oov_buckets`,
    by its hash (FarmHash's Fingerprint64, as TensorFlow's tables do); where there are none, `default_value`.

    Called with a text it gives the ids of the words between its blanks (see `split`), int64, and with a row of
    texts a RaggedTensor of them; `lookup` gives the id of each word that is split already. `lines.map(vocabulary)`
    runs at the speed of compiled code, without a call for each line. It is sent to workers with all its words, so
    that they need not have the file; nothing is read after it is made.

    >>> vocabulary = Vocabulary(["to", "be", "or", "not"])
    >>> vocabulary(b"to be or maybe not").tolist()
    [0, 1, 2, 4, 3]
    >>> vocabulary.lookup([b"be", b"maybe"]).tolist(), len(vocabulary), vocabulary.size
    ([1, 4], 4, 5)

    Raises InvalidArgumentError: what is no source, a word that comes twice, no number of buckets. NotFoundError: the
    file is not there.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Iterable[bytes | str] | Mapping[Any, int],
        oov_buckets: int = 1,
        default_value: int = -1,
    ) -> None:
        if not isinstance(oov_buckets, int | np.integer) or not 0 <= oov_buckets < 1 << 62:
            raise InvalidArgumentError(f"oov_buckets is {oov_buckets!r}: it is a whole number from 0")
        words, ids = _words_and_ids(source)
        raw, lengths = b"".join(words), np.fromiter(map(len, words), np.int64, len(words))
        self._fill(raw, lengths, ids, int(oov_buckets), int(default_value))

    def _fill(self, raw: bytes, lengths: Words, ids: Words, buckets: int, missing: int) -> None:
        self._raw, self._words = raw, np.frombuffer(raw, np.uint8)
        slots, bounds = 1 << (2 * len(ids) + 1).bit_length(), splits_of_lengths(lengths)
        header = np.array([slots - 1, int(ids.max(initial=-1)) + 1, buckets, missing, *[0] * 3], np.int64)
        parts = [header, ids, bounds, np.zeros(2 * slots, np.int64)]
        header[kernels.IDS_AT : kernels.HEADER] = np.cumsum([len(each) for each in parts[:-1]])
        self._table = np.concatenate(parts)
        self._header, self._ids, self._bounds = header, ids, bounds
        if (again := kernels.fill_table(self._words, bounds, self._table)) >= 0:
            raise InvalidArgumentError(f"the vocabulary has {self._word(again)!r} twice: leave one out")

    def __call__(self, text: Any) -> Any:
        """The ids of the words of a text, int64; of a row of texts a RaggedTensor."""
        if isinstance(text, bytes):
            return self._split(one_text(text))[0]
        return row_by_row("a vocabulary", text, lambda rows: self._split(Texts(*joined(rows))))

    def lookup(self, tokens: Any) -> Any:
        """The id of each word, int64, nested as they are.

        >>> Vocabulary({"yes": 7, "no": 3}, oov_buckets=0).lookup("no")
        np.int64(3)
        """
        return each_text("lookup", tokens, self._each)

    def words(self, ids: Any, unknown: bytes | str = UNKNOWN) -> Any:
        """The words of ids, nested as they are; `unknown` for those that have none.

        >>> Vocabulary(["to", "be"]).words([1, 0, 2]).tolist()
        [b'be', b'to', b'[UNK]']
        """
        if isinstance(ids, RaggedTensor):
            return RaggedTensor(self.words(ids.values, unknown), ids.row_splits)
        if isinstance(ids, SparseTensor):
            return SparseTensor(ids.indices, self.words(ids.values, unknown), ids.dense_shape)
        wanted = np.asarray(ids)
        if wanted.dtype.kind not in "iu" and wanted.size:
            raise InvalidArgumentError(f"words takes ids, whole numbers, not {wanted.dtype}")
        other = encoded("unknown", unknown)
        order = np.argsort(self._ids, kind="stable")
        known = self._ids[order]
        places = np.searchsorted(known, wanted.ravel())
        found = np.empty(wanted.size, object)
        found[:] = [
            self._word(int(order[place])) if place < len(known) and known[place] == each else other
            for place, each in zip(places.tolist(), wanted.ravel().tolist(), strict=True)
        ]
        return found.reshape(wanted.shape) if wanted.ndim else found[0]

    def on_column(self, column: Column) -> Column | None:
        """Calling it, for a column of texts."""
        texts = of_column(column) if column.rank == 0 else None
        if texts is None:
            return None
        ids, rows = self._split(texts)
        return Column(ids.dtype, 1, ids, None, rows, np.diff(rows)[:, None])

    def _split(self, texts: Texts) -> tuple[Array, Words]:
        data, splits = texts
        # Every word but the last of a text has a blank behind it.
        ids, rows = np.empty((len(data) + len(splits)) // 2, np.int64), np.zeros(len(splits), np.int64)
        kernels.split_look_up(data, splits, self._words, self._table, ids, rows)
        return ids[: rows[-1]].copy(), rows

    def _each(self, texts: Texts) -> Array:
        ids = np.empty(len(texts.splits) - 1, np.int64)
        kernels.look_up(texts.data, texts.splits, self._words, self._table, ids)
        return ids

    def _word(self, number: int) -> bytes:
        return self._raw[self._bounds[number] : self._bounds[number + 1]]

    @property
    def size(self) -> int:
        """One more than the largest id of all, those of unknown words too: how many rows an embedding needs."""
        return int(self._header[kernels.BASE] + self._header[kernels.BUCKETS])

    def __len__(self) -> int:
        return len(self._ids)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words, oov_buckets={self._header[kernels.BUCKETS]})"

    def __reduce__(self) -> tuple[Any, ...]:
        lengths = np.diff(self._bounds)
        counted = (self._ids == np.arange(len(self))).all()
        parts = [self._raw, lengths.tobytes(), b"" if counted else self._ids.tobytes()]
        how = int(self._header[kernels.BUCKETS]), int(self._header[kernels.MISSING])
        return _restored, (*[zlib.compress(part, 1) for part in parts], *how)


def _restored(raw: bytes, lengths: bytes, ids: bytes, buckets: int, missing: int) -> Vocabulary:
    made = Vocabulary.__new__(Vocabulary)
    sizes = np.frombuffer(zlib.decompress(lengths), np.int64)
    own = np.frombuffer(zlib.decompress(ids), np.int64).copy() if len(zlib.decompress(ids)) else np.arange(len(sizes))
    made._fill(zlib.decompress(raw), sizes, own, buckets, missing)
    return made


def _words_and_ids(source: Any) -> tuple[list[bytes], Words]:
    if isinstance(source, str | os.PathLike):
        words = _lines(Path(source))
    elif isinstance(source, Mapping):
        return [encoded("a vocabulary", each) for each in source], _numbers(source)
    elif isinstance(source, Iterable) and not isinstance(source, bytes):
        words = [encoded("a vocabulary", each) for each in source]
    else:
        raise InvalidArgumentError(f"a vocabulary is a file, a list of words or a mapping, not {source!r:.80}")
    return words, np.arange(len(words))


def _lines(path: Path) -> list[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(str(path), "there is no such vocabulary file") from None
    except OSError as error:
        raise InvalidArgumentError(f"the vocabulary {path} cannot be read: {error}") from error
    lines = content.replace(b"\r", b"").split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _numbers(source: Mapping[Any, Any]) -> Words:
    ids = np.array([*source.values()], object)
    for each in ids:
        if isinstance(each, bool) or not isinstance(each, int | np.integer) or not -(1 << 63) <= each < 1 << 62:
            raise InvalidArgumentError(
                f"a vocabulary maps words to ids, whole numbers below 2**62, not to {each!r:.80}"
            )
    return ids.astype(np.int64)
