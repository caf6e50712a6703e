"""Training VAE, GAN and DCGAN over batch, width and size; the worst setting is the figure.

Ours is `fit` in float32, with a run folder, a log and a listener, evaluated once an epoch. Beside
it: the textbook's loop (a DataLoader, plain Adam, `.item()` at every step), the same loop with
neither DataLoader nor `.item()`, and pythae's trainer. Check: all end with similar losses.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks import adversarial, spine
from benchmarks.classical import quiet
from benchmarks.sweeps import Row, worst_of
from benchmarks.timing import median, ratio, side_by_side

Side = Callable[[], tuple[float, float]]
"""Samples per second, and the loss at the end."""
Setting = tuple[str, dict[str, Side], float]
"""What it is, the sides, and by how much their losses may differ."""

VAE_STEPS = {16: 1200, 128: 400, 1024: 40}
RING_STEPS = {16: 1000, 128: 800, 1024: 250}
DCGAN_SIZES = [(8, 16), (8, 64), (16, 16), (16, 64), (32, 16), (32, 64), (64, 16), (128, 16)]
"""Pixels and batch."""
DCGAN_STEPS = {8: 60, 16: 30, 32: 12, 64: 4, 128: 2}
SMALLEST_LOSS = 1.0
"""Losses below it are compared by their difference, as those of critics; else by their ratio."""


def swept(
    name: str, what: str, settings: Iterable[Setting], rounds: int, target: float = 1.0
) -> Row:
    """One row: the least ratio over settings and opponents, with all of them beside it."""
    records: list[Row] = []
    for setting, sides, tolerance in settings:
        losses: dict[str, list[float]] = {side: [] for side in sides}
        with quiet():
            rates = side_by_side(
                {side: _keeping(fit, losses[side]) for side, fit in sides.items()}, rounds
            )
        for theirs in [side for side in sides if side != "pushforward"]:
            both = ("pushforward", theirs)
            ours, other = (statistics.median(losses[side]) for side in both)
            apart = abs(ours - other) / max(abs(other), SMALLEST_LOSS)
            records.append(
                {
                    "setting": f"{setting}, {theirs}",
                    "samples per second": {side: median(rates[side]) for side in both},
                    "ratio": ratio(rates["pushforward"], rates[theirs]),
                    "losses": [round(ours, 3), round(other, 3)],
                    "agree": apart < tolerance,
                }
            )
    return worst_of(name, what, target, records)


def _keeping(fit: Side, losses: list[float]) -> Callable[[], float]:
    def rate() -> float:
        speed, loss = fit()
        losses.append(loss)
        return speed

    return rate


# ---------------------------------------------------------------------------------------------- VAE


def vae_sweep(
    batches: Iterable[int] = (16, 128, 1024),
    widths: Iterable[int] = (64, 400, 1024),
    rounds: int = 3,
    share: float = 1.0,
) -> list[Row]:
    """A VAE 784-h-20; `share` of the steps."""
    images = spine._images()

    def setting(batch: int, hidden: int) -> Setting:
        steps = max(2, int(VAE_STEPS[batch] * share))
        data = images[: steps * batch]
        size: dict[str, Any] = {"batch": batch, "hidden": hidden}
        sides: dict[str, Side] = {
            "pushforward": lambda: spine._fit_ours(data, 1, evaluate_every=1, **size),
            "textbook loop": lambda: textbook_vae(data, batch, hidden),
            "loop without loader": lambda: textbook_vae(data, batch, hidden, loaded=False),
            "pythae": lambda: spine._fit_pythae(data, 1, **size),
        }
        # ours starts at the data's mean, so that it is ahead after few steps
        return f"batch {batch}, h {hidden}", sides, 0.15

    what = f"VAE {spine.WIDTH}-h-{spine.LATENT}, one epoch"
    settings = (setting(*each) for each in product(batches, widths))
    return [swept("vae-sweep", what, settings, rounds)]


def textbook_vae(data: Tensor, batch: int, hidden: int, loaded: bool = True) -> tuple[float, float]:
    """One epoch; the loss is that of the first 2 000 rows at its end."""
    torch.manual_seed(0)
    data = data.flatten(1)
    encoder, decoder = (
        nn.Sequential(nn.Linear(into, hidden), nn.ReLU(), nn.Linear(hidden, out))
        for into, out in ((spine.WIDTH, 2 * spine.LATENT), (spine.LATENT, spine.WIDTH))
    )
    mover = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)

    def loss_of(x: Tensor) -> Tensor:
        mean, log_var = encoder(x).chunk(2, 1)
        logits = decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean))
        fit = binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return (fit + 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()) / len(x)

    steps, total = len(data) // batch, 0.0
    began = time.perf_counter()
    for x in islice(adversarial.shuffled(data, batch, loaded), steps):
        mover.zero_grad()
        loss = loss_of(x)
        loss.backward()
        mover.step()
        total += loss.item() if loaded else 0.0
    took = time.perf_counter() - began
    with torch.no_grad():
        return steps * batch / took, float(loss_of(data[:2000]))


# --------------------------------------------------------------------------------------------- GANs


def gan_sweep(
    batches: Iterable[int] = (16, 128, 1024),
    widths: Iterable[int] = (32, 128, 512),
    rounds: int = 3,
    share: float = 1.0,
) -> list[Row]:
    """A GAN 2-h-h-2 on the ring; `share` of the steps."""
    data = adversarial._ring(50_000)

    def setting(batch: int, hidden: int) -> Setting:
        steps = max(2, int(RING_STEPS[batch] * share))
        size = (data, batch, steps, hidden)
        sides: dict[str, Side] = {
            "pushforward": lambda: adversarial._fit_ring(*size, evaluate_every=1),
            "textbook loop": lambda: adversarial._plain_ring(*size),
            "loop without loader": lambda: adversarial._plain_ring(*size, loaded=False),
        }
        return f"batch {batch}, h {hidden}", sides, 0.25

    what = "GAN 2-h-h-2 on the ring"
    settings = (setting(*each) for each in product(batches, widths))
    return [swept("gan-sweep", what, settings, rounds)]


def dcgan_sweep(
    sizes: Iterable[tuple[int, int]] = tuple(DCGAN_SIZES), rounds: int = 3, share: float = 1.0
) -> list[Row]:
    """A DCGAN of 64 filters, in colour, after its first step; `share` of the steps."""

    def setting(pixels: int, batch: int) -> Setting:
        data = adversarial._images(256, pixels)
        size = data, batch, max(2, int(DCGAN_STEPS[pixels] * share)) + 1

        def ours() -> tuple[float, float]:
            rate, losses = adversarial._fit_dcgan(*size, fast=False)
            return rate, losses[0]

        def theirs(loaded: bool) -> tuple[float, float]:
            rate, losses = adversarial._plain_dcgan(*size, loaded=loaded)
            return rate, losses[0]

        sides: dict[str, Side] = {
            "pushforward": ours,
            "textbook loop": lambda: theirs(True),
            "loop without loader": lambda: theirs(False),
        }
        return f"{pixels} pixels, batch {batch}", sides, 0.5

    what = "DCGAN in colour, 64 filters, both players"
    settings = (setting(*each) for each in sizes)
    return [swept("dcgan-sweep", what, settings, rounds)]


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {
    "vae-sweep": vae_sweep,
    "gan-sweep": gan_sweep,
    "dcgan-sweep": dcgan_sweep,
}
