r"""Shooting maps in ten numbers (and in two), by an auto-encoder and by PCA.

A player's map is the share of a season's shots in each cell of 2 × 2 feet, smoothed by one cell.
Models see square roots of the shares: the squared distance of two of those is twice Hellinger's, H²
= ½ Σ (√p - √q)², which reduces the weight of the rim, where counts and hence their noise are
largest. Players with neighbouring codes have similar shooting maps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.model import Model
from pushforward.core.random import derive, permutation
from pushforward.core.records import Record
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.reconstruction import reconstruct, squared_error
from pushforward.models.classical.pca import PCA
from pushforward.models.deep.autoencoder import Autoencoder
from pushforward.recipes.basketball.court_maps import shot_maps
from pushforward.recipes.basketball.shots import near, read_table
from pushforward.recipes.registry import RECIPES, Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "maps_of", "neighbours", "recognised", "KNOWN"]

CELL, DEPTH, LATENT = 2.0, 36.0, 10
"""Feet of a cell and of the map; cells are as fine as 300 shots allow."""
LATENTS = (2, LATENT)
"""Dimensions of a code; two can be drawn."""
GRID = (round(DEPTH / CELL), round(50 / CELL))
LEAST_SHOTS, HELD_OUT, SPLITS = 300, 0.2, 5
"""Least shots in a season, share of players held out, and number of splits."""
KNOWN = (
    "Stephen Curry",
    "LeBron James",
    "James Harden",
    "Kevin Durant",
    "Dirk Nowitzki",
    "DeAndre Jordan",
    "DeMar DeRozan",
    "Kyle Korver",
)
DRAWN = ("Stephen Curry", "LeBron James", "Dirk Nowitzki", "DeAndre Jordan")


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    folder: Path | None = None,
) -> Findings:
    """Held-out errors over several splits by player, and the neighbours of well-known players."""
    names, seasons, maps = maps_of(paths)
    x = maps.sqrt().float()[:, None]
    data = (
        f"{', '.join(p.name for p in paths)}: {len(x)} seasons of {LEAST_SHOTS} shots or more,"
        f" {len(set(names))} players"
    )
    makers = {
        (key, k): partial(make, k)
        for k in LATENTS
        for key, make in (("PCA", _pca), ("auto-encoder", _autoencoder))
    }
    records, rows = _table(_split_errors(x, names, makers, seed, data), data)
    fitted = {
        key: makers[key, LATENT](x, seed, run_folder(folder, key))
        for key in ("PCA", "auto-encoder")
    }
    codes = fitted["auto-encoder"].encode(x).detach().double()
    latest = max(seasons)
    present = {name for name, season in zip(names, seasons) if season == latest}
    selected = list(players) or [p for p in KNOWN if p in present] or sorted(present)[:3]
    notes = [
        (
            f"{len(x)} seasons of {len(set(names))} players; {HELD_OUT:.0%} of the players held"
            f" out, {SPLITS} times; errors are 1000 × squared Hellinger distance, ± their standard"
            " error over the splits"
        ),
    ]
    returning = recognised(names, seasons, codes)
    if len(returning):
        record = Record.of("share", returning.double(), data=data, details={"among": len(present)})
        records["nearest to his own season before"] = record
        notes.append(
            f"of {len(returning)} players with two seasons {record.value:.0%} have their own code"
            f" nearest, among {len(present)}"
        )
    for player in selected:
        like = neighbours(player, names, seasons, codes, latest)
        notes.append(f"{player} shoots like {', '.join(names[i] for i in like)}")
    displayed = list(players) or [p for p in DRAWN if p in present] or selected
    image = _image(x, names, seasons, codes, fitted, displayed[:5], latest)
    return Findings(
        records,
        ("a map by", "numbers", "error on players not seen"),
        rows,
        notes,
        {"shot-maps": image},
    )


def _split_errors(
    x: Tensor,
    names: Sequence[str],
    makers: Mapping[tuple[str, int], Callable[[Tensor, int], Model]],
    seed: int,
    data: str,
) -> dict[tuple[str, int], list[Record]]:
    """Half the squared errors (squared Hellinger distances) on held-out players, of every model in
    every split, and of the mean map.
    """
    errors: dict[tuple[str, int], list[Record]] = {
        ("the mean map", 0): [],
        **{key: [] for key in makers},
    }
    for split in range(SPLITS):
        train, test = _by_player(names, derive(seed, "split", split))
        mean = (x[test] - x[train].mean(0)).square().flatten(1).sum(1)
        errors["the mean map", 0].append(Record.of("squared_error", mean / 2, data=data))
        for key, make in makers.items():
            record = squared_error(make(x[train], seed + split), x[test], data=data)
            errors[key].append(
                Record("squared_error", record.value / 2, record.error / 2, data=data, n=record.n)
            )
    return errors


def _table(
    errors: Mapping[tuple[str, int], Sequence[Record]], data: str
) -> tuple[dict[str, Record], list[list[str]]]:
    """The errors of every model over the splits and the differences of models, as records and as
    rows.
    """
    records = {
        f"{key}, {k}": _over_splits(key, k, values, data) for (key, k), values in errors.items()
    }
    rows = [
        [key, f"{k}", f"{1000 * r.value:.2f} ± {1000 * r.error:.2f}"]
        for (key, k), r in zip(errors, records.values())
    ]
    for k in LATENTS:
        record = _difference(errors["auto-encoder", k], errors["PCA", k], data)
        records[f"auto-encoder less PCA, {k}"] = record
        gap = f"{1000 * record.value:+.2f} ± {1000 * record.error:.2f}"
        rows.append(["auto-encoder less PCA", f"{k}", gap])
    return records, rows


def maps_of(paths: Sequence[Path]) -> tuple[list[str], list[str], Tensor]:
    """Players, seasons and smoothed maps (n, height, width) of seasons with enough shots.

    Each map sums to one.
    """
    names, seasons, maps = [], [], []
    for path in paths:
        frame = read_table(path, RECIPES["shot-maps"].columns).dropna()
        frame = frame[(frame.LOC_Y >= 0) & (frame.LOC_Y < DEPTH) & frame.LOC_X.between(-25, 25)]
        for (player, season), row in frame.groupby(["PLAYER_NAME", "SEASON_2"]):
            if len(row) >= LEAST_SHOTS:
                names.append(str(player))
                seasons.append(str(season))
                maps.append(_map(row.LOC_X.to_numpy(), row.LOC_Y.to_numpy()))
    if len(set(names)) < 3 * LATENT:
        raise BadSource(
            f"{paths[0]}: {len(set(names))} players have {LEAST_SHOTS} shots in a season; expected"
            f" at least {3 * LATENT}"
        )
    return names, seasons, torch.as_tensor(np.stack(maps))


def _map(across: Any, along: Any) -> Any:
    from scipy.ndimage import gaussian_filter

    counts = np.histogram2d(along, across, bins=GRID, range=[[0, DEPTH], [-25, 25]])[0]
    return gaussian_filter(counts / counts.sum(), 1.0, mode="reflect")


def _by_player(names: Sequence[str], seed: int) -> tuple[Tensor, Tensor]:
    """Rows of training players and of held-out players; no player is in both."""
    unique_names = sorted(set(names))
    out = {
        unique_names[i]
        for i in permutation(len(unique_names), rng=seed).tolist()[
            : round(HELD_OUT * len(unique_names))
        ]
    }
    test = torch.tensor([n in out for n in names])
    return (~test).nonzero()[:, 0], test.nonzero()[:, 0]


def _pca(latent: int, x: Tensor, seed: int, folder: Path | None = None) -> PCA:
    return fit_model(PCA(latent), Arrays(x), folder=folder)


def _autoencoder(latent: int, x: Tensor, seed: int, folder: Path | None = None) -> Autoencoder:
    model = Autoencoder(latent, hidden=(256,), activation="tanh")
    by = Trainer(
        epochs=150,
        batch=32,
        seed=seed,
        schedule="cosine",
        optimizers={"autoencoder": "adam(rate=0.002)"},
    )
    return fit_model(model, x, by=by, folder=folder)


def _over_splits(key: str, k: int, splits: Sequence[Record], data: str) -> Record:
    """The mean over splits and its standard error."""
    values = torch.tensor([r.value for r in splits], dtype=torch.float64)
    details = {
        "model": key,
        "numbers": k,
        "splits": len(values),
        "each": [round(v, 6) for v in values.tolist()],
    }
    error = float(values.std()) / math.sqrt(len(values))
    return Record(
        "squared Hellinger distance",
        float(values.mean()),
        error,
        data=data,
        n=splits[0].n,
        details=details,
    )


def _difference(one: Sequence[Record], two: Sequence[Record], data: str) -> Record:
    """The difference of two models on the same splits, which is more precise than either error."""
    gap = torch.tensor([a.value - b.value for a, b in zip(one, two)], dtype=torch.float64)
    return Record(
        "squared Hellinger distance",
        float(gap.mean()),
        float(gap.std()) / math.sqrt(len(gap)),
        data=data,
        n=one[0].n,
    )


def neighbours(
    player: str,
    names: Sequence[str],
    seasons: Sequence[str],
    codes: Tensor,
    season: str,
    most: int = 3,
) -> list[int]:
    """Rows of the other players of the same season whose codes are nearest."""
    pairs = list(zip(names, seasons))
    if (player, season) not in pairs:
        raise InvalidValue(
            f"no {LEAST_SHOTS} shots by {player!r} in {season}; {near(player, sorted(set(names)))}"
        )
    distances = (codes - codes[pairs.index((player, season))]).square().sum(1)
    return [i for i in distances.argsort().tolist() if seasons[i] == season and names[i] != player][
        :most
    ]


def recognised(names: Sequence[str], seasons: Sequence[str], codes: Tensor) -> Tensor:
    """Whether a player's nearest code in the latest season is his own (m,).

    The comparison is with his code of the season before.
    """
    latest = max(seasons)
    now = [i for i, s in enumerate(seasons) if s == latest]
    row = {names[i]: place for place, i in enumerate(now)}
    before = [i for i, s in enumerate(seasons) if s != latest and names[i] in row]
    nearest = torch.cdist(codes[before], codes[now]).argmin(1)
    return torch.tensor([int(nearest[k]) == row[names[i]] for k, i in enumerate(before)])


def _image(
    x: Tensor,
    names: Sequence[str],
    seasons: Sequence[str],
    codes: Tensor,
    fitted: dict[str, Any],
    displayed: Sequence[str],
    season: str,
) -> Any:
    rows, titles = [], []
    for player in displayed:
        row = list(zip(names, seasons)).index((player, season))
        other = neighbours(player, names, seasons, codes, season, 1)[0]
        restored = [
            reconstruct(fitted[key], x[row : row + 1])[0, 0].double().clamp_min(0)
            for key in ("auto-encoder", "PCA")
        ]
        rows.append(torch.stack([x[row, 0].double(), *restored, x[other, 0].double()]).square())
        titles.append([player, "", "", names[other]])
    heads = (
        "shots",
        f"{LATENT} numbers, auto-encoder",
        f"{LATENT} numbers, PCA",
        "nearest neighbour",
    )
    maps = 100 * torch.stack(rows) / CELL**2
    title = f"Shooting maps of {season}"
    return shot_maps(
        maps,
        titles,
        extent=(-25, 25, 0, DEPTH),
        heads=heads,
        unit="of 100 shots, how many per square foot",
        title=title,
    )
