"""Operators that put values elsewhere: reshaped, cut, repeated, padded, resized."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidKind
from pushforward.export.graph_state import Lowering, attributes_of, lowers
from pushforward.export.program import strides
from pushforward.export.resizing import linear_taps, nearest_places


@lowers("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout")
def lower_reshape(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """Another shape."""
    source = graph.name(node.input[0])
    shape = _target(graph, node, graph.program.shapes[source])
    graph.done(node, graph.program.add("reshape", [source], shape))


def _target(graph: Lowering, node: Any, shape: tuple[int, ...]) -> list[int]:
    size = int(np.prod(shape))
    if node.op_type == "Reshape":
        target = [shape[i] if n == 0 else n for i, n in enumerate(graph.numbers(node, 1) or [])]
        rest = int(np.prod([n for n in target if n != -1])) or 1
        return [size // rest if n == -1 else n for n in target]
    if node.op_type == "Flatten":
        axis = attributes_of(node).get("axis", 1)
        return [int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))]
    axes = graph.numbers(node, 1)
    if node.op_type == "Squeeze":
        gone = range(len(shape)) if axes is None else [a % len(shape) for a in axes]
        return [n for i, n in enumerate(shape) if not (i in gone and n == 1)]
    if node.op_type == "Unsqueeze":
        rank = len(shape) + len(axes or [])
        new, rest_of = {a % rank for a in axes or []}, iter(shape)
        return [1 if i in new else next(rest_of) for i in range(rank)]
    return list(shape)


@lowers("Transpose")
def lower_transpose(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Axes in another order."""
    source = graph.name(node.input[0])
    offsets = graph.rows_of(source)
    order = attributes.get("perm", range(len(offsets))[::-1])
    graph.done(node, graph.program.take(source, [offsets[i] for i in order]))


