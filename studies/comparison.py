"""GANs against VAEs, and two GANs on real images: the recipes' numbers, run by run.

One run is one seed: of the initialisation, the order and the noise. The split and the feature space
are those of seed 0 throughout.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

import pushforward as pf
from pushforward.core.random import derive, generator
from pushforward.experiments import fit_model
from pushforward.fitting.augment import binarise, dequantise
from pushforward.metrics.likelihood import iwae
from pushforward.models.deep import few_images as few
from pushforward.plots.latent import sheet
from pushforward.recipes import gans_against_vaes as against
from pushforward.recipes import images
from pushforward.recipes.contenders import contenders, parameters
from studies.study import RUNS, Study, keep_figures

__all__ = ["STUDIES"]

FEW, FEW_SHOWN = 500, 160_000
FEWER, FEW_SETS = 300, ("mnist", "digits", "cifar10-batch1")
AGAINST = 4.0
"""Budget of the comparison of a VAE and a GAN, in units of the recipe's."""
BUDGETS = (1.0, 4.0, 8.0)
LONGER = 8.0
SHORTER = 0.5
PLAIN = "DCGAN without noise"
DENSE_SHOWN, DENSE_BATCH, DENSE_LATENT = (3_000_000, 6_000_000), 256, 20
"""Images after which the bound of a VAE of dense layers is measured, and how it is fitted."""


def gan_and_vae(seed: int) -> Mapping[str, Any]:
    """One run of a VAE and a GAN on MNIST: all measures, and those of real images.

    Its images are kept beside the runs.
    """
    dataset = images.album("mnist", 0)
    features = images.judge(dataset)
    trial = against.compare(dataset, features, seed, AGAINST)
    real = against.yardstick(dataset, features)
    keep_figures(against.figures(dataset, [trial], real), RUNS / f"gans-against-vaes-{seed}")
    results: dict[str, Any] = {
        "images shown": round(AGAINST * against.SAMPLES),
        "features": features.label,
        "test images": len(dataset.test),
    }
    results |= {f"{against.REAL}: {kind}": record.value for kind, record in real.items()}
    for name, row in trial.records.items():
        results |= {f"{name}: {kind}": record.value for kind, record in row.items()}
        results[f"{name}: why it failed"] = row["failed"].details["reason"]
    return results


def vae_budgets(seed: int) -> Mapping[str, Any]:
    """The bound of that VAE after more and more images, each in a fit of its own.

    Each fit has its own falling rate, so that no bound is that of an unfinished fit.
    """
    dataset = images.album("mnist", 0)
    rng = generator(derive(seed, "dequantise"))
    noisy = dequantise().apply(dataset.test.float(), dataset.space, rng)
    results: dict[str, Any] = {"test images": len(noisy)}
    for budget in BUDGETS:
        shown = round(budget * against.SAMPLES)
        model = contenders(dataset.space)["VAE"]
        seconds = against.learn(model, dataset, seed, shown)
        bound = iwae(model, noisy, k=against.K, rng=0, data=dataset.data)
        results |= {
            f"bound after {shown:,} images": bound.value,
            f"CPU seconds of {shown:,} images": seconds.value,
        }
    return results


def dense_vae(seed: int) -> Mapping[str, Any]:
    """A VAE of dense layers with as many parameters, whose bound hardly rises any more.

    It is fitted to pixels that are black or white at random, as often as they are bright.
    """
    dataset = images.album("mnist", 0)
    features = images.judge(dataset)
    target = parameters(contenders(dataset.space)["GAN"], dataset.space)
    one, two = (parameters(_dense(units), dataset.space) for units in (1, 2))
    units = round(1 + (target - one) / (two - one))  # the number is linear in them
    rng = generator(derive(seed, "binarise"))
    binary = binarise().apply(dataset.test.float(), dataset.space, rng)
    results: dict[str, Any] = {"units": units}
    for shown in DENSE_SHOWN:
        model = _dense(units)
        how: dict[str, Any] = {"optimizers": {"vae": "adam(rate=0.003)"}, "schedule": "cosine"}
        by = pf.Trainer(samples=shown, batch=DENSE_BATCH, seed=seed, augment=["binarise"], **how)
        began = time.process_time()
        fit_model(model, dataset.train, by=by)
        bound = iwae(model, binary, k=against.K, rng=0, data=dataset.data)
        results |= {
            f"bound after {shown:,} images": bound.value,
            f"CPU seconds of {shown:,} images": time.process_time() - began,
        }
    samples = against.draw(model, len(dataset.test), seed)
    row = {
        **images.likeness(dataset, samples, features),
        "sharpness": against.sharpness(samples, dataset),
    }
    panel = torch.cat([images.block(x, images.COLUMNS).float() for x in (dataset.test, samples)])
    drawn = sheet(panel, dataset.space, down=["data", "", "VAE", ""])
    keep_figures({"samples": drawn}, RUNS / f"gans-against-vaes-dense-{seed}")
    return results | {
        "VAE: parameters": parameters(model, dataset.space),
        **{f"VAE: {kind}": record.value for kind, record in row.items()},
    }


def _dense(units: int) -> pf.VAE:
    return pf.VAE(latent=DENSE_LATENT, hidden=(units,), likelihood="bernoulli")


