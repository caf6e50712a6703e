"""One ONNX graph on its way to a program: what is known, and who lowers which operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidKind
from pushforward.export.program import Array, Program, strides

__all__ = ["Handler", "Lowering", "attributes_of", "lowers"]


class Lowering:
    """The program so far, and the values that are known.

    Args:
        proto: an onnx.ModelProto, all of whose sizes are fixed.
    """

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
        handler = HANDLERS.get(node.op_type)
        if handler is None:
            raise InvalidKind(
                f"pages cannot compute {node.op_type}, which this model needs; export it to ONNX:"
                " --to onnx"
            )
        handler(self, node, attributes_of(node))

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

    def rows_of(self, source: str) -> list[list[int]]:
        """The offsets that leave a tensor as it is."""
        shape = self.program.shapes[source]
        return [[i * step for i in range(n)] for n, step in zip(shape, strides(shape))]


Handler = Callable[[Lowering, Any, Mapping[str, Any]], None]
"""Adds the steps of a node; its attributes are a mapping."""
HANDLERS: dict[str, Handler] = {}


def lowers(*operators: str) -> Callable[[Handler], Handler]:
    """Decorator: a function lowers these operators."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(operators, handler))
        return handler

    return register


def attributes_of(node: Any) -> dict[str, Any]:
    """The attributes of a node, by name."""
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
