"""A player's heat map: where he shoots, f(x), and how often it goes in there,
by Bayes' rule from two kernel densities:

    P(made | x) = P(made) f(x | made) / f(x) = Σ_i made_i K((x - x_i)/h) / Σ_i K((x - x_i)/h),

shrunk to his average p̄ by m imagined shots, (Σ made_i K + m p̄) / (Σ K + m) with K(0) = 1. The
bandwidth and m are those under which the outcomes of unseen shots are least surprising (ten folds);
the numbers show whether position matters at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource
from pushforward.core.random import derive, permutation
from pushforward.core.records import Record
from pushforward.experiments import fit_model
from pushforward.plots.axis_distributions import evaluate_grid
from pushforward.recipes.basketball.court import HALF, beyond_arc
from pushforward.recipes.basketball.court_maps import heat_and_accuracy
from pushforward.recipes.basketball.curry import density
from pushforward.recipes.basketball.shots import court_space, entitled, places, player_shots
from pushforward.recipes.listing import SHOT_COLUMNS
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "accuracy", "surprise"]

BANDWIDTHS = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Bandwidths to try in feet, from an arm's length to half the width of the key."""
IMAGINED = (1.0, 3.0, 10.0, 30.0)
"""Numbers of imagined shots to try, a factor of about 3 apart."""
FOLDS = 10
"""Folds of the cross-validation."""
DEPTH = 35.0
"""Depth of the drawing in feet from the baseline: hardly any shots come from farther out."""
CELLS = 200
"""Cells along each side of the maps: a quarter of a foot, finer than any bandwidth."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    folder: Path | None = None,
) -> Findings:
    """The heat map, accuracy by place, and how much position says about a shot's outcome."""
    frame, name = player_shots(paths[0], (*SHOT_COLUMNS, "SHOT_MADE"), players, "LaMarcus Aldridge")
    frame = frame[frame.LOC_Y <= HALF]
    x, made = (
        places(frame, seed),
        torch.tensor([_yes(v, paths[0]) for v in frame.SHOT_MADE], dtype=torch.float64),
    )
    data = f"{paths[0].name}, {name}, {len(x)} shots on the half court, {FOLDS} folds"
    losses = {(h, m): surprise(x, made, (h, m), seed) for h in BANDWIDTHS for m in IMAGINED}
    h, m = min(losses, key=lambda pair: float(losses[pair].mean()))
    rate = float(made.mean())
    records = _bits(surprise(x, made, None, seed), losses[h, m], (h, m), data)
    records["made"] = Record.of("share", made, data=data)
    fitted = fit_model(density(), Arrays(x, space=court_space(x)), folder=run_folder(folder, "kde"))
    u, v, f = evaluate_grid(fitted, (-25.0, 0.0), (25.0, DEPTH), CELLS)
    grid = torch.as_tensor(np.stack(np.meshgrid(u, v), -1).reshape(-1, 2))
    share = accuracy(x, made, grid, (h, m), rate).reshape(CELLS, CELLS).numpy()
    shares = {zone: _share(made[mask], data) for zone, mask in _zones(x).items()}
    records |= {f"made, {zone}": record for zone, record in shares.items()}
    rows = [
        [
            zone,
            f"{r.n}",
            f"{r.n / len(x):.0%}",
            f"{r.value:.1%} ± {r.error:.1%}" if r.n else "–",
        ]
        for zone, r in shares.items()
    ]
    gain = records["bits gained"]
    smoothing = f"kernels of {h:g} ft, {m:g} imagined shot{'s' * (m > 1)}"
    notes = [
        f"{name}: {len(x)} shots, {rate:.1%} made",
        (
            f"knowing the place ({smoothing}) makes an unseen shot's fate {gain.value:.3f} ±"
            f" {gain.error:.3f} bits less surprising than his average does"
            f" ({records['bits by his average'].value:.3f} bits)"
        ),
    ]
    title = f"{entitled(name, frame)}: {len(x):,} shots, {rate:.1%} made"
    image = heat_and_accuracy(
        u,
        v,
        100 * f,
        100 * share,
        middle=100 * rate,
        area=(u[1] - u[0]) * (v[1] - v[0]) / 100,
        depth=DEPTH,
        title=title,
    )
    return Findings(records, ("from", "shots", "share", "made"), rows, notes, {"aldridge": image})


def _bits(
    plain: Tensor, placed: Tensor, smoothing: tuple[float, float], data: str
) -> dict[str, Record]:
    """How surprising outcomes are by the average and by place, bits (n,), and the difference."""
    details = dict(zip(("bandwidth", "imagined"), smoothing))
    return {
        "bits by his average": Record.of("log loss", plain, unit="bits", data=data),
        "bits by place": Record.of("log loss", placed, unit="bits", data=data, details=details),
        "bits gained": Record.of("log loss gained", plain - placed, unit="bits", data=data),
    }


def _zones(x: Tensor) -> dict[str, Tensor]:
    """The zones of the court by name, and which shots (n, 2) are from each (n,)."""
    distance = torch.hypot(x[:, 0], x[:, 1] - 5.25)
    three = torch.as_tensor(beyond_arc(x))
    return {
        "under 4 ft": distance < 4,
        "4 to 10 ft": (distance >= 4) & (distance < 10),
        "10 ft to the arc": (distance >= 10) & ~three,
        "three points": three,
    }


def _share(made: Tensor, data: str) -> Record:
    """The share of shots made (n,), with the standard deviation of the posterior under the Jeffreys
    prior, which is valid even if none went in.
    """
    n = len(made)
    p = float(made.mean()) if n else float("nan")
    smooth = (n * p + 0.5) / (n + 1) if n else float("nan")
    return Record("share", p, (smooth * (1 - smooth) / (n + 2)) ** 0.5, data=data, n=n)


def accuracy(
    x: Tensor, made: Tensor, at: Tensor, smoothing: tuple[float, float], rate: float
) -> Tensor:
    """The share of shots made (m,) at places (m, 2), from shots x (n, 2).

    Uses kernels of h feet, and m imagined shots at the player's average.
    """
    h, m = smoothing
    kernels = torch.cdist(at, x).div_(h).square_().mul_(-0.5).exp_()
    return (kernels @ made + m * rate) / (kernels.sum(1) + m)


def surprise(x: Tensor, made: Tensor, smoothing: tuple[float, float] | None, seed: int) -> Tensor:
    """-log₂ of the predicted probability of each shot's outcome (n,).

    Predictions are made without the shot's fold, or by the average alone if `smoothing` is None.
    """
    order = permutation(len(x), rng=derive(seed, "folds"))
    p = torch.empty_like(made)
    for fold in range(FOLDS):
        fold_rows = order[fold::FOLDS]
        keep = torch.ones(len(x), dtype=torch.bool).index_fill_(0, fold_rows, False)
        rate = float((made[keep].sum() + 0.5) / (keep.sum() + 1))
        p[fold_rows] = (
            rate
            if smoothing is None
            else accuracy(x[keep], made[keep], x[fold_rows], smoothing, rate)
        )
    return -torch.where(made > 0, p, 1 - p).log2()


def _yes(value: object, path: Path) -> float:
    text = str(value).strip().lower()
    if text in ("true", "1", "1.0", "made shot"):
        return 1.0
    if text in ("false", "0", "0.0", "missed shot"):
        return 0.0
    raise BadSource(f"{path}: SHOT_MADE must be true or false, got {value!r}; map it to 1 and 0")
