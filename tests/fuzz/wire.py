"""Decoders of what peers send: frames and messages, blocks, graphs."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np

import headrace as hr
from headrace import Dataset, HeadraceError
from headrace.pipeline.blobs import Blobs
from headrace.pipeline.blocks import Block
from headrace.pipeline.building import buffer_bytes_of, top_of
from headrace.pipeline.cardinality import cardinality
from headrace.pipeline.chunks import CHUNK_BYTES, cut
from headrace.pipeline.errors import DataLossError, from_data, to_data
from headrace.pipeline.frames import from_frames, plain, to_frames
from headrace.pipeline.graph import blobs_in, decode_outline, decode_whole, encode
from headrace.pipeline.local import LocalIterator
from headrace.pipeline.messages import MESSAGES, VERSION, Deliver, Hello, Lease, Pieces, Refused
from headrace.pipeline.nodes import (
    FlatMap,
    Generator,
    Interleave,
    Lines,
    ListFiles,
    Map,
    Node,
    Records,
    Tagged,
    Unbatch,
)
from headrace.pipeline.padding import Padding, pad_block
from headrace.pipeline.pieces import block_from, payload_from, piece_buffers, piece_from
from headrace.pipeline.resolve import resolve
from headrace.pipeline.store import Store
from headrace.pipeline.work import Piece, Work, identities

from .decoder import Decoder, Place, a_folder
from .mutation import cut_and_pasted, packed, retold

__all__ = ["WIRE", "real_messages", "sample"]


class Pair(NamedTuple):
    """Something named."""

    left: Any
    right: Any


# Messages, as frames: on their way here each is a length of four bytes and as much content.


def _together(frames: Sequence[Any]) -> bytes:
    return b"".join(len(each).to_bytes(4, "little") + bytes(each) for each in frames)


def _apart(data: bytes) -> Iterator[bytes]:
    while data:
        size = 4 + int.from_bytes(data[:4], "little")
        yield data[4:size]
        data = data[size:]


WORK = Work((1,), origin=5, start=0, stop=100)


def _frames(data: bytes, place: Place) -> None:
    message, buffers = from_frames([memoryview(each) for each in _apart(data)])
    again, _ = from_frames(to_frames(message, buffers))
    assert str(again) == str(message)  # as text, in which nan is nan
    match message:
        case Pieces():
            piece = piece_from(message, [place(bytes(each)) for each in buffers], WORK)
            if piece.block is not None:
                _use(piece.block)
        case Deliver(layout=list()) if buffers:
            assert message.layout is not None
            _use(block_from(message.layout, place(bytes(buffers[0]))))
        case Lease(layout=list()):
            assert message.layout is not None
            payload_from(message.layout, [place(bytes(each)) for each in buffers])
        case Refused(error):
            from_data(error)


def sample(hint: Any, rng: Random) -> Any:
    """Something that a field of this type may hold."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return sample(rng.choice(inner), rng)
    if origin is tuple:
        inner = (inner[0],) * 2 if Ellipsis in inner else inner
        return tuple(sample(each, rng) for each in inner)
    if origin is list:
        return [sample(inner[0], rng) for _ in range(rng.randrange(3))]
    if origin is dict:
        return {sample(inner[0], rng): sample(inner[1], rng) for _ in range(rng.randrange(3))}
    plain = {int: rng.randrange(5), float: rng.random(), bool: rng.random() < 0.5, str: "a", bytes: b"b", Any: 1}
    return plain.get(hint)


@lru_cache
def real_messages() -> Sequence[bytes]:
    """One or more of each kind, with blocks where they have some."""
    rng, found = Random(1), []
    for kind in MESSAGES.values():
        for _ in range(3):
            hints = get_type_hints(kind)
            given = {name: sample(hint, rng) for name, hint in hints.items()}
            found.append(to_frames(kind(**given | ({"version": VERSION} if kind is Hello else {}))))
    for block in _blocks():
        at = np.arange(block.rows)
        piece = Piece(0, block.rows, block, identities(5, at), at)
        told = Pieces(7, 1, 0, block.rows, False, block.layout.to_data())
        found.append(to_frames(told, piece_buffers(piece, WORK)))
        piece.tags = np.stack([at, at + 1], axis=1)
        found.append(to_frames(replace(told, tags=2), piece_buffers(piece, WORK)))
    error = to_data(DataLossError("a.tfrecord", "cut", 12))
    found += [to_frames(Pieces(7, 1, 0, 1, True, None, error)), to_frames(Refused(error))]
    found.append(cut([*to_frames(Pieces(7, 1, 0, 1, True)), bytes(CHUNK_BYTES + 5)])[:2])
    return [_together(each) for each in found]


