"""Products of a tile of rows with four vectors, in the processor's registers.

LLVM turns the plain loop into vector instructions, but writes and reads the sums at each step. Here
the sums of a strip of rows stay in registers while the columns are added, as in libraries of matrix
products. Only modules of compiled loops import this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["add_products"]

Value = Any
"""A value of LLVM, or a part of Numba that has no type."""

FUSED = ("contract",)
STRIP_BYTES = 64
"""Bytes of a strip's numbers: with four sums, two registers for each where registers have 32."""
VECTORS = 4


class _Strip:
    """Loads, sums and stores of one strip of rows."""

    def __init__(self, builder: Value, kind: types.Float) -> None:
        self.builder = builder
        self.scalar = ir.DoubleType() if kind.bitwidth == 64 else ir.FloatType()
        self.bytes = kind.bitwidth // 8
        self.count = STRIP_BYTES // self.bytes
        self.vector = ir.VectorType(self.scalar, self.count)

    def at(self, data: Value, offset: Value) -> Value:
        return self.builder.gep(data, [offset])

    def load(self, data: Value, offset: Value) -> Value:
        place = self.builder.bitcast(self.at(data, offset), self.vector.as_pointer())
        return self.builder.load(place, align=self.bytes)

    def store(self, value: Value, data: Value, offset: Value) -> None:
        place = self.builder.bitcast(self.at(data, offset), self.vector.as_pointer())
        self.builder.store(value, place, align=self.bytes)

    def repeated(self, data: Value, offset: Value) -> Value:
        """One number, as often as a strip has rows."""
        number = self.builder.load(self.at(data, offset), align=self.bytes)
        nothing, short = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)
        first = self.builder.insert_element(nothing, number, ir.Constant(short, 0))
        pattern = ir.Constant(ir.VectorType(short, self.count), [0] * self.count)
        return self.builder.shuffle_vector(first, nothing, pattern)

    def multiplied_add(self, a: Value, b: Value, c: Value) -> Value:
        return self.builder.fadd(self.builder.fmul(a, b, flags=FUSED), c, flags=FUSED)


def _add_products(typing: Value, x: Value, table: Value, first: Value, sums: Value) -> Value:
    """sums[i] = first[i] + Σ_j x[j] table[j // 4, 4 i + j % 4] for four i.

    x (columns, rows), table (columns / 4, 16), first (4,) and sums (4, rows) are contiguous and of
    one type; columns are a multiple of 4, rows of 16 in float32 and of 8 in float64.
    """

    def generate(context: Value, builder: Value, signature: Value, arguments: Value) -> Value:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments)
        ]
        data = [array.data for array in arrays]
        strip = _Strip(builder, signature.args[0].dtype)
        word = context.get_value_type(types.intp)
        columns, rows = cgutils.unpack_tuple(builder, arrays[0].shape)

        def whole(value: int) -> Value:
            return ir.Constant(word, value)

        sums = [cgutils.alloca_once(builder, strip.vector) for _ in range(VECTORS)]
        strips = builder.udiv(rows, whole(strip.count))
        with cgutils.for_range(builder, strips) as outer:
            begin = builder.mul(outer.index, whole(strip.count))
            for i in range(VECTORS):
                builder.store(strip.repeated(data[2], whole(i)), sums[i])
            with cgutils.for_range(builder, builder.udiv(columns, whole(4))) as inner:
                own = builder.mul(inner.index, whole(4 * VECTORS))
                row = builder.add(builder.mul(builder.mul(inner.index, whole(4)), rows), begin)
                for j in range(4):
                    values = strip.load(data[0], row)
                    row = builder.add(row, rows)
                    for i in range(VECTORS):
                        factor = strip.repeated(data[1], builder.add(own, whole(4 * i + j)))
                        total = strip.multiplied_add(values, factor, builder.load(sums[i]))
                        builder.store(total, sums[i])
            for i in range(VECTORS):
                place = builder.add(builder.mul(whole(i), rows), begin)
                strip.store(builder.load(sums[i]), data[3], place)
        return context.get_dummy_value()

    return types.void(x, table, first, sums), generate


add_products = cast(Callable[..., None], intrinsic(_add_products))
