"""Tables of shots: one row per shot, LOC_X and LOC_Y in feet with the rim at (0, 5.25).

Positions are rounded to a tenth of a foot, so the recorded (0.1, 5.9) stands for a cell around it;
a density per square foot applies to positions, not to cells, and so U(-.05, .05) is added to each,
with a seed.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue, MissingExtra, suggest
from pushforward.core.random import derive, uniform
from pushforward.core.space import Column, Space

__all__ = ["read_table", "player_shots", "entitled", "places", "court_space", "HALF_COURT", "STEP"]

STEP = 0.1
HALF_COURT = ((0, -25.0, 25.0), (1, 0.0, None))
"""Bounds of a kernel density: the sidelines and the baseline."""


def read_table(path: Path, columns: Sequence[str], optional: Iterable[str] = ()) -> Any:
    """A data frame with these columns, and the optional ones it has.

    Raises:
        BadSource: Names what is missing.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("pandas", "tables", f"reading {path.name}") from error
    if path.suffix == ".parquet":
        frame = pandas.read_parquet(path)
    else:
        try:
            frame = pandas.read_csv(path, low_memory=False)
        except (
            pandas.errors.ParserError,
            pandas.errors.EmptyDataError,
            UnicodeDecodeError,
            OSError,
            EOFError,
            lzma.LZMAError,
            zlib.error,
        ) as error:
            raise BadSource(
                f"{path}: cannot be read as a table ({str(error).splitlines()[0]}); expected"
                " comma-separated values"
            ) from error
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise BadSource(
            f"{path}: column {missing[0]!r} is missing; expected {', '.join(columns)}, got"
            f" {', '.join(map(str, frame.columns))}"
        )
    frame = frame[[*columns, *(c for c in optional if c in frame.columns)]]
    if not len(frame):
        raise BadSource(f"{path}: the table has no rows; expected at least one")
    return frame


def player_shots(
    path: Path, columns: Sequence[str], players: Sequence[str], default: str
) -> tuple[Any, str]:
    """One player's rows of a table of shots, on the half court, and the player's name."""
    if len(players) > 1:
        raise InvalidValue(
            f"this recipe shows one player at a time, got {len(players)}; pass --player once"
        )
    frame = read_table(path, columns, ("PLAYER_NAME", "SEASON_2"))
    name = players[0] if players else default
    if "PLAYER_NAME" in frame.columns:
        available = [str(n) for n in frame.PLAYER_NAME.unique()]
        name = available[0] if not players and len(available) == 1 else name
        if name not in available:
            raise InvalidValue(
                f"{path.name} has no shots by {name!r};"
                f" {suggest(name, available) if len(available) < 20 else near(name, available)}"
            )
        frame = frame[frame["PLAYER_NAME"] == name]
    elif not players:
        name = path.name.split(".")[0]
    frame = frame.dropna(subset=["LOC_X", "LOC_Y"])
    if not len(frame):
        raise BadSource(f"{path}: no shot has a place; LOC_X and LOC_Y are missing in all rows")
    if not bool(frame.LOC_X.between(-25.5, 25.5).all() and frame.LOC_Y.between(-1, 94).all()):
        raise BadSource(
            f"{path}: LOC_X must lie in -25..25 and LOC_Y in 0..94 feet; tenths of feet need"
            " dividing by 10, and the rim is at (0, 5.25)"
        )
    return frame, name


def entitled(name: str, frame: Any) -> str:
    """A title: the player and the seasons."""
    seasons = sorted({str(s) for s in frame.SEASON_2}) if "SEASON_2" in frame.columns else []
    return (
        f"{name}, {seasons[0]}{f' to {seasons[-1]}' if len(seasons) > 1 else ''}"
        if seasons
        else name
    )


def near(name: str, available: Sequence[str]) -> str:
    """A sentence with the closest of many names, or some of them."""
    hint = suggest(name, available)
    return (
        hint
        if hint.startswith("did")
        else f"it has {len(available)} players, e.g. {', '.join(available[:3])}"
    )


def places(frame: Any, seed: int) -> Tensor:
    """Positions of the shots (n, 2) in feet, with uniform noise over the cells of rounding."""
    x = torch.tensor(frame[["LOC_X", "LOC_Y"]].to_numpy(dtype="float64"))
    noise = uniform(*x.shape, rng=derive(seed, "rounding"), dtype=torch.float64) - 0.5
    x = x + STEP * noise
    return torch.stack([x[:, 0].clamp(-25, 25), x[:, 1].clamp_min(0)], 1)


def court_space(x: Tensor) -> Space:
    """The space of places, with names and units."""
    ends = zip(x.amin(0).tolist(), x.amax(0).tolist())
    columns = tuple(
        Column(name, low=lo, high=hi, unit="foot")
        for name, (lo, hi) in zip(("LOC_X", "LOC_Y"), ends)
    )
    return Space("points", (2,), columns, float(x.min()), float(x.max()))
