r"""Does a GAN find all modes? A ring of 8 Gaussians and a grid of 25, with and without remedies.

    ring: ⅛ Σ N((cos πk/4, sin πk/4), .01² I)         grid: 1/25 Σ N((2i, 2j), .05² I), i, j = -2..2

On each set both configurations have the same networks, batches and number of steps. Of 2500 samples
(Lin et al. 2018, https://arxiv.org/abs/1712.04086): modes with a sample within 3 sd; the share of
samples within 3 sd of a centre, 98.9 % for an ideal sampler (more would be variance collapse); and
KL(shares of the samples by centre ‖ equal shares), (K - 1)/2N for an ideal one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.data import centres, read
from pushforward.experiments import fit_model
from pushforward.fitting.film import Film, Frame
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.modes import modes
from pushforward.models.deep.gan import GAN
from pushforward.plots.comparisons import compare_points
from pushforward.plots.films import choose_frames, film, scatter, strip
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "learn", "measured", "Player", "PLAYERS", "VANILLA", "BEST", "Task", "SETS"]

ROWS, DRAWS = 100_000, 2500
"""Training rows, and the 2500 samples of Lin et al. (2018) to measure."""
BATCH, LATENT = 256, 2
"""Settings of all players; a code of two dimensions is enough for a plane."""
CODES, SHOWN = 600, 6
"""Samples per frame of the film, and frames in the figure."""


@dataclass(frozen=True)
class Task:
    """What all players of a set have in common.

    Args:
        source: built-in name of the data.
        sd: standard deviation of the modes.
        network: of both players.
        steps: how many.
    """

    source: str
    sd: float
    network: str
    steps: int


@dataclass(frozen=True)
class Player:
    """A configuration of the GAN.

    Args:
        game, penalties, packing, hacks: as of a GAN.
        optimizer: of both players.
        schedule: of its rate.
        ema: of the weights sampled from.
    """

    optimizer: str = "adam(rate=0.0002, beta1=0.5)"
    game: str = "non_saturating"
    penalties: tuple[str, ...] = ()
    packing: int = 1
    hacks: tuple[str, ...] = ()
    schedule: str = "constant"
    ema: float | None = None


SETS: Mapping[str, Task] = {
    "ring": Task("eight_gaussians", 0.01, "veegan(width=64)", 3000),
    "grid": Task("grid", 0.05, 'mlp(hidden=(128, 128, 128), activation="relu")', 7500),
}
VANILLA, BEST = "vanilla", "best"
PACKED = Player("adam(rate=0.002, beta1=0.5)", packing=2, schedule="cosine", ema=0.99)
NOISY = Player(
    "adam(rate=0.002, beta1=0.0, beta2=0.99)",
    game="relativistic",
    hacks=("input_noise(sigma=0.2)",),  # of the sd of all data: modes are .71 apart and .018 wide
    # full rates until the noise is .05, three times as wide as a mode
    schedule="linear(start=0.75)",
    ema=0.99,
)
PLAYERS: Mapping[str, Mapping[str, Player]] = {
    "ring": {VANILLA: Player(), BEST: PACKED},
    "grid": {VANILLA: Player(), BEST: NOISY},
}


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train both players on both sets, count modes, and draw."""
    results: dict[tuple[str, str], list[Record]] = {}
    frames: dict[tuple[str, str], list[Frame]] = {}
    samples: dict[str, dict[str, Any]] = {name: {"data": data(name, seed)[:DRAWS]} for name in SETS}
    for name in SETS:
        for player in PLAYERS[name]:
            watched = Film(look)
            model = learn(
                name,
                player,
                seed=seed,
                budget=budget,
                film=watched,
                folder=run_folder(folder, f"{name}-{player}"),
            )
            samples[name][player] = model.sample(DRAWS, rng=derive(seed, "samples"))
            results[name, player], frames[name, player] = (
                measured(samples[name][player], name, seed),
                watched.frames(),
            )
    records = {
        f"{name}, {player}: {r.quantity}": r for (name, player), row in results.items() for r in row
    }
    rows = [[name, player, *cells(row)] for (name, player), row in results.items()]
    notes = [
        f"{ROWS:,} points, batches of {BATCH}, {DRAWS} samples, seed {seed}",
        *(
            f"{name}, {player}: {_description(SETS[name], how, budget)}"
            for name, two in PLAYERS.items()
            for player, how in two.items()
        ),
    ]
    heads = ("data", "player", "modes", "high quality (ideal)", "reverse KL, nats (ideal)")
    return Findings(records, heads, rows, notes, *images(samples, results, frames))


