"""InfoGAN's categories as digits, and how many of 1000 stacked digits a GAN generates.

StackedMNIST (Metz et al. 2017, https://arxiv.org/abs/1611.02163; protocol of Lin et al. 2018, §4.2,
https://arxiv.org/abs/1712.04086): each of 128 000 images has three random digits in its three
channels, so there are 1000 kinds; of 26 000 samples a classifier of single digits determines the
kind. Published: DCGAN 99 kinds, PacDCGAN2 1000. As there, training takes 50 epochs with batches of
64 in the networks of DCGAN's authors, but narrow enough for about an hour on one CPU core. Other
differences: the published batches have 64 packs (so that PacDCGAN2 sees twice as many images; here
they are 64 images in 32 packs), the published generator is updated twice per step, and the
published digits are from both parts of MNIST (here the training part).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.random import derive, generator, integers
from pushforward.experiments import fit_model
from pushforward.metrics.classifiers import Classifier, train_classifier
from pushforward.metrics.modes import label_modes
from pushforward.models.deep.infogan import InfoGAN
from pushforward.recipes import codes as recipe
from pushforward.recipes.images import album
from studies.study import RUNS, Study, at_most

__all__ = ["STUDIES"]

STACKS, DRAWN, BATCH = 128_000, 26_000, 64
LEGS = (4, 10, 20, 30, 40, 50)
"""Epochs after which the stacked digits are counted."""
WIDTH = 16


def digits_of(part: str) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28), levels, and labels (n,)."""
    source = pf.read(part)
    return source.x, source.y.flatten()


def codes(seed: int, make: Callable[[], InfoGAN]) -> Mapping[str, Any]:
    """Train InfoGAN on digits without labels and compare its categories with the labels.

    Categories of unseen digits are matched with labels one to one.
    """
    dataset = album("mnist", seed, recipe.TEST)
    began = time.process_time()
    model = recipe.learn(make, dataset.train, seed)
    seconds = time.process_time() - began
    category = model.parts(recipe.codes(model, dataset.test)).categories[0].argmax(1)
    results = recipe.measured(model, dataset, category)
    return {
        "images shown": recipe.shown(),
        "training CPU seconds": seconds,
        "error of the category, best matching": results["error, best matching"].value,
        "standard error": results["error, best matching"].error,
        "purity": results["purity"].value,
        "L_I of the category, nats": results["L_I"].value,
    }


def stacks(n: int, seed: int) -> Tensor:
    """Images of three random training digits, one per channel: (n, 3, 28, 28), levels."""
    x, _ = digits_of("mnist")
    rows = integers(len(x), (n, 3), rng=generator(derive(seed, "stacks")))
    return x[:, 0][rows]


def judge_of_digits() -> tuple[Classifier, float]:
    """A classifier of MNIST's digits, and its accuracy on the test digits."""
    x, labels = digits_of("mnist")
    test, truth = digits_of("mnist:test")
    network = train_classifier(x, labels.long(), 10, steps=3000, rng=0)
    return network, float((network.classes(test.float()) == truth).double().mean())


def stacked(seed: int, packing: int) -> Mapping[str, Any]:
    """A DCGAN whose critic sees `packing` images at once, counted repeatedly in training."""
    x, (network, accuracy) = stacks(STACKS, seed), judge_of_digits()
    results: dict[str, Any] = {
        "classifier's accuracy on single test digits": accuracy,
        "width": WIDTH,
    }
    run, seconds = RUNS / f"stacked-{packing}-{seed}", 0.0
    for epochs in LEGS:
        began = time.process_time()
        if epochs == LEGS[0]:
            by = pf.Trainer(epochs=epochs, batch=BATCH, seed=seed, run=run, overwrite=True)
        else:
            by = pf.Trainer(resume=run, epochs=epochs)
        model = fit_model(pf.DCGAN(width=WIDTH, packing=packing), x, by=by)
        seconds += time.process_time() - began
        kinds = torch.cat(
            [
                kinds_of(model.sample(DRAWN // 26, rng=derive(seed, "samples", i)), network)
                for i in range(26)
            ]
        )
        count, divergence = label_modes(
            kinds,
            1000,
            data="StackedMNIST",
            classifier="classifier of 10 labels, channel by channel",
        )
        now = {
            "modes of 1000": count.value,
            "reverse KL, nats": divergence.value,
            "training CPU seconds": seconds,
        }
        results |= {f"{name} after {epochs} epochs": value for name, value in now.items()}
        results["ideal: reverse KL, nats"] = divergence.details["ideal"]
        print(
            f"  {epochs} epochs: {count.value:.0f} modes, reverse KL {divergence.value:.3f},"
            f" {seconds:.0f} CPU seconds",
            flush=True,
        )
    return {**results, **now, "epochs": epochs}


def kinds_of(images: Tensor, network: Classifier) -> Tensor:
    """Stacked digits (n, 3, 28, 28) -> their numbers 0..999, (n,)."""
    return network.classes(images.reshape(-1, 1, 28, 28)).reshape(-1, 3) @ torch.tensor(
        [100, 10, 1]
    )


STUDIES = [
    Study(
        "infogan-mnist",
        "InfoGAN on MNIST without labels, narrow noise and categories that survive affine maps,"
        f" {recipe.shown():,} images shown, its category against the labels of 10 000 test digits",
        partial(codes, make=recipe.with_views),
        {"error of the category, best matching": at_most(0.15)},
        seeds=5,
        needs="mnist",
    ),
    Study(
        "infogan-mnist-plain",
        f"InfoGAN on MNIST without labels by the paper's objective, {recipe.shown():,} images"
        " shown",
        partial(codes, make=recipe.plain),
        seeds=1,
        needs="mnist",
    ),
    *(
        Study(
            name,
            f"StackedMNIST, {LEGS[-1]} epochs of {STACKS:,} images, 26 000 samples: a DCGAN of"
            f" width {WIDTH}{seen}",
            partial(stacked, packing=packing),
            seeds=1,
            needs="mnist",
        )
        for name, packing, seen in (
            ("stacked-mnist", 1, ""),
            ("stacked-mnist-packed", 2, " in packs of two"),
        )
    ),
]
