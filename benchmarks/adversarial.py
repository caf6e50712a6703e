"""GANs: steps of both players, through the public API and in textbook loops."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.timing import median, ratio, side_by_side

RATE = {"lr": 2e-4, "betas": (0.5, 0.999)}
CURVE, SEEDS = 50, 5


# -------------------------------------------------------------------------------------------- DCGAN


def dcgan(batch: int = 64, steps: int = 10) -> list[dict[str, Any]]:
    """DCGAN at 64x64 in colour: images per second, ours and the tutorial's loop.

    Ours uses bf16 if the CPU has it. Check: the critic's loss over the first 50 steps lies within
    the plain loop's spread over seeds.
    """
    data, fast = _images(1024), has_bf16()
    sides = {
        "pushforward": lambda: _fit_dcgan(data, batch, steps, fast)[0],
        "plain loop": lambda: _plain_dcgan(data, batch, steps)[0],
    }
    rates = side_by_side(sides, rounds=3)
    return [
        {
            "name": "dcgan-bf16" if fast else "dcgan",
            "what": f"DCGAN 64x64x3, batch {batch}, both players, {'bf16' if fast else 'float32'}",
            "against": "the plain float32 loop",
            "images per second": {name: median(values) for name, values in rates.items()},
            "ratio": ratio(rates["pushforward"], rates["plain loop"]),
            "target": 1.6 if fast else 1.1,
            "check": dcgan_curves(fast),
        }
    ]


def dcgan_curves(fast: bool, size: int = 32, batch: int = 32) -> dict[str, Any]:
    """Loss curves of both sides at a small size, compared step by step.

    Reports the distance in standard deviations over seeds.
    """
    data = _images(512, size)
    plain = torch.tensor([_plain_dcgan(data, batch, CURVE, seed)[1] for seed in range(SEEDS)])
    fitted = torch.tensor([_fit_dcgan(data, batch, CURVE, fast, seed)[1] for seed in range(SEEDS)])
    smooth = [curves.unfold(1, 5, 5).mean(2) for curves in (plain, fitted)]
    distance = (smooth[1].mean(0) - smooth[0].mean(0)).abs() / smooth[0].std(0).clamp_min(0.02)
    return {
        "largest distance of mean curves, in sd over seeds": round(float(distance.max()), 2),
        "agree": bool(distance.max() < 3),
    }


def has_bf16() -> bool:
    """Whether the CPU multiplies in bfloat16."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and "avx512_bf16" in flags.read_text()


def _images(n: int, size: int = 64) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 8, 8, generator=stream)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") * 2 - 1


def _fit_dcgan(
    data: Tensor, batch: int, steps: int, fast: bool, seed: int = 0
) -> tuple[float, list[float]]:
    """Images per second after the first step, without evaluations, and the critic's losses."""
    import pushforward as pf

    events: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "precision": "bf16-mixed" if fast else "32-true",
            "run": Path(folder) / "run",
            "listeners": [events.append],
        }
        pf.DCGAN().fit(
            data,
            by=pf.Trainer(steps=steps, batch=batch, seed=seed, evaluate_every=10_000, **settings),
        )
    reports = [e for e in events if type(e).__name__ == "Progress"]
    rate = (reports[-1].samples - reports[0].samples) / max(
        reports[-1].seconds - reports[0].seconds, 1e-9
    )
    return rate, [e.terms["critic"] for e in reports]


def _plain_dcgan(
    data: Tensor, batch: int, steps: int, seed: int = 0, loaded: bool = True
) -> tuple[float, list[float]]:
    """The tutorials' loop: float32, a DataLoader, and `.item()` at every step.

    Both players use one batch of samples. Without `loaded`, neither of the two, only Adam.
    """
    torch.manual_seed(seed)
    generator, critic = _textbook_players(data.shape[-1])
    moves = [torch.optim.Adam(network.parameters(), **RATE) for network in (critic, generator)]  # type: ignore[arg-type]
    losses: list[Tensor | float] = []
    began = time.perf_counter()
    for x in islice(shuffled(data, batch, loaded), steps):
        loss = _textbook_step(generator, critic, moves, x, 100)
        losses.append(loss.item() if loaded else loss)
        if len(losses) == 1:
            began = time.perf_counter()
    rate = (steps - 1) * batch / max(time.perf_counter() - began, 1e-9)
    return rate, [float(loss) for loss in losses]


def _textbook_step(
    generator: nn.Module, critic: nn.Module, moves: list[Any], x: Tensor, latent: int
) -> Tensor:
    """One step of both players; the critic's loss."""
    critic.zero_grad()
    one, zero = torch.ones(len(x)), torch.zeros(len(x))
    fake = generator(torch.randn(len(x), latent))
    loss = binary_cross_entropy_with_logits(
        critic(x).flatten(), one
    ) + binary_cross_entropy_with_logits(critic(fake.detach()).flatten(), zero)
    loss.backward()
    moves[0].step()
    generator.zero_grad()
    other = binary_cross_entropy_with_logits(critic(fake).flatten(), one)
    other.backward()
    moves[1].step()
    return loss.detach()


