"""ONNX graphs with a fixed number of rows -> programs of a few kinds of steps (`program`).

Whatever depends on constants alone is computed here, with ONNX's own reference implementation;
batch norm becomes a factor and a shift, or part of the convolution or product before it.
"""

from __future__ import annotations

from typing import Any

from pushforward.export import (  # noqa: F401 - these register who lowers which operator
    lower_layouts,
    lower_products,
    lower_reductions,
    lower_values,
)
from pushforward.export.graph_state import Lowering
from pushforward.export.program import Program

__all__ = ["lower"]


def lower(proto: Any) -> Program:
    """The program of a graph.

    Args:
        proto: an onnx.ModelProto, all of whose sizes are fixed.

    Raises:
        InvalidKind: For an operator that the runtime of pages lacks.
    """
    return Lowering(proto).run()
