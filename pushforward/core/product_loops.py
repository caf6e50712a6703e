"""Products of a few vectors with rows that are stored column by column, in registers.

LLVM turns a plain loop into vector instructions, but writes and reads its sums at every step. Here
sums stay in registers while columns or rows are added, as in libraries of matrix products; unlike
these, a call costs nothing and may stand in the middle of a loop, while its operands are in the
cache. Only modules of compiled loops import this one.

Arrays are contiguous and of one type, float32 or float64. Rows are read in strips of `STRIP`, of
which those behind the last row wanted must exist, and be finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

__all__ = ["STRIP", "add_inner_products", "add_products"]

Value = Any
"""A value of LLVM, or a part of Numba that has no type."""

cgutils: Any = _cgutils

STRIP = 16
"""Rows of a strip in float32; two strips of 8 in float64."""
REGISTERS = 64
"""Bytes of a strip of one column: two registers where these have 32 bytes."""
FOUR, TWO = 4, 2
"""Vectors that share what is read: with registers of 32 bytes, eight sums, enough for two products
a cycle of four cycles each; sums and operands together fit 16 registers.
"""
FUSED = ("contract",)
"""What the compiler may do beyond the letter: round a product and a sum once."""


class _Code:
    """Code for vectors of some numbers."""

    def __init__(self, context: Value, builder: Value, kind: types.Float, size: int) -> None:
        self.builder, self.bytes = builder, kind.bitwidth // 8
        self.scalar = ir.DoubleType() if kind.bitwidth == 64 else ir.FloatType()
        self.count = size // self.bytes
        self.vector = ir.VectorType(self.scalar, self.count)
        self.word = context.get_value_type(types.intp)

    def whole(self, value: int) -> Value:
        return ir.Constant(self.word, value)

    def place(self, row: Value, width: Value, column: Value) -> Value:
        """Position of a number in an array of this width."""
        return self.builder.add(self.builder.mul(row, width), column)

    def load(self, data: Value, at: Value) -> Value:
        place = self.builder.bitcast(self.builder.gep(data, [at]), self.vector.as_pointer())
        return self.builder.load(place, align=self.bytes)

    def store(self, value: Value, data: Value, at: Value) -> None:
        place = self.builder.bitcast(self.builder.gep(data, [at]), self.vector.as_pointer())
        self.builder.store(value, place, align=self.bytes)

    def repeat(self, data: Value, at: Value) -> Value:
        """One number in all places of a vector."""
        number = self.builder.load(self.builder.gep(data, [at]), align=self.bytes)
        nothing, short = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)
        first = self.builder.insert_element(nothing, number, ir.Constant(short, 0))
        pattern = ir.Constant(ir.VectorType(short, self.count), [0] * self.count)
        return self.builder.shuffle_vector(first, nothing, pattern)

    def hold(self, count: int) -> list[Value]:
        """Sums, which LLVM keeps in registers."""
        return [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]

    def add_product(self, a: Value, b: Value, total: Value) -> None:
        product = self.builder.fmul(a, b, flags=FUSED)
        self.builder.store(self.builder.fadd(product, self.builder.load(total), flags=FUSED), total)

    def sum_up(self, vector: Value) -> Value:
        """The sum of a vector's numbers, by halves."""
        short, count = ir.IntType(32), self.count
        while count > 1:
            count //= 2
            low, high = (
                ir.Constant(ir.VectorType(short, count), list(range(first, first + count)))
                for first in (0, count)
            )
            halves = (self.builder.shuffle_vector(vector, vector, part) for part in (low, high))
            vector = self.builder.fadd(*halves)
        return self.builder.extract_element(vector, ir.Constant(short, 0))


def _arrays(context: Value, builder: Value, kinds: Any, values: Any) -> Any:
    """Data and shape of each array."""
    made = [context.make_array(kind)(context, builder, value) for kind, value in zip(kinds, values)]
    return [(array.data, cgutils.unpack_tuple(builder, array.shape)) for array in made]


