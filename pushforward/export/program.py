"""Programs: what the page's runtime computes, as lists of a few simple steps with fixed shapes.

Every step makes one tensor. Shapes are those of one ONNX graph with a fixed number of rows:

    gemm        a (m, k) · w (k, n) + bias
    conv        x (n, c, h, w) * w (o, c / groups, k, l) + bias, stride, padding, dilation 1
    spread      the transposed convolution, w (c, o, k, l)
    unary       one function of every value
    binary      two tensors, broadcast
    where       a condition and two tensors, broadcast
    take        out[i, j, …] = x[rows_0[i] + rows_1[j] + …], 0 where an offset is below 0:
                transposed, expanded, cut, padded and enlarged by repeating are all of this form
    resample    along one axis, out[i] = (1 - t_i) x[a_i] + t_i x[b_i]
    concat      along one axis
    normalise   (x - mean) / √(variance + ε) of every run of `length` values
    reduce      mean, sum, max or the place of the largest of every run of `length` values
    softmax     of every run of `length` values
    reshape     the same values under another shape
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Program", "Step", "strides"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One tensor made of others.

    Args:
        op: one of those in the module's docstring.
        inputs: names of tensors; '' for one that is left out.
        output: the name of what it makes.
        settings: further arguments, as JSON.
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Program:
    """Steps, the shapes of all tensors, and the values of constant ones.

    Args:
        inputs: names of the inputs, in order.
        output: name of the result.
        steps: in the order of computing.
        shapes: of every tensor.
        constants: values of the tensors that never change.
    """

    inputs: list[str]
    output: str = ""
    steps: list[Step] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        output: str = "",
        **settings: Any,
    ) -> str:
        """Append a step; the name of its tensor."""
        name = output or f"t{len(self.steps)}'"
        self.steps.append(Step(op, tuple(inputs), name, settings))
        self.shapes[name] = tuple(int(n) for n in shape)
        return name

    def constant(self, values: Array, name: str = "") -> str:
        """Add a constant; its name."""
        name = name or f"c{len(self.constants)}'"
        self.constants[name] = np.ascontiguousarray(values)
        self.shapes[name] = tuple(values.shape)
        return name

    def take(self, source: str, offsets: Sequence[Sequence[int]], output: str = "") -> str:
        """Append a step that takes values by the sum of an offset for each axis."""
        shape = [len(each) for each in offsets]
        return self.add(
            "take", [source], shape, output, offsets=[list(map(int, o)) for o in offsets]
        )

    def without_unused(self) -> Program:
        """The same program without steps and constants that nothing needs."""
        needed, steps = {self.output}, []
        for step in reversed(self.steps):
            if step.output in needed:
                steps.append(step)
                needed.update(step.inputs)
        constants = {name: values for name, values in self.constants.items() if name in needed}
        shapes = {n: s for n, s in self.shapes.items() if n in needed or n in self.inputs}
        return Program(self.inputs, self.output, steps[::-1], shapes, constants)


def strides(shape: Sequence[int]) -> list[int]:
    """Steps between neighbours along every axis of a contiguous tensor."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    return steps[::-1]
