"""Where a player shoots from, as a density on the court:
Σ_i |h_i²|⁻¹ K((x - x_i) / h_i), with h_i small where shots are dense.

A single bandwidth either blurs the rim or leaves specks along the arc. Abramson's h_i ∝ f(x_i)^-½
does neither, and its effect is measured by the log-density of held-out shots, in five folds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.random import derive, permutation
from pushforward.core.records import Record
from pushforward.experiments import fit_model
from pushforward.models.classical.gaussian import Gaussian
from pushforward.models.classical.gmm import GMM
from pushforward.models.classical.kde import KDE
from pushforward.plots.axis_distributions import evaluate_grid
from pushforward.plots.density import density_map, mass_levels
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.style import new_page
from pushforward.recipes.basketball.court import HALF, beyond_arc, draw_court
from pushforward.recipes.basketball.court_maps import DARKEST
from pushforward.recipes.basketball.shots import (
    HALF_COURT,
    court_space,
    entitled,
    places,
    player_shots,
)
from pushforward.recipes.listing import SHOT_COLUMNS
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "density", "folds"]

FOLDS = 5
"""Folds of the cross-validation."""
AREA = 50 * HALF
"""Area of half a court in square feet; a uniform density is its inverse."""


def density() -> KDE:
    """The estimate drawn: adaptive, with the bandwidth of the highest leave-one-out likelihood."""
    return KDE("likelihood", adaptive="abramson", boundary="reflect", bounds=HALF_COURT)


CANDIDATES: Mapping[str, Callable[[], Any]] = {
    "one normal distribution": Gaussian,
    "mixture of 10 normal distributions": lambda: GMM(10, starts=2, floor=1e-4),
    "kernels, Scott's bandwidth": lambda: KDE(boundary="reflect", bounds=HALF_COURT),
    "kernels, likeliest bandwidth": lambda: KDE(
        "likelihood", boundary="reflect", bounds=HALF_COURT
    ),
    "kernels, adaptive": density,
}


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    folder: Path | None = None,
) -> Findings:
    """The density of one player's shots, and how well five estimates predict unseen shots."""
    frame, name = player_shots(paths[0], SHOT_COLUMNS, players, "Stephen Curry")
    in_half = frame.LOC_Y <= HALF
    x = places(frame[in_half], seed)
    data = f"{paths[0].name}, {name}, {len(x)} shots on the half court, {FOLDS} folds"
    records = {
        key: Record.of(
            "log_prob", folds(x, make, seed), unit="nats", measure="density per unit", data=data
        )
        for key, make in CANDIDATES.items()
    }
    fitted = fit_model(density(), Arrays(x, space=court_space(x)), folder=run_folder(folder, "kde"))
    u, v, f = evaluate_grid(fitted, (-25.0, 0.0), (25.0, HALF), 250)
    area = float((u[1] - u[0]) * (v[1] - v[0]))
    half = next(iter(mass_levels(f, (0.5,), area)))
    spot = divmod(int(f.argmax()), len(u))
    three = beyond_arc(x)
    size, unit = float((f >= half).sum() * area), "square feet"
    facts = {
        "area with half of the shots": Record(
            "area", size, unit=unit, bound="estimate", data=data, n=len(x)
        ),
        "share beyond the arc": Record.of("share", torch.as_tensor(three).double(), data=data),
    }
    gain = records["kernels, adaptive"].value - records["kernels, Scott's bandwidth"].value
    notes = [
        f"{name}: {len(x)} shots on the half court"
        + (f" ({int((~in_half).sum())} from farther away left out)" if (~in_half).any() else ""),
        (
            f"half of them come from {size:.0f} of {AREA:.0f} {unit}; {three.mean():.0%} are from"
            f" beyond the arc; the densest spot is ({u[spot[1]]:.1f}, {v[spot[0]]:.1f})"
        ),
        (
            f"adaptive kernels make an unseen shot {gain:.2f} nats likelier than Scott's"
            f" bandwidth does: {math.exp(gain):.2f} times as likely"
        ),
    ]
    title = f"{entitled(name, frame)}: where {len(x):,} shots came from"
    image = _image(fitted, title, top=100 * max(mass_levels(f, (DARKEST,), area)))
    rows = [[key, f"{r.value:.3f} ± {r.error:.3f}"] for key, r in records.items()]
    return Findings(
        {**records, **facts},
        ("estimate", "log-density of unseen shots, nats"),
        rows,
        notes,
        {"curry": image},
    )


def _image(fitted: KDE, title: str, *, top: float) -> Figure:
    image, ax = new_page(6.6, 5.6)
    density_map(
        fitted,
        limits=((-25.0, 0.0), (25.0, HALF)),
        shares=(0.5, 0.9),
        contour_names="legend",
        scale=100,
        unit="of 100 shots, how many per square foot",
        title=title,
        ax=ax,
        top=top,
    )
    draw_court(ax)
    return image


def folds(x: Tensor, make: Callable[[], Any], seed: int) -> Tensor:
    """The log-density of every row (n,) under a model fitted without its fold."""
    order = permutation(len(x), rng=derive(seed, "folds"))
    values = torch.empty(len(x), dtype=torch.float64)
    for fold in range(FOLDS):
        fold_rows = order[fold::FOLDS]
        keep = torch.ones(len(x), dtype=torch.bool).index_fill_(0, fold_rows, False)
        values[fold_rows] = fit_model(make(), x[keep]).log_prob(x[fold_rows]).double()
    return values
