"""exp and log as polynomials, which LLVM turns into vector instructions within a loop.

The library's functions are called for one number at a time. These are built for the type of their
argument, float32 or float64, and are right to a few units in its last place. Only modules of
compiled loops import this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["exponential", "logarithm"]

Value = Any
"""A value of LLVM, or a part of Numba that has no type."""

FUSED = ("contract",)
LEAST = {64: -708.0, 32: -87.0}
"""Arguments of exp below which the result is 0 rather than subnormal."""
DEGREE = {64: 13, 32: 7}
"""Of the series of exp, whose argument is at most ½ ln 2."""
TERMS = {64: 11, 32: 5}
"""Of the series of artanh, whose argument is at most (√2 - 1) / (√2 + 1)."""
MANTISSA = {64: 52, 32: 23}


class _Numbers:
    """Arithmetic on floats of one width, written to a builder of LLVM's code."""

    def __init__(self, builder: Value, kind: types.Float) -> None:
        self.builder, self.width = builder, kind.bitwidth
        self.float = ir.DoubleType() if self.width == 64 else ir.FloatType()
        self.integer, self.short = ir.IntType(self.width), ir.IntType(32)

    def constant(self, value: float) -> Value:
        return ir.Constant(self.float, value)

    def polynomial(self, x: Value, coefficients: list[float]) -> Value:
        """Σ_i coefficients[i] xⁱ by Horner's rule."""
        result = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            result = self.multiplied_add(result, x, self.constant(coefficient))
        return result

    def multiplied_add(self, a: Value, b: Value, c: Value) -> Value:
        return self.builder.fadd(self.builder.fmul(a, b, flags=FUSED), c, flags=FUSED)

    def rounded(self, x: Value) -> Value:
        name = f"llvm.rint.f{self.width}"
        kind = ir.FunctionType(self.float, [self.float])
        function = self.builder.module.globals.get(name)
        function = function or ir.Function(self.builder.module, kind, name)
        return self.builder.call(function, [x])

    def bits(self, x: Value) -> Value:
        return self.builder.bitcast(x, self.integer)

    def exponent(self, n: Value) -> Value:
        """The bits that multiply by 2ⁿ when added, n a whole number of 32 bits."""
        wide = n if self.width == 32 else self.builder.sext(n, self.integer)
        return self.builder.shl(wide, ir.Constant(self.integer, MANTISSA[self.width]))

    def from_bits(self, bits: Value) -> Value:
        return self.builder.bitcast(bits, self.float)


def _exponential(typing: Value, x: Value) -> Value:
    """exp(x) for x ≤ 88; 0 where it would be subnormal."""

    def generate(context: Value, builder: Value, signature: Value, arguments: Value) -> Value:
        numbers, (x,) = _Numbers(builder, signature.args[0]), arguments
        least = numbers.constant(LEAST[numbers.width])
        below = builder.fcmp_ordered("<", x, least)
        x = builder.select(below, least, x)
        n = numbers.rounded(builder.fmul(x, numbers.constant(1 / math.log(2))))
        rest = numbers.multiplied_add(n, numbers.constant(-math.log(2)), x)
        series = [1 / math.factorial(i) for i in range(DEGREE[numbers.width] + 1)]
        power = numbers.polynomial(rest, series)
        raised = numbers.exponent(builder.fptosi(n, numbers.short))
        result = numbers.from_bits(builder.add(numbers.bits(power), raised))
        return builder.select(below, numbers.constant(0.0), result)

    return x(x), generate


def _logarithm(typing: Value, x: Value) -> Value:
    r"""log(x) for normal x > 0, or NaN for NaN: 2 artanh((m - 1) / (m + 1)) + n ln 2, x = m 2ⁿ."""

    def generate(context: Value, builder: Value, signature: Value, arguments: Value) -> Value:
        numbers, (x,) = _Numbers(builder, signature.args[0]), arguments
        kind = np.float64 if numbers.width == 64 else np.float32
        pattern = int(np.array(math.sqrt(0.5), kind).view(f"i{numbers.width // 8}"))
        above = builder.sub(numbers.bits(x), ir.Constant(numbers.integer, pattern))
        n = builder.ashr(above, ir.Constant(numbers.integer, MANTISSA[numbers.width]))
        n = n if numbers.width == 32 else builder.trunc(n, numbers.short)
        mantissa = numbers.from_bits(builder.sub(numbers.bits(x), numbers.exponent(n)))
        one = numbers.constant(1.0)
        z = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
        series = [2.0 / (2 * i + 1) for i in range(TERMS[numbers.width])]
        artanh = builder.fmul(z, numbers.polynomial(builder.fmul(z, z), series))
        power = builder.sitofp(n, numbers.float)
        result = numbers.multiplied_add(power, numbers.constant(math.log(2)), artanh)
        return builder.select(builder.fcmp_unordered("uno", x, x), x, result)

    return x(x), generate


exponential = cast(Callable[[Any], Any], intrinsic(_exponential))
logarithm = cast(Callable[[Any], Any], intrinsic(_logarithm))
