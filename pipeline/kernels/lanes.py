"""Four neighbouring int32 at once: the one vector operation that numba's own loops do not become."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["weigh_four"]

_WORD, _INDEX = ir.IntType(32), ir.IntType(64)
_FOUR_WORDS, _FOUR_BYTES = ir.VectorType(_WORD, 4), ir.VectorType(ir.IntType(8), 4)


def _splat(build: Any, word: Any) -> Any:
    """The same number in all four lanes."""
    anything = ir.Constant(_FOUR_WORDS, ir.Undefined)
    return build.shuffle_vector(
        build.insert_element(anything, word, _WORD(0)), anything, ir.Constant(_FOUR_WORDS, [0] * 4)
    )


def _data(context: Any, build: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, build, array).data


def _weigh_four(_: Any, row: Any, at: Any, step: Any, weights: Any, first: Any, count: Any, out: Any, to: Any) -> Any:
    """out[to:to+4] = (sum over k < count of weights[first+k] * row[at+k*step : at+k*step+4] + 2**22) >> 23.

    `row` and `weights` are int32, `out` uint8, all contiguous. Nothing is checked: whoever calls makes sure that all
    of it lies inside the arrays and that sums stay below 2**31. Integers, so the same on every machine.
    """
    signature = types.void(row, types.intp, types.intp, weights, types.intp, types.intp, out, types.intp)

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        row, at, step, weights, first, count, out, to = arguments
        pixel = build.gep(_data(context, build, signature.args[0], row), [at])
        weight = build.gep(_data(context, build, signature.args[3], weights), [first])
        total = cgutils.alloca_once_value(  # type: ignore[no-untyped-call]
            build, ir.Constant(_FOUR_WORDS, [1 << 22] * 4)
        )
        with cgutils.for_range(build, count) as loop:
            place = build.gep(pixel, [build.mul(loop.index, step)])
            lanes = build.load(build.bitcast(place, _FOUR_WORDS.as_pointer()), align=4)
            scale = _splat(build, build.load(build.gep(weight, [loop.index])))
            build.store(build.add(build.load(total), build.mul(lanes, scale)), total)
        result = build.trunc(build.lshr(build.load(total), ir.Constant(_FOUR_WORDS, [23] * 4)), _FOUR_BYTES)
        place = build.gep(_data(context, build, signature.args[6], out), [to])
        build.store(result, build.bitcast(place, _FOUR_BYTES.as_pointer()), align=1)
        return context.get_dummy_value()

    return signature, generate


weigh_four: Any = intrinsic(_weigh_four)
