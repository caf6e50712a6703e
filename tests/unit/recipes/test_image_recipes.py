"""GANs against VAEs and the two GANs on images, on tiny budgets:
equal counts, what fails and why, records, images.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import pushforward as pf
from pushforward.core.errors import Diverged
from pushforward.core.records import Record
from pushforward.core.space import Space
from pushforward.metrics.feature_spaces import raw
from pushforward.recipes import gans_against_vaes as against
from pushforward.recipes import images
from pushforward.recipes.contenders import contenders, parameters
from pushforward.recipes.registry import run
from tests.looks import seen


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little of everything that is slow."""
    monkeypatch.setattr(images, "JUDGED", 300)
    for name, value in {
        "SAMPLES": 128,
        "ROWS": 3,
        "DRAWN": 2,
        "TEMPERATURES": 10,
        "CHAINS": 2,
        "K": 5,
        "LEAST": 0.0,
    }.items():
        monkeypatch.setattr(against, name, value)


def space(*shape: int) -> Space:
    return Space("images", shape, (), 0.0, 255.0, True, "images")


# -------------------------------------------------------------------------------- the same for both


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 64, 64), (3, 48, 40)])
def test_both_have_as_many_parameters_to_within_two_percent(shape: tuple[int, ...]) -> None:
    count = {
        name: parameters(model, space(*shape)) for name, model in contenders(space(*shape)).items()
    }
    assert abs(count["VAE"] / count["GAN"] - 1) < 0.02


def test_what_is_counted_is_what_is_learnt() -> None:
    x = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for model in (pf.DCGAN(latent=4, width=4), pf.VAE(latent=4, hidden=(8,))):
        count = parameters(model, pf.Arrays(x).space)
        assert not model.fitted
        fitted = model.fit(x, by=pf.Trainer(steps=1, batch=32))
        assert count == sum(p.numel() for p in fitted.parameters())


@pytest.mark.usefixtures("small")
def test_the_table_has_every_measure_of_both(tmp_path: Path) -> None:
    found, paths = run("gans-against-vaes", file="digits", out=tmp_path, seed=1)
    seen(paths, "gans-against-vaes.png", "gans-against-vaes-measures.png")
    assert found.heads[1:] == ("training images", "VAE", "GAN")
    assert [row[0] for row in found.rows] == list(against.KINDS.values())
    assert "GAN: own bound" not in found.records  # a GAN has none
    for kind in set(against.KINDS) - {"own bound"}:
        assert all(math.isfinite(found.records[f"{name}: {kind}"].value) for name in against.NAMES)
    bounds = [found.records[f"{name}: log p"] for name in against.NAMES]
    assert {(r.bound, r.n, r.measure, r.data) for r in bounds} == {
        ("lower bound", 3, "density per unit", bounds[0].data)
    }
    assert found.records["trained on: sharpness"].value == pytest.approx(1, abs=0.05)
    assert found.records["trained on: coverage"].value > 0.85
    assert (
        len({r.details["features"] for key, r in found.records.items() if key.endswith(": fid")})
        == 1
    )
    stored = json.loads((tmp_path / "records.json").read_text())
    assert stored["records"]["GAN: fid"]["n"] == 359


def test_several_runs_give_a_median_and_a_range() -> None:
    rows = [
        {"fid": Record("fid", value, 0.5), "failed": Record("failed", float(value > 4))}
        for value in (3.0, 9.0, 4.0)
    ]
    assert against.cell(rows, "fid") == "4.00 (3.00 to 9.00)"
    assert against.cell(rows, "failed") == "1 of 3"
    assert against.cell(rows[:1], "fid") == "3.00 ± 0.50"
    assert against.cell(rows, "coverage") == "–"


# --------------------------------------------------------------------------------------- what fails


