"""The recipe of clips, on a tiny budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pushforward as pf
from pushforward.data.formats.moving_shapes import moving_shapes
from pushforward.recipes import moving_shapes as recipe
from pushforward.recipes.registry import run

NAMES = {
    "motion",
    "consistency",
    "mask",
    "mask IoU",
    "foreground variance",
    "background variance",
    "FID, frames",
    "FID, movement",
    "CPU seconds",
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WIDTH": 2, "LATENT": 2, "TEST": 12, "SCENES": 6, "BATCH": 8}.items():
        monkeypatch.setattr(recipe, name, value)


def test_generated_clips(tmp_path: Path) -> None:
    findings, paths = run("moving-shapes", file="moving-shapes:60", out=tmp_path, budget=0.001)
    assert set(findings.records) == NAMES - {"mask IoU"}  # of samples that move
    assert findings.records["motion"].details["frames"] == 16
    assert {p.name for p in paths} == {"moving-shapes.png", "moving-shapes.gif"}
    with Image.open(tmp_path / "moving-shapes.gif") as film:
        assert film.n_frames == 16
    assert (tmp_path / "runs" / "vgan" / "model.json").is_file()


def test_clips_of_a_folder(tmp_path: Path) -> None:
    x = moving_shapes(30, frames=33).clips.double()
    space = pf.Space.infer(x.byte(), frame_rate=10)
    pf.data.write(x, space, tmp_path / "clips" / "*.apng")
    findings, _ = run("moving-shapes", file=tmp_path / "clips", out=tmp_path / "o", budget=0.001)
    assert "16 frames" in findings.notes[0]
    assert set(findings.records) == NAMES - {"mask IoU"}  # of samples that move


def test_other_data_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((20, 3, 32, 32), np.uint8))
    with pytest.raises(pf.PushforwardError, match="frames=16 is for clips, but"):
        run("moving-shapes", file=tmp_path / "images.npy", out=tmp_path)
