"""The recipes by name, and how to run one: data in, images, numbers and fitted models out.

A recipe is a module with `run(paths, *, seed, players, folder)`, and `budget` where it can take
longer or shorter, which returns `Findings` and stores the runs of its models in the folder.
`recipes.listing` describes it without importing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadSource, InvalidValue, require_positive, suggest
from pushforward.core.records import Record
from pushforward.core.storage import write_text
from pushforward.recipes.listing import RECIPES, Recipe

__all__ = ["RECIPES", "Findings", "Recipe", "find", "locate", "run"]

SHORT = 0.5
"""Budgets below which a recipe says that its numbers are of models trained too little."""


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


def find(name: str) -> Recipe:
    """Look up a recipe by name; InvalidValue with the nearest name otherwise."""
    if name not in RECIPES:
        raise InvalidValue(f"unknown recipe {name!r}; {suggest(name, RECIPES)}")
    return RECIPES[name]


def locate(recipe: Recipe, file: str | Path | None = None) -> list[Path]:
    """The sources to read: the user's, or the recipe's tables under $PUSHFORWARD_DATA.

    Images may be anything that `pushforward.read` takes, by name or path;
    a recipe that generates its own data reads nothing.

    Raises:
        BadSource: If they are missing; the message says where to get them.
    """
    if recipe.source:
        return [Path(file or recipe.source)]
    if recipe.folders and file is not None:
        return _two_folders(recipe, Path(file).expanduser())
    if not recipe.tables:
        if file is not None:
            raise InvalidValue(f"{recipe.name} generates its own data; leave --file out")
        return []
    if file is not None and recipe.images:
        return [Path(file)]
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
    content = f"columns: {', '.join(recipe.columns)}" if recipe.columns else "or a folder of images"
    remedy = f"get it from {recipe.origin} and pass --file ({content})"
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


def _two_folders(recipe: Recipe, path: Path) -> list[Path]:
    paths = [path / name for name in recipe.folders]
    if not all(each.is_dir() for each in paths):
        first, second = recipe.folders
        raise BadSource(
            f"{path}: expected the folders {first} and {second} in it, with images of the same"
            " names"
        )
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
    if budget is not None and budget < SHORT:
        findings.notes.append(
            f"{budget:.2g} of the usual training (--budget): too little to judge the models by"
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
