"""Hall-of-Fame players as a mixture of normal distributions,
p(x) = Σ_k π_k N(x; μ_k, Σ_k), and each component in words.

A career is nine numbers: rates per 36 minutes and percentages. Steals, blocks and rebounds were not
counted before 1974, nor threes before 1980; such numbers are missing, and the mixture marginalises
them exactly. The number of components and the kind of covariance are those of the lowest BIC.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.records import Record
from pushforward.experiments import fit_model
from pushforward.fitting.em import EM
from pushforward.models.classical.covariance_kinds import CovarianceKind
from pushforward.models.classical.gmm import GMM
from pushforward.plots.ellipses import clusters, profile
from pushforward.plots.style import new_page
from pushforward.recipes.basketball.careers import profiles, seasons_of
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "in_words", "completed", "chosen"]

FEATURES = (
    "points",
    "assists",
    "rebounds",
    "steals",
    "blocks",
    "threes tried",
    "free throws tried",
    "field goal %",
    "free throw %",
)
LEAST_MINUTES = 5000
KINDS: tuple[CovarianceKind, ...] = ("tied", "diagonal", "full")
COUNTS = range(1, 6)
NAMED = 4
LEAST_SEEN = 5
"""A cluster's mean is shown if the statistic was recorded for this share of its players."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    folder: Path | None = None,
) -> Findings:
    """The clusters, what distinguishes each from all, and examples of each."""
    careers = _careers(paths[0])
    x = torch.tensor(careers[list(FEATURES)].to_numpy(dtype="float64"))
    model, criteria = chosen(careers[list(FEATURES)], seed, folder)
    order = model.weights_.argsort(descending=True)
    model = GMM.of(
        model.weights_[order], model.means_[order], model.covariances_[order], model.space
    )
    data = (
        f"{paths[0].name}, {len(careers)} Hall-of-Fame careers of {LEAST_MINUTES} minutes or more"
    )
    filled = completed(model, x)
    z = _standardised(model)
    owner, sure = model.assign(x), model.responsibilities(x).amax(1)
    counted = torch.stack([(~torch.isnan(x[owner == k])).sum(0) for k in range(len(z))])
    z = torch.where(counted >= LEAST_SEEN, z, torch.nan)
    rows, labels = _described(careers, z, owner, sure)
    records = {
        f"BIC, {kind}, {k}": Record("bic", value, 0.0, unit="nats", data=data, n=len(x))
        for (kind, k), value in criteria.items()
    }
    records["responsibility"] = Record.of(
        "largest responsibility", sure, data=data, details={"components": len(z)}
    )
    gaps = torch.isnan(x).any(1)
    no_rebounds = torch.isnan(x[:, FEATURES.index("rebounds")])
    notes = [
        (
            f"{len(careers)} careers, {int(gaps.sum())} of them with numbers nobody counted at the"
            " time: marginalised, not imputed"
        ),
        (
            f"lowest BIC: {len(z)} components with {min(criteria, key=lambda c: criteria[c])[0]}"
            f" covariance; a player's own cluster has probability {float(sure.mean()):.2f} on"
            " average"
        ),
        (
            "high and low: more than half a standard deviation from the mean of these players; per"
            " 36 minutes"
        ),
    ]
    image = _image(model, filled, owner, no_rebounds, z, labels)
    return Findings(
        records,
        ("cluster", "players", "what it is", "among them"),
        rows,
        notes,
        {"hall-of-fame": image},
    )


def _careers(path: Path) -> Any:
    """The careers of the Hall of Fame with enough minutes, a row each.

    Raises:
        BadSource: If there are too few.
    """
    frame = seasons_of(path)
    stars = frame[frame.player.str.endswith("*")]
    if not len(stars):
        raise BadSource(
            f"{path}: no player's name ends with '*', which marks the Hall of Fame; mark those"
            " to cluster with it"
        )
    careers = profiles(stars, ["player"])
    careers = careers[careers.minutes >= LEAST_MINUTES].reset_index(drop=True)
    if len(careers) < 20:
        raise BadSource(
            f"{path}: {len(careers)} players of the Hall of Fame have {LEAST_MINUTES} minutes;"
            " a mixture needs at least 20"
        )
    return careers


