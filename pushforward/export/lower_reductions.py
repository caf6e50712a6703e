"""Operators over runs of values: reductions, softmax and normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.export.graph_state import Lowering, lowers
from pushforward.export.program import Array

REDUCTIONS = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ArgMax": "argmax"}


def _last(graph: Lowering, source: str, axes: list[int]) -> tuple[str, list[int]]:
    """The tensor with some axes moved to the end, and the order of its axes."""
    rank = len(graph.program.shapes[source])
    order = [i for i in range(rank) if i not in axes] + axes
    if order == list(range(rank)):
        return source, order
    offsets = graph.rows_of(source)
    return graph.program.take(source, [offsets[i] for i in order]), order


@lowers(*REDUCTIONS)
def lower_reduction(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """One number of every run of values."""
    kind = REDUCTIONS[node.op_type]
    source = graph.name(node.input[0])
    shape = graph.program.shapes[source]
    axes = [attributes.get("axis", 0)] if kind == "argmax" else graph.numbers(node, 1)
    axes = sorted(a % len(shape) for a in (range(len(shape)) if axes is None else axes))
    moved, _ = _last(graph, source, axes)
    keep = attributes.get("keepdims", 1)
    target = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    length = int(np.prod([shape[a] for a in axes]))
    graph.done(node, graph.program.add("reduce", [moved], target, kind=kind, length=length))


@lowers("Softmax")
def lower_softmax(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Shares that add up to 1 along an axis."""
    source = graph.name(node.input[0])
    shape = graph.program.shapes[source]
    moved, order = _last(graph, source, [attributes.get("axis", -1) % len(shape)])
    made = graph.program.add("softmax", [moved], [shape[i] for i in order], length=shape[order[-1]])
    if order != list(range(len(shape))):
        offsets = graph.rows_of(made)
        made = graph.program.take(made, [offsets[i] for i in np.argsort(order)])
    graph.done(node, made)


def _normalised(graph: Lowering, source: str, length: int, epsilon: float) -> str:
    """Runs of values with mean 0 and variance 1."""
    shape = graph.program.shapes[source]
    return graph.program.add("normalise", [source], shape, length=length, epsilon=epsilon)


def _affine(graph: Lowering, source: str, factor: Array, shift: Array) -> str:
    """A factor and a shift, broadcast."""
    shape = graph.program.shapes[source]
    for kind, values in (("mul", factor), ("add", shift)):
        names = [source, graph.program.constant(values.astype(np.float32))]
        source = graph.program.add("binary", names, shape, kind=kind)
    return source


@lowers("InstanceNormalization")
def lower_instance_normalization(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Every map of every row by itgraph."""
    source = graph.name(node.input[0])
    shape = graph.program.shapes[source]
    length = int(np.prod(shape[2:]))
    made = _normalised(graph, source, length, attributes.get("epsilon", 1e-5))
    wide = [-1, *[1] * (len(shape) - 2)]
    graph.done(node, _affine(graph, made, *(graph.known[n].reshape(wide) for n in node.input[1:3])))


@lowers("GroupNormalization")
def lower_group_normalization(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Groups of maps."""
    source = graph.name(node.input[0])
    shape = graph.program.shapes[source]
    length = int(np.prod(shape[1:])) // attributes["num_groups"]
    made = _normalised(graph, source, length, attributes.get("epsilon", 1e-5))
    wide = [-1, *[1] * (len(shape) - 2)]
    graph.done(node, _affine(graph, made, *(graph.known[n].reshape(wide) for n in node.input[1:3])))


@lowers("LayerNormalization")
def lower_layer_normalization(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """The last axes of every row."""
    source = graph.name(node.input[0])
    shape, axis = graph.program.shapes[source], attributes.get("axis", -1)
    length = int(np.prod(shape[axis % len(shape) :]))
    made = _normalised(graph, source, length, attributes.get("epsilon", 1e-5))
    shift = graph.known[node.input[2]] if len(node.input) > 2 else np.zeros(1)
    graph.done(node, _affine(graph, made, graph.known[node.input[1]], shift))


@lowers("BatchNormalization")
def lower_batch_normalization(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """A factor and a shift for each channel: of the weights before it, if nothing else uses
    what they make.
    """
    gain, bias, mean, variance = (np.asarray(graph.known[n], np.float64) for n in node.input[1:5])
    factor = gain / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    shift, source = bias - mean * factor, graph.name(node.input[0])
    if _absorbed(graph, node, source, factor, shift):
        graph.done(node, source)
        return
    wide = [-1, *[1] * (len(graph.program.shapes[source]) - 2)]
    graph.done(node, _affine(graph, source, factor.reshape(wide), shift.reshape(wide)))


def _absorbed(graph: Lowering, node: Any, source: str, factor: Array, shift: Array) -> bool:
    step = graph.program.steps[-1] if graph.program.steps else None
    users = sum(node.input[0] in other.input for other in graph.proto.graph.node)
    axes = {"conv": 0, "spread": 1, "gemm": 1}
    if step is None or step.output != source or users > 1 or step.op not in axes:
        return False
    if step.op == "spread" and step.settings["groups"] > 1:
        return False
    constants, (_, weight, bias) = graph.program.constants, step.inputs
    wide = [1] * constants[weight].ndim
    wide[axes[step.op]] = -1
    constants[weight] = (constants[weight] * factor.reshape(wide)).astype(np.float32)
    constants[bias] = (constants[bias] * factor + shift).astype(np.float32)
    return True
