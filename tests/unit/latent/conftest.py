"""Small fitted models of every kind that decodes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf


def rows(n: int = 120, d: int = 4) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=stream) * torch.linspace(3, 0.5, d) + 2


@pytest.fixture(scope="session")
def fitted() -> dict[str, Any]:
    x = rows()
    by = pf.Trainer(epochs=20, batch=40, seed=0)
    return {
        "pca": pf.PCA(2).fit(x),
        "vae": pf.VAE(latent=3, hidden=(16,)).fit(x, by=by),
        "autoencoder": pf.Autoencoder(latent=2, hidden=(16,)).fit(x, by=by),
        "gan": pf.GAN(latent=3, hidden=(16,)).fit(x, by=by),
        "conditional": pf.VAE(latent=2, hidden=(16,)).fit(x, (x[:, 0] > 2).long(), by=by),
    }
