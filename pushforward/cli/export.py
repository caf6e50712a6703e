"""`pushforward export RUN --to onnx|page`: a model as files that need no Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["export"]


def export(
    run: arguments.Run,
    /,
    *,
    to: str = "page",
    out: arguments.Out = None,
    title: arguments.Title = None,
    source: str | None = None,
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Export a model: a page that runs it in any browser, or ONNX graphs for other programs.

    Args:
        to: page for one HTML file that needs no network, onnx for a folder of graphs.
        out: NAME.html or a new folder/; by default RUN.html here, or the folder RUN-onnx/.
        source: the rows the run was fitted to, if they have moved; a page of an autoencoder draws
            its codes from theirs.
        json: where the files are, as JSON.
    """
    from pushforward.core.errors import one_of
    from pushforward.experiments import open_run

    kind = one_of("--to", to, ("onnx", "page"))
    voice = Voice(quiet, json)
    opened = open_run(run)
    name = Path(run).absolute().name
    if kind == "onnx":
        _to_onnx(voice, opened, out or f"{name}-onnx")
    else:
        _to_page(voice, opened, out or f"{name}.html", title or name, source)


def _to_onnx(voice: Voice, opened: Any, folder: str) -> None:
    from pushforward.export import write_onnx

    for graph in write_onnx(opened.model, folder):
        voice.say(f"{graph.name}: differs from the model by {graph.difference:.1e} of the range")
        voice.result(
            {"path": str(graph.path), "graph": graph.name, "difference": graph.difference},
            str(graph.path),
        )


def _to_page(voice: Voice, opened: Any, path: str, title: str, source: str | None) -> None:
    from pushforward.export import write_page

    data = "" if opened.provenance.source is None else Path(opened.provenance.source).name
    described = f"{data}, {opened.model.fitted_space()}" if data else ""
    rows = _rows(opened, source)
    page = write_page(opened.model, path, title=title, data=described, rows=rows)
    halved = "weights in float16" if page.half else "weights in float32"
    voice.say(
        f"{page.megabytes:.1f} MB, {halved}; the graph differs from the model by"
        f" {page.difference:.1e} of the range"
    )
    voice.result(
        {
            "path": str(page.path),
            "megabytes": round(page.megabytes, 3),
            "difference": page.difference,
        },
        str(page.path),
    )


def _rows(opened: Any, source: str | None) -> Any:
    """Rows whose codes a page draws from, for a model whose codes have no distribution."""
    from pushforward.core.errors import PushforwardError
    from pushforward.experiments.opened import rows_of

    if callable(getattr(opened.model, "prior", None)) or not opened.can("Encodes"):
        return None
    try:
        return rows_of(opened.parts(source).train, 2000).x
    except PushforwardError:
        if source is not None:
            raise
        return None
