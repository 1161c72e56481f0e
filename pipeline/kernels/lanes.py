"""Vectors of fixed width: operations on neighbours in memory that numba's own loops do not become.

Each works on flat contiguous arrays from a given index on. Nothing is checked: whoever calls makes sure that all of it
lies inside the arrays. Integers alone, so the results are the same on every machine, however wide its registers are.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LINES", "PIXELS", "RUN", "mirror_pixels", "transpose", "weigh_bytes", "weigh_four", "weigh_words"]

_BYTE, _SHORT, _WORD, _INDEX = (ir.IntType(bits) for bits in (8, 16, 32, 64))
#: Bytes in a run of `weigh_bytes`; words in a vector of `weigh_words`, and lines of a square of `transpose`.
RUN, LINES = 64, 16
#: Pixels, of three bytes each, of `mirror_pixels`.
PIXELS = 16


def _lanes(kind: Any, count: int) -> Any:
    return ir.VectorType(kind, count)


def _all(kind: Any, count: int, number: int) -> Any:
    """The same known number in all lanes."""
    return ir.Constant(_lanes(kind, count), [number] * count)


def _splat(build: Any, number: Any, count: int) -> Any:
    """The same number in all lanes."""
    anything = ir.Constant(_lanes(number.type, count), ir.Undefined)
    return build.shuffle_vector(build.insert_element(anything, number, _WORD(0)), anything, _all(_WORD, count, 0))


def _at(context: Any, build: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where an element lies."""
    return build.gep(context.make_array(kind)(context, build, array).data, [index])


def _load(build: Any, place: Any, kind: Any) -> Any:
    return build.load(build.bitcast(place, kind.as_pointer()), align=1)


def _store(build: Any, lanes: Any, place: Any) -> None:
    build.store(lanes, build.bitcast(place, lanes.type.as_pointer()), align=1)


def _variable(build: Any, lanes: Any) -> Any:
    return cgutils.alloca_once_value(build, lanes)  # type: ignore[no-untyped-call]


def _weigh_four(_: Any, row: Any, at: Any, step: Any, weights: Any, first: Any, count: Any, out: Any, to: Any) -> Any:
    """out[to:to+4] = (sum over k < count of weights[first+k] * row[at+k*step : at+k*step+4] + 2**22) >> 23.

    `row` and `weights` are int32, `out` uint8; sums stay below 2**31.
    """
    signature = types.void(row, types.intp, types.intp, weights, types.intp, types.intp, out, types.intp)

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        row, at, step, weights, first, count, out, to = arguments
        pixel = _at(context, build, signature.args[0], row, at)
        weight = _at(context, build, signature.args[3], weights, first)
        total = _variable(build, _all(_WORD, 4, 1 << 22))
        with cgutils.for_range(build, count) as loop:
            lanes = _load(build, build.gep(pixel, [build.mul(loop.index, step)]), _lanes(_WORD, 4))
            scale = _splat(build, build.load(build.gep(weight, [loop.index])), 4)
            build.store(build.add(build.load(total), build.mul(lanes, scale)), total)
        result = build.trunc(build.lshr(build.load(total), _all(_WORD, 4, 23)), _lanes(_BYTE, 4))
        _store(build, result, _at(context, build, signature.args[6], out, to))
        return context.get_dummy_value()

    return signature, generate


def _high(build: Any, left: Any, right: Any) -> Any:
    """The upper halves of the products of words: one instruction, where there is one."""
    wide = _lanes(_WORD, left.type.count)
    product = build.mul(build.zext(left, wide), build.zext(right, wide))
    return build.trunc(build.lshr(product, _all(_WORD, left.type.count, 16)), left.type)


def _accumulate(build: Any, total: Any, lanes: Any, scale: Any) -> None:
    build.store(build.add(build.load(total), _high(build, lanes, scale)), total)


