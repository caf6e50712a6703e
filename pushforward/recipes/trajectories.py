"""Principal trajectories: a player's path of five seconds is a point in 50 dimensions (25 places in the plane), and PCA finds
the directions in which such points vary most. Every path is a mean path and so much of each principal trajectory.

Paths are smooth and the court is symmetric, so the components come out as Karhunen and Loève's do: where on the court,
running its length, there and back, … along and across in turn. How many are needed is asked of games not learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.records import Record
from pushforward.models.classical.pca import PCA
from pushforward.plots.court import trajectories
from pushforward.recipes.registry import Findings

__all__ = ["run", "paths_of", "RATE", "STEPS"]

RATE, STEPS = 5, 25
COURT = (94.0, 50.0)
FASTEST = 30.0
"""Feet per second no player runs: faster steps are faults of the cameras."""
SHOWN, COUNTS = 6, (2, 4, 6, 8, 10)
HELD_OUT = 0.3


def run(paths: Sequence[Path], *, seed: int = 0, players: Sequence[str] = ()) -> Findings:
    """The first principal trajectories, and the error of unseen games' paths restored from a few numbers each."""
    parts = [paths_of(path) for path in paths]
    if len(parts) == 1:
        # Neighbouring stretches show the same play, so the end of the file is held out and nothing is shuffled.
        cut = round((1 - HELD_OUT) * len(parts[0]))
        parts = [parts[0][:cut], parts[0][cut:]]
    train, held = parts[0], torch.cat(parts[1:])
    if min(len(train), len(held)) < 2 * STEPS:
        raise BadSource(f"{paths[0]}: {len(train)} and {len(held)} stretches of {STEPS / RATE:g} s; expected at least {2 * STEPS} each")
    pca = PCA(max(COUNTS)).fit(train.flatten(1))
    data = f"{paths[-1].name}, {len(held)} paths of {STEPS / RATE:g} s"
    records: dict[str, Record] = {}
    rows = []
    codes = pca.encode(held.flatten(1))
    for k in COUNTS:
        restored = (pca.mean_ + codes[:, :k] @ pca.components_[:k]).reshape(held.shape)
        miss = (restored - held).square().sum(2).mean(1).sqrt()
        records[f"miss, {k}"] = Record.of("root mean squared distance", miss, unit="feet", data=data, details={"components": k})
        kept = float(pca.explained_variance_ratio_[:k].sum())
        rows.append(
            [str(k), f"{kept:.1%}", f"{float(miss.mean()):.2f} ± {records[f'miss, {k}'].error:.2f}", f"{float(miss.quantile(0.95)):.2f}"]
        )
    shares = pca.explained_variance_ratio_
    shapes = pca.components_[:SHOWN].reshape(-1, STEPS, 2)
    names = [f"{i + 1}: {_meaning(shape.numpy())} ({float(shares[i]):.1%})" for i, shape in enumerate(shapes)]
    title = f"Principal trajectories of {len(train):,} runs of {STEPS / RATE:g} seconds"
    spread = pca.explained_variance_[:SHOWN].sqrt()
    picture = trajectories(pca.mean_.reshape(STEPS, 2), shapes, spread, titles=names, reach=1.5, title=title)
    notes = [f"{len(train)} paths to learn from, {len(held)} held out; {STEPS} places each, {RATE} a second", *names]
    return Findings(
        records, ("numbers a path", "variance kept", "miss, feet", "95% miss less than"), rows, notes, {"trajectories": picture}
    )


def paths_of(path: Path) -> Tensor:
    """All players' paths (n, STEPS, 2) in feet, cut one after the other from the stretches of a file, none across a gap."""
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = next((k for k in ("player_coords", "example_stop_idxs") if k not in file), None)
            if missing is not None:
                raise BadSource(f"{path}: array {missing!r} is missing; expected player_coords (steps, players, 2) and example_stop_idxs")
            coords, stops = file["player_coords"].astype(np.float64), file["example_stop_idxs"].astype(np.int64)
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, BadSource):
            raise
        raise BadSource(f"{path}: cannot be read as .npz ({error}); expected player_coords and example_stop_idxs") from error
    if coords.ndim != 3 or coords.shape[2] != 2 or not np.nanmax(np.abs(coords)) < 2:
        raise BadSource(
            f"{path}: player_coords must have shape (steps, players, 2) in shares of the court's length and width, got {coords.shape}"
        )
    coords = coords * np.asarray(COURT)
    found: list[Any] = []
    for before, last in zip(stops[:-1], np.minimum(stops[1:], len(coords) - 1)):
        stretch = coords[before + 1 : last + 1]
        for start in range(0, len(stretch) - STEPS + 1, STEPS):
            found.append(stretch[start : start + STEPS].transpose(1, 0, 2))
    if not found:
        raise BadSource(f"{path}: no stretch lasts {STEPS} steps; example_stop_idxs must delimit longer ones")
    whole = np.concatenate(found)
    speed = np.hypot(*np.moveaxis(np.diff(whole, axis=1), -1, 0)).max(1) * RATE
    return torch.as_tensor(whole[speed <= FASTEST])


def _meaning(shape: Any) -> str:
    """A component (STEPS, 2) in words: its axis, and how often it turns sign."""
    axis = int(np.square(shape).sum(0).argmax())
    along = shape[:, axis]
    turns = int((np.diff(np.sign(along[np.abs(along) > 0.1 * np.abs(along).max()])) != 0).sum())
    place = ("along", "across")[axis]
    return (f"where {place}", f"running {place}", f"there and back {place}")[turns] if turns < 3 else f"{turns} turns {place}"
