"""The cost of evaluating a VAE: the bound L_5000, and annealing in batches of chains.

The network is that of Burda, Grosse & Salakhutdinov (2016, https://arxiv.org/abs/1509.00519):
784-200-200-50 and back, tanh, Bernoulli, trained only briefly: the time does not depend on the
quality of the fit.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from benchmarks.timing import median, ratio, seconds, side_by_side
from pushforward.metrics.annealing import ais, temperature_schedule
from pushforward.metrics.likelihood import iwae

Row = dict[str, Any]
DIGITS = 10_000


def digits() -> tuple[Tensor, Tensor, str]:
    """Binarised training and test images (n, 1, 28, 28) and their name.

    They are MNIST, or a substitute of the same size.
    """
    setting = os.environ.get("PUSHFORWARD_DATA")
    folder = (Path(setting) if setting else Path(__file__).parents[2] / "shared" / "data") / "mnist"
    if not folder.is_dir():
        stream = torch.Generator().manual_seed(0)
        coarse = torch.randn(2 * DIGITS, 1, 7, 7, generator=stream)
        x = (torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear") > 0.3).float()
        return (
            x[:DIGITS],
            x[DIGITS:],
            "thresholded smooth noise in place of MNIST, which is not available",
        )
    images = []
    for name in ("train", "t10k"):
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
        share = torch.from_numpy(pixels.copy()).float() / 255
        images.append(
            (torch.rand(share.shape, generator=torch.Generator().manual_seed(0)) < share).float()
        )
    return images[0], images[1], "MNIST, binarised once"


def briefly(x: Tensor, steps: int = 2000) -> pf.VAE:
    """Burda's VAE after a few epochs."""
    model = pf.VAE(latent=50, hidden=(200, 200), likelihood="bernoulli", activation="tanh")
    return model.fit(x, by=pf.Trainer(steps=steps, batch=100))


def l5000(rows: int = DIGITS, k: int = 5000) -> list[Row]:
    """Seconds of the importance-weighted bound of the test digits.

    Check: the ELBO and bounds of fewer draws lie below it.
    """
    train, test, data = digits()
    model, test = briefly(train), test[:rows]
    last: dict[str, Any] = {}

    def work() -> None:
        last["bound"] = iwae(model, test, k=k)

    took = seconds(work)
    fewer = iwae(model, test, k=20)
    check = {
        f"L_{k}": round(last["bound"].value, 3),
        "L_20": round(fewer.value, 3),
        "agree": 0 < last["bound"].value - fewer.value < 30,
    }
    value = round(took * DIGITS / len(test), 1)
    what = f"L_{k} of {DIGITS} digits under a Bernoulli VAE 784-200-200-50, seconds; {data}"
    if len(test) < DIGITS:
        what += f"; measured on {len(test)}"
    return [
        {
            "name": "l5000",
            "what": what,
            "seconds": {"pushforward": value},
            "check": check,
            "ratio": {"median": value, "min": value, "max": value},
            "target": 300,
            "better": "lower",
        }
    ]


def one_chain(
    model: Any, u: Tensor, betas: list[float], leapfrogs: int, rng: torch.Generator, step: float
) -> float:
    """Textbook annealed importance sampling: one observation (1, *event), one chain."""
    prior = model.prior(1)

    def log_joint(z: Tensor, beta: float) -> Tensor:
        return prior.log_prob(z) + beta * model.likelihood(z).log_prob(u)

    def slope(z: Tensor, beta: float) -> Tensor:
        z = z.detach().requires_grad_()
        return torch.autograd.grad(log_joint(z, beta).sum(), z)[0]

    z, log_weight = prior.rsample(rng=rng), 0.0
    for previous, following in pairwise(betas):
        with torch.no_grad():
            log_weight += (following - previous) * float(model.likelihood(z).log_prob(u))
        momentum = torch.randn(z.shape, generator=rng)
        with torch.no_grad():
            before = log_joint(z, following) - 0.5 * momentum.square().sum()
        new, p = z, momentum + 0.5 * step * slope(z, following)
        for i in range(leapfrogs):
            new = new + step * p
            p = p + (0.5 if i == leapfrogs - 1 else 1.0) * step * slope(new, following)
        with torch.no_grad():
            after = log_joint(new, following) - 0.5 * p.square().sum()
        chance = math.exp(min(0.0, float(after - before)))
        z = new if float(torch.rand((), generator=rng)) < chance else z
        step *= math.exp(0.2 * (chance - 0.65))
    return log_weight


def annealing(
    rows: int = 16, chains: int = 16, temperatures: int = 60, rounds: int = 3
) -> list[Row]:
    """Transitions per second, batched against one chain at a time.

    Check: both mean weights agree on one digit.
    """
    train, test, data = digits()
    model, test = briefly(train, 500), test[:rows]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    u, betas, leapfrogs = model.to_model(test), temperature_schedule(temperatures), 10
    stream = torch.Generator().manual_seed(0)
    last: dict[str, Any] = {}

    def ours() -> float:
        def work() -> None:
            last["pushforward"] = ais(model, test, temperatures=temperatures, chains=chains)

        return rows * chains * temperatures / seconds(work)

    def theirs(few: int = 2) -> float:
        def work() -> None:
            for _ in range(few):
                one_chain(model, u[:1], betas, leapfrogs, stream, 0.2)

        return few * temperatures / seconds(work)

    timings = side_by_side({"pushforward": ours, "one chain at a time": theirs}, rounds=rounds)
    # Many temperatures would be needed for close agreement of log p(x);
    # the mean log-weight agrees at any number of them.
    each = [one_chain(model, u[:1], betas, leapfrogs, stream, 0.2) for _ in range(10)]
    alone = torch.tensor(each, dtype=torch.float64)
    many = torch.cat(
        [
            ais(model, test[:1], temperatures=temperatures, chains=1, rng=seed).values
            for seed in range(20)
        ]
    )
    error = float((alone.var() / len(alone) + many.var() / len(many)).sqrt())
    gap = float(alone.mean() - many.mean())
    check = {
        "mean log-weights apart, nats": round(gap, 2),
        "standard error": round(error, 2),
        "agree": abs(gap) < 4 * error,
    }
    return [
        {
            "name": "ais",
            "what": f"AIS, moves of chains a second: {rows} observations x {chains} chains, {temperatures} temperatures; {data}",
            "against": "a loop over temperatures with one chain of one observation",
            "moves per second": {name: median(values) for name, values in timings.items()},
            "check": check,
            "ratio": ratio(timings["pushforward"], timings["one chain at a time"]),
            "target": 10,
        }
    ]


BENCHMARKS: dict[str, Callable[..., list[Row]]] = {"l5000": l5000, "ais": annealing}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or BENCHMARKS:
        for line in BENCHMARKS[chosen]():
            print(json.dumps(line), flush=True)
