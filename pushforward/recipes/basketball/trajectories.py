"""Principal trajectories: a player's path of five seconds is a point in 50 dimensions
(25 places in the plane), and PCA finds the directions in which such points vary most. Every path is
the mean path plus multiples of the principal trajectories. Paths are smooth and the court is
symmetric, so the components resemble those of Karhunen and Loève: position on the court, running
its length, there and back, … along and across in turn. The number of components needed is measured
on held-out games. In the player's coordinates (start at the origin, first second straight ahead)
the same method finds what he does next: how far the run goes, to which side it bends, whether it
turns back.
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
from pushforward.experiments import fit_model
from pushforward.models.classical.pca import PCA
from pushforward.recipes.basketball.court import Panel, trajectories
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "paths_of", "own_frame", "RATE", "STEPS"]

RATE, STEPS = 5, 25
COURT = (94.0, 50.0)
FASTEST = 30.0
"""Feet per second faster than any player runs; faster steps are errors of the cameras."""
SHOWN, COUNTS = 3, (2, 4, 6, 8, 10)
LEAST_START = 5.0
"""Least feet covered in the first second by players who count as setting off."""
START, SIDE = (30.0, 25.0), 6.0
"""Where paths from the player's start are drawn, and the distance of parallel ones; feet."""
HELD_OUT = 0.3
"""Share of a single game, at its end, that is held out."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    folder: Path | None = None,
) -> Findings:
    """The first principal trajectories, and the reconstruction error on unseen games."""
    train, test = _parts(paths)
    pca = fit_model(
        PCA(max(COUNTS)), train.flatten(1), folder=run_folder(folder, "pca-on-the-court")
    )
    data = f"{paths[-1].name}, {len(test)} paths of {STEPS / RATE:g} s"
    records, rows = _misses(pca, test, data)
    relative = own_frame(train)
    turned = fit_model(
        PCA(SHOWN), relative.flatten(1), folder=run_folder(folder, "pca-from-his-start")
    )
    panels = [*_panels(pca, "on the court"), *_panels(turned, "from his start", START)]
    title = (
        f"Principal trajectories, {len(train):,} paths of {STEPS / RATE:g} seconds (those that"
        " share a line are drawn side by side)"
    )
    image = trajectories(panels, title=title)
    notes = [
        (
            f"{len(train)} training paths, {len(test)} held out; {STEPS} places each, {RATE} a"
            " second"
        ),
        (
            f"{len(relative)} of them cover {LEAST_START:g} feet or more in their first second:"
            " these are also seen from the player's start"
        ),
        *(p.title for p in panels),
    ]
    return Findings(
        records,
        ("numbers a path", "variance kept", "miss, feet", "95% miss less than"),
        rows,
        notes,
        {"trajectories": image},
    )


def _parts(paths: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Training and held-out paths: the first file and the others, or the parts of a single file.

    Raises:
        BadSource: If there are too few.
    """
    parts = [paths_of(path) for path in paths]
    if len(parts) == 1:
        # Neighbouring stretches show the same play,
        # so the end of the file is held out and nothing is shuffled.
        cut = round((1 - HELD_OUT) * len(parts[0]))
        parts = [parts[0][:cut], parts[0][cut:]]
    train, test = parts[0], torch.cat(parts[1:])
    if min(len(train), len(test)) < 2 * STEPS:
        raise BadSource(
            f"{paths[0]}: {len(train)} and {len(test)} stretches of {STEPS / RATE:g} s; expected at"
            f" least {2 * STEPS} each"
        )
    return train, test


def _misses(pca: PCA, test: Tensor, data: str) -> tuple[dict[str, Record], list[list[str]]]:
    """How far restored paths are from held-out ones, for every number of components, as records and
    as rows.
    """
    records: dict[str, Record] = {}
    rows = []
    codes = pca.encode(test.flatten(1))
    for k in COUNTS:
        restored = (pca.mean_ + codes[:, :k] @ pca.components_[:k]).reshape(test.shape)
        miss = (restored - test).square().sum(2).mean(1).sqrt()
        record = Record.of(
            "root mean squared distance", miss, unit="feet", data=data, details={"components": k}
        )
        records[f"miss, {k}"] = record
        rows.append(
            [
                str(k),
                f"{float(pca.explained_variance_ratio_[:k].sum()):.1%}",
                f"{float(miss.mean()):.2f} ± {record.error:.2f}",
                f"{float(miss.quantile(0.95)):.2f}",
            ]
        )
    return records, rows


