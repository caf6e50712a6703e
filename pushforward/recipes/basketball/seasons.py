"""Players' seasons in the plane of their two principal components,
x ≈ μ + z₁ u₁ + z₂ u₂, as a biplot.

A season is nine numbers, per 36 minutes and in percent, each in standard deviations of all seasons:
otherwise points, whose numbers are large, would dominate. The variance explained by two components
is measured on players all of whose seasons were held out, because another season of the same player
is not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.random import derive, permutation
from pushforward.core.records import Record
from pushforward.core.space import Column, Space
from pushforward.experiments import fit_model
from pushforward.metrics.reconstruction import squared_error
from pushforward.models.classical.pca import PCA
from pushforward.plots.spectrum import biplot
from pushforward.recipes.basketball.careers import profiles, seasons_of
from pushforward.recipes.basketball.hall_of_fame import FEATURES
from pushforward.recipes.basketball.shots import near
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "standard", "BEST_KNOWN"]

FIRST_YEAR, LEAST_MINUTES, HELD_OUT = 1980, 1500, 0.2
"""First season with a three-point line, least minutes, and share of players held out.

Below 1500 minutes, about 18 a game, rates are noise.
"""
COMPONENTS = (1, 2, 3, 5)
"""Numbers of components whose share is measured, besides the two that are drawn."""
BEST_KNOWN = {
    "Michael Jordan": 1988, "Magic Johnson": 1987, "Larry Bird": 1986, "John Stockton": 1990,
    "Hakeem Olajuwon": 1990, "Dennis Rodman": 1992, "Shaquille O'Neal": 2000, "Allen Iverson": 2001,
    "Ben Wallace": 2002, "Steve Nash": 2006, "Dwight Howard": 2011, "LeBron James": 2013,
    "Kyle Korver": 2015, "Stephen Curry": 2016, "Russell Westbrook": 2017, "Manute Bol": 1987,
    "James Harden": 2017, "DeAndre Jordan": 2015,
}  # fmt: skip


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    folder: Path | None = None,
) -> Findings:
    """The biplot of all seasons, and the variance of unseen players' seasons that it explains."""
    table = _seasons(paths[0])
    x, space = standard(table)
    data = (
        f"{paths[0].name}, {len(x)} seasons since {FIRST_YEAR} of {LEAST_MINUTES} minutes or more"
    )
    train, test = _by_player(table, seed)
    records: dict[str, Record] = {}
    rows = []
    total = x[test].sub(x[train].mean(0)).square().sum(1).mean()
    for k in COMPONENTS:
        model = fit_model(PCA(k), Arrays(x[train], space=space))
        record = squared_error(
            model, x[test], data=f"{data}; {len(test)} seasons of held-out players"
        )
        records[f"squared error, {k}"] = record
        rows.append(
            [
                str(k),
                f"{float(model.explained_variance_ratio_.sum()):.1%}",
                f"{1 - record.value / float(total):.1%}",
            ]
        )
    pca = fit_model(PCA(2), Arrays(x, space=space), folder=run_folder(folder, "pca"))
    named = _named(table, players)
    codes = pca.encode(x)
    notes = [
        f"{len(x)} seasons of {table.player.nunique()} players; numbers in standard deviations of"
        " all seasons"
    ]
    for i in range(2):
        notes.append(f"component {i + 1}: {_meaning(pca.components_[i])}")
    for position, label in (
        (int(codes[:, 0].argmax()), "far right"),
        (int(codes[:, 0].argmin()), "far left"),
        (int(codes[:, 1].argmax()), "top"),
    ):
        notes.append(f"{label}: {table.player[position]}, {_season(int(table.year[position]))}")
    title = (
        f"{len(x):,} seasons, {FIRST_YEAR - 1}-{FIRST_YEAR % 100:02d} to"
        f" {_season(int(table.year.max()))}"
    )
    image = biplot(pca, x, named=named, title=title)
    return Findings(
        records,
        ("components", "variance kept", "of unseen players"),
        rows,
        notes,
        {"seasons": image},
    )


def _seasons(path: Path) -> Any:
    """The seasons with enough minutes and all numbers, a row each.

    Raises:
        BadSource: If there are too few.
    """
    table = profiles(seasons_of(path), ["player", "year"])
    table = (
        table[(table.year >= FIRST_YEAR) & (table.minutes >= LEAST_MINUTES)]
        .dropna(subset=list(FEATURES))
        .reset_index(drop=True)
    )
    if len(table) < 50:
        raise BadSource(
            f"{path}: {len(table)} seasons since {FIRST_YEAR} have {LEAST_MINUTES} minutes and"
            " all numbers; expected 50 or more"
        )
    table["player"] = table.player.str.rstrip("*")
    return table


def standard(table: Any) -> tuple[Tensor, Space]:
    """The numbers of each season in standard deviations (n, d), and their space."""
    x = torch.tensor(table[list(FEATURES)].to_numpy(dtype="float64"))
    z = (x - x.mean(0)) / x.std(0)
    columns = tuple(
        Column(name, low=float(z[:, i].min()), high=float(z[:, i].max()))
        for i, name in enumerate(FEATURES)
    )
    return z, Space("points", (len(FEATURES),), columns, float(z.min()), float(z.max()))


def _by_player(table: Any, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of training players and of held-out players."""
    names = sorted(table.player.unique())
    order = permutation(len(names), rng=derive(seed, "players")).tolist()
    out = {names[i] for i in order[: max(1, round(HELD_OUT * len(names)))]}
    test = torch.tensor(table.player.isin(out).to_numpy())
    return (~test).nonzero()[:, 0], test.nonzero()[:, 0]


def _named(table: Any, players: Sequence[str]) -> dict[str, int]:
    """The seasons to name: each requested player's season with most points.

    Without a request, those of the best-known players in the table.
    """
    labels: dict[str, int] = {}
    for name in players:
        seasons = table[table.player == name]
        if not len(seasons):
            raise InvalidValue(
                f"no season of {name!r} has {LEAST_MINUTES} minutes since {FIRST_YEAR};"
                f" {near(name, list(table.player.unique()))}"
            )
        labels[_label(seasons.loc[seasons["all points"].idxmax()])] = int(
            seasons["all points"].idxmax()
        )
    if labels:
        return labels
    for name, year in BEST_KNOWN.items():
        seasons = table[(table.player == name) & (table.year == year)]
        if len(seasons):
            labels[_label(seasons.iloc[0])] = int(seasons.index[0])
    return labels


def _label(row: Any) -> str:
    first, _, last = str(row.player).partition(" ")
    return (
        f"{first[0]}. {last} {_season(int(row.year))}"
        if last
        else f"{first} {_season(int(row.year))}"
    )


def _season(year: int) -> str:
    return f"{year - 1}-{year % 100:02d}"


def _meaning(component: Tensor, count: int = 3) -> str:
    order = component.argsort(descending=True).tolist()
    return (
        f"{', '.join(FEATURES[i] for i in order[:count])} against"
        f" {', '.join(FEATURES[i] for i in order[: -1 - count : -1])}"
    )
