"""The recipes by name, and how to run one: data in, images, numbers and fitted models out.

A recipe is a module with `run(paths, *, seed, players, folder)`, and `budget` where it can take
longer or shorter, which returns `Findings` and stores the runs of its models in the folder. This
file describes it without importing it: what it shows, what it reads (a public table, images by
name, or nothing if it generates its own data), and which columns a user's table must have.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadSource, InvalidValue, require_positive, suggest
from pushforward.core.records import Record
from pushforward.core.storage import write_text

__all__ = ["RECIPES", "Findings", "Recipe", "find", "locate", "run"]

SHOTS = "DomSamangy/NBA_Shots_04_24 on GitHub"
SHOT_COLUMNS = ("LOC_X", "LOC_Y")


@dataclass(frozen=True)
class Recipe:
    """A recipe's entry in the list.

    Args:
        name: on the command line.
        module: its module in this package.
        line: what it shows.
        tables: where its default tables lie under $PUSHFORWARD_DATA.
        origin: where to download them.
        columns: columns that a user's table must have.
        player: the meaning of --player; '' if it has none.
        source: images to read without a file, by any name that `pushforward.read` knows; there are
            no tables then.
        budget: whether --budget applies.
    """

    name: str
    module: str
    line: str
    tables: tuple[str, ...]
    origin: str
    columns: tuple[str, ...] = ()
    player: str = ""
    source: str = ""
    budget: bool = False


@dataclass
class Findings:
    """Results of a recipe.

    Args:
        records: measured numbers by name.
        heads, rows: a short table to print.
        notes: sentences to print under it.
        images: figures by file name, without the suffix.
        films: frames (PIL images of one size) by file name, without the suffix.
    """

    records: dict[str, Record] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    images: dict[str, Any] = field(default_factory=dict)
    films: dict[str, Any] = field(default_factory=dict)


_STATS = "josh-thurston/NBA-Best on GitHub (MIT)"
_DRAWN = "generates its own data"
_TOTALS = (
    "year",
    "player",
    "games",
    "minutes_played",
    "field_goals",
    "field_goal_attempts",
    "three_point_attempts",
    "free_throws",
    "free_throw_attempts",
    "offense_rebounds",
    "defense_rebounds",
    "assists",
    "steals",
    "blocks",
    "turnovers",
    "points",
)
RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "curry",
            "basketball.curry",
            "Stephen Curry's shots of 2015-16 as a density on the court, by kernels that adapt",
            ("nba_shots/stephen_curry_2016.csv.gz",),
            SHOTS,
            SHOT_COLUMNS,
            "the player, if the table has several",
        ),
        Recipe(
            "aldridge",
            "basketball.aldridge",
            "LaMarcus Aldridge's heat map of 2015-16: where he shot, and where they went in",
            ("nba_shots/lamarcus_aldridge_2016.csv.gz",),
            SHOTS,
            (*SHOT_COLUMNS, "SHOT_MADE"),
            "the player, if the table has several",
        ),
        Recipe(
            "hall-of-fame",
            "basketball.hall_of_fame",
            "Hall-of-Fame players in clusters, and what each cluster is",
            ("nba_player_stats/Seasons_Stats_1956_2017.csv.gz",),
            _STATS,
            _TOTALS,
        ),
        Recipe(
            "seasons",
            "basketball.seasons",
            "players' seasons in the plane of their two principal components",
            ("nba_player_stats/Seasons_Stats_1956_2017.csv.gz",),
            _STATS,
            _TOTALS,
            "a player whose best season to name; repeatable",
        ),
        Recipe(
            "trajectories",
            "basketball.trajectories",
            "the principal trajectories of players on the court, five seconds long",
            (
                "nba_tracking/cle_2015_16_train_5_games.npz",
                "nba_tracking/cle_2015_16_val_4_games.npz",
            ),
            "tufts-ml/team-dynamics-time-series on GitHub (MIT)",
            ("player_coords", "example_stop_idxs"),
        ),
        Recipe(
            "shot-maps",
            "basketball.shot_maps",
            (
                "players' shooting maps in ten numbers, by an auto-encoder and "
                "by PCA, and who shoots like whom"
            ),
            ("nba_shots/NBA_2015_Shots.csv.xz", "nba_shots/NBA_2016_Shots.csv.xz"),
            SHOTS,
            ("PLAYER_NAME", "SEASON_2", *SHOT_COLUMNS),
            "a player whose neighbours to name; repeatable",
        ),
        Recipe(
            "ring",
            "ring",
            "a ring whose density is known: data, a VAE's samples and density, and the exact one",
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "quiz",
            "quiz",
            (
                "why not average p(x|z)? naive Monte Carlo, IWAE and AIS against the "
                "exact log p(x), for 2, 10 and 50 codes"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "mnist",
            "mnist",
            "digits on the plane of two codes; samples and reconstructions with twenty",
            (),
            "MNIST, by name (--file digits: scikit-learn's)",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "sharpness",
            "sharpness",
            (
                "how sharp a VAE's reconstructions are, from a large sigma to a small one, and at"
                " what cost"
            ),
            (),
            "digits, which come with scikit-learn",
            source="digits",
            budget=True,
        ),
        Recipe(
            "one-dimension",
            "one_dimension",
            (
                "a GAN learns N(-1, 1), frame by frame: densities of data and "
                "samples, and the critic's D(x)"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "modes",
            "modes",
            (
                "a ring of 8 modes and a grid of 25: which of them a GAN "
                "finds, with and without remedies"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "dirac",
            "dirac",
            (
                "the Dirac-GAN: spirals of the smallest game, for each game and "
                "remedy, beside their exact growth"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "ablation",
            "ablation",
            (
                "the hacks for training GANs, one by one, on a ring of 8 modes and a grid of 25:"
                " which help"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "images",
            "images",
            (
                "a DCGAN and an R3GAN on images: samples beside the data, and "
                "beside the nearest training images"
            ),
            (),
            "MNIST, by name (any images with --file; NAME@32 brings them to 32 pixels)",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "codes",
            "codes",
            (
                "InfoGAN finds categories without labels: how well they match the labels, and what"
                " its continuous codes change"
            ),
            (),
            "MNIST, by name, or scikit-learn's digits if it is not available",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "gans-against-vaes",
            "gans_against_vaes",
            "a GAN and a VAE with as many parameters and images shown: every measure",
            (),
            "MNIST, by name, or scikit-learn's digits if it is not available",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "lapgan",
            "pyramid",
            (
                "a pyramid of GANs beside a DCGAN of as many parameters and as much CPU time, and"
                " whether its detail fits the coarse image"
            ),
            (),
            "CIFAR-10's first batch, by name, or scikit-learn's digits if it is not available",
            source="cifar10-batch1",
            budget=True,
        ),
    )
}


def find(name: str) -> Recipe:
    """Look up a recipe by name; InvalidValue with the nearest name otherwise."""
    if name not in RECIPES:
        raise InvalidValue(f"unknown recipe {name!r}; {suggest(name, RECIPES)}")
    return RECIPES[name]


def locate(recipe: Recipe, file: str | Path | None = None) -> list[Path]:
    """The sources to read: the user's, or the recipe's tables under $PUSHFORWARD_DATA.

    Images may be anything that `pushforward.read` takes, by name or path; a recipe that samples its
    own data reads nothing.

    Images may be anything that `pushforward.read` takes, by name or path;
    a recipe that generates its own data reads nothing.

    Raises:
        BadSource: If they are missing; the message says where to get them.
    """
    if recipe.source:
        return [Path(file or recipe.source)]
    if not recipe.tables:
        if file is not None:
            raise InvalidValue(f"{recipe.name} generates its own data; leave --file out")
        return []
    if file is not None:
        path = Path(file).expanduser()
        if not path.is_file():
            raise BadSource(
                f"{path}: no such file; a table for {recipe.name} has the columns"
                f" {', '.join(recipe.columns)}"
            )
        return [path]
    folder = os.environ.get("PUSHFORWARD_DATA")
    names = " and ".join(recipe.tables)
    remedy = f"get it from {recipe.origin} and pass --file (columns: {', '.join(recipe.columns)})"
    if not folder:
        raise BadSource(
            f"{recipe.name} reads {names}, which is not part of pushforward; {remedy}, or set"
            " PUSHFORWARD_DATA to a folder that has it"
        )
    paths = [Path(folder).expanduser() / table for table in recipe.tables]
    missing = next((p for p in paths if not p.is_file()), None)
    if missing is not None:
        raise BadSource(f"{missing}: not found (PUSHFORWARD_DATA is {folder}); {remedy}")
    return paths


def run(
    name: str,
    *,
    file: str | Path | None = None,
    out: str | Path,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float | None = None,
) -> tuple[Findings, list[Path]]:
    """Run a recipe; records.json, the images and the models' runs go into the folder `out`.

    Returns the findings and the images' paths. `budget` is a share of the usual work: .1 for a
    quick look, 4 for more patience.

    `budget` is a share of the usual work: .1 for a quick look, 4 for more patience.
    """
    recipe = find(name)
    if players and not recipe.player:
        raise InvalidValue(f"{name} has no use for a player's name; leave --player out")
    if budget is not None and not recipe.budget:
        raise InvalidValue(f"{name} always takes the same time; leave --budget out")
    require_positive(budget=budget)
    paths = locate(recipe, file)
    more = {} if budget is None else {"budget": float(budget)}
    module = import_module(f"pushforward.recipes.{recipe.module}")
    findings: Findings = module.run(
        paths, seed=seed, players=tuple(players), folder=Path(out) / "runs", **more
    )
    return findings, store(recipe, findings, Path(out), paths, seed)


def store(
    recipe: Recipe, findings: Findings, folder: Path, paths: Sequence[Path], seed: int
) -> list[Path]:
    """Write records.json, images and films, replacing older ones; the paths of images and films."""
    from pushforward.plots import write_figure
    from pushforward.plots.films import write_film

    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "recipe": recipe.name,
        "tables": [p.name for p in paths],
        "origin": recipe.origin,
        "seed": seed,
        "records": {key: record.as_dict() for key, record in findings.records.items()},
        "table": [dict(zip(findings.heads, row)) for row in findings.rows],
        "notes": findings.notes,
    }
    write_text(
        folder / "records.json",
        json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n",
    )
    paths = [write_figure(figure, folder / f"{key}.png") for key, figure in findings.images.items()]
    return paths + [
        write_film(frames, folder / f"{key}.gif") for key, frames in findings.films.items()
    ]