def compare_images(
    seed: int,
    names: Sequence[str] = ("mnist", "cifar10-batch1"),
    budget: float = 1.0,
    makers: Mapping[str, images.Maker] = images.MAKERS,
) -> Mapping[str, Any]:
    """The measures of the recipe `images` on each named set, for `makers`."""
    results: dict[str, Any] = {}
    for name in names:
        dataset = images.album(name, 0)
        features = images.judge(dataset)
        results[f"{name}: features"] = features.label
        results[f"{name}: held-out labels that the features' classifier knows"] = features.facts[
            "accuracy"
        ]
        rows = {
            "trained on": images.likeness(
                dataset, dataset.training_rows(len(dataset.test)), features
            )
        }
        for who, maker in makers.items():
            model, seconds = images.learn(maker, dataset, seed, budget)
            samples = model.sample(len(dataset.test), rng=seed)
            rows[who] = {
                **images.likeness(dataset, samples, features, memory=True),
                "CPU seconds": seconds,
            }
            results[f"{name}, {who}: images shown"] = round(budget * maker.shown)
        results |= {
            f"{name}, {who}: {kind}": record.value
            for who, row in rows.items()
            for kind, record in row.items()
        }
    return results


def few_images(seed: int) -> Mapping[str, Any]:
    """DCGAN on the first 500 digits, with three augmentations of the critic's input.

    They are none, shifts, and affine maps.
    """
    full = images.album("mnist", 0)
    features = images.judge(full)
    x = full.training_rows(FEW)
    dataset = replace(full, train=pf.Arrays(x, space=full.space, name=f"mnist[:{FEW}]"))
    results: dict[str, Any] = {"features": features.label, "images to learn from": FEW}
    results |= {
        f"trained on: {kind}": record.value
        for kind, record in images.likeness(dataset, x, features).items()
    }
    for name, shown in {
        "as they are": (),
        "crop": ("crop(padding=2)",),
        "affine": ("affine",),
    }.items():
        maker = images.Maker(
            partial(pf.DCGAN, latent=64, width=16, critic_augment=shown), FEW_SHOWN
        )
        model, seconds = images.learn(maker, dataset, seed, 1.0)
        row = images.likeness(
            dataset, model.sample(len(dataset.test), rng=seed), features, memory=True
        )
        results |= {
            f"{name}: {kind}": record.value
            for kind, record in {**row, "CPU seconds": seconds}.items()
        }
    return results


def few_images_settings(seed: int) -> Mapping[str, Any]:
    """What `fit dcgan` chooses for few images, with and without its penalty, on three sets."""
    results: dict[str, Any] = {"images shown": few.STEPS * few.BATCH}
    for name in FEW_SETS:
        full = images.album(name, 0)
        features = images.judge(full)
        x = full.training_rows(min(FEWER, len(full.train)))
        dataset = replace(full, train=pf.Arrays(x, space=full.space, name=f"{name}[:{len(x)}]"))
        results[f"{name}: images to learn from"] = len(x)
        for variant, penalties in {"no penalty": (), "R1": (few.R1,)}.items():
            maker = images.Maker(
                partial(pf.DCGAN, latent=few.LATENT, width=few.WIDTH, penalties=penalties),
                few.STEPS * few.BATCH,
                batch=few.BATCH,
                ema=few.EMA,
            )
            model, seconds = images.learn(maker, dataset, seed, 1.0)
            samples = model.sample(len(dataset.test), rng=seed)
            row = images.likeness(dataset, samples, features, memory=True)
            results |= {
                f"{name}, {variant}: {kind}": record.value
                for kind, record in {**row, "CPU seconds": seconds}.items()
            }
    return results


STUDIES = [
    Study(
        "gans-against-vaes",
        f"VAE and DCGAN of as many parameters on MNIST, {round(AGAINST * against.SAMPLES):,} images"
        " shown to each, 2000 test digits",
        gan_and_vae,
        seeds=3,
        needs="mnist",
    ),
    Study(
        "gans-against-vaes-dense",
        "a VAE of dense layers with as many parameters as in gans-against-vaes, MNIST binarised"
        " dynamically, bound with 100 draws on 2000 test digits, nats",
        dense_vae,
        seeds=2,
        needs="mnist",
    ),
    Study(
        "vae-budgets",
        "the VAE of gans-against-vaes after more and more images, bound with 100 draws on 2000"
        " test digits, nats",
        vae_budgets,
        seeds=1,
        needs="mnist",
    ),
    Study(
        "gan-images",
        "DCGAN and R3GAN of minutes on MNIST and on batch 1 of CIFAR-10, 2000 held-out images",
        compare_images,
        seeds=5,
        needs="cifar10",
    ),
    Study(
        "gan-images-longer",
        f"DCGAN and R3GAN on MNIST, {LONGER:.0f} times as long as in gan-images, 2000 held-out"
        " images",
        partial(compare_images, names=("mnist",), budget=LONGER),
        seeds=1,
        needs="mnist",
    ),
    Study(
        "gan-images-64",
        "DCGAN, its critic shown no noise or noise that fades, and R3GAN on batch 1 of CIFAR-10 at"
        " 64 pixels, half as many images shown as in gan-images, 2000 held-out images",
        partial(
            compare_images,
            names=("cifar10-batch1@64",),
            budget=SHORTER,
            makers={PLAIN: replace(images.MAKERS["DCGAN"], large=None), **images.MAKERS},
        ),
        seeds=1,
        needs="cifar10",
    ),
    Study(
        "few-images",
        f"DCGAN on {FEW} digits of MNIST, {FEW_SHOWN:,} images shown, critic_augment none,"
        " crop(padding=2) or affine, 2000 test digits",
        few_images,
        seeds=3,
        needs="mnist",
    ),
    Study(
        "few-images-settings",
        f"the settings that fit dcgan chooses below {few.FEW:,} images, with R1 and without, on"
        f" {FEWER} images of MNIST, of scikit-learn's digits and of batch 1 of CIFAR-10",
        few_images_settings,
        seeds=2,
        needs="cifar10",
    ),
]
