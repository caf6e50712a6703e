"""Real tables, by name: those that Python packages bundle, and those of the data folder."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from studies.study import data_folder

__all__ = ["ROWS", "TABLES", "RealTable"]

ROWS = 3000
"""Most rows, drawn at random: networks of 300 epochs are then a matter of minutes."""

Frame = Any  # of pandas, which types nothing usefully


@dataclass(frozen=True)
class RealTable:
    """A table without gaps, and the column to predict.

    Args:
        load: the data frame.
        target: a column of categories, or of numbers.
        needs: the folder required below the data folder; '' if none.
    """

    load: Callable[[], Frame]
    target: str
    needs: str = ""

    def rows(self, seed: int) -> Frame:
        """At most `ROWS` rows in an order of the seed."""
        frame = self.load()
        order = np.random.default_rng(seed).permutation(len(frame))[:ROWS]
        return frame.iloc[order].reset_index(drop=True)


def _sklearn(name: str, categories: bool) -> Frame:
    bunch = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
    frame = bunch.frame
    if categories:
        frame["target"] = [str(bunch.target_names[code]) for code in frame["target"]]
    return frame


def _statsmodels(name: str, *categories: str) -> Frame:
    """A bundled table; the columns that hold codes as texts."""
    frame = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    for column in categories:
        frame[column] = [f"{name[0]}{int(code)}" for code in frame[column]]
    return frame.drop(columns="individual", errors="ignore").dropna()


def _density(name: str) -> Frame:
    import pandas

    folder = data_folder()
    assert folder is not None
    return pandas.read_csv(folder / "density" / f"{name}.csv", index_col=0)


def _shots() -> Frame:
    import pandas

    folder = data_folder()
    assert folder is not None
    frame = pandas.read_csv(folder / "nba_shots" / "NBA_2016_Shots.csv.xz")
    wanted = (
        "POSITION ACTION_TYPE SHOT_TYPE BASIC_ZONE LOC_X LOC_Y SHOT_DISTANCE QUARTER MINS_LEFT"
        " SECS_LEFT SHOT_MADE"
    )
    frame = frame[[c for c in wanted.split() if c in frame.columns]].dropna()
    return frame.assign(SHOT_MADE=frame["SHOT_MADE"].map({True: "yes", False: "no"}))


def _seasons() -> Frame:
    """Players' season totals since 1980, when all were counted; what sums of others are is kept."""
    frame = _player_table("Seasons_Stats_1956_2017.csv.gz")
    return frame[frame["year"] >= 1980].drop(columns="player").dropna()


def _careers() -> Frame:
    """Players' position, height, weight, first and last year, and whether in the Hall of Fame."""
    frame = _player_table("Player_Career_Info.csv.gz")[
        ["pos", "ht_in_in", "wt", "from", "to", "hof"]
    ]
    return frame.assign(hof=frame["hof"].map({True: "yes", False: "no"})).dropna()


def _player_table(name: str) -> Frame:
    import pandas

    folder = data_folder()
    assert folder is not None
    return pandas.read_csv(folder / "nba_player_stats" / name)


TABLES = {
    "iris": RealTable(partial(_sklearn, "iris", True), "target"),
    "wine": RealTable(partial(_sklearn, "wine", True), "target"),
    "cancer": RealTable(partial(_sklearn, "breast_cancer", True), "target"),
    "diabetes": RealTable(partial(_sklearn, "diabetes", False), "target"),
    "anes96": RealTable(partial(_statsmodels, "anes96", "vote"), "vote"),
    "fair": RealTable(partial(_statsmodels, "fair", "occupation", "occupation_husb"), "affairs"),
    "modechoice": RealTable(partial(_statsmodels, "modechoice", "mode", "choice"), "choice"),
    "randhie": RealTable(partial(_statsmodels, "randhie"), "mdvis"),
    "star98": RealTable(partial(_statsmodels, "star98"), "PCTYRRND"),
    "quakes": RealTable(partial(_density, "quakes"), "stations", "density"),
    "shots": RealTable(_shots, "SHOT_MADE", "nba_shots"),
    "seasons": RealTable(_seasons, "points", "nba_player_stats"),
    "careers": RealTable(_careers, "hof", "nba_player_stats"),
}
"""From scikit-learn and statsmodels, and the data folder. `randhie`, `fair`, `shots` and `seasons`
are larger than `ROWS`."""
