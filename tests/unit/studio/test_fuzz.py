"""Every verb with arguments of wrong kinds: what is wrong is said, and nothing else happens."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Answer, Request, pack
from pushforward.studio.rooms import ROOMS, find_verb
from pushforward.studio.studio import Studio

RING = {"kind": "built-in", "name": "ring"}
CODE = [[0.0, 0.0]]
ENDS = {"run": "pca", "from": CODE, "to": [[1.0, 1.0]]}
VERBS: dict[str, dict[str, Any]] = {
    "learn.models": {},
    "learn.start": {"model": "gmm", "settings": {}, "data": RING, "paused": True},
    "learn.look": {"fit": "", "layers": ["samples"], "since": 0},
    "learn.control": {"fit": "", "action": "step", "steps": 1, "phases": [], "seconds": 0},
    "learn.keep": {"fit": ""},
    "learn.back": {"fit": "", "number": 0},
    "learn.change": {"fit": "", "model": "gan", "settings": {}, "data": RING},
    "learn.rejoin": {"fit": ""},
    "learn.stop": {"fit": "none"},
    "learn.data": {"files": [{"name": "a.csv", "bytes": 24}], "side": 32, "colours": "own"},
    "learn.recall": {"upload": "none", "columns": ["a", "b"]},
    "runs.list": {},
    "runs.compare": {"runs": ["pca", "gmm"], "features": "pixels", "rows": 20},
    "runs.features": {"runs": ["pca"], "run": "pca"},
    "runs.frame": {"run": "pca", "samples": 0},
    "runs.resume": {"run": "pca", "more": 0, "unit": "epochs"},
    "runs.stop": {"run": "pca"},
    "latent.at": {"run": "pca", "place": [[0.0, 0.0]], "placed": True},
    "latent.neighbours": {"run": "pca", "placed": True, "codes": CODE},
    "latent.walk": {"run": "pca", "codes": [[0.0, 0.0], [1.0, 1.0]], "steps": 2, "along": "line"},
    "edit.typical": {"run": "pca", "method": "both"},
    "runs.show": {"run": "pca"},
    "runs.image": {"run": "pca", "image": "x"},
    "latent.open": {"run": "pca"},
    "latent.codes": {"run": "pca", "n": 2, "seed": 1},
    "latent.decode": {"run": "pca", "codes": CODE, "y": 0},
    "latent.path": {**ENDS, "steps": 3, "along": "line"},
    "latent.film": {**ENDS, "steps": 3, "along": "line", "format": "gif"},
    "latent.map": {"run": "pca"},
    "latent.direction": {"run": "pca", "positive": "3"},
    "latent.nearest": {"run": "pca", "codes": CODE},
    "edit.open": {"run": "pca"},
    "edit.begin": {"run": "pca", "seed": 1, "method": "encoder", "name": "a.png", "y": 0},
    "edit.change": {"run": "pca", "code": CODE, "parts": ["sketch"], "drags": [[0, 0, 1, 1]]},
    "edit.film": ENDS,
    "edit.photo": {**ENDS, "name": "a.png"},
    "density.open": {"run": "gmm"},
    "density.pair": {"run": "gmm", "x": "x1", "y": "x2", "cells": 8, "fixed": {}},
    "density.given": {"run": "gmm", "fixed": {"x1": 0.0}},
    "density.odd": {"run": "gmm", "top": 3},
    "density.row": {"run": "gmm", "number": 0},
    "translate.open": {"run": "edges"},
    "translate.photo": {
        "run": "edges",
        "name": "a.png",
        "derive": True,
        "size": "model",
        "seed": 0,
    },
    "translate.drawing": {"run": "edges", "height": 4, "width": 4, "seed": 0, "mean": False},
    "translate.example": {"run": "edges", "number": 0, "seed": 0, "mean": False},
}
"""A request of each verb, of which one argument at a time is spoilt."""
DEEP: list[Any] = []
for _ in range(400):
    DEEP = [DEEP]
WRONG: list[Any] = [
    None, True, -1, 10**30, 10**400, float("nan"), float("inf"), "", "\0", "\ud800", "../..",
    "/etc", "..\\..", "%2e%2e", "a" * 10**5, "</script>", [], [1], [[]], [[1, "a"]], [[None, 1]],
    [[10**400, 0]], [[1e39, 1e39]], [[1e38, -1e38]], [{}], [[1], [1, 2]], DEEP, {}, {"a": 1},
    {"kind": "drawn", "points": [[1e39, 0]]}, {"x1": None}, {"x1": [1]}, {"x1": 1e400},
    {"x1": "\0"}, {"latent": 5}, {"steps": "0"}, {"batch": "1e12"}, ["sketch", "sketch"],
    [["sketch"]],
]  # fmt: skip


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    root = tmp_path_factory.mktemp("fuzz")
    pf.Experiment(pf.PCA(2), "digits").run(root / "pca")
    pf.Experiment(pf.GMM(2), "moons:60").run(root / "gmm")
    (root / "photos").mkdir()
    levels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    for i, image in enumerate(levels):
        Image.fromarray(image).save(root / "photos" / f"{i}.png")
    how: dict[str, Any] = {"steps": 1, "batch": 2, "quiet": True}
    pf.Pix2Pix(width=2).fit(str(root / "photos"), y="edges", run=root / "edges", **how)
    return Studio(root)


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), (200, 10, 10)).save(file, "PNG")
    return file.getvalue()


FILES = {
    "learn.data": b"a,b\n1,2\n3,4\n5,6\n7,8\n9,0",
    "edit.begin": png(), "edit.photo": png(), "translate.photo": png(),
    "translate.drawing": bytes(16), "edit.change": bytes(range(64)),
}  # fmt: skip


def test_every_verb_is_tried() -> None:
    modules = {room: importlib.import_module(f"pushforward.studio.rooms.{room}") for room in ROOMS}
    assert set(VERBS) == {f"{room}.{name}" for room, m in modules.items() for name in m.__all__}


@pytest.mark.parametrize("verb", VERBS)
def test_arguments_of_wrong_kinds_are_explained(studio: Studio, verb: str) -> None:
    usual = dict(VERBS[verb])
    if "fit" in usual and usual["fit"] == "":
        begun = {"model": "gan", "settings": {"latent": "2"}, "data": RING, "paused": True}
        usual["fit"] = str(ask(studio, "learn.start", begun)["fit"])
    try:
        for name in usual:
            for value in [*WRONG, ...]:
                spoilt = {k: v for k, v in usual.items() if k != name}
                spoilt |= {} if value is ... else {name: value}
                made = ask(studio, verb, spoilt)
                if "fit" in made and verb in ("learn.change", "learn.back"):
                    usual["fit"] = made["fit"]
                elif verb == "learn.start" and "fit" in made:
                    studio.drop(made["fit"])
        for file in (b"", b"\0", png()[:40], png(), bytes(1000)):
            ask(studio, verb, usual, file)
    finally:
        studio.free()


def ask(studio: Studio, verb: str, content: dict[str, Any], file: bytes | None = None) -> Any:
    """The answer's content, or none for an error that says what is wrong in a line."""
    attached = FILES.get(verb, b"") if file is None else file
    try:
        with torch.no_grad():
            answer = find_verb(verb)(studio, Request(1, verb, content, "", attached))
    except PushforwardError as error:
        text = str(error)
    else:
        pack({"id": 1}, answer)
        return answer.content
    pack({"id": 1, "error": text}, Answer())
    assert 0 < len(text) < 1500
    return {}