def _described(
    careers: Any, z: Tensor, owner: Tensor, sure: Tensor
) -> tuple[list[list[str]], list[str]]:
    """A row for every cluster (its size, itself in words, and examples), and its label in the
    image.
    """
    names = [str(p).rstrip("*") for p in careers.player]
    rows, labels = [], []
    for k in range(len(z)):
        members = (owner == k).nonzero()[:, 0].tolist()
        # the best known of the clear members, by points scored
        examples = sorted(
            members, key=lambda i: (float(sure[i]) < 0.8, -float(careers["all points"][i]))
        )[:NAMED]
        labels.append(f"{k}: " + ", ".join(names[i].split(" ")[-1] for i in examples[:2]))
        line = [str(k), f"{len(members)}", in_words(z[k]), ", ".join(names[i] for i in examples)]
        rows.append(line)
    return rows, labels


def chosen(
    frame: Any, seed: int, folder: Path | None = None
) -> tuple[GMM, dict[tuple[str, int], float]]:
    """The mixture of lowest BIC over kinds of covariance and sizes, and all criteria."""
    best: GMM | None = None
    criteria: dict[tuple[str, int], float] = {}
    for kind in KINDS:
        for k in COUNTS:
            model = fit_model(
                GMM(k, covariance=kind, starts=1 if k == 1 else 4, floor=1e-2),
                frame,
                by=EM(steps=100, tolerance=1e-4, seed=seed),
                folder=run_folder(folder, f"gmm-{kind}-{k}"),
            )
            criteria[kind, k] = model.bic(frame)
            if best is None or criteria[kind, k] <= min(criteria.values()):
                best = model
    assert best is not None
    return best, criteria


def in_words(z: Tensor, threshold: float = 0.5) -> str:
    """What is high and what is low, from differences (d,) in standard deviations.

    The strongest come first.
    """
    order = z.abs().nan_to_num(0).argsort(descending=True).tolist()
    high = [FEATURES[i] for i in order if z[i] > threshold]
    low = [FEATURES[i] for i in order if z[i] < -threshold]
    phrases = [
        f"{word} {', '.join(features[:4])}"
        for word, features in (("high", high), ("low", low))
        if features
    ]
    return "; ".join(phrases) or "close to the average in everything"


def _standardised(model: GMM) -> Tensor:
    """The components' means in standard deviations from the mean of the mixture (k, d)."""
    mean = model.weights_ @ model.means_
    variance = model.weights_ @ (
        model.covariances_.diagonal(dim1=1, dim2=2) + (model.means_ - mean).square()
    )
    return (model.means_ - mean) / variance.sqrt()


def completed(model: GMM, x: Tensor) -> Tensor:
    """Rows (n, d) with missing values replaced by Σ_k r_k E[x_m | x_o, k], for drawing only."""
    rows = x.clone()
    for i in torch.isnan(rows).any(1).nonzero()[:, 0].tolist():
        gap = torch.isnan(x[i])
        conditional = model.condition({int(j): float(x[i, j]) for j in (~gap).nonzero()[:, 0]})
        rows[i, gap] = conditional.weights_ @ conditional.means_
    return rows


def _image(
    model: GMM, filled: Tensor, owner: Tensor, gaps: Tensor, z: Tensor, labels: list[str]
) -> Any:
    figure, grid = new_page(13.0, 4.9, 1, 2, width_ratios=[1, 1.1])
    frame = model.fitted_space().export(filled)
    title = f"{len(filled)} Hall-of-Fame careers, {len(z)} clusters"
    clusters(
        model,
        frame,
        axes=["rebounds", "assists"],
        owner=owner,
        hollow=gaps.numpy(),
        ax=grid[0, 0],
        title=title,
    )
    grid[0, 0].set_xlabel("rebounds per 36 minutes (hollow: expected, since not counted then)")
    grid[0, 0].set_ylabel("assists per 36 minutes")
    grid[0, 0].set_ylim(bottom=0)
    profile(
        z,
        labels,
        FEATURES,
        ax=grid[0, 1],
        title="each cluster's mean, against all of them (-: hardly counted)",
    )
    return figure
