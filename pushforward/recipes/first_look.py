"""Pictures for a first look, of things that people recognise; `pushforward demo` makes a page of
them: digits written on demand, the lecture's ring, shots on a court, and a film of a GAN.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from pushforward.core.learner import Learner
from pushforward.core.random import derive, normal
from pushforward.data.reading import read
from pushforward.data.resampling import enlarge
from pushforward.experiments import fit_model
from pushforward.fitting.film import Film
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.vae import VAE
from pushforward.plots.axis_distributions import evaluate_grid
from pushforward.plots.density import density_map, mass_levels
from pushforward.plots.films import film, scatter, write_film
from pushforward.plots.latent import sheet
from pushforward.plots.style import new_page, write_figure
from pushforward.recipes import ring
from pushforward.recipes.basketball.court import HALF, beyond_arc, draw_court
from pushforward.recipes.basketball.court_maps import DARKEST
from pushforward.recipes.basketball.curry import density as density_of_shots
from pushforward.recipes.basketball.invented import invented_shots
from pushforward.recipes.first_look_page import Exhibit

__all__ = ["EXHIBITS", "Context", "exhibits"]

EPOCHS, RING_SAMPLES, STEPS = 120, 300_000, 1500
"""Budgets, for about 40 s of one CPU thread in all."""
RING_CODES = 12_000
"""Codes that the ring's density is an average over."""
SHOTS = 1200
"""About as many as a player takes in a season."""
EACH, ENLARGED = 12, 6
"""Samples of every digit, and how much larger they are drawn: 8 pixels are too few to see."""
BATCH, CODES, FRAMES = 256, 1000, 40
"""Of the GAN: rows per step, dots in its film, and frames at most, for a file below 300 kB."""


@dataclass(frozen=True)
class Context:
    """Where the runs and images go, and how long to train.

    Args:
        folder: the runs go to subfolders, the images to images/.
        budget: share of the usual training.
        seed: of everything random.
    """

    folder: Path
    budget: float = 1.0
    seed: int = 0

    def image(self, name: str) -> Path:
        """The path of an image."""
        return self.folder / "images" / name

    def command(self, verb: str, name: str, more: str = "") -> str:
        """A command that uses the run of this name."""
        return f"pushforward {verb} {shlex.quote(str(self.folder / name))} {more}".rstrip()

    def share(self, whole: int) -> int:
        """A budget, at least 1."""
        return max(1, round(self.budget * whole))


def exhibits(context: Context) -> Iterator[tuple[Exhibit, float]]:
    """Each picture with its caption, and the seconds that fitting and drawing took."""
    for make in EXHIBITS:
        began = time.monotonic()
        exhibit = make(context)
        yield exhibit, time.monotonic() - began


def digits_on_demand(context: Context) -> Exhibit:
    """A VAE of p(x | digit): samples of every digit."""
    epochs = context.share(EPOCHS)
    by = Trainer(
        epochs=epochs,
        batch=64,
        seed=context.seed,
        schedule="cosine",
        optimizers={"vae": "adam(rate=0.003)"},
    )
    model = VAE(latent=8, hidden=(256,), likelihood="gaussian(per_dimension=True)")
    run = context.folder / "digits"
    model = fit_model(model, read("digits", label=True), by=by, folder=run)
    labels = torch.arange(10).repeat_interleave(EACH)
    x = model.sample(len(labels), y=labels, rng=context.seed, using="mean")
    side = x.shape[-1] * ENLARGED
    space = replace(model.fitted_space(), shape=(1, side, side))
    large = enlarge(x.double(), ENLARGED).clamp(space.low, space.high)
    figure = sheet(
        large.reshape(10, EACH, 1, side, side),
        space,
        down=[str(digit) for digit in range(10)],
        names=("samples, not picked", "the digit asked for"),
    )
    return Exhibit(
        "Digits that nobody wrote",
        f"A VAE was trained on 1,797 handwritten digits of 8×8 pixels, for {epochs} epochs. Here it"
        " writes new ones, given the digit. They are drawn smoothly, six times as large.",
        write_figure(figure, context.image("digits.png")),
        context.command("sample", "digits", "--y 3 -n 36 --using mean --out threes.png"),
    )


