"""Folders of the runs of a recipe's models."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["run_folder"]


def run_folder(folder: Path | None, name: str) -> Path | None:
    """The folder of a model's run; None if no runs are kept.

    Args:
        folder: the folder of all runs of a recipe.
        name: what the recipe calls the model; characters other than letters, digits, dots and
            underscores become hyphens.
    """
    return None if folder is None else folder / re.sub(r"[^\w.]+", "-", name.lower()).strip("-")