def album(n: int = 40) -> images.Album:
    x = torch.randint(0, 17, (2 * n, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    facts = Space("images", (1, 8, 8), (), 0.0, 16.0, True, "images")
    return images.Album(
        pf.Arrays(x[:n], space=facts), None, x[n:], facts, "noise", "40 images of noise"
    )


@pytest.mark.parametrize(
    ("coverage", "failed"), [(0.0, 1.0), (against.LEAST - 0.01, 1.0), (against.LEAST + 0.01, 0.0)]
)
def test_a_run_that_covers_little_has_failed(
    coverage: float, failed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against, "learn", lambda *_: Record("CPU seconds", 1.0))
    monkeypatch.setattr(against, "draw", lambda *_: torch.zeros(1))
    monkeypatch.setattr(against, "measured", lambda *_: {"coverage": Record("coverage", coverage)})
    trial = against.compare(album(), raw(), seed=0)
    assert [trial.records[name]["failed"].value for name in against.NAMES] == [failed, failed]
    assert bool(trial.records["GAN"]["failed"].details["reason"]) == bool(failed)


def test_a_run_that_diverged_has_failed_and_the_other_is_still_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def learn(model: Any, *_: Any) -> Record:
        if isinstance(model, pf.GAN):
            raise Diverged("the critic's loss is NaN")
        return Record("CPU seconds", 1.0)

    monkeypatch.setattr(against, "learn", learn)
    monkeypatch.setattr(against, "draw", lambda *_: torch.zeros(1))
    monkeypatch.setattr(against, "measured", lambda *_: {"coverage": Record("coverage", 0.9)})
    trial = against.compare(album(), raw(), seed=0)
    assert list(trial.models) == ["VAE"]
    assert trial.records["GAN"]["failed"].details["reason"] == "the critic's loss is NaN"
    assert (trial.records["GAN"]["failed"].value, trial.records["VAE"]["failed"].value) == (
        1.0,
        0.0,
    )


# --------------------------------------------------------------------------------------- the images


@pytest.mark.usefixtures("small")
def test_two_gans_draw_and_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = {
        name: images.Maker(m.model, 128, m.batch, m.schedule, m.ema, m.optimizer)
        for name, m in images.MAKERS.items()
    }
    monkeypatch.setattr(images, "MAKERS", short)
    found, paths = run("images", file="digits", out=tmp_path)
    seen(paths, "images.png", "images-nearest.png")
    assert (
        found.records["DCGAN: fid"].details["features"]
        == found.records["trained on: fid"].details["features"]
    )
    assert found.records["DCGAN: fid"].details["features"].startswith("classifier of 10 labels #")
    assert found.records["trained on: fid"].value < found.records["DCGAN: fid"].value
    assert {"closer", "suspicious", "coverage"} <= {
        key.partition(": ")[2] for key in found.records if key.startswith("R3GAN")
    }


@pytest.mark.usefixtures("small")
def test_samples_that_are_all_alike_are_named_with_what_to_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Blank(pf.GAN):
        def push(self, *a: Any, **b: Any) -> Tensor:
            return 0 * super().push(*a, **b)

    makers = {
        name: images.Maker(lambda make=make: make(latent=2, hidden=(8,)), 128)
        for name, make in (("DCGAN", Blank), ("other", pf.GAN))
    }
    monkeypatch.setattr(images, "MAKERS", makers)
    found = images.run([Path("digits")])
    assert any(
        note.startswith("DCGAN: collapse, samples are 0% as spread out as the data; try penalties=")
        for note in found.notes
    )
    assert not any(note.startswith("other: collapse") for note in found.notes)


@pytest.mark.parametrize(
    ("shape", "noise"), [((1, 28, 28), 0), ((3, 32, 63), 0), ((3, 64, 64), 1), ((4, 32, 64), 1)]
)
def test_noise_holds_the_critic_of_large_images_back(shape: tuple[int, ...], noise: int) -> None:
    assert len(images.MAKERS["DCGAN"].make(space(*shape)).hacks) == noise
    assert images.MAKERS["R3GAN"].make(space(*shape)).hacks == ()


def test_images_of_one_s_own_are_brought_to_a_size(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    for i in range(30):
        level = torch.randint(0, 256, (90, 80, 3), generator=rng, dtype=torch.uint8)
        Image.fromarray(level.numpy()).save(tmp_path / f"{i}.png")
    held = images.album(str(tmp_path), 0)
    assert tuple(held.space.shape) == (3, 64, 64)
    assert (len(held.train), len(held.test), held.labels) == (24, 6, None)
    assert images.judge(held).name == "pca(1)"
    smaller = images.album(f"{tmp_path}@32", 0)
    assert tuple(smaller.space.shape) == (3, 32, 32)
    assert smaller.name == f"{tmp_path.name}@32"  # in a title there is no room for a path
    learnt = {row.numpy().tobytes() for row in smaller.training_rows()}
    assert not learnt & {row.numpy().tobytes() for row in smaller.test}
    with pytest.raises(pf.BadSource, match="expected images, got points"):
        images.album("moons", 0)


def test_labels_stay_beside_their_images() -> None:
    held = images.album("digits", 3)
    whole = pf.read("digits")
    assert held.labels is not None
    for x, label in zip(held.training_rows(20), held.labels[:20]):
        same = (whole.x == x).flatten(1).all(1)
        assert int(label) in whole.y[same].tolist()
    assert held.train.condition_space is None  # models are not conditional


def test_without_mnist_the_digits_stand_in_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    held, notes = images.album_or_digits("mnist", 0)
    assert held.name == "digits"
    assert "MNIST was not found" in notes[0]
    with pytest.raises(pf.BadSource, match=r"none\.npz"):
        images.album_or_digits(str(tmp_path / "none.npz"), 0)


# --------------------------------------------------------------------------------------- the figure


def test_dots_lines_and_empty_places() -> None:
    from pushforward.plots.measures import measures

    panels = {
        "FID": {"VAE": [(3.0, 0.5)], "GAN": [(2.0, math.nan)]},
        "log p": {"VAE": [(-9.0, 1.0), (-8.0, 1.0)], "GAN": []},
    }
    figure = measures(panels, lines={"FID": 1.0}, line_name="real", title="t")
    first, second = figure.axes[:2]
    assert [t.get_text() for t in first.get_yticklabels()] == ["GAN", "VAE"]
    assert first.get_title(loc="left") == "FID"
    assert 1.0 in first.lines[-1].get_xdata()
    assert [len(line.get_xdata()) for line in second.lines] == [2, 1]
    assert second.lines[1].get_xdata().tolist() == [-8.5]
    with pytest.raises(pf.InvalidValue, match="at least one measure"):
        measures({})
