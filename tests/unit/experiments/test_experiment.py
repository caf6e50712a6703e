"""What an experiment is told reaches the split, the fit and the run that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.events import CancelToken, Event, Progress
from pushforward.core.manifest import Manifest
from pushforward.experiments.experiment import default_folder
from pushforward.experiments.opened import open_run
from pushforward.experiments.resuming import resume

POINTS = np.random.default_rng(0).normal(size=(60, 2))
LEVELS = np.random.default_rng(0).integers(0, 17, size=(60, 2)).astype(np.uint8)


@pytest.mark.parametrize("dequantise", [False, True])
def test_fit_and_run_dequantise_as_told(tmp_path: Path, dequantise: bool) -> None:
    make = lambda: pf.Experiment(pf.PCA(1), LEVELS, dequantise=dequantise)  # noqa: E731
    assert make().fit(tmp_path / "fit").dequantise is dequantise
    assert make().run(tmp_path / "run").run.model.dequantise is dequantise


def test_the_seed_of_the_split_says_which_rows_are_held_out() -> None:
    experiments = [pf.Experiment(pf.PCA(1), POINTS, split_seed=seed) for seed in (0, 0, 1)]
    held_out = [e.parts(e.read()).held_out for e in experiments]
    first, again, other = (rows.all().x for rows in held_out if rows is not None)
    expected = pf.split(pf.read(POINTS), held_out=0.2, seed=1)[1].all().x
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(other, expected)


def test_a_resumed_run_takes_another_time_between_checkpoints(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    settings = {"steps": 2, "batch": 16, "save_every": 30.0}
    model = pf.Autoencoder(latent=1, hidden=(4,))
    run = tmp_path / "run"
    pf.Experiment(model, str(tmp_path / "points.npy"), fitter=settings).run(run)
    resume(run, budget={"steps": 4}, save_every=7.0)
    manifest = Manifest.read(run)
    assert manifest is not None
    assert manifest.settings["save_every"] == 7.0


MODELS = {
    "by gradients": (lambda: pf.Autoencoder(latent=1, hidden=(4,)), {"steps": 6, "batch": 16}),
    "by passes": (lambda: pf.GMM(2), {"steps": 6, "tolerance": 0.0}),
}


@pytest.mark.parametrize("how", MODELS)
def test_a_token_stops_a_run_and_its_continuation(how: str, tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", POINTS)
    make, settings = MODELS[how]
    token = CancelToken()

    def stop(event: Event, model: pf.Model) -> None:
        if isinstance(event, Progress):
            token.cancel()

    def experiment(**more: Any) -> pf.Experiment:
        source = str(tmp_path / "points.npy")
        return pf.Experiment(make(), source, fitter={**settings, **more})

    stopped = [
        experiment(callbacks=[stop]).run(tmp_path / "run", token=token),
        resume(tmp_path / "run", token=token),
    ]
    whole, half = experiment().run(tmp_path / "whole"), resume(tmp_path / "run")
    assert [outcome.interrupted for outcome in (*stopped, half)] == [True, True, False]
    for name, value in whole.run.model.tensors().items():
        assert torch.equal(value, half.run.model.tensors()[name]), name


def test_a_run_whose_rows_have_moved_asks_where_they_are(tmp_path: Path) -> None:
    data = tmp_path / "points.npy"
    np.save(data, POINTS)
    run = tmp_path / "run"
    pf.Autoencoder(1, hidden=(4,)).fit(str(data), steps=2, batch=16, run=run)
    data.rename(tmp_path / "elsewhere.npy")
    with pytest.raises(pf.BadSource, match=r"if they have moved, pass source=FILE"):
        resume(run, budget={"steps": "+1"})
    moved = str(tmp_path / "elsewhere.npy")
    resume(run, source=moved, budget={"steps": "+1"})


def test_a_run_without_its_record_says_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    pf.Experiment(pf.PCA(1), "moons:60").run(run)
    (run / "run.json").unlink()
    with pytest.raises(pf.BadRun, match=r"holds no run\.json"):
        open_run(run).parts()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("facades/*.jpg", "vae-facades-1"),
        ("photos/**/*.png", "vae-photos-1"),
        ("a/b/?.npy", "vae-b-1"),
        ("*.png", "vae-data-1"),
        ("table.csv", "vae-table-1"),
        ("photos/", "vae-photos-1"),
        ("moons:200", "vae-moons-200-1"),
    ],
)
def test_runs_are_named_by_what_they_were_fitted_to(
    source: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_folder("vae", source) == Path("runs") / name