def _panels(pca: PCA, where: str, start: tuple[float, float] = (0.0, 0.0)) -> list[Panel]:
    """The first components as drawn, those on one line side by side."""
    shapes = (pca.components_[:SHOWN] * pca.explained_variance_[:SHOWN].sqrt()[:, None]).reshape(
        -1, STEPS, 2
    )
    mean = pca.mean_.reshape(STEPS, 2) + torch.tensor(start)
    panels = []
    for i, shape in enumerate(shapes.numpy()):
        share = float(pca.explained_variance_ratio_[i])
        axis = int(np.square(shape).sum(0).argmax())
        turns = _turns(shape[:, axis])
        shared = axis == 0 if start != (0.0, 0.0) else turns > 0
        offset = ((0.0, SIDE), (SIDE, 0.0))[axis] if shared else (0.0, 0.0)
        words = _standing(axis, turns) if start == (0.0, 0.0) else _moving(axis, turns)
        panels.append(Panel(f"{where}, {i + 1}: {words} ({share:.0%})", mean, shape, offset))
    return panels


def own_frame(paths: Tensor) -> Tensor:
    """Paths (m, STEPS, 2) of players who set off, in the player's coordinates.

    They start at the origin and head along the first axis.
    """
    moved = paths - paths[:, :1]
    first = moved[:, RATE]
    distance = torch.hypot(first[:, 0], first[:, 1])
    moved, first, distance = (part[distance >= LEAST_START] for part in (moved, first, distance))
    c, s = (first[:, i, None] / distance[:, None] for i in range(2))
    return torch.stack(
        [moved[..., 0] * c + moved[..., 1] * s, moved[..., 1] * c - moved[..., 0] * s], 2
    )


def paths_of(path: Path) -> Tensor:
    """All players' paths (n, STEPS, 2) in feet, cut from the stretches of a file.

    None crosses a gap.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = next(
                (k for k in ("player_coords", "example_stop_idxs") if k not in file), None
            )
            if missing is not None:
                raise BadSource(
                    f"{path}: array {missing!r} is missing; expected player_coords (steps, players,"
                    " 2) and example_stop_idxs"
                )
            coords, stops = (
                file["player_coords"].astype(np.float64),
                file["example_stop_idxs"].astype(np.int64),
            )
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, BadSource):
            raise
        raise BadSource(
            f"{path}: cannot be read as .npz ({error}); expected player_coords and"
            " example_stop_idxs"
        ) from error
    if coords.ndim != 3 or coords.shape[2] != 2 or not np.nanmax(np.abs(coords)) < 2:
        raise BadSource(
            f"{path}: player_coords must have shape (steps, players, 2) in shares of the court's"
            f" length and width, got {coords.shape}"
        )
    coords = coords * np.asarray(COURT)
    pieces: list[Any] = []
    for before, last in zip(stops[:-1], np.minimum(stops[1:], len(coords) - 1)):
        stretch = coords[before + 1 : last + 1]
        for start in range(0, len(stretch) - STEPS + 1, STEPS):
            pieces.append(stretch[start : start + STEPS].transpose(1, 0, 2))
    if not pieces:
        raise BadSource(
            f"{path}: no stretch lasts {STEPS} steps; example_stop_idxs must delimit longer ones"
        )
    stretches = np.concatenate(pieces)
    speed = np.hypot(*np.moveaxis(np.diff(stretches, axis=1), -1, 0)).max(1) * RATE
    return torch.as_tensor(stretches[speed <= FASTEST])


def _turns(along: Any) -> int:
    """Number of sign changes of a component along its path."""
    clear = along[np.abs(along) > 0.1 * np.abs(along).max()]
    return int((np.diff(np.sign(clear)) != 0).sum())


def _standing(axis: int, turns: int) -> str:
    place = ("along", "across")[axis]
    return (
        (f"where {place}", f"running {place}", f"there and back {place}")[turns]
        if turns < 3
        else f"{turns} turns {place}"
    )


def _moving(axis: int, turns: int) -> str:
    words = (("how far", "then on or back"), ("bending aside", "swerving"))[axis]
    return words[turns] if turns < 2 else f"{turns} turns {('ahead', 'aside')[axis]}"
