"""GANs against VAEs, and what two GANs make of real pictures: the recipes' numbers, run by run.

One run is one seed: of the initialisation, the order and the noise. The split and the feature space are those of seed 0 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pushforward as pf
from pushforward.recipes import gans_against_vaes as against
from pushforward.recipes import pictures
from studies.study import Study

__all__ = ["STUDIES"]

FEW, FEW_SHOWN = 500, 160_000
LONGER = 8.0
SHORTER = 0.5
PLAIN = "DCGAN without noise"


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


def drawn(
    seed: int,
    names: Sequence[str] = ("mnist", "cifar10-batch1"),
    budget: float = 1.0,
    makers: Mapping[str, pictures.Maker] = pictures.MAKERS,
) -> Mapping[str, Any]:
    """What the recipe `pictures` makes of each set named, by `makers`."""
    found: dict[str, Any] = {}
    for name in names:
        held = pictures.album(name, 0)
        features = pictures.judge(held)
        found[f"{name}: features"] = features.label
        found[f"{name}: held-out labels that the features' classifier knows"] = features.facts["accuracy"]
        rows = {"learnt from": pictures.likeness(held, held.learnt(len(held.test)), features)}
        for who, maker in makers.items():
            model, seconds = pictures.learn(maker, held, seed, budget)
            samples = model.sample(len(held.test), rng=seed)
            rows[who] = {**pictures.likeness(held, samples, features, memory=True), "processor seconds": seconds}
            found[f"{name}, {who}: pictures shown"] = round(budget * maker.shown)
        found |= {f"{name}, {who}: {kind}": record.value for who, row in rows.items() for kind, record in row.items()}
    return found


def few(seed: int) -> Mapping[str, Any]:
    """DCGAN on the first 500 digits, its critic shown them as they are, shifted, or turned, slanted, resized and shifted."""
    whole = pictures.album("mnist", 0)
    features = pictures.judge(whole)
    x = whole.learnt(FEW)
    held = replace(whole, train=pf.Arrays(x, space=whole.space, name=f"mnist[:{FEW}]"))
    found: dict[str, Any] = {"features": features.label, "pictures to learn from": FEW}
    found |= {f"learnt from: {kind}": record.value for kind, record in pictures.likeness(held, x, features).items()}
    for name, shown in {"as they are": (), "crop": ("crop(padding=2)",), "affine": ("affine",)}.items():
        maker = pictures.Maker(partial(pf.DCGAN, latent=64, width=16, critic_augment=shown), FEW_SHOWN)
        model, seconds = pictures.learn(maker, held, seed, 1.0)
        row = pictures.likeness(held, model.sample(len(held.test), rng=seed), features, memory=True)
        found |= {f"{name}: {kind}": record.value for kind, record in {**row, "processor seconds": seconds}.items()}
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
        seeds=5,
        needs="cifar10",
    ),
    Study(
        "gan-pictures-longer",
        f"DCGAN and R3GAN on MNIST, {LONGER:.0f} times as long as in gan-pictures, 2000 pictures not learnt from",
        partial(drawn, names=("mnist",), budget=LONGER),
        seeds=1,
        needs="mnist",
    ),
    Study(
        "gan-pictures-64",
        "DCGAN, its critic shown no noise or noise that fades, and R3GAN on batch 1 of CIFAR-10 at 64 pixels, half as many pictures "
        "shown as in gan-pictures, 2000 pictures not learnt from",
        partial(
            drawn,
            names=("cifar10-batch1@64",),
            budget=SHORTER,
            makers={PLAIN: replace(pictures.MAKERS["DCGAN"], large=None), **pictures.MAKERS},
        ),
        seeds=1,
        needs="cifar10",
    ),
    Study(
        "few-pictures",
        f"DCGAN on {FEW} digits of MNIST, {FEW_SHOWN:,} pictures shown, critic_augment none, crop(padding=2) or affine, 2000 test digits",
        few,
        seeds=3,
        needs="mnist",
    ),
]
