"""Where a recipe leaves the runs of its models."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["run_folder"]


def run_folder(folder: Path | None, name: str) -> Path | None:
    """The place of a model's run; None if no runs are kept.

    Args:
        folder: of all runs of a recipe.
        name: what the recipe calls the model; other characters than letters, digits, dots and
            underscores become hyphens.
    """
    return None if folder is None else folder / re.sub(r"[^\w.]+", "-", name.lower()).strip("-")
