"""ONNX graphs with a fixed number of rows -> programs of a few kinds of steps (`program`).

Whatever depends on constants alone is computed here, with ONNX's own reference implementation;
batch norm becomes a factor and a shift, or part of the convolution or product before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidKind
from pushforward.export.program import Array, Program, strides

__all__ = ["lower"]

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
SAME = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"}
"""Operators that keep all values in their order."""
REDUCTIONS = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ArgMax": "argmax"}


def lower(proto: Any) -> Program:
    """The program of a graph.

    Args:
        proto: an onnx.ModelProto, all of whose sizes are fixed.

    Raises:
        InvalidKind: For an operator that the runtime of pages lacks.
    """
    return _Lowering(proto).run()


class _Lowering:
    """One graph on its way."""

    def __init__(self, proto: Any) -> None:
        import onnx

        self.proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        graph = self.proto.graph
        self.known: dict[str, Array] = {
            t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer
        }
        self.program = Program([value.name for value in graph.input])
        self.place: dict[str, str] = {name: name for name in self.program.inputs}
        for value in graph.input:
            sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
            self.program.shapes[value.name] = tuple(sizes)

    def run(self) -> Program:
        """Lower node by node."""
        for node in self.proto.graph.node:
            if all(name in self.known for name in node.input if name):
                self._fold(node)
            else:
                self._lower(node)
        self.program.output = self.name(self.proto.graph.output[0].name)
        return self.program.without_unused()

    def _fold(self, node: Any) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        if node.op_type == "Constant":
            self.known[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
            return
        inputs = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.UNDEFINED, None)
                  for n in dict.fromkeys(node.input) if n]  # fmt: skip
        outputs = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.UNDEFINED, None)
                   for n in node.output]  # fmt: skip
        graph = onnx.helper.make_graph([node], "one", inputs, outputs)
        model = onnx.helper.make_model(graph, opset_imports=self.proto.opset_import)
        feeds = {n: self.known[n] for n in node.input if n}
        for name, value in zip(node.output, ReferenceEvaluator(model).run(None, feeds)):
            self.known[name] = np.asarray(value)

    def _lower(self, node: Any) -> None:
        handler: Callable[[Any, Mapping[str, Any]], None] | None = getattr(
            self, f"on_{node.op_type.lower()}", None
        )
        attributes = _attributes(node)
        if node.op_type in UNARY:
            self.unary(node, UNARY[node.op_type])
        elif node.op_type in BINARY:
            self.binary(node, BINARY[node.op_type])
        elif node.op_type in SAME:
            self.same(node)
        elif node.op_type in REDUCTIONS:
            self.reduce(node, REDUCTIONS[node.op_type], attributes)
        elif handler is not None:
            handler(node, attributes)
        else:
            raise InvalidKind(
                f"pages cannot compute {node.op_type}, which this model needs; export it to ONNX:"
                " --to onnx"
            )

    # ------------------------------------------------------------------------------------- tensors

    def name(self, tensor: str) -> str:
        """Where the program keeps a tensor; constants are added when they are first used."""
        if tensor not in self.place:
            values = self.known[tensor]
            self.place[tensor] = self.program.constant(np.asarray(values, np.float32))
        return self.place[tensor]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.program.shapes[self.name(tensor)]

    def done(self, node: Any, name: str) -> None:
        """Record where a node's only output is."""
        self.place[node.output[0]] = name

    def numbers(self, node: Any, place: int) -> list[int] | None:
        """A constant input as whole numbers; None if it is left out."""
        if len(node.input) <= place or not node.input[place]:
            return None
        return [int(n) for n in np.asarray(self.known[node.input[place]]).reshape(-1)]

    # ------------------------------------------------------------------------- every value by itself

    def unary(self, node: Any, kind: str, **settings: float) -> None:
        """One function of every value."""
        source = self.name(node.input[0])
        shape = self.program.shapes[source]
        self.done(node, self.program.add("unary", [source], shape, kind=kind, **settings))

    def binary(self, node: Any, kind: str) -> None:
        """Two tensors or more, broadcast."""
        made = self.name(node.input[0])
        for other in node.input[1:]:
            two = [made, self.name(other)]
            shape = np.broadcast_shapes(*(self.program.shapes[n] for n in two))
            made = self.program.add("binary", two, shape, kind=kind)
        self.done(node, made)

    def on_where(self, node: Any, _: Mapping[str, Any]) -> None:
        """A choice."""
        names = [self.name(n) for n in node.input]
        shape = np.broadcast_shapes(*(self.program.shapes[n] for n in names))
        self.done(node, self.program.add("where", names, shape))

    def on_leakyrelu(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """x, or a share of it below 0."""
        self.unary(node, "leaky", by=attributes.get("alpha", 0.01))

    def on_elu(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """x, or α (e^x - 1) below 0."""
        self.unary(node, "elu", by=attributes.get("alpha", 1.0))

    def on_gelu(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """x Φ(x)."""
        exact = attributes.get("approximate", b"none") == b"none"
        self.unary(node, "gelu" if exact else "gelu_tanh")

    def on_swish(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """x σ(αx)."""
        self.unary(node, "swish", by=attributes.get("alpha", 1.0))

    def on_clip(self, node: Any, _: Mapping[str, Any]) -> None:
        """Between two ends."""
        ends = [float(self.known[n]) if n else None for n in node.input[1:]]
        low, high = (*ends, None, None)[:2]
        self.unary(
            node, "clip", low=-3e38 if low is None else low, high=3e38 if high is None else high
        )

    def on_cast(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """All numbers are float32 here."""
        self.done(node, self.name(node.input[0]))

    # -------------------------------------------------------------------------------------- layouts

    def same(self, node: Any) -> None:
        """Another shape."""
        source = self.name(node.input[0])
        shape = self._target(node, self.program.shapes[source])
        self.done(node, self.program.add("reshape", [source], shape))

    def _target(self, node: Any, shape: tuple[int, ...]) -> list[int]:
        size = int(np.prod(shape))
        if node.op_type == "Reshape":
            target = [shape[i] if n == 0 else n for i, n in enumerate(self.numbers(node, 1) or [])]
            rest = int(np.prod([n for n in target if n != -1])) or 1
            return [size // rest if n == -1 else n for n in target]
        if node.op_type == "Flatten":
            axis = _attributes(node).get("axis", 1)
            return [int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))]
        axes = self.numbers(node, 1)
        if node.op_type == "Squeeze":
            gone = range(len(shape)) if axes is None else [a % len(shape) for a in axes]
            return [n for i, n in enumerate(shape) if not (i in gone and n == 1)]
        if node.op_type == "Unsqueeze":
            rank = len(shape) + len(axes or [])
            new, rest_of = {a % rank for a in axes or []}, iter(shape)
            return [1 if i in new else next(rest_of) for i in range(rank)]
        return list(shape)

    def taken(self, source: str, offsets: list[list[int]]) -> str:
        """Values by an offset for each axis."""
        return self.program.take(source, offsets)

    def rows_of(self, source: str) -> list[list[int]]:
        """The offsets that leave a tensor as it is."""
        shape = self.program.shapes[source]
        return [[i * step for i in range(n)] for n, step in zip(shape, strides(shape))]

    def on_transpose(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Axes in another order."""
        source = self.name(node.input[0])
        offsets = self.rows_of(source)
        order = attributes.get("perm", range(len(offsets))[::-1])
        self.done(node, self.taken(source, [offsets[i] for i in order]))

    def on_expand(self, node: Any, _: Mapping[str, Any]) -> None:
        """Repeated along axes of size 1."""
        source = self.name(node.input[0])
        shape = np.broadcast_shapes(self.program.shapes[source], tuple(self.numbers(node, 1) or []))
        offsets = self.rows_of(source)
        offsets = [[0]] * (len(shape) - len(offsets)) + offsets
        self.done(node, self.taken(source, [o * n if len(o) == 1 else o for o, n in zip(offsets, shape)]))

    def on_slice(self, node: Any, _: Mapping[str, Any]) -> None:
        """A part along some axes."""
        source = self.name(node.input[0])
        offsets = self.rows_of(source)
        starts, ends = self.numbers(node, 1) or [], self.numbers(node, 2) or []
        axes = self.numbers(node, 3) or list(range(len(starts)))
        steps = self.numbers(node, 4) or [1] * len(starts)
        for start, end, axis, step in zip(starts, ends, axes, steps):
            offsets[axis] = offsets[axis][start:end:step]
        self.done(node, self.taken(source, offsets))

    def on_split(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Parts side by side."""
        source, axis = self.name(node.input[0]), attributes.get("axis", 0)
        offsets = self.rows_of(source)
        total, count = len(offsets[axis]), len(node.output)
        even = -(-total // count)
        sizes = self.numbers(node, 1) or [min(even, total - i * even) for i in range(count)]
        start = 0
        for output, size in zip(node.output, sizes):
            part = list(offsets)
            part[axis] = offsets[axis][start : start + size]
            self.place[output], start = self.taken(source, part), start + size

    def on_gather(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Rows by constant places."""
        source, axis = self.name(node.input[0]), attributes.get("axis", 0)
        offsets, places = self.rows_of(source), np.asarray(self.known[node.input[1]])
        axis %= len(offsets)
        taken = [offsets[axis][int(i)] for i in places.reshape(-1)]
        shape = [len(o) for o in offsets]
        made = self.taken(source, [*offsets[:axis], taken, *offsets[axis + 1 :]])
        target = [*shape[:axis], *places.shape, *shape[axis + 1 :]]
        self.done(node, self.program.add("reshape", [made], target))

    def on_pad(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """More values around: zeros, mirrored or repeated ones."""
        source = self.name(node.input[0])
        offsets, amounts = self.rows_of(source), self.numbers(node, 1) or []
        mode = attributes.get("mode", b"constant").decode()
        axes = self.numbers(node, 3) or list(range(len(offsets)))
        for i, axis in enumerate(axes):
            around = (amounts[i], amounts[i + len(axes)])
            more = {"constant_values": -(1 << 30)} if mode == "constant" else {}
            offsets[axis] = np.pad(offsets[axis], around, mode=mode, **more).tolist()  # type: ignore[call-overload]
        self.done(node, self.taken(source, offsets))

    def on_concat(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Side by side."""
        names = [self.name(n) for n in node.input]
        shapes = [self.program.shapes[n] for n in names]
        axis = attributes["axis"] % len(shapes[0])
        shape = list(shapes[0])
        shape[axis] = sum(s[axis] for s in shapes)
        self.done(node, self.program.add("concat", names, shape, axis=axis))

    def on_depthtospace(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Channels to pixels."""
        source, by = self.name(node.input[0]), attributes["blocksize"]
        n, c, h, w = self.program.shapes[source]
        crd = attributes.get("mode", b"DCR") == b"CRD"
        split = (n, c // by**2, by, by, h, w) if crd else (n, by, by, c // by**2, h, w)
        wide = self.program.add("reshape", [source], split)
        offsets = self.rows_of(wide)
        order = (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2)
        made = self.taken(wide, [offsets[i] for i in order])
        shape = (n, c // by**2, h * by, w * by)
        self.done(node, self.program.add("reshape", [made], shape))

    def on_onehot(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """A one in the place of a label."""
        source, axis = self.name(node.input[0]), attributes.get("axis", -1)
        depth = int(np.asarray(self.known[node.input[1]]).reshape(-1)[0])
        shape = list(self.program.shapes[source])
        axis %= len(shape) + 1
        wide = self.program.add("reshape", [source], [*shape[:axis], 1, *shape[axis:]])
        places = np.arange(depth, dtype=np.float32).reshape(-1, *[1] * (len(shape) - axis))
        two = [wide, self.program.constant(places)]
        target = [*shape[:axis], depth, *shape[axis:]]
        self.done(node, self.program.add("binary", two, target, kind="equal"))

    def on_resize(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Images of another size."""
        from pushforward.export.resizing import linear_taps, nearest_places

        source = self.name(node.input[0])
        before, sizes = self.program.shapes[source], self.numbers(node, 3)
        scales = self.known.get(node.input[2]) if len(node.input) > 2 else None
        if not sizes:
            sizes = [int(np.floor(n * s)) for n, s in zip(before, np.asarray(scales))]
        how = {key: v.decode() if isinstance(v, bytes) else v for key, v in attributes.items()}
        for axis, (old, new) in enumerate(zip(before, sizes)):
            if old == new:
                continue
            if how.get("mode", "nearest") == "nearest":
                offsets = self.rows_of(source)
                offsets[axis] = [offsets[axis][i] for i in nearest_places(old, new, how)]
                source = self.taken(source, offsets)
            else:
                first, second, share = linear_taps(old, new, how)
                shape = [*self.program.shapes[source]]
                shape[axis] = new
                source = self.program.add(
                    "resample", [source], shape, axis=axis, first=first, second=second, share=share
                )
        self.done(node, source)

    # ----------------------------------------------------------------------------------- reductions

    def last(self, source: str, axes: list[int]) -> tuple[str, list[int]]:
        """The tensor with some axes moved to the end, and the order of its axes."""
        rank = len(self.program.shapes[source])
        order = [i for i in range(rank) if i not in axes] + axes
        if order == list(range(rank)):
            return source, order
        offsets = self.rows_of(source)
        return self.taken(source, [offsets[i] for i in order]), order

    def reduce(self, node: Any, kind: str, attributes: Mapping[str, Any]) -> None:
        """One number of every run of values."""
        source = self.name(node.input[0])
        shape = self.program.shapes[source]
        axes = [attributes.get("axis", 0)] if kind == "argmax" else self.numbers(node, 1)
        axes = sorted(a % len(shape) for a in (range(len(shape)) if axes is None else axes))
        moved, _ = self.last(source, axes)
        keep = attributes.get("keepdims", 1)
        target = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
        length = int(np.prod([shape[a] for a in axes]))
        self.done(node, self.program.add("reduce", [moved], target, kind=kind, length=length))

    def on_softmax(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Shares that add up to 1 along an axis."""
        source = self.name(node.input[0])
        shape = self.program.shapes[source]
        moved, order = self.last(source, [attributes.get("axis", -1) % len(shape)])
        made = self.program.add(
            "softmax", [moved], [shape[i] for i in order], length=shape[order[-1]]
        )
        if order != list(range(len(shape))):
            offsets = self.rows_of(made)
            made = self.taken(made, [offsets[i] for i in np.argsort(order)])
        self.done(node, made)

    def normalised(self, source: str, length: int, epsilon: float) -> str:
        """Runs of values with mean 0 and variance 1."""
        shape = self.program.shapes[source]
        return self.program.add("normalise", [source], shape, length=length, epsilon=epsilon)

    def affine(self, source: str, factor: Array, shift: Array) -> str:
        """A factor and a shift, broadcast."""
        shape = self.program.shapes[source]
        for kind, values in (("mul", factor), ("add", shift)):
            names = [source, self.program.constant(values.astype(np.float32))]
            source = self.program.add("binary", names, shape, kind=kind)
        return source

    def on_instancenormalization(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Every map of every row by itself."""
        source = self.name(node.input[0])
        shape = self.program.shapes[source]
        length = int(np.prod(shape[2:]))
        made = self.normalised(source, length, attributes.get("epsilon", 1e-5))
        wide = [-1, *[1] * (len(shape) - 2)]
        self.done(node, self.affine(made, *(self.known[n].reshape(wide) for n in node.input[1:3])))

    def on_groupnormalization(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """Groups of maps."""
        source = self.name(node.input[0])
        shape = self.program.shapes[source]
        length = int(np.prod(shape[1:])) // attributes["num_groups"]
        made = self.normalised(source, length, attributes.get("epsilon", 1e-5))
        wide = [-1, *[1] * (len(shape) - 2)]
        self.done(node, self.affine(made, *(self.known[n].reshape(wide) for n in node.input[1:3])))

    def on_layernormalization(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """The last axes of every row."""
        source = self.name(node.input[0])
        shape, axis = self.program.shapes[source], attributes.get("axis", -1)
        length = int(np.prod(shape[axis % len(shape) :]))
        made = self.normalised(source, length, attributes.get("epsilon", 1e-5))
        shift = self.known[node.input[2]] if len(node.input) > 2 else np.zeros(1)
        self.done(node, self.affine(made, self.known[node.input[1]], shift))

    def on_batchnormalization(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """A factor and a shift for each channel: of the weights before it, if nothing else uses
        what they make.
        """
        gain, bias, mean, variance = (np.asarray(self.known[n], np.float64) for n in node.input[1:5])
        factor = gain / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        shift, source = bias - mean * factor, self.name(node.input[0])
        if self._absorbed(node, source, factor, shift):
            self.done(node, source)
            return
        wide = [-1, *[1] * (len(self.program.shapes[source]) - 2)]
        self.done(node, self.affine(source, factor.reshape(wide), shift.reshape(wide)))

    def _absorbed(self, node: Any, source: str, factor: Array, shift: Array) -> bool:
        step = self.program.steps[-1] if self.program.steps else None
        users = sum(node.input[0] in other.input for other in self.proto.graph.node)
        axes = {"conv": 0, "spread": 1, "gemm": 1}
        if step is None or step.output != source or users > 1 or step.op not in axes:
            return False
        if step.op == "spread" and step.settings["groups"] > 1:
            return False
        constants, (_, weight, bias) = self.program.constants, step.inputs
        wide = [1] * constants[weight].ndim
        wide[axes[step.op]] = -1
        constants[weight] = (constants[weight] * factor.reshape(wide)).astype(np.float32)
        constants[bias] = (constants[bias] * factor + shift).astype(np.float32)
        return True

    # ------------------------------------------------------------------------------------- products

    def product(self, node: Any, weight: Array, bias: Array | None, scale: float = 1.0) -> None:
        """Rows times a constant matrix (k, n)."""
        source = self.name(node.input[0])
        shape = self.program.shapes[source]
        shift = np.zeros(weight.shape[1]) if bias is None else np.broadcast_to(bias, weight.shape[1:])
        names = [source, *(self.program.constant(np.asarray(a, np.float32)) for a in (weight * scale, shift))]
        self.done(node, self.program.add("gemm", names, (*shape[:-1], weight.shape[1])))

    def on_gemm(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """a w + b."""
        if attributes.get("transA", 0) or node.input[1] not in self.known:
            raise InvalidKind("pages multiply by constant matrices only; export to ONNX: --to onnx")
        weight = np.asarray(self.known[node.input[1]])
        bias = self.known[node.input[2]] if len(node.input) > 2 and node.input[2] else None
        if bias is not None:
            bias = bias * attributes.get("beta", 1.0)
        turned = weight.T if attributes.get("transB", 0) else weight
        self.product(node, turned, bias, attributes.get("alpha", 1.0))

    def on_matmul(self, node: Any, _: Mapping[str, Any]) -> None:
        """a w."""
        weight = self.known.get(node.input[1])
        if weight is None or weight.ndim != 2:
            raise InvalidKind("pages multiply by constant matrices only; export to ONNX: --to onnx")
        self.product(node, weight, None)

    def on_conv(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """A convolution of images."""
        self._convolve(node, attributes, "conv")

    def on_convtranspose(self, node: Any, attributes: Mapping[str, Any]) -> None:
        """A transposed convolution of images."""
        self._convolve(node, attributes, "spread")

    def _convolve(self, node: Any, attributes: Mapping[str, Any], op: str) -> None:
        source = self.name(node.input[0])
        shape, weight = self.program.shapes[source], np.asarray(self.known[node.input[1]])
        dilated = set(attributes.get("dilations", [1])) != {1}
        if len(shape) != 4 or dilated or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise InvalidKind(
                "pages convolve images only, not clips, and without dilation; export to ONNX: --to"
                " onnx"
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
        bias = self.known[node.input[2]] if len(node.input) > 2 else np.zeros(channels)
        names = [source, *(self.program.constant(np.asarray(a, np.float32)) for a in (weight, bias))]
        self.done(
            node,
            self.program.add(
                op, names, (shape[0], channels, *sides),
                stride=list(stride), pads=list(pads[:2]), groups=groups,
            ),
        )  # fmt: skip


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
