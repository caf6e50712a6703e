"""A model as one HTML file that runs in a browser, without any request to anywhere.

Scripts, styles and weights are in the file; its content security policy allows these, by their
digests, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.folders import write_text
from pushforward.core.model import Model
from pushforward.export.description import describe_codes, describe_condition, describe_space
from pushforward.export.graphs import Graph, find_graphs
from pushforward.export.lowering import lower
from pushforward.export.onnx_files import measure_difference, require_onnx, trace
from pushforward.export.versions import package_version
from pushforward.export.weights import fits_half, pack, steps_as_json

__all__ = ["ExportedPage", "bundle", "write_page"]

MODULES = (
    "gemm.js", "runtime.js", "random.js", "gif.js", "drawing.js", "controls.js",
    "decoder_view.js", "image_view.js", "page.js",
)  # fmt: skip
"""Scripts in the order of their imports."""
POINTS = 512
"""Points that a page draws at once."""
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|class|const)\b)", re.MULTILINE)


@dataclass(frozen=True)
class ExportedPage:
    """A page that was written.

    Args:
        path: of the file.
        difference: the largest between graph and model, as a share of the range.
        half: whether weights are float16.
        megabytes: size of the file.
    """

    path: Path
    difference: float
    half: bool
    megabytes: float


def write_page(
    model: Model,
    path: str | Path,
    *,
    title: str = "",
    data: str = "",
    rows: Tensor | None = None,
) -> ExportedPage:
    """Write one HTML file in which a decoder, translator or enlarger runs.

    Args:
        title: of the page; the model's name if empty.
        data: what the model was fitted to, for the caption.
        rows: observations, for models whose codes have no distribution of their own.

    Raises:
        InvalidKind: If the model has nothing that a page could run.
        InvalidValue: If the file exists; nothing is written then.
        MissingExtra: Without the extra `export`.
    """
    require_onnx()
    target = Path(path)
    if target.exists():
        raise InvalidValue(f"{target} exists; choose another name, or remove it first")
    graph = find_graphs(model)[0]
    content, weights, difference = _content(model, graph, rows)
    content |= {"title": title or str(model.registered_name), "caption": _caption(model, data)}
    text = _assemble(content, weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)
    half = bool(content["program"]["half"])
    return ExportedPage(target, difference, half, len(text.encode()) / 1e6)


def _content(model: Model, graph: Graph, rows: Tensor | None) -> tuple[dict[str, Any], str, float]:
    """What the page is told, its weights, and how much the graph differs from the model."""
    space = model.fitted_space()
    content: dict[str, Any] = {
        "kind": graph.name,
        "output": describe_space(space),
        "condition": describe_condition(model.condition_space),
    }
    difference = measure_difference(model, graph, trace(graph))
    proto = trace(graph, rows=POINTS if space.kind == "points" else 1)
    program, half = lower(proto), fits_half(model, graph, proto)
    weights, constants = pack(program, half=half)
    if graph.name == "decoder":
        content["codes"] = describe_codes(model, rows)
    content["program"] = {
        "inputs": program.inputs, "output": program.output, "steps": steps_as_json(program),
        "shapes": program.shapes, "constants": constants, "half": half,
    }  # fmt: skip
    return content, weights, difference


def _caption(model: Model, data: str) -> list[str]:
    count = sum(p.numel() for p in model.parameters())
    numbers = f", {count:,} parameters" if count else ""
    lines = [f"Model: {model!r}{numbers}.", f"Data: {data or model.fitted_space()}."]
    if model.condition_space is not None:
        lines.append(f"Conditions: {model.condition_space}.")
    return [*lines, f"Made with pushforward {package_version()}."]


def bundle(names: Sequence[str] = MODULES) -> str:
    """The modules as one script: imports are left out, as all names are distinct."""
    texts = [(files("pushforward.export") / "page" / name).read_text("utf-8") for name in names]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


def _assemble(content: dict[str, Any], weights: str) -> str:
    folder = files("pushforward.export") / "page"
    script, style = bundle(), (folder / "page.css").read_text("utf-8")
    page = (folder / "page.html").read_text("utf-8")
    policy = (
        f"default-src 'none'; script-src {_digest(script)} 'wasm-unsafe-eval';"
        f" style-src {_digest(style)}; img-src blob: data:; base-uri 'none'; form-action 'none'"
    )
    told = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "policy": policy, "title": html.escape(str(content["title"])), "style": style,
        "content": told, "weights": weights, "script": script,
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
