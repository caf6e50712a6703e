"""Products with constant matrices, and convolutions with constant weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidKind
from pushforward.export.graph_state import Lowering, lowers
from pushforward.export.program import Array


def _product(
    graph: Lowering, node: Any, weight: Array, bias: Array | None, scale: float = 1.0
) -> None:
    """Rows times a constant matrix (k, n)."""
    source = graph.name(node.input[0])
    shape = graph.program.shapes[source]
    shift = np.zeros(weight.shape[1]) if bias is None else np.broadcast_to(bias, weight.shape[1:])
    names = [
        source,
        *(graph.program.constant(np.asarray(a, np.float32)) for a in (weight * scale, shift)),
    ]
    graph.done(node, graph.program.add("gemm", names, (*shape[:-1], weight.shape[1])))


@lowers("Gemm")
def lower_gemm(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """a w + b."""
    if attributes.get("transA", 0) or node.input[1] not in graph.known:
        raise InvalidKind("pages multiply by constant matrices only; export to ONNX: --to onnx")
    weight = np.asarray(graph.known[node.input[1]])
    bias = graph.known[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    if bias is not None:
        bias = bias * attributes.get("beta", 1.0)
    turned = weight.T if attributes.get("transB", 0) else weight
    _product(graph, node, turned, bias, attributes.get("alpha", 1.0))


@lowers("MatMul")
def lower_mat_mul(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """a w."""
    weight = graph.known.get(node.input[1])
    if weight is None or weight.ndim != 2:
        raise InvalidKind("pages multiply by constant matrices only; export to ONNX: --to onnx")
    _product(graph, node, weight, None)


@lowers("Conv")
def lower_conv(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """A convolution of images."""
    _convolve(graph, node, attributes, "conv")


@lowers("ConvTranspose")
def lower_conv_transpose(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """A transposed convolution of images."""
    _convolve(graph, node, attributes, "spread")


def _convolve(graph: Lowering, node: Any, attributes: Mapping[str, Any], op: str) -> None:
    source = graph.name(node.input[0])
    shape, weight = graph.program.shapes[source], np.asarray(graph.known[node.input[1]])
    dilated = set(attributes.get("dilations", [1])) != {1}
    if len(shape) != 4 or dilated or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise InvalidKind(
            "pages convolve images only, not clips, and without dilation; export to ONNX: --to onnx"
        )
    stride = attributes.get("strides", [1, 1])
    pads, groups = attributes.get("pads", [0, 0, 0, 0]), attributes.get("group", 1)
    more = attributes.get("output_padding", [0, 0])
    kernel, axis = weight.shape[2:], (0 if op == "conv" else 1)
    channels = weight.shape[0] if op == "conv" else weight.shape[1] * groups
    sides = [
        (n + pads[i] + pads[i + 2] - kernel[i]) // stride[i] + 1
        if axis == 0
        else (n - 1) * stride[i] - pads[i] - pads[i + 2] + kernel[i] + more[i]
        for i, n in enumerate(shape[2:])
    ]
    bias = graph.known[node.input[2]] if len(node.input) > 2 else np.zeros(channels)
    names = [source, *(graph.program.constant(np.asarray(a, np.float32)) for a in (weight, bias))]
    graph.done(
        node,
        graph.program.add(
            op, names, (shape[0], channels, *sides),
            stride=list(stride), pads=list(pads[:2]), groups=groups,
        ),
    )  # fmt: skip