def data(name: str, seed: int) -> Tensor:
    """Training points (ROWS, 2)."""
    source = read(f"{SETS[name].source}:{ROWS}", seed=derive(seed, name))
    points: Tensor = source.x.float()  # type: ignore[attr-defined]
    return points


def learn(
    name: str,
    player: str,
    *,
    seed: int,
    budget: float = 1.0,
    film: Film | None = None,
    folder: Path | None = None,
) -> GAN:
    """Train one player's GAN on a set."""
    task, how = SETS[name], PLAYERS[name][player]
    model = GAN(
        latent=LATENT,
        network=task.network,
        game=how.game,
        penalties=how.penalties,
        packing=how.packing,
        hacks=how.hacks,
    )
    optimizers = dict.fromkeys(("critic", "generator"), how.optimizer)
    steps = steps_of(task, budget)
    by = Trainer(
        steps=steps,
        batch=BATCH,
        seed=seed,
        schedule=how.schedule,
        ema=how.ema,
        optimizers=optimizers,
        film=film,
    )
    return fit_model(model, data(name, seed), by=by, folder=folder)


def steps_of(task: Task, budget: float) -> int:
    """Training steps at a share of the usual budget."""
    return max(1, round(budget * task.steps))


def measured(x: Tensor, name: str, seed: int) -> list[Record]:
    """Modes, high-quality share and reverse KL of samples (n, 2)."""
    return modes(
        x,
        centres(SETS[name].source),
        SETS[name].sd,
        data=f"{name}, sd {SETS[name].sd:g}, seed {seed}",
    )


def look(model: Any) -> Mapping[str, Tensor]:
    """Samples of the same codes every time."""
    return {"x": model.sample(CODES, rng=0)}


def cells(row: Sequence[Record]) -> list[str]:
    """The cells of a row of the table."""
    count, good, divergence = row
    return [
        f"{count.value:.0f} of {count.details['modes']}",
        f"{good.value:.1%} ({good.details['ideal']:.1%})",
        f"{divergence.value:.4f} ({divergence.details['ideal']:.4f})",
    ]


def images(
    samples: Mapping[str, Mapping[str, Tensor]],
    results: Mapping[tuple[str, str], Sequence[Record]],
    frames: Mapping[tuple[str, str], Sequence[Frame]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures: samples beside data, and the strip and the film of the same codes."""
    words = {
        key: f"{cells(row)[0]} modes, {row[1].value:.0%} high quality"
        for key, row in results.items()
    }
    shortest = min(frames.values(), key=len)
    shares = [frame.samples / shortest[-1].samples for frame in shortest]
    panels = {
        f"{name}, {player}": scatter(
            [f.tensors["x"] for f in at(recorded, shares)], data=samples[name]["data"][:1000]
        )
        for (name, player), recorded in frames.items()
    }
    times = [f"{share:.0%} of the steps" for share in shares]
    comparison = compare_points(samples, words=words, title="2500 samples beside the data")
    story = strip(
        panels, times, choose_frames(shares, SHOWN), title="The same codes while the players learn"
    )
    return {"modes": comparison, "modes-strip": story}, {
        "modes": film(panels, times, columns=2, side=3.0)
    }


def at(recorded: Sequence[Frame], shares: Sequence[float]) -> list[Frame]:
    """The frames nearest to these shares of a fit."""
    return [
        min(recorded, key=lambda frame: abs(frame.samples / recorded[-1].samples - share))
        for share in shares
    ]


def _description(task: Task, how: Player, budget: float) -> str:
    """Describe a player in words."""
    packs = f"packs of {how.packing}" if how.packing > 1 else "no packs"
    extra = [*how.penalties, *how.hacks]
    parts = [
        f"{steps_of(task, budget)} steps",
        task.network,
        how.game,
        packs,
        *extra,
        f"{how.optimizer}, {how.schedule} rate",
    ]
    return ", ".join(
        [*parts, "no average of weights" if how.ema is None else f"average of weights {how.ema:g}"]
    )
