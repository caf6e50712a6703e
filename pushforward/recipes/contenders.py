"""A VAE and a GAN with the same number of parameters, for images of any size."""

from __future__ import annotations

import torch

from pushforward.core.learner import Learner
from pushforward.core.space import Space
from pushforward.densities.likelihoods import GaussianLikelihood
from pushforward.models.deep.dcgan import DCGAN
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.vae import VAE

__all__ = ["contenders", "parameters", "SIGMA"]

LATENT, WIDTH, SMALL = 32, 16, 16
SIGMA = 0.4
"""Sigma of the observation noise, in standard deviations of the training images' pixels."""


def contenders(space: Space) -> dict[str, Learner]:
    """A VAE and a GAN of equally many parameters, to within one unit of the VAE's dense layer."""
    small = min(int(side or 0) for side in space.shape[1:]) < SMALL
    gan = GAN(latent=LATENT, hidden=(256, 256)) if small else DCGAN(latent=LATENT, width=WIDTH)
    target = parameters(gan, space)
    # linear in what is counted
    one, two = (parameters(_vae(small, hidden), space) for hidden in (1, 2))
    return {"VAE": _vae(small, max(1, round(1 + (target - one) / (two - one)))), "GAN": gan}


def _vae(small: bool, hidden: int) -> VAE:
    network = f"mlp(hidden=({hidden},))" if small else f"conv(width={WIDTH // 2}, hidden={hidden})"
    return VAE(latent=LATENT, network=network, likelihood=GaussianLikelihood(sigma=SIGMA))


def parameters(model: Learner, space: Space) -> int:
    """Number of parameters of all networks, for data of a space; the model is not kept."""
    fresh = type(model)(**model.hyperparameters())
    with torch.device("meta"):
        fresh.assemble(space, None)
    return sum(p.numel() for network in fresh.networks.values() for p in network.parameters())
