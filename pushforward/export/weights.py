"""The numbers of a page: constants one after the other, float16 where that changes nothing seen."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch

from pushforward.core.model import Model
from pushforward.export.graphs import Graph
from pushforward.export.onnx_files import random_rows, run_session, start_session
from pushforward.export.program import Program

__all__ = ["fits_half", "pack", "steps_as_json"]

MOST_SEEN = 1 / 255
"""Share of the range of levels that halved weights may change a picture by: one level of 8 bits."""
MOST_FAR = 2e-3
"""Share of the range that they may move a point by."""
CHECKED = 4
"""Graphs are run this many times, with other inputs, to find how much halved weights change."""


def fits_half(model: Model, graph: Graph, proto: Any) -> bool:
    """Whether weights of half the precision change nothing that is seen."""
    import onnx

    halved = onnx.ModelProto()
    halved.CopyFrom(proto)
    for tensor in halved.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype in (np.float32, np.float64):
            if np.abs(values).max(initial=0.0) > np.finfo(np.float16).max:
                return False
            rounded = values.astype(np.float16).astype(values.dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, tensor.name))
    sessions = start_session(proto), start_session(halved)
    space = model.fitted_space()
    most = MOST_FAR if space.kind == "points" else MOST_SEEN
    for seed in range(CHECKED):
        inputs = [
            random_rows(each, _rows(proto, i), _sides(proto, i), rng=seed)
            for i, each in enumerate(graph.inputs)
        ]
        exact, halves = (run_session(session, inputs).double() for session in sessions)
        spread = torch.as_tensor(space.ranges if space.kind == "points" else space.high - space.low)
        change = ((exact - halves).abs() / spread.double().clamp_min(1e-30)).max()
        if not float(change) <= most / 2:
            return False
    return True


def _rows(proto: Any, i: int) -> int:
    return int(proto.graph.input[i].type.tensor_type.shape.dim[0].dim_value)


def _sides(proto: Any, i: int) -> tuple[int, int] | None:
    dims = proto.graph.input[i].type.tensor_type.shape.dim
    return (dims[2].dim_value, dims[3].dim_value) if len(dims) == 4 else None


def pack(program: Program, *, half: bool) -> tuple[str, list[dict[str, Any]]]:
    """All constants in base64, and the name and size of each in that order."""
    kind = np.dtype("<f2" if half else "<f4")
    parts = [values.astype(kind).tobytes() for values in program.constants.values()]
    sizes = [{"name": n, "size": int(v.size)} for n, v in program.constants.items()]
    return base64.b64encode(b"".join(parts)).decode(), sizes


def steps_as_json(program: Program) -> list[dict[str, Any]]:
    """Steps as the page reads them."""
    return [
        {"op": s.op, "inputs": list(s.inputs), "output": s.output, "settings": dict(s.settings)}
        for s in program.steps
    ]
