"""Operators that compute every value by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.export.graph_state import Lowering, lowers

UNARY = {
    "Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Softplus": "softplus", "Exp": "exp",
    "Log": "log", "Neg": "neg", "Abs": "abs", "Sqrt": "sqrt", "Reciprocal": "reciprocal",
    "Erf": "erf", "Floor": "floor", "Round": "round", "Not": "not", "Sin": "sin", "Cos": "cos",
}  # fmt: skip
BINARY = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "Min": "min",
    "Max": "max", "Less": "less", "Greater": "greater", "Equal": "equal", "And": "mul",
    "LessOrEqual": "at_most", "GreaterOrEqual": "at_least", "Or": "max",
}  # fmt: skip


@lowers(*UNARY)
def lower_unary(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """One function without settings."""
    apply(graph, node, UNARY[node.op_type])


def apply(graph: Lowering, node: Any, kind: str, **settings: float) -> None:
    """One function of every value."""
    source = graph.name(node.input[0])
    shape = graph.program.shapes[source]
    graph.done(node, graph.program.add("unary", [source], shape, "", kind=kind, **settings))


@lowers(*BINARY)
def lower_binary(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """Two tensors or more, broadcast."""
    made = graph.name(node.input[0])
    for other in node.input[1:]:
        two = [made, graph.name(other)]
        shape = np.broadcast_shapes(*(graph.program.shapes[n] for n in two))
        made = graph.program.add("binary", two, shape, kind=BINARY[node.op_type])
    graph.done(node, made)


@lowers("Where")
def lower_where(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """A choice."""
    names = [graph.name(n) for n in node.input]
    shape = np.broadcast_shapes(*(graph.program.shapes[n] for n in names))
    graph.done(node, graph.program.add("where", names, shape))


@lowers("LeakyRelu")
def lower_leaky_relu(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """x, or a share of it below 0."""
    apply(graph, node, "leaky", by=attributes.get("alpha", 0.01))


@lowers("Elu")
def lower_elu(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """x, or α (e^x - 1) below 0."""
    apply(graph, node, "elu", by=attributes.get("alpha", 1.0))


@lowers("Gelu")
def lower_gelu(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """x Φ(x)."""
    exact = attributes.get("approximate", b"none") == b"none"
    apply(graph, node, "gelu" if exact else "gelu_tanh")


@lowers("Swish")
def lower_swish(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """x σ(αx)."""
    apply(graph, node, "swish", by=attributes.get("alpha", 1.0))


@lowers("Clip")
def lower_clip(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """Between two ends."""
    ends = [float(graph.known[n]) if n else None for n in node.input[1:]]
    low, high = (*ends, None, None)[:2]
    apply(
        graph, node, "clip", low=-3e38 if low is None else low, high=3e38 if high is None else high
    )


@lowers("Cast")
def lower_cast(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """All numbers are float32 here."""
    graph.done(node, graph.name(node.input[0]))
