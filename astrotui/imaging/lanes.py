"""Sums over 4x4 taps by instructions on four numbers at once, which the compiler does not find by itself.

LLVM makes vectors of loops over pixels, but positions that turn with the sky lie anywhere: each pixel would be sixteen
loads, where four of four neighbors do.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types

_LANES = 4
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, _LANES)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)
_FLAGS = ("contract", "nsz")  # products and sums may be fused, which each pixel is alike

_Code = tuple[Any, Callable[..., Any]]
intrinsic: Any = extending.intrinsic  # its stub counts the typing context among the arguments of a call


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _four(builder: Any, data: Any, at: Any) -> Any:
    """Pointer to four numbers from number `at` on."""
    return builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())


def _load(builder: Any, data: Any, at: Any) -> Any:
    found = builder.load(_four(builder, data, at))
    found.align = 4
    return found


def _mixed(builder: Any, vector: Any, order: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), order)
    return builder.shuffle_vector(vector, _UNDEFINED, mask)


def _times_plus(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=_FLAGS), c, flags=_FLAGS)


def _least(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


@intrinsic
def four_weights(typingctx: Any, cubic: Any, past: Any, out: Any, at: Any) -> _Code:
    """out[at : at + 4] = ((c[3] t + c[2]) t + c[1]) t + c[0], with `cubic` float32 (16,) as rows of four and t = `past`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table = _data(context, builder, signature.args[0], arguments[0])
        target = _data(context, builder, signature.args[2], arguments[2])
        index = ir.IntType(64)
        t = _mixed(
            builder, builder.insert_element(_UNDEFINED, arguments[1], ir.Constant(ir.IntType(32), 0)), [0] * 4
        )
        value = _load(builder, table, ir.Constant(index, 3 * _LANES))
        for power in (2, 1, 0):
            value = _times_plus(builder, value, t, _load(builder, table, ir.Constant(index, power * _LANES)))
        stored = builder.store(value, _four(builder, target, arguments[3]))
        stored.align = 4
        return context.get_dummy_value()

    return types.none(cubic, past, out, at), generate


@intrinsic
def sum_taps(typingctx: Any, source: Any, first: Any, step: Any, across: Any, down: Any, at: Any) -> _Code:
    """Weighted sum of the 4x4 numbers from source[first] on, rows `step` apart, and the least of the inner four.

    Weights are across[at : at + 4] and down[at : at + 4]; all are flat float32 arrays and unsigned numbers.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, across, down = (_data(context, builder, signature.args[n], arguments[n]) for n in (0, 3, 4))
        place = arguments[1]
        rows = []
        for number in range(_LANES):
            rows.append(_load(builder, data, place))
            if number < _LANES - 1:
                place = builder.add(place, arguments[2])
        weights = _load(builder, down, arguments[5])
        total = builder.fmul(rows[0], _mixed(builder, weights, [0] * 4), flags=_FLAGS)
        for number in range(1, _LANES):
            total = _times_plus(builder, rows[number], _mixed(builder, weights, [number] * 4), total)
        total = builder.fmul(total, _load(builder, across, arguments[5]), flags=_FLAGS)
        total = builder.fadd(total, _mixed(builder, total, [2, 3, 0, 1]), flags=_FLAGS)
        total = builder.fadd(total, _mixed(builder, total, [1, 0, 3, 2]), flags=_FLAGS)
        lane = [ir.Constant(ir.IntType(32), number) for number in range(_LANES)]
        inner = _least(builder, rows[1], rows[2])
        least = _least(builder, *(builder.extract_element(inner, lane[n]) for n in (1, 2)))
        value = builder.extract_element(total, lane[0])
        return context.make_tuple(builder, signature.return_type, [value, least])

    pair: Any = types.UniTuple(types.float32, 2)  # type: ignore[no-untyped-call]
    return pair(source, first, step, across, down, at), generate
