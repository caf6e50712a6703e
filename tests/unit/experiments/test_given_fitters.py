"""An experiment with a fitter of the caller's, and fitting without measuring."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.errors import Interrupted, InvalidValue
from pushforward.core.events import Event
from pushforward.experiments import Experiment, fit_model, open_run


@pytest.fixture
def x() -> Tensor:
    return torch.randn(80, 3, generator=torch.Generator().manual_seed(0))


def trainer(**settings: object) -> pf.Trainer:
    return pf.Trainer(steps=4, batch=20, seed=5, quiet=True, **settings)


def weights(model: pf.Model) -> list[Tensor]:
    return [p.detach() for p in model.parameters()]


def test_the_fitter_is_taken_as_it_is(x: Tensor, tmp_path: Path) -> None:
    direct = pf.VAE(2, (8,)).fit(x, by=trainer())
    kept = fit_model(pf.VAE(2, (8,)), x, by=trainer(), folder=tmp_path / "run")
    lost = fit_model(pf.VAE(2, (8,)), x, by=trainer())
    measured = Experiment(pf.VAE(2, (8,)), x, held_out=0, fitter=trainer()).run(tmp_path / "whole")
    opened = open_run(tmp_path / "run").model
    for model in (kept, lost, opened, measured.run.model):
        assert all(map(torch.equal, weights(model), weights(direct)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "whole"]
    assert (tmp_path / "whole" / "README.md").is_file()


def test_every_listener_is_called(x: Tensor, tmp_path: Path) -> None:
    heard: dict[str, list[Event]] = {"its own": [], "added": []}
    experiment = Experiment(
        pf.VAE(2, (8,)), x, held_out=0.25, fitter=trainer(listeners=(heard["its own"].append,))
    )
    experiment.fit(tmp_path / "run", listeners=(heard["added"].append,))
    assert heard["its own"] == heard["added"]
    assert type(heard["added"][-1]).__name__ == "Finished"
    assert open_run(tmp_path / "run").manifest.data.rows == 60
    with pytest.raises(InvalidValue, match="exists and is not empty"):
        experiment.fit(tmp_path / "run")


def test_a_fit_that_a_signal_stops_is_not_taken_for_a_finished_one(
    x: Tensor, tmp_path: Path
) -> None:
    sent = list[Event]()

    def stop(event: Event, model: pf.Model) -> None:
        if not sent:
            os.kill(os.getpid(), signal.SIGTERM)
        sent.append(event)

    with pytest.raises(Interrupted):
        fit_model(pf.VAE(2, (8,)), x, by=trainer(callbacks=(stop,)), folder=tmp_path / "run")


def test_models_fitted_in_one_go_leave_a_run_too(x: Tensor, tmp_path: Path) -> None:
    model = fit_model(pf.PCA(2), x, folder=tmp_path / "pca")
    again = fit_model(pf.PCA(2), x + 1, folder=tmp_path / "pca")
    opened = open_run(tmp_path / "pca").model
    assert torch.equal(opened.mean_, again.mean_)
    assert not torch.equal(opened.mean_, model.mean_)


def test_a_fitter_that_writes_nothing_leaves_a_run_too(x: Tensor, tmp_path: Path) -> None:
    class Twice:
        """Fits a model to every row twice."""

        def fit(self, model: pf.Model, source: pf.Source) -> None:
            doubled = pf.Arrays(torch.cat([source.take(torch.arange(len(source))).x] * 2))
            pf.EM(quiet=True).fit(model, doubled)

    fit_model(pf.PCA(2), x, by=Twice(), folder=tmp_path / "twice")
    opened = open_run(tmp_path / "twice")
    assert opened.manifest is not None
    assert opened.manifest.fitter == ""
    assert torch.equal(opened.model.mean_, pf.PCA(2).fit(torch.cat([x, x])).mean_)


def test_an_experiment_begins_from_a_run_with_a_given_fitter_too(x: Tensor, tmp_path: Path) -> None:
    fit_model(pf.VAE(2, (8,)), x, by=trainer(), folder=tmp_path / "first")
    by_hand = pf.VAE(2, (8,)).fit(x, by=trainer(start=open_run(tmp_path / "first").model))
    second = Experiment(
        pf.VAE(2, (8,)), x, held_out=0, fitter=trainer(), start=tmp_path / "first"
    ).fit()
    assert all(map(torch.equal, weights(second), weights(by_hand)))
    afresh = fit_model(pf.VAE(2, (8,)), x, by=trainer())
    assert not all(map(torch.equal, weights(second), weights(afresh)))
