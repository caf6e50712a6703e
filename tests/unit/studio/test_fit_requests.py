"""Every model that can be watched learns in the room, or says what it needs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def ask(studio: Studio, verb: str, **content: Any) -> Answer:
    with torch.no_grad():
        return find_verb(verb)(studio, Request(1, verb, content))


def until(found: Any, seconds: float = 30.0) -> Any:
    """The first true answer of a function."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


MODELS = [
    model["name"]
    for model in find_verb("learn.models")(Studio(Path()), Request(1, "")).content["models"]
    if not model["name"].startswith("test_")  # of other tests in this process
]
UNSUITED = {
    ("dcgan", "ring"): "images of at least 8x8",
    ("r3gan", "ring"): "images of at least 8x8",
    ("lapgan", "ring"): "LAPGAN makes images",
    ("ctgan", "digits"): "CTGAN takes tables and points",
    ("tvae", "digits"): "TVAE takes tables and points",
}
FIRST = {"lapgan": {"base": "mlp"}, "mixed": {"components": "2", "covariance": "diagonal"}}


def test_models_of_pairs_and_clips_are_left_out() -> None:
    assert {"gan", "vae", "gmm", "kmeans", "infogan", "ebgan", "lapgan"} <= set(MODELS)
    assert not {"pix2pix", "srgan", "srresnet", "vgan", "pca"} & set(MODELS)


@pytest.mark.parametrize("data", ["ring", "digits"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_or_says_what_it_needs(studio: Studio, model: str, data: str) -> None:
    content = {"model": model, "settings": FIRST.get(model, {}), "paused": True}
    content["data"] = {"kind": "built-in", "name": data}
    if (model, data) in UNSUITED:
        with pytest.raises(PushforwardError, match=UNSUITED[model, data]):
            ask(studio, "learn.start", **content)
        return
    begun = ask(studio, "learn.start", **content).content
    assert len(begun["rates"]) == len(begun["phases"])
    ask(studio, "learn.control", fit=begun["fit"], action="step")
    until(lambda: ask(studio, "learn.look", fit=begun["fit"]).content["samples"] > 0)
    seen = ask(studio, "learn.look", fit=begun["fit"], layers=begun["layers"])
    assert not seen.content["error"]
    expected = set(begun["layers"]) if data == "ring" else {"images", "rebuilt", "centres"}
    assert set(seen.arrays) == expected if data == "ring" else set(seen.arrays) & expected
    ask(studio, "learn.stop", fit=begun["fit"])
