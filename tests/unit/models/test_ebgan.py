"""EBGAN: energies, losses and vital signs by hand; what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.objectives.pull_away import pull_away

X = torch.randn(128, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def fitted(steps: int = 3, x: Tensor = X, y: Any = None, **arguments: Any) -> pf.EBGAN:
    settings = {"latent": 2, "code": 2, "hidden": (8,), **arguments}
    return pf.EBGAN(**settings).fit(x, y, by=pf.Trainer(steps=steps, batch=32, precision="64-true"))


def step() -> Step:
    return Step(0, 0.0, torch.Generator().manual_seed(0))


def test_the_energy_is_the_length_of_the_error_in_standard_deviations() -> None:
    model = fitted(x=5 + 10 * X)
    u = model.to_model(5 + 10 * X)
    restored = model.critic.decoder(model.critic.encoder(u))
    assert torch.allclose(model.energy(5 + 10 * X), (u - restored).norm(dim=1))
    assert float(model.energy(5 + 10 * X).detach().mean()) < 3 * math.sqrt(3)


def test_the_players_losses_by_hand() -> None:
    model = fitted(margin=1.5, pull_away=0.3)
    batch = Batch(model.to_model(X[:12]))
    fake = model.push(model.prior(12).rsample(rng=step().rng))
    energies = [
        (u - model.critic.decoder(model.critic.encoder(u))).norm(dim=1) for u in (batch.x, fake)
    ]
    assert torch.allclose(
        model.critic_loss(batch, step())["critic"], energies[0] + (1.5 - energies[1]).clamp_min(0)
    )
    terms = model.generator_loss(batch, step())
    assert torch.allclose(terms["generator"], energies[1])
    assert torch.allclose(terms["pull_away"], 0.3 * pull_away(model.critic.encoder(fake)))
    assert "pull_away" not in model.critic_loss(batch, step())
    assert "pull_away" not in fitted(pull_away=0.0).generator_loss(batch, step())


def test_the_margin_is_the_energy_of_restoring_only_the_mean() -> None:
    assert fitted().adversary.game.margin == math.sqrt(3)  # type: ignore[attr-defined]
    assert fitted(margin=0.7).adversary.game.margin == 0.7  # type: ignore[attr-defined]


def test_vitals_and_symptoms() -> None:
    model = fitted(margin=2.0)
    found = model.vitals(Batch(model.to_model(X)), rng=0)
    assert found["energy_data"] == pytest.approx(float(model.energy(X).detach().mean()) / 2)
    healthy = {
        "accuracy": 1.0,
        "diversity": 1.0,
        "overfitting": 0.0,
        "slope": 1.0,
        "energy_data": 0.5,
        "energy_samples": 0.9,
    }
    assert model.symptoms(healthy) == []
    for vital, value, name, cure in (
        ("diversity", 0.0, "collapse", "pull_away=0.2"),
        ("energy_data", 1.3, "the margin is too small", "a larger margin"),
        ("overfitting", 0.9, "the critic overfits", "smaller code"),
    ):
        (issue,) = model.symptoms({**healthy, vital: value})
        assert (issue.name, cure in issue.advice) == (name, True)


def test_images_by_convolutions(tmp_path: Path) -> None:
    x = (torch.rand(64, 3, 8, 9, generator=torch.Generator().manual_seed(0)) * 255).to(torch.uint8)
    model = pf.EBGAN(latent=2, code=3, network="conv(width=4, hidden=16)").fit(
        x, by=pf.Trainer(steps=3, batch=16)
    )
    assert model.energy(x).shape == (64,)
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert torch.equal(again.energy(x), model.energy(x))
    assert torch.equal(again.sample(3, rng=0), model.sample(3, rng=0))
    assert again.adversary.game == model.adversary.game


def test_conditions_reach_both_halves_of_the_critic() -> None:
    y = torch.arange(128) % 3
    model = fitted(y=y)
    assert not torch.allclose(model.energy(X, 0), model.energy(X, 1))
    with pytest.raises(pf.InvalidValue, match="pass y"):
        model.energy(X)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"margin": 0.0}, "margin must be above 0"),
        ({"code": 0}, "code must be above 0"),
        ({"pull_away": -0.1}, "pull_away must not be negative, got -0.1"),
        ({"network": "dcgan"}, "unknown network 'dcgan'"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(pf.InvalidValue, match=says):
        pf.EBGAN(**given)


def test_it_has_an_energy_and_no_codes() -> None:
    assert pf.capabilities(fitted()) == ("Samples", "Decodes", "Criticises")
    assert torch.equal(fitted().criticise(X), -fitted().energy(X))
    with pytest.raises(pf.NotFitted):
        pf.EBGAN().energy(X)
