"""Run: what runs there are, how one went or goes, and runs side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushforward.core.capabilities import capabilities
from pushforward.core.errors import PushforwardError
from pushforward.fitting.log import read_log
from pushforward.studio import contents
from pushforward.studio.messages import Answer, Request
from pushforward.studio.studio import Studio

__all__ = ["image", "list", "show"]

LIVE = 90.0
"""Seconds since the last line of the log, within which an unfinished run counts as live."""
DRAWN = (".png", ".gif", ".webp")


def list(studio: Studio, request: Request) -> Answer:
    """The runs, the latest first, with what they can do."""
    return Answer(
        {"folder": studio.folder.name, "runs": [_summary(studio, n) for n in studio.run_names()]}
    )


def show(studio: Studio, request: Request) -> Answer:
    """A run: settings, curves, warnings, records and images."""
    name = request.run
    path, events = studio.path(name), read_log(studio.path(name))
    curves = [
        {"samples": e["samples"], "seconds": e["seconds"], "terms": e.get("terms", {})}
        for e in events
        if e["event"] == "progress"
    ]
    return Answer(
        {
            **_summary(studio, name),
            "curves": curves,
            "quality": [[e["samples"], e["quality"]] for e in events if e["event"] == "evaluated"],
            "warnings": [e for e in events if e["event"] == "warned"],
            "images": sorted(str(file.relative_to(path)) for file in _images(path)),
        }
    )


def image(studio: Studio, request: Request) -> Answer:
    """An image of a run, by its name."""
    path = studio.path(request.run)
    wanted = contents.text(request.content, "image")
    for file in _images(path):
        if str(file.relative_to(path)) == wanted:
            return Answer({"type": file.suffix[1:]}, {"file": file.read_bytes()})
    raise PushforwardError(f"this run has no image {wanted!r}")


def _images(path: Path) -> Any:
    return (
        f
        for f in (path / "images").rglob("*")
        if f.suffix in DRAWN and f.resolve().is_relative_to(path)
    )


def _summary(studio: Studio, name: str) -> dict[str, Any]:
    """One line about a run; damaged runs say so."""
    try:
        run, manifest = studio.open(name), studio.manifest(name)
        events = read_log(studio.path(name))
    except PushforwardError as error:
        return {"name": name, "error": str(error)}
    space = run.model.fitted_space()
    last = events[-1] if events else {}
    return {
        "name": name,
        "model": run.name,
        "description": repr(run.model),
        "space": str(space),
        "kind": space.kind,
        "able": [*capabilities(run.model)],
        "state": _state(studio.path(name), last),
        "samples": last.get("samples"),
        "seconds": last.get("seconds"),
        "source": None if manifest is None or manifest.data is None else manifest.data.source,
    }


def _state(path: Path, last: Mapping[str, Any]) -> str:
    if not last or last["event"] == "finished":
        return str(last.get("reason", "ended"))
    age = time.time() - (path / "log.jsonl").stat().st_mtime
    return "running" if age < LIVE else "stopped"
