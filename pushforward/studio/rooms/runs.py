"""Run: what runs there are, how one went or goes, and runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pushforward.core.budgets import BUDGETS
from pushforward.core.capabilities import capabilities
from pushforward.core.errors import BadRun, InvalidValue, PushforwardError
from pushforward.core.manifest import Manifest
from pushforward.core.space import Space
from pushforward.experiments.films import as_shown
from pushforward.experiments.opened import OpenedRun, outline_run
from pushforward.fitting.film import film_folder, frame_times, read_frame
from pushforward.fitting.log import read_log
from pushforward.fitting.stop_request import StopRequest
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.comparing import compare_runs, feature_choices
from pushforward.studio.messages import Answer, Request
from pushforward.studio.run_states import GOING_ON, SENTENCES, State, find_state
from pushforward.studio.studio import Studio

__all__ = ["compare", "features", "frame", "image", "list", "resume", "show", "stop"]

DRAWN = (".png", ".gif", ".webp")
SAMPLES_SHOWN = 64
"""Samples of a frame of images; of points, all."""
COMPARED, MOST_RUNS = 5000, 8
"""Rows and runs of a comparison at most: it takes seconds, not minutes."""


def list(studio: Studio, request: Request) -> Answer:
    """The runs, the latest first, with what they can do."""
    return Answer(
        {"folder": studio.folder.name, "runs": [_summary(studio, n) for n in studio.run_names()]}
    )


def show(studio: Studio, request: Request) -> Answer:
    """A run: settings, state, curves, warnings, images, and when its film has frames."""
    name = request.run
    path, events = studio.path(name), read_log(studio.path(name))
    curves = [
        {"samples": e["samples"], "seconds": e["seconds"], "terms": e.get("terms", {})}
        for e in events
        if e["event"] == "progress"
    ]
    resumed = studio.resumed(path)
    return Answer(
        {
            **_summary(studio, name),
            "curves": curves,
            "quality": [
                [e["samples"], e.get("quality")] for e in events if e["event"] == "evaluated"
            ],
            "warnings": [e for e in events if e["event"] == "warned"],
            "images": sorted(str(file.relative_to(path)) for file in _images(path)),
            "film": frame_times(_film(path)),
            "problem": "" if resumed is None else resumed.error,
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


def frame(studio: Studio, request: Request) -> Answer:
    """The samples of the fixed codes after so many 'samples' of the fit."""
    path = studio.path(request.run)
    at = contents.whole(request.content, "samples", 0, 2**53, None)
    taken = read_frame(_film(path), at)
    space: Space = outline_run(path).model.fitted_space()
    (x,), shown = as_shown(space, [taken.tensors["x"]])
    if shown.kind == "images":
        return Answer({"kind": "images"}, {"images": as_pixels(x[:SAMPLES_SHOWN], shown)})
    plane = torch.nn.functional.pad(x[:, :2], (0, 2 - x[:, :2].shape[1]))  # one column: a line
    return Answer({"kind": "points", "names": [*space.names[:2]]}, {"points": plane})


def stop(studio: Studio, request: Request) -> Answer:
    """Ask the fit of a run to save and stop, in whichever process it goes on."""
    name = request.run
    path, resumed = studio.path(name), studio.resumed(studio.path(name))
    state = _state(studio, path)
    if state not in ("running", "stopping"):
        raise InvalidValue(f"{name} is not being fitted, so there is nothing to stop")
    StopRequest(path).make()
    if resumed is not None:
        resumed.stop()
    return Answer(_summary(studio, name))


def resume(studio: Studio, request: Request) -> Answer:
    """Go on with the fit of a run; a fit that spent its budget goes on for so much 'more'."""
    name = request.run
    path = studio.path(name)
    state = _state(studio, path)
    if state in GOING_ON:
        raise InvalidValue(f"{name} is being fitted already")
    more = contents.number(request.content, "more", 0.0)
    if more < 0 or (state == "finished" and not more):
        raise InvalidValue(f"say by how much more than 0 {name} is to go on, got {more:g}")
    manifest = Manifest.read(path)
    studio.resume(name, {_unit(manifest): f"+{more:g}"} if more else {})
    return Answer(_summary(studio, name))


def features(studio: Studio, request: Request) -> Answer:
    """The feature spaces in which 'runs' compare, the usual one first."""
    return Answer({"features": feature_choices(_chosen(studio, request))})


def compare(studio: Studio, request: Request) -> Answer:
    """'runs' side by side on at most so many 'rows' that none was fitted to, in 'features'."""
    runs = _chosen(studio, request)
    rows = contents.whole(request.content, "rows", 20, COMPARED, 1000)
    name = contents.text(request.content, "features")
    return Answer(compare_runs({n: studio.open(n) for n in runs}, name, rows))


# ---------------------------------------------------------------------------------------------


def _chosen(studio: Studio, request: Request) -> dict[str, OpenedRun]:
    """The runs that a request names, without their tensors."""
    names = request.content.get("runs")
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InvalidValue(f"runs must be names of runs, got {names!r}")
    if not 1 <= len(names) <= MOST_RUNS:
        raise InvalidValue(f"choose 1 to {MOST_RUNS} runs to compare, got {len(names)}")
    return {name: outline_run(studio.path(name)) for name in names}


def _film(path: Path) -> Path:
    """The folder of a run's film, unless it leads out of the run."""
    folder = film_folder(path)
    return folder if folder.resolve().is_relative_to(path) else path / "images"


