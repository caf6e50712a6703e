"""Recipes of images made from images: small ones through the registry, and their scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import BadSource, MissingExtra
from pushforward.data.resampling import enlarge
from pushforward.recipes import super_resolution
from pushforward.recipes.listing import RECIPES
from pushforward.recipes.registry import locate, run
from pushforward.recipes.translation import (
    colourise,
    edges,
    facades,
    two_colours,
)
from pushforward.recipes.translation import scenes as synthetic
from pushforward.recipes.translation.scenes import aerial_and_map, day_and_night, scenes
from pushforward.recipes.translation.task import Task

PALETTE = np.array([(250, 10, 20), (10, 240, 30), (20, 30, 250)])
TINY = 1e-6


def save(folder: Path, n: int, *, wide: int = 16, seed: int = 0) -> Path:
    """Side-by-side images where `wide` is 32: noise, and a map of stripes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        levels = rng.integers(0, 256, (16, wide, 3), dtype=np.uint8)
        if wide == 32:
            levels[:, 16:] = PALETTE[np.arange(16) // 4 % 3][:, None]
        Image.fromarray(levels).save(folder / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (facades, colourise, edges, synthetic):
        monkeypatch.setattr(module, "SIDE", 16)
    monkeypatch.setattr(synthetic, "SCENES", 20)
    monkeypatch.setattr(two_colours, "ROWS", 32)


def check(name: str, out: Path, file: Path | None, figures: set[str]) -> dict[str, object]:
    found, paths = run(name, file=file, out=out, budget=TINY)
    assert {path.stem for path in paths} == figures
    assert found.notes[-1].endswith("too little to judge the models by")
    assert all(min(Image.open(path).size) > 100 for path in paths)
    stored = json.loads((out / "records.json").read_text())
    assert stored["records"].keys() == found.records.keys()
    assert len(list((out / "runs").iterdir())) >= 2
    return stored["records"]


def test_facades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facades, "pairs", lambda path, task: _pairs(path, task))
    folder = save(tmp_path / "both", 14, wide=32)
    figures = {"labels-to-photo", "photo-to-labels", "label-maps"}
    records = check("facades", tmp_path / "out", folder, figures)
    assert "photo to labels, L1: pixel_accuracy" in records
    assert "photo to labels, L1 + GAN: majority" in records
    assert "labels to photo, L1: gradient_energy" in records
    assert not any(key.startswith("labels to photo") and "accuracy" in key for key in records)


def _pairs(path: Path, task: Task) -> object:
    return facades.read(str(path), y=f"labels({facades.SIDES[task.name]})", size=16)


def test_colourise_and_edges(tmp_path: Path) -> None:
    folder = save(tmp_path / "photos", 12)
    records = check("colourise", tmp_path / "colours", folder, {"grey-to-colour"})
    assert "grey to colour, L1 + GAN: histogram_a" in records
    records = check("edges", tmp_path / "edges", folder, {"edges-to-image"})
    assert "edges to image, L1: variation_of_error" in records


def test_super_resolution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TILE": 16, "WIDTH": 4, "BLOCKS": 1, "STEPS": 2, "GAN_STEPS": 2}.items():
        monkeypatch.setattr(super_resolution, name, value)

    def missing(use: str) -> None:
        raise MissingExtra("efficientnet_lite_pytorch", "metrics", use)

    monkeypatch.setattr(super_resolution, "load_efficientnet", missing)
    folder = save(tmp_path / "photos", 24)
    found, (figure,) = run("super-resolution", file=folder, out=tmp_path / "out", budget=1)
    assert figure.name == "super-resolution.png"
    for name in super_resolution.NAMES:
        assert found.records[f"{name}: psnr"].n == 4
    source = pf.read(folder, y="low_resolution(4)")
    _, test = pf.data.split(source, held_out=0.15, seed=0)
    batch = test.take(torch.arange(4))
    error = (enlarge(batch.y, 4) - batch.x.float()).abs().mean() / 255
    assert found.records["bicubic: absolute_error"].value == pytest.approx(float(error), rel=1e-5)
    assert found.notes[-1].startswith("without a perceptual loss")
    with pytest.raises(BadSource, match="expected at least 20 images of 16 pixels, got 3"):
        run("super-resolution", file=save(tmp_path / "few", 3), out=tmp_path / "no", budget=1)


def test_two_folders_of_the_users_or_scenes(tmp_path: Path) -> None:
    check("day-night", tmp_path / "scenes", None, {"day-to-night"})
    found, _ = run("aerial-map", out=tmp_path / "places", budget=TINY)
    assert found.notes[0].startswith("synthetic scenes, made by this package")
    for i, name in enumerate(("day", "night")):
        save(tmp_path / "own" / name, 12, seed=i)
    found, _ = run("day-night", file=tmp_path / "own", out=tmp_path / "mine", budget=TINY)
    assert not found.notes[0].startswith("synthetic")
    with pytest.raises(BadSource, match="expected the folders aerial and map in it"):
        run("aerial-map", file=tmp_path / "own", out=tmp_path / "none", budget=TINY)


def test_what_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    with pytest.raises(BadSource, match=r"facades_train.zip.*or a folder of images"):
        locate(RECIPES["facades"])
    assert locate(RECIPES["edges"], tmp_path) == [tmp_path]
    with pytest.raises(BadSource, match="no such file or folder"):
        run("edges", file=tmp_path / "nothing", out=tmp_path / "out", budget=TINY)
    with pytest.raises(BadSource, match="expected at least 10 pairs"):
        run("edges", file=save(tmp_path / "few", 3), out=tmp_path / "out", budget=TINY)


def test_scenes_are_pairs_that_follow_the_seed() -> None:
    for make in (day_and_night, aerial_and_map):
        source, again, other = (scenes(make, 4, 32, seed) for seed in (0, 0, 1))
        batch = source.take(torch.arange(4))
        assert batch.x.shape == (4, 3, 32, 32)
        assert batch.y is not None
        assert torch.equal(batch.y, again.take(torch.arange(4)).y)
        assert not torch.equal(batch.x, other.take(torch.arange(4)).x)
        assert len({image.numpy().tobytes() for image in batch.x}) == 4
    night = scenes(day_and_night, 8, 32, 0).take(torch.arange(8))
    assert night.y is not None
    assert float(night.x.mean()) < 0.5 * float(night.y.mean())


def test_shapes_are_of_either_colour() -> None:
    x, y = two_colours.shapes(400, 0)
    inside = (y == 0)[:, 0]
    assert set(y.unique().tolist()) == {0, 255}
    colours = {tuple(c) for c in x.movedim(1, -1)[inside].unique(dim=0).tolist()}
    assert colours == {(230, 120, 25), (25, 135, 230)}
    red = (x[:, 0] == 230).flatten(1).any(1).double().mean()
    assert 0.4 < float(red) < 0.6
    perfect = two_colours.measured(x, x, y, "themselves")
    assert perfect["saturation"].value == pytest.approx(1)
    assert perfect["absolute_error"].value == 0
    grey = two_colours.measured(torch.full_like(x, 128), x, y, "grey")
    assert grey["saturation"].value == 0


@pytest.mark.slow
def test_l1_paints_what_it_cannot_know_grey_and_a_critic_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(two_colours, "ROWS", 4000)
    _, records, _ = two_colours.trial(0)
    assert records["L1"]["saturation"].value < 0.3
    assert records["L1 + GAN"]["saturation"].value > 0.7
