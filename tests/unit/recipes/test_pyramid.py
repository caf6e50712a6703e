"""The recipe lapgan on a tiny budget: equal counts, what is measured, what is drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.core.space import Space
from pushforward.experiments import open_run
from pushforward.nets.pyramids import expand, shrink
from pushforward.recipes import images, pyramid
from pushforward.recipes.contenders import parameters
from pushforward.recipes.registry import run
from tests.looks import seen


def _space(*shape: int) -> Space:
    return Space("images", shape, (), 0.0, 255.0, True, "images")


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 48, 40)])
def test_both_have_as_many_parameters_to_within_five_percent(shape: tuple[int, ...]) -> None:
    """To within half a step of the DCGAN's width."""
    models = pyramid.contenders(_space(*shape))
    count = {name: parameters(model, _space(*shape)) for name, model in models.items()}
    assert abs(count["DCGAN"] / count["LAPGAN"] - 1) < 0.05


def test_the_table_and_the_images_have_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "JUDGED", 300)
    monkeypatch.setattr(pyramid, "PILOT", 2)
    found, paths = run("lapgan", file="digits", out=tmp_path, seed=1, budget=0.01)
    seen(paths, "lapgan-detail.png", "lapgan.png")
    assert found.heads[1:] == ("training images", "LAPGAN", "DCGAN")
    for name in pyramid.NAMES:
        for kind in ("fid", "coverage", "parameters", "images shown", "CPU seconds"):
            assert math.isfinite(found.records[f"{name}: {kind}"].value)
    assert found.records["LAPGAN: images shown"].value == 400
    parts = [found.records[f"detail: {part}"] for part in pyramid.PARTS]
    assert {r.details["features"] for r in parts} == {
        found.records["LAPGAN: fid"].details["features"]
    }
    ratio = parts[1].value / parts[0].value
    assert any(f"{ratio:.1f} times the distance" in note for note in found.notes)
    opened = open_run(tmp_path / "runs" / "lapgan-1")
    assert isinstance(opened.model, pf.LAPGAN)


def test_detail_is_added_to_its_own_coarse_image_and_to_the_next() -> None:
    x = torch.randint(0, 256, (60, 1, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    dataset = images.Album(
        pf.Arrays(x[:30], space=_space(1, 16, 16)),
        None,
        x[30:],
        _space(1, 16, 16),
        "noise",
        "noise",
    )
    model = pf.LAPGAN(latent=2, width=4, base="mlp(hidden=(4,))").fit(dataset.train, steps=2)
    trial = pyramid.Trial(models={"LAPGAN": model})
    pyramid.measure_detail(trial, dataset, images.judge(dataset), seed=0)
    alone = expand(shrink(x[30:]), (16, 16))
    assert torch.equal(trial.made["coarse alone"], alone)
    own, shuffled = (trial.made[part] - alone for part in ("own", "shuffled"))
    assert own.abs().mean() > 0
    torch.testing.assert_close(shuffled, own.roll(1, 0), rtol=0, atol=1e-3)
    assert set(trial.parts) == set(pyramid.PARTS)


def test_digits_take_the_place_of_absent_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHFORWARD_DATA", "/nowhere")
    dataset, notes = pyramid.album_or_digits("cifar10-batch1", 0)
    assert dataset.name == "digits"
    assert "CIFAR-10 was not found" in notes[0]
    with pytest.raises(pf.BadSource):
        pyramid.album_or_digits("/nowhere/photos", 0)