def _images(path: Path) -> Any:
    return (
        f
        for f in (path / "images").rglob("*")
        if f.suffix in DRAWN and f.resolve().is_relative_to(path)
    )


def _state(studio: Studio, path: Path) -> State:
    return find_state(path, read_log(path), ours=studio.is_resumed(path))


def _summary(studio: Studio, name: str) -> dict[str, Any]:
    """One line about a run; damaged runs say so."""
    path = studio.path(name)
    try:
        events = read_log(path)
        facts = studio.outlines.get(path, studio.version(name), lambda: _outline(path))
    except PushforwardError as error:
        return {"name": name, "error": str(error)}
    last = events[-1] if events else {}
    state = find_state(path, events, ours=studio.is_resumed(path))
    resumable, extendable = bool(facts["fitter"]), any((path / "state").glob("[0-9]*.safetensors"))
    return {
        "name": name,
        **facts,
        "state": state,
        "sentence": SENTENCES[state],
        "reason": last.get("reason", ""),
        "here": studio.is_resumed(path),
        "resumable": resumable and state in ("interrupted", "stopped"),
        "extendable": resumable and state == "finished" and extendable,
        "samples": last.get("samples"),
        "budget": next(
            (e.get("budget") for e in reversed(events) if e["event"] == "started"), None
        ),
        "remaining": last.get("remaining"),
        "seconds": last.get("seconds"),
    }


def _outline(path: Path) -> Mapping[str, Any]:
    """What is known of a run without its weights."""
    if not (path / "model.json").is_file():
        return _announced(path)
    run = outline_run(path)
    space = run.model.fitted_space()
    able = [*capabilities(run.model)] if (path / "model.safetensors").is_file() else []
    return {
        "model": run.name,
        "description": repr(run.model),
        "space": str(space),
        "kind": space.kind,
        "able": able,
        **_origin(run.manifest),
    }


def _announced(path: Path) -> Mapping[str, Any]:
    """The same of a fit that looks at its rows before it knows their space."""
    manifest = Manifest.read(path)
    if manifest is None:
        raise BadRun(f"{path.name} holds no run.json and no model.json; restore it from a copy")
    unknown: Mapping[str, Any] = {"space": "", "kind": "", "able": []}
    name = manifest.model
    return {"model": name, "description": name, **unknown, **_origin(manifest)}


def _origin(manifest: Manifest | None) -> Mapping[str, Any]:
    if manifest is None:
        return {"source": None, "fitter": "", "unit": "", "command": ""}
    source = None if manifest.data is None else manifest.data.source
    facts = {"fitter": manifest.fitter, "unit": _unit(manifest), "command": manifest.command}
    return {"source": source, **facts}


def _unit(manifest: Manifest | None) -> str:
    """The unit of a run's budget."""
    settings = {} if manifest is None else manifest.settings
    return next((unit for unit in BUDGETS if settings.get(unit) is not None), "epochs")