def _interleave(build: Any, left: Any, right: Any) -> list[Any]:
    """The lanes of both in turn, as two vectors."""
    count = left.type.count
    order = [lane // 2 + count * (lane % 2) for lane in range(2 * count)]
    halves = (order[:count], order[count:])
    return [build.shuffle_vector(left, right, ir.Constant(_lanes(_WORD, count), half)) for half in halves]


def _half_of(build: Any, count: Any) -> Any:
    """What so many products lose on average: each is rounded down."""
    return build.trunc(build.lshr(count, _INDEX(1)), _SHORT)


def _weigh_bytes(
    _: Any, image: Any, at: Any, stride: Any, weights: Any, first: Any, count: Any, out: Any, to: Any
) -> Any:
    """out[to:to+64] = sum over k < count of weights[first+k] * image[at+k*stride : at+k*stride+64].

    `image` is uint8; `weights` uint16, a 65536th each; `out` uint16, 256 times the sums, each within count / 2.
    """
    signature = types.void(image, types.intp, types.intp, weights, types.intp, types.intp, out, types.intp)
    words, half = _lanes(_SHORT, RUN // 2), RUN // 2

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        image, at, stride, weights, first, count, out, to = arguments
        source = _at(context, build, signature.args[0], image, at)
        weight = _at(context, build, signature.args[3], weights, first)
        even, odd = (_variable(build, _splat(build, _half_of(build, count), half)) for _ in range(2))
        with cgutils.for_range(build, count) as loop:
            pairs = _load(build, build.gep(source, [build.mul(loop.index, stride)]), words)
            scale = _splat(build, build.load(build.gep(weight, [loop.index])), half)
            # Every second byte, 256-fold, lies in the upper half of its word already; little-endian, as numba is.
            _accumulate(build, even, build.shl(pairs, _all(_SHORT, half, 8)), scale)
            _accumulate(build, odd, build.and_(pairs, _all(_SHORT, half, 0xFF00)), scale)
        target = _at(context, build, signature.args[6], out, to)
        for i, lanes in enumerate(_interleave(build, build.load(even), build.load(odd))):
            _store(build, lanes, build.gep(target, [_INDEX(i * half)]))
        return context.get_dummy_value()

    return signature, generate


def _weigh_words(_: Any, rows: Any, at: Any, step: Any, weights: Any, first: Any, count: Any, out: Any, to: Any) -> Any:
    """out[to:to+16] = sum over k < count of weights[first+k] * rows[at+k*step : at+k*step+16], rounded.

    `rows` is as `weigh_bytes` gives it, `weights` as there, `out` uint8.
    """
    signature = types.void(rows, types.intp, types.intp, weights, types.intp, types.intp, out, types.intp)
    words = _lanes(_SHORT, LINES)

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        rows, at, step, weights, first, count, out, to = arguments
        source = _at(context, build, signature.args[0], rows, at)
        weight = _at(context, build, signature.args[3], weights, first)
        total = _variable(build, _splat(build, build.add(_half_of(build, count), _SHORT(128)), LINES))
        with cgutils.for_range(build, count) as loop:
            lanes = _load(build, build.gep(source, [build.mul(loop.index, step)]), words)
            scale = _splat(build, build.load(build.gep(weight, [loop.index])), LINES)
            _accumulate(build, total, lanes, scale)
        result = build.trunc(build.lshr(build.load(total), _all(_SHORT, LINES, 8)), _lanes(_BYTE, LINES))
        _store(build, result, _at(context, build, signature.args[6], out, to))
        return context.get_dummy_value()

    return signature, generate


def _transpose(_: Any, square: Any, at: Any, step: Any, out: Any, to: Any, stride: Any) -> Any:
    """out[to+j*stride+i] = square[at+i*step+j] for i and j below 16; both of the same small dtype."""
    signature = types.void(square, types.intp, types.intp, out, types.intp, types.intp)

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        square, at, step, out, to, stride = arguments
        source = _at(context, build, signature.args[0], square, at)
        target = _at(context, build, signature.args[3], out, to)
        kind = _lanes(context.get_value_type(signature.args[0].dtype), LINES)
        lines = [_load(build, build.gep(source, [build.mul(_INDEX(i), step)]), kind) for i in range(LINES)]
        # Each time one bit of the lane's number changes its place with one of the line's: after four, all have.
        for _ in range(LINES.bit_length() - 1):
            pairs = zip(lines[: LINES // 2], lines[LINES // 2 :], strict=True)
            lines = [line for upper, lower in pairs for line in _interleave(build, upper, lower)]
        for i, line in enumerate(lines):
            _store(build, line, build.gep(target, [build.mul(_INDEX(i), stride)]))
        return context.get_dummy_value()

    return signature, generate


def _mirror_pixels(_: Any, image: Any, at: Any, out: Any, to: Any) -> Any:
    """out[to:to+48] = the 16 pixels, of three bytes each, of image[at:at+48], the last one first."""
    signature = types.void(image, types.intp, out, types.intp)
    order = [3 * (PIXELS - 1 - i // 3) + i % 3 for i in range(3 * PIXELS)]

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        image, at, out, to = arguments
        pixels = _load(build, _at(context, build, signature.args[0], image, at), _lanes(_BYTE, len(order)))
        mirrored = build.shuffle_vector(pixels, pixels, ir.Constant(_lanes(_WORD, len(order)), order))
        _store(build, mirrored, _at(context, build, signature.args[2], out, to))
        return context.get_dummy_value()

    return signature, generate


mirror_pixels: Any = intrinsic(_mirror_pixels)
weigh_four: Any = intrinsic(_weigh_four)
weigh_bytes: Any = intrinsic(_weigh_bytes)
weigh_words: Any = intrinsic(_weigh_words)
transpose: Any = intrinsic(_transpose)
