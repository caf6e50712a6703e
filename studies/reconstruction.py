"""Reconstructions of auto-encoders, against as many principal components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

import pushforward as pf
from pushforward.experiments import fit_model
from pushforward.metrics.reconstruction import squared_error
from studies.study import RUNS, Study, at_most

__all__ = ["STUDIES"]

EPOCHS = 14  # 8 epochs end just above 9, at 9.06


def images(name: str) -> Tensor:
    """MNIST's images (n, 1, 28, 28) in [0, 1]: squared errors summed over the pixels."""
    return pf.read(name).all().x.float() / 255


def thirty(seed: int) -> Mapping[str, Any]:
    """The published layout 784-1000-500-250-30, trained end to end, and 30 components.

    Both are measured on the 10 000 test digits.
    """
    train, test = images("mnist"), images("mnist:test")
    trainer = pf.Trainer(epochs=EPOCHS, batch=128, seed=seed, schedule="cosine")
    model = fit_model(
        pf.Autoencoder(latent=30, network="hinton"),
        train,
        by=trainer,
        folder=RUNS / f"mnist-autoencoder-{seed}",
    )
    error = squared_error(model, test)
    return {
        "epochs": EPOCHS,
        "squared error": error.value,
        "standard error": error.error,
        "PCA's squared error": squared_error(fit_model(pf.PCA(30), train), test).value,
    }


STUDIES = [
    Study(
        "mnist-autoencoder",
        "deep auto-encoder 784-1000-500-250-30, MNIST, squared error of a test digit in [0, 1], PCA"
        " with 30 numbers beside it",
        thirty,
        {"squared error": at_most(9)},
        needs="mnist",
    )
]