def the_ring(context: Context) -> Exhibit:
    """The lecture's ring with its exact density and that of a VAE."""
    train = ring.draw(ring.ROWS, rng=derive(context.seed, "train"))
    run = context.folder / "ring"
    model = ring.learn(train, seed=context.seed, samples=context.share(RING_SAMPLES), folder=run)
    samples = model.sample(ring.ROWS, rng=derive(context.seed, "samples")).double()
    codes = context.share(RING_CODES)
    figure = ring.image(model, train, samples, context.seed, codes=codes)
    return Exhibit(
        "A distribution is pushed through a function",
        "Normal numbers z become a ring: x = z/10 + z/‖z‖, with a little noise. A VAE sees points"
        " of the ring only. Its density after a few seconds of training stands beside the exact"
        " one, which is known here; `pushforward recipe ring` trains it longer.",
        write_figure(figure, context.image("ring.png")),
        context.command("sample", "ring", "-n 1000 --out ring.csv"),
    )


def shots_on_a_court(context: Context) -> Exhibit:
    """The density of a made-up player's shots."""
    shots = max(100, context.share(SHOTS))
    x = invented_shots(shots, rng=derive(context.seed, "shots"))
    model = fit_model(density_of_shots(), x, folder=context.folder / "shots")
    limits = (-25.0, 0.0), (25.0, HALF)
    u, v, f = evaluate_grid(model, *limits, 120)
    figure, ax = new_page(6.6, 5.6)
    density_map(
        model,
        x,
        limits=limits,
        shares=(0.5, 0.9),
        contour_names="legend",
        scale=100,
        unit="of 100 shots, how many per square foot",
        ax=ax,
        top=100 * max(mass_levels(f, (DARKEST,), (u[1] - u[0]) * (v[1] - v[0]))),
    )
    draw_court(ax)
    return Exhibit(
        "Where a player shoots from",
        f"A kernel density of {shots:,} shots of a player whom we made up:"
        f" {float(beyond_arc(x).mean()):.0%} are from beyond the arc. Half of all shots fall"
        " inside the solid line. With a table of real shots, `pushforward recipe curry` does the"
        " same.",
        write_figure(figure, context.image("shots.png")),
        context.command("sample", "shots", "-n 100 --out shots.csv"),
    )


def gan_film(context: Context) -> Exhibit:
    """A film of a GAN that learns the ring."""
    rows = ring.draw(ring.ROWS, rng=derive(context.seed, "train")).float()
    watched = Film(_look, most=FRAMES)
    steps = context.share(STEPS)
    by = Trainer(steps=steps, batch=BATCH, seed=context.seed, ema=0.99, film=watched)
    fit_model(GAN(latent=2, hidden=(64, 64)), rows, by=by, folder=context.folder / "gan")
    frames = watched.frames()
    panel = scatter([f.tensors["x"] for f in frames], data=rows[:2000], equal=True)
    times = [f"step {f.samples // BATCH:,}" for f in frames]
    pictures: Iterator[Image.Image] = film({"a GAN learns the ring": panel}, times, side=3.8)
    return Exhibit(
        "A counterfeiter and a detective",
        f"A generator makes points from noise, a critic tells them from real ones. After {steps:,}"
        " steps of this game the samples cover the ring; a few stay inside, as a network cannot"
        " cut a hole. Each dot is one code, and its colour is where it ends.",
        write_film(pictures, context.image("gan-film.gif")),
        context.command("sample", "gan", "-n 1000 --out points.csv"),
    )


def _look(model: Learner) -> dict[str, Tensor]:
    """Samples of the same codes."""
    assert isinstance(model, GAN)
    return {"x": model.decode(normal(CODES, 2, rng=0))}


EXHIBITS: tuple[Callable[[Context], Exhibit], ...] = (
    digits_on_demand,
    the_ring,
    shots_on_a_court,
    gan_film,
)
"""In the order of the page."""