def _textbook_players(size: int, width: int = 64) -> tuple[nn.Module, nn.Module]:
    steps = int(math.log2(size // 4))
    widths = [width * 2**i for i in range(steps)]
    up: list[nn.Module] = [
        nn.Unflatten(1, (100, 1, 1)),
        nn.ConvTranspose2d(100, widths[-1], 4, 1, 0, bias=False),
    ]
    down: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for many, few in zip(widths[::-1], [*widths[-2::-1], 3]):
        up += [
            nn.BatchNorm2d(many),
            nn.ReLU(True),
            nn.ConvTranspose2d(many, few, 4, 2, 1, bias=False),
        ]
    for few, many in pairwise(widths):
        down += [
            nn.Conv2d(few, many, 4, 2, 1, bias=False),
            nn.BatchNorm2d(many),
            nn.LeakyReLU(0.2, True),
        ]
    players = (
        nn.Sequential(*up, nn.Tanh()),
        nn.Sequential(*down, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False)),
    )
    for layer in (m for network in players for m in network.modules()):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return players


# ----------------------------------------------------------------------------------------- the ring


def gan_mlp(batch: int = 256, steps: int = 1000) -> list[dict[str, Any]]:
    """A GAN of perceptrons on the ring of 8 modes: samples per second.

    Ours writes a run folder and a log and has a listener; theirs is the textbook loop. Check: both
    critics end with similar losses.
    """
    data = _ring(50_000)
    last: dict[str, float] = {}

    def ours() -> float:
        rate, last["pushforward"] = _fit_ring(data, batch, steps)
        return rate

    def theirs() -> float:
        rate, last["textbook loop"] = _plain_ring(data, batch, steps)
        return rate

    rates = side_by_side({"pushforward": ours, "textbook loop": theirs}, rounds=5)
    agree = abs(last["pushforward"] - last["textbook loop"]) < 0.25
    return [
        {
            "name": "gan-mlp",
            "what": f"GAN 2-128-128-2 on the ring, batch {batch}, with run folder, log and listener",
            "against": "a loop with a DataLoader, plain Adam and .item() at every step",
            "samples per second": {name: median(values) for name, values in rates.items()},
            "ratio": ratio(rates["pushforward"], rates["textbook loop"]),
            "target": 1.3,
            "check": {
                **{f"critic's loss, {name}": round(value, 3) for name, value in last.items()},
                "agree": agree,
            },
        }
    ]


def _ring(n: int) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    angle = torch.randint(8, (n,), generator=stream) * (2 * math.pi / 8)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.01 * torch.randn(n, 2, generator=stream)


def _fit_ring(
    data: Tensor, batch: int, steps: int, hidden: int = 128, **more: Any
) -> tuple[float, float]:
    import pushforward as pf

    events: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        by = pf.Trainer(
            steps=steps, batch=batch, run=Path(folder) / "run", listeners=[events.append], **more
        )
        began = time.perf_counter()
        pf.GAN(latent=2, hidden=(hidden, hidden), penalties=()).fit(data, by=by)
        took = time.perf_counter() - began
    losses = [e.terms["critic"] for e in events if type(e).__name__ == "Progress"]
    return steps * batch / took, statistics.fmean(losses[-10:])


def _plain_ring(
    data: Tensor, batch: int, steps: int, hidden: int = 128, loaded: bool = True
) -> tuple[float, float]:
    """A DataLoader and `.item()` at every step; else (not `loaded`) neither, only Adam."""
    torch.manual_seed(0)
    generator, critic = (
        nn.Sequential(
            nn.Linear(2, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(),
            nn.Linear(hidden, outputs),
        )
        for outputs in (2, 1)
    )
    moves = [torch.optim.Adam(network.parameters(), **RATE) for network in (critic, generator)]  # type: ignore[arg-type]
    scaled = (data - data.mean(0)) / data.std(0)
    losses: list[Tensor | float] = []
    began = time.perf_counter()
    for x in islice(shuffled(scaled, batch, loaded), steps):
        loss = _textbook_step(generator, critic, moves, x, 2)
        losses.append(loss.item() if loaded else loss)
    took = time.perf_counter() - began
    return steps * batch / took, statistics.fmean(float(loss) for loss in losses[-100:])


def shuffled(data: Tensor, batch: int, loaded: bool) -> Iterator[Tensor]:
    """Batches in a new order each epoch, endlessly: by a DataLoader, or by a permutation's rows."""
    if loaded:
        rows = torch.utils.data.TensorDataset(data)
        loader = torch.utils.data.DataLoader(rows, batch, shuffle=True, drop_last=True)
        while True:
            yield from (x for (x,) in loader)
    while True:
        for at in torch.randperm(len(data)).split(batch):
            if len(at) == batch:
                yield data[at]


BENCHMARKS = {"dcgan": dcgan, "gan-mlp": gan_mlp}