def _add_products(
    typing: Value, x: Value, begin: Value, end: Value, table: Value, first: Value, sums: Value
) -> Value:
    """sums[i] = first[i] + Σ_j x[j] table[j // 4, 4 i + j % 4] of the rows begin to end, four i.

    x (columns, rows), table (columns / 4, 16), first (4,) and sums (4, rows).
    """

    def generate(context: Value, builder: Value, signature: Value, arguments: Value) -> Value:
        code = _Code(context, builder, signature.args[0].dtype, REGISTERS)
        kinds = [signature.args[i] for i in (0, 3, 4, 5)]
        arrays = _arrays(context, builder, kinds, [arguments[i] for i in (0, 3, 4, 5)])
        (x, (_, width)), (table, (fours, _)), (first, _), (sums, (_, apart)) = arrays
        held, whole = code.hold(FOUR), code.whole
        rows = builder.sub(arguments[2], arguments[1])
        strips = builder.sdiv(builder.add(rows, whole(code.count - 1)), whole(code.count))
        with cgutils.for_range(builder, strips) as strip:
            start = code.place(strip.index, whole(code.count), arguments[1])
            for i in range(FOUR):
                builder.store(code.repeat(first, whole(i)), held[i])
            with cgutils.for_range(builder, fours) as four:
                own = builder.mul(four.index, whole(4 * FOUR))
                column = builder.mul(four.index, whole(4))
                for j in range(4):
                    at = code.place(builder.add(column, whole(j)), width, start)
                    values = code.load(x, at)
                    for i in range(FOUR):
                        factor = code.repeat(table, builder.add(own, whole(4 * i + j)))
                        code.add_product(values, factor, held[i])
            for i in range(FOUR):
                code.store(builder.load(held[i]), sums, code.place(whole(i), apart, start))
        return context.get_dummy_value()

    return types.void(x, begin, end, table, first, sums), generate


def _add_inner_products(
    typing: Value, a: Value, b: Value, pairs: Value, rows: Value, sums: Value
) -> Value:
    """sums[i, j] += Σ_p a[i, p] b[j, p] over the first rows p, four i, and j < 2 pairs.

    a (4, rows), b (≥ 2 pairs, rows); sums (4, ≥ 2 pairs) are float64.
    """

    def generate(context: Value, builder: Value, signature: Value, arguments: Value) -> Value:
        code = _Code(context, builder, signature.args[0].dtype, REGISTERS // 2)
        kinds = [signature.args[i] for i in (0, 1, 4)]
        arrays = _arrays(context, builder, kinds, [arguments[i] for i in (0, 1, 4)])
        (a, (_, along)), (b, (_, width)), (sums, (_, apart)) = arrays
        held, whole = code.hold(FOUR * TWO), code.whole
        zero = ir.Constant(code.vector, [0.0] * code.count)
        steps = builder.add(arguments[3], whole(code.count - 1))
        steps = builder.sdiv(steps, whole(code.count))
        with cgutils.for_range(builder, arguments[2]) as pair:
            begin = builder.mul(pair.index, whole(TWO))
            for total in held:
                builder.store(zero, total)
            with cgutils.for_range(builder, steps) as step:
                at = builder.mul(step.index, whole(code.count))
                others = [
                    code.load(b, code.place(builder.add(begin, whole(j)), width, at))
                    for j in range(TWO)
                ]
                for i in range(FOUR):
                    values = code.load(a, code.place(whole(i), along, at))
                    for j in range(TWO):
                        code.add_product(values, others[j], held[TWO * i + j])
            for i in range(FOUR):
                for j in range(TWO):
                    total = code.sum_up(builder.load(held[TWO * i + j]))
                    if code.bytes < 8:
                        total = builder.fpext(total, ir.DoubleType())
                    at = code.place(whole(i), apart, builder.add(begin, whole(j)))
                    place = builder.gep(sums, [at])
                    builder.store(builder.fadd(builder.load(place), total), place)
        return context.get_dummy_value()

    return types.void(a, b, pairs, rows, sums), generate


add_products = cast(Callable[..., None], intrinsic(_add_products))
add_inner_products = cast(Callable[..., None], intrinsic(_add_inner_products))
