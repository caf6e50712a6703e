"""Graphs as ONNX: traced, checked against the model with ONNX Runtime, and written.

The number of rows is free, and the height and width of images where the network takes any. The
check runs the graph on random inputs of two sizes, and compares with what the model itself says:
the largest difference is a share of the range of levels (of each column, for points; of the codes
that were seen, for codes).
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.errors import InvalidKind, InvalidValue, MissingExtra, printable
from pushforward.core.folders import write_atomically
from pushforward.core.model import Model
from pushforward.core.modes import evaluation_mode
from pushforward.core.random import Rng, generator, integers, normal, uniform
from pushforward.core.space import Space
from pushforward.export.graphs import Graph, Input, find_graphs
from pushforward.export.versions import package_version
from pushforward.models.parts.translator import Translator

__all__ = ["ExportedGraph", "MOST_DIFFERENT", "random_rows", "require_onnx", "trace", "write_onnx"]

MOST_DIFFERENT = 1e-4
"""Share of the range by which a graph may differ from its model: rounding in float32 is below."""
BATCHES = (1, 7)
"""Numbers of rows that a graph is checked with."""
TIES = 0.01
"""Share of rows whose category may differ: two logits that are equal to rounding."""


@dataclass(frozen=True)
class ExportedGraph:
    """A graph that was written.

    Args:
        name: of the graph, such as 'decoder'.
        path: of the file.
        difference: the largest between graph and model, as a share of the range.
    """

    name: str
    path: Path
    difference: float


def write_onnx(model: Model, folder: str | Path) -> list[ExportedGraph]:
    """Write every graph of a model to a new folder: decoder.onnx, encoder.onnx, ….

    Raises:
        InvalidKind: If the model has no graph, or one that cannot be traced.
        InvalidValue: If the folder exists, or a graph differs from the model; nothing is written.
        MissingExtra: Without the extra `export`.
    """
    require_onnx()
    place = Path(folder)
    if place.exists():
        raise InvalidValue(f"{place} exists; choose another name, or remove it first")
    graphs = find_graphs(model)
    traced = [(graph, _with_metadata(trace(graph), model, graph)) for graph in graphs]
    differences = [measure_difference(model, graph, proto) for graph, proto in traced]
    place.mkdir(parents=True)
    written = []
    for (graph, proto), difference in zip(traced, differences):
        path = place / f"{graph.name}.onnx"
        write_atomically(path, proto.SerializeToString())
        written.append(ExportedGraph(graph.name, path, difference))
    return written


def require_onnx() -> None:
    """Raise MissingExtra unless the packages that write and check ONNX are installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "onnx", "export", "exporting") from error


