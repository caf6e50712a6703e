"""Real tables for studies: those that Python packages bundle, and those of the data folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "FOLDERS",
    "MOST_ROWS",
    "TABLES",
    "bundled",
    "careers",
    "data_file",
    "density_table",
    "load_table",
    "seasons",
    "statistical",
]

MOST_ROWS = 2000
"""Rows of a table; a larger one is represented by a sample of so many, the same for all seeds."""


def load_table(name: str) -> pd.DataFrame:
    """A table by name, at most `MOST_ROWS` rows of it.

    Raises:
        KeyError: For a name that is not in `TABLES`.
    """
    frame = TABLES[name]()
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    return frame.reset_index(drop=True)


def bundled(name: str, target: str) -> Callable[[], pd.DataFrame]:
    """A set of scikit-learn, classes by name."""

    def load() -> pd.DataFrame:
        from sklearn import datasets

        bunch: Any = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = bunch.data.copy()
        labels = bunch.target
        names = getattr(bunch, "target_names", None)
        frame[target] = labels if names is None else np.asarray(names)[labels]
        return frame

    return load


def statistical(name: str, drop: tuple[str, ...] = ()) -> Callable[[], pd.DataFrame]:
    """A set of statsmodels."""

    def load() -> pd.DataFrame:
        from statsmodels import datasets

        frame: pd.DataFrame = getattr(datasets, name).load_pandas().data
        return frame.drop(columns=list(drop))

    return load


def data_file(path: str) -> Path:
    return Path(os.environ["PUSHFORWARD_DATA"]) / path


def density_table(name: str) -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_csv(data_file(f"density/{name}.csv")).iloc[:, 1:]


def seasons() -> pd.DataFrame:
    """Totals of players' seasons; `two_pointers` and the like follow from others."""
    frame = pd.read_csv(data_file("nba_player_stats/Seasons_Stats_1956_2017.csv.gz"))
    return frame.dropna(subset=["year"]).drop(columns=["player"])


def careers() -> pd.DataFrame:
    columns = ["pos", "ht_in_in", "wt", "from", "to", "hof"]
    return pd.read_csv(data_file("nba_player_stats/Player_Career_Info.csv.gz"))[columns]


def shots() -> pd.DataFrame:
    columns = ["POSITION", "SHOT_MADE", "SHOT_TYPE", "BASIC_ZONE", "ZONE_NAME", "ZONE_RANGE"]
    columns += ["LOC_X", "LOC_Y", "SHOT_DISTANCE", "QUARTER", "MINS_LEFT", "SECS_LEFT"]
    return pd.read_csv(data_file("nba_shots/NBA_2016_Shots.csv.xz"), usecols=columns)[columns]


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "iris": bundled("iris", "species"),
    "wine": bundled("wine", "cultivar"),
    "breast-cancer": bundled("breast_cancer", "diagnosis"),
    "diabetes": bundled("diabetes", "progression"),
    "anes96": statistical("anes96", ("logpopul",)),
    "ccard": statistical("ccard"),
    "elnino": statistical("elnino"),
    "engel": statistical("engel"),
    "fair": statistical("fair"),
    "grunfeld": statistical("grunfeld"),
    "macrodata": statistical("macrodata"),
    "modechoice": statistical("modechoice", ("individual",)),
    "randhie": statistical("randhie"),
    "star98": statistical("star98"),
    "statecrime": statistical("statecrime"),
    "faithful": density_table("faithful"),
    "quakes": density_table("quakes"),
    "swiss": density_table("swiss"),
    "seasons": seasons,
    "careers": careers,
    "shots": shots,
}
"""Functions that read a table, by its name."""
FOLDERS = {
    **dict.fromkeys(("faithful", "quakes", "swiss"), "density"),
    **dict.fromkeys(("seasons", "careers"), "nba_player_stats"),
    "shots": "nba_shots",
}
"""Where tables of the data folder are."""
