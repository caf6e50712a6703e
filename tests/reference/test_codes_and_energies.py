"""InfoGAN and EBGAN on the ring of eight modes, whose answers are known.

InfoGAN with Cat(8): a code for each mode has L_I = ln 8 = 2.079 and splits the data without error;
without the information term the code says nothing. EBGAN: at the equilibrium the critic's loss is
the margin in the mean.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch, Step, Terms
from pushforward.metrics.clusters import purity
from pushforward.metrics.modes import modes

SD = 0.05
ANGLES = torch.arange(8) * math.pi / 4
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def ring(n: int) -> tuple[Tensor, Tensor]:
    """Points and their modes."""
    stream = torch.Generator().manual_seed(0)
    mode = torch.randint(8, (n,), generator=stream)
    return CENTRES[mode] + SD * torch.randn(n, 2, generator=stream), mode


def information(model: pf.InfoGAN) -> float:
    """L_I of 4000 samples, nats."""
    z = model.prior(4000).rsample(rng=0)
    said = model.adversary.judge(model.critic, model.push(z), None).heads[-1]
    return float(model.information(said, z)["categories"].detach().mean())


def counted(model: pf.InfoGAN) -> float:
    """I(c; mode) of 4000 samples by counting, without Q."""
    z = model.prior(4000).rsample(rng=0)
    mode = torch.cdist(model.decode(z).detach(), CENTRES).argmin(1)
    joint = model.parts(z).categories[0].T @ torch.nn.functional.one_hot(mode, 8).float() / 4000
    apart = joint.sum(1, keepdim=True) * joint.sum(0)
    return float((joint * (joint.clamp_min(1e-12) / apart.clamp_min(1e-12)).log()).sum())


def infogan(weight: float) -> tuple[pf.InfoGAN, float]:
    """The model, and the purity of its code on data it has not seen labels of."""
    x, mode = ring(4000)
    fast = {"critic": "adam(rate=1e-3, beta1=0.5)", "generator": "adam(rate=1e-3, beta1=0.5)"}
    model = pf.InfoGAN(latent=2, categories=(8,), continuous=0, weight=weight, hidden=(64, 64))
    model.fit(x, by=pf.Trainer(steps=1000, batch=128, optimizers=fast))
    code = model.parts(model.encode(x)).categories[0].argmax(1)
    return model, purity(code, mode, matched=True).value


def test_the_categorical_code_finds_the_modes() -> None:
    model, pure = infogan(1.0)
    assert 1.975 <= information(model) <= math.log(8)
    assert counted(model) >= 1.975
    assert pure >= 0.95


def test_without_the_information_term_the_code_says_nothing() -> None:
    model, pure = infogan(0.0)
    assert max(information(model), counted(model)) < 0.5
    assert pure < 0.5


class _Watched(pf.EBGAN):
    """Notes the critic's loss at every step."""

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        terms = super().critic_loss(batch, step)
        self.seen.append(float(terms["critic"].detach().mean()))
        return terms


def ebgan(pull_away: float) -> tuple[list[float], dict[str, float]]:
    """L_D in margins over the fit, and what is said of the modes of its samples."""
    model: Any = _Watched(latent=2, code=2, hidden=(64, 64), pull_away=pull_away)
    model.seen = []
    model.fit(ring(4000)[0], by=pf.Trainer(steps=1000, batch=64))
    found = {
        record.quantity: record.value for record in modes(model.sample(2500, rng=1), CENTRES, SD)
    }
    return [value / model.adversary.game.margin for value in model.seen], found


def test_the_energy_critics_loss_tends_to_the_margin_and_pulling_away_loses_no_mode() -> None:
    losses, pulled = ebgan(0.1)
    assert sum(losses[500:]) / 500 == pytest.approx(1, abs=0.2)
    _, free = ebgan(0.0)
    assert pulled["modes"] >= free["modes"]
    assert pulled["modes"] == 8
    assert pulled["reverse_kl"] < 0.1
