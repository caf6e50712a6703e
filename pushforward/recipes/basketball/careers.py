"""Players' numbers from season totals: rates per 36 minutes, shares of shots made.

A rate is Σ count / Σ minutes · 36 over the seasons in which it was recorded (steals, blocks and
rebounds since 1974, threes since 1980), and NaN if it never was. Earlier careers thus have missing
values rather than zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadSource
from pushforward.recipes.basketball.shots import read_table
from pushforward.recipes.registry import RECIPES

__all__ = ["seasons_of", "profiles", "PROFILE"]

PROFILE = {
    "points": "points",
    "assists": "assists",
    "rebounds": "rebounds",
    "steals": "steals",
    "blocks": "blocks",
    "threes tried": "three_point_attempts",
    "free throws tried": "free_throw_attempts",
}
"""Rates per 36 minutes, by column. Field-goal and free-throw percentages are added."""


def seasons_of(path: Path) -> Any:
    """Season totals with a column of rebounds, without blank rows."""
    frame = read_table(path, RECIPES["seasons"].columns)
    frame = frame[frame.player.notna() & (frame.minutes_played > 0)].copy()
    if not len(frame):
        raise BadSource(
            f"{path}: no row has both a player and minutes; expected season totals with"
            " minutes_played above 0"
        )
    frame["rebounds"] = frame.offense_rebounds + frame.defense_rebounds
    frame["year"] = frame.year.astype(int)
    return frame


def profiles(frame: Any, by: Sequence[str]) -> Any:
    """One row per player (or player and year): rates and percentages, minutes and points."""
    parts = {}
    groups = [frame[c] for c in by]

    def total(values: Any) -> Any:
        return values.groupby(groups).sum(min_count=1)

    for name, column in PROFILE.items():
        minutes = frame.minutes_played.where(frame[column].notna())
        parts[name] = 36 * total(frame[column]) / total(minutes)
    tried, thrown = total(frame.field_goal_attempts), total(frame.free_throw_attempts)
    parts["field goal %"] = 100 * total(frame.field_goals) / tried.where(tried > 0)
    parts["free throw %"] = 100 * total(frame.free_throws) / thrown.where(thrown > 0)
    parts["minutes"], parts["all points"] = total(frame.minutes_played), total(frame.points)
    import pandas

    return pandas.DataFrame(parts).reset_index()