def resaid(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Another message in the first frame, or other bytes in another frame."""
    frames, other = list(_apart(data)), list(_apart(rng.choice(others)))
    place = rng.randrange(len(frames)) if rng.random() < 0.3 else 0
    edit = cut_and_pasted if place else retold
    frames[place] = edit(frames[place], rng, [*other, b"\xc0"][:1])
    return _together(frames)


# Blocks.

ELEMENTS: Sequence[Sequence[Any]] = (
    [np.int64(1), np.int64(2)],
    [b"", b"abc", b"defgh" * 9],
    [np.arange(6.0).reshape(2, 3), np.zeros((3, 1)), np.zeros((0, 2))],
    [np.zeros((2, 2), np.float16)] * 3,
    [np.array([b"a", b"bc"], object), np.array([b"", b"x", b"yy"], object)],
    [(np.bool_(True), {"b": b"x", "a": (np.complex64(1j),)})],
    [Pair(np.uint8(3), b"right"), Pair(np.uint8(4), b"")],
    [(), (), ()],
    [(np.int64(3), next(iter(Dataset.from_tensor_slices([["a"], ["bc"], ["d"]]).window(2))))],
    list(Dataset.range(7).map(lambda n: np.arange(n)).window(2).window(2)),
)


@lru_cache
def _blocks() -> Sequence[Block]:
    return [Block.of_elements(each) for each in ELEMENTS]


def _block(data: bytes, place: Place) -> None:
    match plain(data):
        case [list() as layout, bytes() as buffer]:
            _use(block_from(layout, place(buffer)))


def _use(block: Block) -> None:
    """Everything that is done with blocks that came from elsewhere."""
    for element in islice(block, 100):
        assert repr(element)
        while isinstance(element, Dataset):  # what was taken can be read
            element = next(iter(element), None)
    for column in block.columns:
        assert (column.sizes(np.arange(block.rows)) >= 0).all()
    if not 0 < block.rows < 1000:
        return
    store = Store()
    handles = store.add(block, identities(5, np.arange(block.rows)))
    assert store.gather(handles[::-1]).rows == block.rows
    folds: tuple[Callable[[], Block], ...] = (
        lambda: store.gather(handles, len(handles)),
        lambda: pad_block(block, Padding()),
    )
    for fold in folds:
        with suppress(HeadraceError):
            assert fold().rows == 1
    store.release(handles)


# Graphs.


def _graph(data: bytes, _: Place) -> None:
    """As a server takes it: the outline, what it says of itself, and some elements, as far as no function is needed."""
    node = decode_outline(data)
    assert len(set(blobs_in(data))) < len(data)
    assert cardinality(node) >= -2
    assert buffer_bytes_of(node) != 0
    top_of(node)
    if not _runs_alone(node):
        return
    iterator = LocalIterator(decode_whole(data, _blobs()), seed=1, epoch=0)
    with suppress(StopIteration, HeadraceError):
        for _times in range(5):
            next(iterator)


def _runs_alone(node: Node) -> bool:
    """Whether it needs no file and no function, and does not have to pull much before something comes."""
    kinds = Map | Tagged | FlatMap | Interleave | Generator | Records | Lines | ListFiles | Unbatch
    names = ("size", "count", "index", "shift", "stride")
    numbers = [value for name in names if type(value := getattr(node, name, 0)) is int]
    arrays = [each.nbytes for each in getattr(node, "arrays", ())]
    return not isinstance(node, kinds) and max([*numbers, *arrays]) < 10_000 and all(map(_runs_alone, node.inputs))


@lru_cache
def _blobs() -> Blobs:
    return Blobs(a_folder())


@lru_cache
def _graphs() -> Sequence[bytes]:
    rows = Dataset.from_tensor_slices(
        {"a": np.arange(12.0).reshape(6, 2), "b": np.array([b"x", b"", b"z"] * 2, object)}
    )
    numbers = Dataset.range(10, 2, -3)
    shapes: Any = {"a": [4], "b": []}
    datasets = [
        rows.shuffle(3, seed=2).batch(2, drop_remainder=True).take(4).skip(1),
        rows.padded_batch(2, shapes, {"a": np.float64(-1), "b": b""}).repeat(2).prefetch(1),
        numbers.shard(2, 1).enumerate(5).concatenate(numbers.enumerate()),
        Dataset.zip({"a": numbers, "b": (rows, Dataset.range(5).batch(2).unbatch())}),
        rows.map(len).filter(bool).with_options(hr.Options(seed=7, buffer_bytes=1 << 20)),
        numbers.flat_map(Dataset.range).interleave(Dataset.range, cycle_length=2),
        hr.TFRecordDataset(["a", "b"], "GZIP").repeat(),
        hr.TextLineDataset("a").take(5),
        Dataset.from_generator(list, output_signature=hr.TensorSpec((None,), "int64")),
        rows.window(3, 2).shuffle(2, seed=1).enumerate(),
        next(iter(rows.window(4)))["b"].skip(1).concatenate(next(iter(rows.window(2)))["b"]),
        numbers.take_while(bool).bucket_by_sequence_length(len, [3, 5], [1, 2, 3], [4], pad_to_bucket_boundary=True),
        numbers.rejection_resample(int, [1, 2], [3, 4], 5).group_by_window(int, Dataset.zip, window_size_func=int),
    ]
    return [encode(resolve(each.node), _blobs()) for each in datasets]


WIRE = (
    Decoder("messages", _frames, real_messages, (resaid, resaid, cut_and_pasted)),
    Decoder("blocks", _block, lambda: [packed([b.layout.to_data(), b.buffer.tobytes()]) for b in _blocks()], (retold,)),
    Decoder("graphs", _graph, _graphs, (retold, retold, cut_and_pasted)),
)
