r"""The lecture's one-dimensional demonstration: a GAN learns N(-1, 1), frame by frame.

With data density p and generator density q the best critic is D*(x) = p(x) / (p(x) + q(x)), ½
everywhere once q = p. Each frame shows p, q (by kernels, from the same codes every time), the
critic's D(x) = σ(c(x)) and D*(x) for the q of that frame, which shows how far the critic lags at
every x. Measured on 10 000 samples against the distribution itself: the Kolmogorov-Smirnov distance
(an ideal sampler's is .009), the mean's error and the standard deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.learner import Learner
from pushforward.core.random import derive, normal
from pushforward.core.records import Record
from pushforward.experiments import fit_model
from pushforward.fitting.film import Film, Frame
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.two_samples import ks_to_cdf
from pushforward.models.classical.kde import KDE
from pushforward.models.deep.gan import GAN
from pushforward.plots.critics import critic_on_line
from pushforward.plots.films import choose_frames, film, strip
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "draw", "learn", "vanilla", "untrained", "measured", "MEAN", "SD"]

MEAN, SD = -1.0, 1.0
ROWS, DRAWS = 10_000, 10_000
STEPS, BATCH = 2000, 256
CODES = 2000
LOW, HIGH, CELLS = -5.5, 3.5, 181
FLOOR = 1e-3
"""Least density of data and samples together at which the best critic is drawn."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train, record the film, and measure."""
    x, watched, steps, drawing = (
        draw(seed),
        Film(look),
        max(1, round(budget * STEPS)),
        derive(seed, "samples"),
    )
    samples = {
        "untrained": untrained(seed),
        "vanilla": vanilla(x, seed=seed, steps=steps, folder=run_folder(folder, "vanilla")).sample(
            DRAWS, rng=drawing
        ),
        "fitted": learn(
            x, seed=seed, steps=steps, film=watched, folder=run_folder(folder, "fitted")
        ).sample(DRAWS, rng=drawing),
    }
    frames = watched.frames()
    measures = {who: measured(numbers, seed) for who, numbers in samples.items()}
    records = {
        f"{name}, {who}": record for who, row in measures.items() for name, record in row.items()
    }
    targets = {"KS distance": "< 0.05", "mean": "-1.1 to -0.9", "standard deviation": "0.8 to 1.2"}
    rows = [
        [name, *(f"{measures[who][name].value:.3f}" for who in samples), words]
        for name, words in targets.items()
    ]
    notes = [
        (
            f"{ROWS} training numbers from N(-1, 1), {steps} steps of {BATCH}; measured on {DRAWS}"
            " samples"
        ),
        (
            "vanilla: one constant rate, the last weights; fitted: a faster critic, rates that"
            " fall, an average of the weights"
        ),
    ]
    images, films = _figures(frames)
    return Findings(records, ("what", *samples, "asked"), rows, notes, images, films)


def draw(seed: int) -> Tensor:
    """Training numbers (n, 1)."""
    return MEAN + SD * normal(ROWS, 1, rng=derive(seed, "data"))


def learn(
    x: Tensor,
    *,
    seed: int,
    steps: int = STEPS,
    film: Film | None = None,
    folder: Path | None = None,
) -> GAN:
    """The original game without a penalty, with an average of the weights.

    The game circles around the solution, and the average is near it. The critic's rate is three
    times the generator's, so that it can follow (two time scales).

    The critic's rate is three times the generator's, so that it can follow (two time scales).
    """
    optimizers = {
        "critic": "adam(rate=0.003, beta1=0.5)",
        "generator": "adam(rate=0.001, beta1=0.5)",
    }
    by = Trainer(
        steps=steps,
        batch=BATCH,
        seed=seed,
        schedule="cosine",
        ema=0.995,
        optimizers=optimizers,
        film=film,
    )
    return fit_model(fresh(), x, by=by, folder=folder)


def vanilla(x: Tensor, *, seed: int, steps: int = STEPS, folder: Path | None = None) -> GAN:
    """The same networks with one constant rate and no average of the weights."""
    optimizers = dict.fromkeys(("critic", "generator"), "adam(rate=0.001, beta1=0.5)")
    by = Trainer(steps=steps, batch=BATCH, seed=seed, optimizers=optimizers)
    return fit_model(fresh(), x, by=by, folder=folder)


def fresh() -> GAN:
    """The untrained players."""
    return GAN(latent=1, hidden=(32, 32), penalties=())


def untrained(seed: int) -> Tensor:
    """Samples of the untrained generator."""
    first = Film(lambda model: {"x": model.sample(DRAWS, rng=derive(seed, "samples"))})  # type: ignore[operator]
    learn(draw(seed), seed=seed, steps=1, film=first)
    return first.frames()[0].tensors["x"]


def measured(x: Tensor, seed: int) -> dict[str, Record]:
    """KS distance, mean and standard deviation of samples (n, 1)."""
    x = x.double()
    name = f"N({MEAN:g}, {SD:g})"
    facts: dict[str, Any] = {"bound": "estimate", "data": f"{name}, seed {seed}"}
    sd = float(x.std())
    return {
        "KS distance": ks_to_cdf(lambda at: torch.special.ndtr((at - MEAN) / SD), x, name=name),
        "mean": Record.of("mean", x[:, 0], **facts),
        "standard deviation": Record(
            "standard deviation", sd, sd / (2 * len(x)) ** 0.5, n=len(x), **facts
        ),
    }


# ------------------------------------------------------------------------------------------- images


def places() -> Tensor:
    """Positions at which curves are drawn (CELLS, 1), float64."""
    return torch.linspace(LOW, HIGH, CELLS, dtype=torch.float64)[:, None]


def look(model: Learner) -> Mapping[str, Tensor]:
    """The data of a frame: samples of the same codes, and the critic along the line."""
    assert isinstance(model, GAN)
    z = normal(CODES, 1, rng=0)
    return {"x": model.decode(z), "critic": model.critic(model.to_model(places().float()))[:, 0]}


def curves(frame: Frame) -> dict[str, Tensor]:
    """Densities of data and samples, D and D* at the positions (CELLS,)."""
    at, x = places(), frame.tensors["x"].double()
    p = torch.exp(-0.5 * ((at[:, 0] - MEAN) / SD).square()) / (SD * (2 * torch.pi) ** 0.5)
    q = fit_model(KDE(), x).log_prob(at).exp()
    best = torch.where(p + q > FLOOR, p / (p + q), torch.nan)
    return {
        "data": p,
        "samples": q,
        "critic": frame.tensors["critic"].double().sigmoid(),
        "best critic": best,
    }


def _figures(frames: Sequence[Frame]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures: the strip and the film."""
    panel = {"": critic_on_line(places()[:, 0], [curves(frame) for frame in frames])}
    steps = [frame.samples // BATCH for frame in frames]
    times = [f"step {step:,}" for step in steps]
    title = "A generator learns N(-1, 1): densities, and the critic's D(x)"
    return {"one-dimension": strip(panel, times, choose_frames(steps), title=title, side=2.5)}, {
        "one-dimension": film(panel, times, side=4.2)
    }
