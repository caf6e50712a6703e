"""Sheets of runs: images made from images beside their originals, clips frame by frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import pushforward as pf
from pushforward.core.fit_source import as_source
from pushforward.data.resampling import enlarge as interpolate
from pushforward.experiments.enlargements import compare_rows
from pushforward.experiments.opened import OpenedRun, open_run
from pushforward.experiments.run_sheets import as_colour, pairs_sheet, samples_sheet
from pushforward.metrics.image_quality import psnr
from pushforward.metrics.super_resolution import brightness
from pushforward.plots.matplotlib_types import Figure


def images(high: float = 255.0) -> Tensor:
    return torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * high


def fitted(model: pf.Model, y: str, folder: Path) -> OpenedRun:
    by = pf.Trainer(steps=1, batch=4, quiet=True)
    pf.Experiment(model, images(), y=y, fitter=by, held_out=0.25).run(folder)
    return open_run(folder)


def row_names(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize(
    ("model", "y", "names"),
    [
        (pf.Pix2Pix(width=2), "grey", ["input", "output", "truth"]),
        (
            pf.SRResNet(width=2, blocks=1),
            "low_resolution(2)",
            ["low resolution", "bicubic", "output", "truth"],
        ),
    ],
)
def test_pairs_have_named_rows(model: pf.Model, y: str, names: list[str], tmp_path: Path) -> None:
    run = fitted(model, y, tmp_path / "run")
    source = as_source(images(), y)
    figure = pairs_sheet(run, source.take(torch.arange(3)), "three pairs")
    assert row_names(figure) == names
    assert figure.axes[0].get_title(loc="left") == "three pairs"
    with Image.open(tmp_path / "run/images/samples.png") as image:
        assert image.width > 400


def test_clips_have_a_row_each() -> None:
    space = pf.read("moving-shapes:3", size=16, frames=4).space
    x = pf.read("moving-shapes:3", size=16, frames=4).all().x
    figure = samples_sheet(x, space, "")
    assert row_names(figure) == ["clip 1", "clip 2", "clip 3"]
    assert figure.axes[0].get_xlabel() == "frame"


def test_planes_of_classes_take_their_colours() -> None:
    like = replace(pf.Arrays(images()).space, low=0.0, high=255.0)
    palette = [[0, 0, 255], [255, 0, 0]]
    space = replace(like, shape=(2, 16, 16), extra={"planes": True, "palette": palette})
    number = (images()[:, 0] > 128).long()
    planes = torch.nn.functional.one_hot(number, 2).movedim(-1, 1) * 255.0
    expected = torch.tensor(palette)[number].movedim(-1, 1).float()
    assert torch.equal(as_colour(planes, space, like), expected)


def test_images_of_any_range_are_measured_in_levels(tmp_path: Path) -> None:
    """Interpolation leaves the range, which must not wrap around."""
    run = fitted(pf.SRResNet(width=2, blocks=1), "low_resolution(2)", tmp_path / "run")
    sharp = (images() > 128).float() * 255
    source = as_source(sharp, "low_resolution(2)")
    y = source.all().y
    assert y is not None
    assert float(y.max()) > 255.5
    smooth = interpolate(y.round().clamp(0, 255).to(torch.uint8), 2)
    expected = psnr(brightness(sharp.byte()), brightness(smooth), low=0, high=255, crop=2)
    records = {r.quantity: r.value for r in compare_rows(run, source, 12, "")}
    assert records["psnr of bicubic"] == pytest.approx(expected.value)
