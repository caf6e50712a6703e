"""Mixed precision: a loss scaler changes nothing but the range of gradients;
penalties go through.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.fitting import gradient_processes
from pushforward.fitting.mixed_precision import Mixed

X = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))


def fitted(model: Any, **more: Any) -> Any:
    return model.fit(X, by=pf.Trainer(steps=6, batch=16, seed=1, precision="bf16-mixed", **more))


@pytest.mark.parametrize("clip", [None, 0.1])
def test_the_loss_scale_cancels(clip: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale that is a power of two rounds nothing:
    the weights are those without it, bit by bit.
    """
    plain = fitted(pf.Autoencoder(latent=1, hidden=(8,)), clip=clip)
    scalers = []

    def scaled(settings: Any) -> Any:
        scalers.append(torch.amp.GradScaler("cpu", init_scale=2.0**10))
        return Mixed(torch.bfloat16, "cpu", scalers[0]), scalers[0]

    monkeypatch.setattr(gradient_processes, "_mixed", scaled)
    other = fitted(pf.Autoencoder(latent=1, hidden=(8,)), clip=clip)
    assert scalers[0].get_scale() == 2.0**10
    for key, value in plain.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_penalties_take_their_own_backward_pass() -> None:
    model = fitted(pf.GAN(latent=2, hidden=(8,), penalties=("gradient_penalty",)))
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_half_precision_on_the_cpu_is_said_to_be_another() -> None:
    with pytest.warns(pf.FitWarning, match="on the CPU 'bf16-mixed' is used instead"):
        pf.Autoencoder(latent=1, hidden=(8,)).fit(
            X, by=pf.Trainer(steps=1, batch=16, precision="16-mixed")
        )
