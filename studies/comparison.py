"""GANs against VAEs, and what two GANs make of real pictures: the recipes' numbers, run by run.

One run is one seed: of the initialisation, the order and the noise. The split and the feature space are those of seed 0 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.recipes import gans_against_vaes as against
from pushforward.recipes import pictures
from studies.study import Study

__all__ = ["STUDIES"]


def both(seed: int) -> Mapping[str, Any]:
    """One run of a VAE and a GAN on MNIST: every measure that each has, and those of real pictures beside them."""
    held = pictures.album("mnist", 0)
    features = pictures.judge(held)
    trial, real = against.compare(held, features, seed), against.yardstick(held, features)
    found: dict[str, Any] = {"pictures shown": against.SAMPLES, "features": features.label, "test pictures": len(held.test)}
    found |= {f"{against.REAL}: {kind}": record.value for kind, record in real.items()}
    for name, row in trial.found.items():
        found |= {f"{name}: {kind}": record.value for kind, record in row.items()}
        found[f"{name}: why it failed"] = row["failed"].details["reason"]
    return found


def drawn(seed: int) -> Mapping[str, Any]:
    """DCGAN and R3GAN on MNIST and on batch 1 of CIFAR-10, by the recipe `pictures`."""
    found: dict[str, Any] = {}
    for name in ("mnist", "cifar10-batch1"):
        held = pictures.album(name, 0)
        features = pictures.judge(held)
        found[f"{name}: features"] = features.label
        rows = {"learnt from": pictures.likeness(held, held.learnt(len(held.test)), features)}
        for who, maker in pictures.MAKERS.items():
            model, seconds = pictures.learn(maker, held, seed, 1.0)
            samples = model.sample(len(held.test), rng=seed)
            rows[who] = {**pictures.likeness(held, samples, features, memory=True), "processor seconds": seconds}
            found[f"{name}, {who}: pictures shown"] = maker.shown
        found |= {f"{name}, {who}: {kind}": record.value for who, row in rows.items() for kind, record in row.items()}
    return found


STUDIES = [
    Study(
        "gans-against-vaes",
        f"VAE and DCGAN of as many parameters on MNIST, {against.SAMPLES:,} pictures shown to each, 2000 test digits",
        both,
        seeds=5,
        needs="mnist",
    ),
    Study(
        "gan-pictures",
        "DCGAN and R3GAN of minutes on MNIST and on batch 1 of CIFAR-10, 2000 pictures not learnt from",
        drawn,
        seeds=1,
        needs="cifar10",
    ),
]
