"""A model whose density depends on a condition, log_prob(x, y), goes through every verb that reads
densities: fit, evaluate, density, sample and plot.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward import plots
from pushforward.cli.main import main
from pushforward.core.registry import catalogue
from pushforward.densities.normals import Normal
from pushforward.experiments import open_run
from pushforward.experiments.densities import densities
from pushforward.metrics.likelihood import best_known

X = np.random.default_rng(0).normal(size=(90, 2))
LABELS = np.arange(90) % 3
X += 5.0 * LABELS[:, None]


class ConditionalNormal(pf.Learner):
    """A unit normal about a learnt mean for each label; it has no bound for its trainer to judge
    by."""

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        self.mean = nn.Linear(self.conditions.width, self.event_size())

    def phases(self) -> list[pf.Phase]:
        return [pf.Phase("mean", ("mean",), self.loss, pf.adam(0.05))]

    def loss(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        return pf.Terms(nll=-self._normal(batch.y).log_prob(batch.x))

    def _normal(self, y: Tensor) -> Normal:
        mean = self.mean(y)
        return Normal(mean, torch.ones_like(mean))

    @torch.no_grad()
    def log_prob(self, x: Any, y: Any = None) -> Tensor:
        u = self.to_model(x)
        return self._normal(self.to_condition(y, len(u))).log_prob(u) + self.scaling.log_jacobian(u)

    @torch.no_grad()
    def sample(self, n: int, *, y: Any = None, rng: Any = None) -> Tensor:
        return self.to_user(self._normal(self.to_condition(y, n)).sample(rng=rng))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of this model, fitted by the command with its default settings."""
    place = tmp_path_factory.mktemp("conditional")
    np.savez(place / "x.npz", x=X, y=LABELS)
    pf.register("conditional-normal")(ConditionalNormal)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        fit = "fit conditional-normal x.npz --label y --epochs 100 --run run -q"
        assert main(fit.split()) == 0
        yield place
    catalogue.pop("conditional-normal", None)


def test_its_density_is_evaluated_with_the_conditions_of_the_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    model: Any = pf.load("run")
    expected = model.log_prob(X, LABELS)
    assert not torch.allclose(expected, model.log_prob(X, LABELS[::-1].copy()))
    torch.testing.assert_close(densities(open_run("run"), "x.npz").values, expected.double())
    assert best_known(model, X, LABELS).value == pytest.approx(float(expected.mean()))
    assert main(["evaluate", "run", "--data", "x.npz", "--json", "-q"]) == 0
    (record,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert record["value"] == pytest.approx(float(expected.mean()))


def test_its_density_without_a_condition_is_not_drawn(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = pf.load(folder / "run")
    with pytest.raises(pf.InvalidKind, match="was fitted with conditions"):
        plots.density_map(model)
    assert main(["plot", str(folder / "run")]) == 2
    assert "was fitted with conditions" in capsys.readouterr().err


def test_it_samples_each_condition(folder: Path) -> None:
    model: Any = pf.load(folder / "run")
    means = [float(model.sample(200, y=label, rng=0).mean()) for label in (0, 1, 2)]
    assert means == sorted(means)
