"""Photographs enlarged four times: SRResNet and SRGAN trained on T91 and BSDS, on Set5 and Set14.

The networks are compact and see tiles of 48 pixels, so that a CPU takes an hour; all is scaled by
`budget`. Measured is the protocol of published tables (Y, crop 4): bicubic 28.42 and 26.00 dB,
SRCNN 30.48 on Set5. Besides: the high-frequency energy, what bicubic reduction loses, as a share of
the originals'; and the distance of the maps of EfficientNet-lite0, of the layer that the SRGAN
learns from and of a deeper one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.data import split
from pushforward.data.resampling import enlarge, reduce
from pushforward.experiments import fit_model
from pushforward.experiments.enlargements import Photographs, compare_rows
from pushforward.experiments.opened import OpenedRun
from pushforward.metrics.super_resolution import Enlarged, enlargement_records
from pushforward.nets.feature_networks import EfficientNetMaps
from studies.study import RUNS, Study, at_least, at_most, data_folder

__all__ = ["STUDIES"]

FACTOR, TILE, BATCH = 4, 48, 16
STEPS, GAN_STEPS = 60_000, 4_000
"""At budget 1: of an SRResNet, some 30 CPU minutes, and of the SRGAN that starts from it, as many.
An SRResNet has 30.8 dB on Set5 after a tenth of them."""
WIDTH, BLOCKS = 32, 6
"""135 000 parameters."""
RATE = 2e-3
"""The best of .5, 1, 2 and 4 thousandths on held-out tiles after 2000 steps."""
LAYERS = (4, 10)
"""Of EfficientNet-lite0: that of the perceptual loss, and one that nothing was trained on."""
SETS = ("Set5", "Set14")
SEEN = 0.05
"""Share of the photographs whose tiles are held out."""


def enlarged(seed: int, budget: float = 1.0) -> Mapping[str, Any]:
    """The measures of an SRResNet, and of an SRGAN that starts from it."""
    folder = data_folder()
    assert folder is not None
    photographs = str(folder / "superres" / "[TB]*" / "*.*")
    tiles = pf.read(photographs, tiles=TILE, y=f"low_resolution({FACTOR})")
    train, held_out = split(tiles, held_out=SEEN, seed=0)
    results: dict[str, Any] = {"tiles": len(train), "steps": round(budget * STEPS)}

    began = time.process_time()
    trainer = pf.Trainer(
        steps=round(budget * STEPS),
        batch=BATCH,
        seed=seed,
        schedule="cosine(warmup=0.01)",
        optimizers={"generator": f"adam(rate={RATE})"},
        run=RUNS / f"srresnet-{seed}",
        overwrite=True,
    )
    first = fit_model(pf.SRResNet(WIDTH, BLOCKS), train, by=trainer)
    results["SRResNet: training CPU seconds"] = time.process_time() - began

    began = time.process_time()
    trainer = pf.Trainer(
        steps=round(budget * GAN_STEPS),
        batch=BATCH,
        seed=seed,
        schedule="cosine",
        start=first,
        run=RUNS / f"srgan-{seed}",
        overwrite=True,
    )
    gan = fit_model(pf.SRGAN(WIDTH, BLOCKS), train, by=trainer)
    results["SRGAN: training CPU seconds"] = time.process_time() - began

    for name, model in (("SRResNet", first), ("SRGAN", gan)):
        run = OpenedRun(RUNS / f"{name.lower()}-{seed}", model)
        (record, *_) = compare_rows(run, held_out, len(held_out), "held-out tiles")
        results[f"{name}, held-out tiles: psnr"] = record.value
        for each in SETS:
            source = Photographs(folder / "superres" / each, run)
            for kind, value in measured(list(source.enlarged(model))).items():
                results[f"{name}, {each}: {kind}"] = value
        comic = Photographs(folder / "superres" / "Set14" / "comic.png", run)
        for record in enlargement_records(comic.enlarged(model), FACTOR, "comic"):
            results[f"{name}, comic: {record.quantity}"] = record.value
    for each in SETS:
        for kind in ("psnr", "energy", f"maps of layer {LAYERS[0]}", f"maps of layer {LAYERS[1]}"):
            one, two = (results[f"{name}, {each}: {kind}"] for name in ("SRResNet", "SRGAN"))
            results[f"SRGAN beside SRResNet, {each}: {kind}"] = two - one
    return results


def measured(images: list[Enlarged]) -> Mapping[str, float]:
    """The protocol's records, energies and distances of enlarged images, means over images."""
    records = enlargement_records(images, FACTOR, "")
    results = {record.quantity: record.value for record in records}
    for end, place in (("", 1), (" of bicubic", 2)):
        shares = [energy(image[place]) / energy(image[0]) for image in images]
        results[f"energy{end}"] = sum(shares) / len(shares)
        for layer in LAYERS:
            gaps = list(distances(layer, [(image[0], image[place]) for image in images]))
            results[f"maps of layer {layer}{end}"] = sum(gaps) / len(gaps)
    return results


def energy(x: Tensor) -> float:
    """The mean square of what bicubic reduction loses of an image (1, c, h, w), bytes."""
    x = x.to(torch.float64)
    lost = x - enlarge(reduce(x, FACTOR), FACTOR)
    return float(lost[..., FACTOR:-FACTOR, FACTOR:-FACTOR].square().mean())


@torch.no_grad()
def distances(layer: int, pairs: list[tuple[Tensor, Tensor]]) -> Iterator[float]:
    """The squared error of the maps of images, as a share of the mean square of the originals'."""
    network = EfficientNetMaps(layer).build().eval()
    for real, made in pairs:
        one, two = (network(x.to(torch.float32) / 255) for x in (real, made))
        yield float((one - two).square().mean() / one.square().mean())


STUDIES = [
    Study(
        "super-resolution",
        f"SRResNet of width {WIDTH} and {BLOCKS} blocks, {STEPS:,} steps of {BATCH} tiles of T91"
        f" and BSDS, and an SRGAN of {GAN_STEPS:,} steps from it, four times, on Set5 and Set14",
        partial(enlarged, budget=1.0),
        {
            "SRResNet, Set5: psnr": at_least(29.6),
            "SRResNet, Set14: psnr": at_least(26.7),
            "SRGAN beside SRResNet, Set5: psnr": at_most(0),
            "SRGAN beside SRResNet, Set5: energy": at_least(0),
            f"SRGAN beside SRResNet, Set5: maps of layer {LAYERS[0]}": at_most(0),
            "SRResNet, comic: psnr": at_least(21.69),
            "SRResNet, comic: ssim_daala": at_least(0.6405),
        },
        seeds=1,
        needs="superres",
    )
]