def trace(graph: Graph, *, rows: int | None = None) -> Any:
    """The graph as an onnx.ModelProto.

    Args:
        rows: a fixed number of rows, at the size of training; free by default.

    Raises:
        InvalidKind: If the model computes what cannot be traced.
    """
    free = rows is None
    examples = tuple(_example(each, rows or 3, free) for each in graph.inputs)
    shapes = [_free_sizes(each) for each in graph.inputs] if free else None
    with _silent():
        try:
            program = torch.onnx.export(
                graph.module,
                examples,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=[each.name for each in graph.inputs],
                output_names=[graph.output if graph.output != graph.inputs[0].name else "made"],
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise InvalidKind(
                f"the {graph.name} of this model cannot be exported, as it computes what cannot be"
                f" traced ({printable(error.__cause__ or error)}); use operations of torch alone,"
                " and x.shape[0] in place of len(x)"
            ) from error
    assert program is not None
    return program.model_proto


@contextmanager
def _silent() -> Iterator[None]:
    """Context manager: without what the exporter says of its own parts."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _example(each: Input, rows: int, free: bool) -> Tensor:
    sizes = each.usual if each.usual and not free else (4 * each.multiple, 5 * each.multiple)
    return random_rows(each, rows, sizes, rng=0)


def _free_sizes(each: Input) -> dict[int, Any]:
    sizes: dict[int, Any] = {0: torch.export.Dim("rows", min=1)}
    for axis, size in enumerate(each.shape):
        if size is None:
            side = torch.export.Dim("height" if axis == 1 else "width", min=1)
            sizes[axis + 1] = side if each.multiple == 1 else each.multiple * side
    return sizes


def random_rows(
    each: Input, rows: int, sizes: tuple[int, int] | None = None, *, rng: Rng = None
) -> Tensor:
    """Random values of an input: N(0, 1) for codes, uniform in the ranges of a space.

    Args:
        sizes: height and width where they are free.
    """
    stream, space = generator(rng), each.space
    if space is None:
        return normal(rows, *map(int, each.shape), rng=stream).to(each.dtype)  # type: ignore[arg-type]
    if space.is_label:
        return integers(len(space.columns[0].categories), (rows,), rng=stream)
    shape = [n or (sizes or (1, 1))[axis - 1] for axis, n in enumerate(each.shape)]
    share = uniform(rows, *shape, rng=stream, dtype=torch.float64)
    return _in_range(share, space).to(each.dtype)


def _in_range(share: Tensor, space: Space) -> Tensor:
    """Shares of the range as values; categories as whole numbers."""
    if space.kind != "points" or not space.columns:
        return space.low + share * (space.high - space.low)
    low = share.new_tensor([c.low for c in space.columns])
    high = share.new_tensor([c.high for c in space.columns])
    values = low + share * (high - low)
    whole = torch.tensor([c.kind == "categorical" for c in space.columns])
    return torch.where(whole, values.round(), values)


# ------------------------------------------------------------------------------------ the check


def measure_difference(model: Model, graph: Graph, proto: Any) -> float:
    """The largest difference of a graph from its model, as a share of the range.

    Raises:
        InvalidValue: If it is above MOST_DIFFERENT.
    """
    session = start_session(proto)
    worst = 0.0
    for i, rows in enumerate(BATCHES):
        inputs = [random_rows(each, rows, _sizes(each, i), rng=i + 1) for each in graph.inputs]
        result = run_session(session, inputs)
        worst = max(worst, _difference(result, expected(model, graph, inputs), graph.space))
    if not worst <= MOST_DIFFERENT:
        raise InvalidValue(
            f"the exported {graph.name} differs from the model by {worst:.2g} of the range, more"
            f" than {MOST_DIFFERENT:g}; nothing was written, and the model itself is as it was"
        )
    return worst


def start_session(proto: Any) -> Any:
    """ONNX Runtime on the CPU, with a graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run_session(session: Any, inputs: Sequence[Tensor]) -> Tensor:
    """The output of a graph."""
    feeds = {known.name: row.numpy() for known, row in zip(session.get_inputs(), inputs)}
    return torch.from_numpy(session.run(None, feeds)[0])


def expected(model: Model, graph: Graph, inputs: Sequence[Tensor]) -> Tensor:
    """What the model itself makes of inputs."""
    first, *rest = inputs
    y = _as_given(graph.inputs[-1], rest[0]) if rest else None
    with torch.no_grad(), evaluation_mode(model):
        if graph.name == "encoder":
            return cast(Encodes, model).encode(first, y).cpu()
        if graph.name == "decoder":
            made = cast(Decodes, model).decode(first, y).cpu()
        else:
            made = _translated(cast(Translator, model), first)
    space = model.fitted_space()
    return made if space.kind == "points" else made.clamp(space.low, space.high)


def _translated(model: Translator, y: Tensor) -> Tensor:
    """Images for conditions, one by one as `translate` makes them, but not cleaned by a palette."""
    u = model.condition_scaling(y.to(model.device)).to(model.floating())
    return torch.cat([model.to_user(model.make(one[None])) for one in u]).cpu()


def _as_given(each: Input, y: Tensor) -> Any:
    return y if each.space is None else each.space.as_given(y)


def _sizes(each: Input, i: int) -> tuple[int, int] | None:
    """The size of training, then another."""
    if each.usual is None:
        return None
    height, width = each.usual
    return each.usual if i == 0 and height % each.multiple == width % each.multiple == 0 else (
        3 * each.multiple, 2 * each.multiple
    )  # fmt: skip


def _difference(result: Tensor, wanted: Tensor, space: Space | None) -> float:
    if result.shape != wanted.shape:
        return float("inf")
    distance = (result.double() - wanted.double()).abs()
    if space is None:
        spread = float(wanted.double().amax() - wanted.double().amin()) or 1.0
        return float(distance.max()) / spread
    if space.kind != "points":
        return float(distance.max()) / ((space.high - space.low) or 1.0)
    return max(_column_difference(distance[:, i], c.kind, c.high - c.low)
               for i, c in enumerate(space.columns))  # fmt: skip


def _column_difference(distance: Tensor, kind: str, spread: float) -> float:
    if kind == "categorical":
        return float((distance > 0).double().mean() > TIES)
    return float(distance.max()) / (spread or 1.0)


def _with_metadata(proto: Any, model: Model, graph: Graph) -> Any:
    import onnx

    proto.producer_name, proto.producer_version = "pushforward", package_version()
    facts = {
        "model": str(model.registered_name),
        "graph": graph.name,
        "space": json.dumps(model.fitted_space().to_json(), ensure_ascii=False),
        "version": package_version(),
    }
    if model.condition_space is not None:
        facts["condition_space"] = json.dumps(model.condition_space.to_json(), ensure_ascii=False)
    onnx.helper.set_model_props(proto, facts)
    return proto
