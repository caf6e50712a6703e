"""Real tables without gaps, by name, each with a column to predict: of `table_sets`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas

from studies.table_sets import bundled, careers, data_file, density_table, seasons, statistical

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


def _coded(name: str, *categories: str) -> Frame:
    """A set of statsmodels; the columns that hold codes as texts."""
    frame = statistical(name)()
    for column in categories:
        frame[column] = [f"{name[0]}{int(code)}" for code in frame[column]]
    return frame.drop(columns="individual", errors="ignore").dropna()


def _shots() -> Frame:
    wanted = [
        "POSITION",
        "ACTION_TYPE",
        "SHOT_TYPE",
        "BASIC_ZONE",
        "LOC_X",
        "LOC_Y",
        "SHOT_DISTANCE",
        "QUARTER",
        "MINS_LEFT",
        "SECS_LEFT",
        "SHOT_MADE",
    ]
    frame = pandas.read_csv(data_file("nba_shots/NBA_2016_Shots.csv.xz"))[wanted].dropna()
    return frame.assign(SHOT_MADE=frame["SHOT_MADE"].map({True: "yes", False: "no"}))


def _seasons() -> Frame:
    """Since 1980, when all that is in the table was counted."""
    frame = seasons()
    return frame[frame["year"] >= 1980].dropna()


def _careers() -> Frame:
    frame = careers()
    return frame.assign(hof=frame["hof"].map({True: "yes", False: "no"})).dropna()


TABLES = {
    "iris": RealTable(bundled("iris", "target"), "target"),
    "wine": RealTable(bundled("wine", "target"), "target"),
    "cancer": RealTable(bundled("breast_cancer", "target"), "target"),
    "diabetes": RealTable(bundled("diabetes", "target"), "target"),
    "anes96": RealTable(partial(_coded, "anes96", "vote"), "vote"),
    "fair": RealTable(partial(_coded, "fair", "occupation", "occupation_husb"), "affairs"),
    "modechoice": RealTable(partial(_coded, "modechoice", "mode", "choice"), "choice"),
    "randhie": RealTable(partial(_coded, "randhie"), "mdvis"),
    "star98": RealTable(partial(_coded, "star98"), "PCTYRRND"),
    "quakes": RealTable(density_table("quakes"), "stations", "density"),
    "shots": RealTable(_shots, "SHOT_MADE", "nba_shots"),
    "seasons": RealTable(_seasons, "points", "nba_player_stats"),
    "careers": RealTable(_careers, "hof", "nba_player_stats"),
}
"""From scikit-learn and statsmodels, and the data folder. `randhie`, `fair`, `shots` and `seasons`
are larger than `ROWS`."""