@lowers("Expand")
def lower_expand(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """Repeated along axes of size 1."""
    source = graph.name(node.input[0])
    shape = np.broadcast_shapes(graph.program.shapes[source], tuple(graph.numbers(node, 1) or []))
    offsets = graph.rows_of(source)
    offsets = [[0]] * (len(shape) - len(offsets)) + offsets
    graph.done(
        node,
        graph.program.take(source, [o * n if len(o) == 1 else o for o, n in zip(offsets, shape)]),
    )


@lowers("Slice")
def lower_slice(graph: Lowering, node: Any, _: Mapping[str, Any]) -> None:
    """A part along some axes."""
    source = graph.name(node.input[0])
    offsets = graph.rows_of(source)
    starts, ends = graph.numbers(node, 1) or [], graph.numbers(node, 2) or []
    axes = graph.numbers(node, 3) or list(range(len(starts)))
    steps = graph.numbers(node, 4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        offsets[axis] = offsets[axis][start:end:step]
    graph.done(node, graph.program.take(source, offsets))


@lowers("Split")
def lower_split(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Parts side by side."""
    source, axis = graph.name(node.input[0]), attributes.get("axis", 0)
    offsets = graph.rows_of(source)
    total, count = len(offsets[axis]), len(node.output)
    even = -(-total // count)
    sizes = graph.numbers(node, 1) or [min(even, total - i * even) for i in range(count)]
    start = 0
    for output, size in zip(node.output, sizes):
        part = list(offsets)
        part[axis] = offsets[axis][start : start + size]
        graph.place[output], start = graph.program.take(source, part), start + size


@lowers("Gather")
def lower_gather(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Rows by constant places."""
    source, axis = graph.name(node.input[0]), attributes.get("axis", 0)
    offsets, places = graph.rows_of(source), np.asarray(graph.known[node.input[1]])
    axis %= len(offsets)
    taken = [offsets[axis][int(i)] for i in places.reshape(-1)]
    shape = [len(o) for o in offsets]
    made = graph.program.take(source, [*offsets[:axis], taken, *offsets[axis + 1 :]])
    target = [*shape[:axis], *places.shape, *shape[axis + 1 :]]
    graph.done(node, graph.program.add("reshape", [made], target))


@lowers("GatherND")
def lower_gather_nd(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Values by constant places along several axes at once."""
    source, places = graph.name(node.input[0]), np.asarray(graph.known[node.input[1]])
    first = attributes.get("batch_dims", 0)
    if first:
        raise InvalidKind("pages gather whole axes only; export to ONNX: --to onnx")
    offsets, shape = graph.rows_of(source), graph.program.shapes[source]
    depth, steps = places.shape[-1], strides(shape)
    wrapped = places.reshape(-1, depth) % np.array(shape[:depth])
    taken = (wrapped * np.array(steps[:depth])).sum(1).tolist()
    made = graph.program.take(source, [taken, *offsets[depth:]])
    target = [*places.shape[:-1], *shape[depth:]]
    graph.done(node, graph.program.add("reshape", [made], target))


@lowers("Pad")
def lower_pad(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """More values around: zeros, mirrored or repeated ones."""
    source = graph.name(node.input[0])
    offsets, amounts = graph.rows_of(source), graph.numbers(node, 1) or []
    mode = attributes.get("mode", b"constant").decode()
    axes = graph.numbers(node, 3) or list(range(len(offsets)))
    for i, axis in enumerate(axes):
        around = (amounts[i], amounts[i + len(axes)])
        more = {"constant_values": -(1 << 30)} if mode == "constant" else {}
        offsets[axis] = np.pad(offsets[axis], around, mode=mode, **more).tolist()
    graph.done(node, graph.program.take(source, offsets))


@lowers("Concat")
def lower_concat(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Side by side."""
    names = [graph.name(n) for n in node.input]
    shapes = [graph.program.shapes[n] for n in names]
    axis = attributes["axis"] % len(shapes[0])
    shape = list(shapes[0])
    shape[axis] = sum(s[axis] for s in shapes)
    graph.done(node, graph.program.add("concat", names, shape, axis=axis))


@lowers("DepthToSpace")
def lower_depth_to_space(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Channels to pixels."""
    source, by = graph.name(node.input[0]), attributes["blocksize"]
    n, c, h, w = graph.program.shapes[source]
    crd = attributes.get("mode", b"DCR") == b"CRD"
    split = (n, c // by**2, by, by, h, w) if crd else (n, by, by, c // by**2, h, w)
    wide = graph.program.add("reshape", [source], split)
    offsets = graph.rows_of(wide)
    order = (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2)
    made = graph.program.take(wide, [offsets[i] for i in order])
    shape = (n, c // by**2, h * by, w * by)
    graph.done(node, graph.program.add("reshape", [made], shape))


@lowers("OneHot")
def lower_one_hot(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """A one in the place of a label."""
    source, axis = graph.name(node.input[0]), attributes.get("axis", -1)
    depth = int(np.asarray(graph.known[node.input[1]]).reshape(-1)[0])
    shape = list(graph.program.shapes[source])
    axis %= len(shape) + 1
    wide = graph.program.add("reshape", [source], [*shape[:axis], 1, *shape[axis:]])
    places = np.arange(depth, dtype=np.float32).reshape(-1, *[1] * (len(shape) - axis))
    two = [wide, graph.program.constant(places)]
    target = [*shape[:axis], depth, *shape[axis:]]
    graph.done(node, graph.program.add("binary", two, target, kind="equal"))


@lowers("Resize")
def lower_resize(graph: Lowering, node: Any, attributes: Mapping[str, Any]) -> None:
    """Images of another size."""
    source = graph.name(node.input[0])
    before, sizes = graph.program.shapes[source], graph.numbers(node, 3)
    scales = graph.known.get(node.input[2]) if len(node.input) > 2 else None
    if not sizes:
        sizes = [int(np.floor(n * s)) for n, s in zip(before, np.asarray(scales))]
    how = {key: v.decode() if isinstance(v, bytes) else v for key, v in attributes.items()}
    for axis, (old, new) in enumerate(zip(before, sizes)):
        if old == new:
            continue
        if how.get("mode", "nearest") == "nearest":
            offsets = graph.rows_of(source)
            offsets[axis] = [offsets[axis][i] for i in nearest_places(old, new, how)]
            source = graph.program.take(source, offsets)
        else:
            first, second, share = linear_taps(old, new, how)
            shape = [*graph.program.shapes[source]]
            shape[axis] = new
            source = graph.program.add(
                "resample", [source], shape, axis=axis, first=first, second=second, share=share
            )
    graph.done(node, source)
