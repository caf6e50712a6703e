"""Clips: steps of both players of a VGAN, through the public API and in a plain loop."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.adversarial import has_bf16
from benchmarks.timing import median, ratio, side_by_side

RATE = {"lr": 2e-4, "betas": (0.5, 0.999)}
LATENT, WIDTH, MASK = 32, 16, 0.1


def vgan(batch: int = 32, steps: int = 8) -> list[dict[str, Any]]:
    """VGAN at 16 frames of 32x32 in colour: clips per second, ours and a plain loop.

    Ours uses bf16 if the CPU has it. The loop is in float32 with the same networks, a DataLoader and
    one set of samples for both players. Check: the critic's loss after the steps is near that of
    the loop.
    """
    import pushforward as pf

    source = pf.read("moving-shapes", n=batch * 8)
    x = source.take(torch.arange(len(source))).x
    last: dict[str, float] = {}

    def ours() -> float:
        rate, last["pushforward"] = _fit(x, batch, steps)
        return rate

    def theirs() -> float:
        rate, last["plain loop"] = _plain(x / 127.5 - 1, batch, steps)
        return rate

    rates = side_by_side({"pushforward": ours, "plain loop": theirs}, rounds=3)
    return [
        {
            "name": "vgan",
            "what": f"VGAN 16x32x32x3, width {WIDTH}, batch {batch}, both players",
            "against": "a plain float32 loop of the same networks",
            "clips per second": {name: median(values) for name, values in rates.items()},
            "ratio": ratio(rates["pushforward"], rates["plain loop"]),
            "target": 1.0,
            "check": {
                **{f"critic's loss, {name}": round(value, 3) for name, value in last.items()},
                "agree": abs(last["pushforward"] - last["plain loop"]) < 0.5,
            },
        }
    ]


def _fit(x: Tensor, batch: int, steps: int) -> tuple[float, float]:
    """Clips per second after the first step, and the critic's last loss."""
    import pushforward as pf

    events: list[Any] = []
    by = pf.Trainer(
        steps=steps,
        batch=batch,
        quiet=True,
        precision="bf16-mixed" if has_bf16() else "32-true",
        evaluate_every=10_000,
        listeners=[events.append],
    )
    pf.VGAN(latent=LATENT, width=WIDTH, mask_weight=MASK).fit(x, by=by)
    reports = [e for e in events if type(e).__name__ == "Progress"]
    spent = reports[-1].seconds - reports[0].seconds
    return (reports[-1].samples - reports[0].samples) / max(spent, 1e-9), reports[-1].terms[
        "critic"
    ]


def _plain(x: Tensor, batch: int, steps: int) -> tuple[float, float]:
    from pushforward.nets.video import ClipCritic, ClipGenerator, Streams, compose

    torch.manual_seed(0)
    event = tuple(x.shape[1:])
    generator, critic = ClipGenerator(LATENT, event, WIDTH), ClipCritic(event, WIDTH)
    moves = [torch.optim.Adam(network.parameters(), **RATE) for network in (critic, generator)]  # type: ignore[arg-type]
    data = torch.utils.data.TensorDataset(x)
    loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True)
    softplus = torch.nn.functional.softplus
    done, loss, began = 0, 0.0, time.perf_counter()
    while done < steps:
        for (real,) in loader:
            streams = Streams(*generator(torch.randn(len(real), LATENT)))
            fake = compose(streams)
            critic.zero_grad()
            of_critic = softplus(-critic(real)).mean() + softplus(critic(fake.detach())).mean()
            of_critic.backward()
            moves[0].step()
            generator.zero_grad()
            (softplus(-critic(fake)).mean() + MASK * streams.mask.mean()).backward()
            moves[1].step()
            loss, done = of_critic.item(), done + 1
            if done == 1:
                began = time.perf_counter()
            if done == steps:
                break
    return (steps - 1) * batch / max(time.perf_counter() - began, 1e-9), loss


BENCHMARKS = {"vgan": vgan}
