"""The commands that use a run, for the model card and for the hint after a fit."""

from __future__ import annotations

import shlex
from pathlib import Path

from pushforward.core.capabilities import HasBound, capabilities
from pushforward.core.model import Model
from pushforward.data.pairings import find_pairing

__all__ = ["samples_means", "usual_commands"]


def usual_commands(model: Model, folder: Path) -> list[str]:
    """What to do with a fitted model, the most telling command first, without `pushforward`.

    FILE stands for observations, photo.jpg and condition.png for images of any size.
    """
    run, abilities = shlex.quote(str(folder)), capabilities(model)
    commands = []
    if "Translates" in abilities:
        commands.append(_translation(model, run))
    elif "Samples" in abilities:
        commands.append(f"sample {run}{_without_noise(model)}{_condition(model)}")
    if "HasDensity" in abilities or "HasBound" in abilities:
        commands.append(f"density {run} FILE")
    if "Assigns" in abilities:
        commands.append(f"assign {run} FILE")
    if "Encodes" in abilities:
        commands.append(f"encode {run} FILE")
    return commands


def _without_noise(model: Model) -> str:
    """The flag for images without observation noise, which would speckle them."""
    return " --using mean" if samples_means(model) else ""


def samples_means(model: Model) -> bool:
    """Whether the model is one of images that can leave out its observation noise."""
    return isinstance(model, HasBound) and model.fitted_space().kind in ("images", "clips")


def _translation(model: Model, run: str) -> str:
    """An image made of another: enlarged, or translated, of what was derived from images if so.

    Conditions that are images of their own are called condition.png, as a photograph is not one.
    """
    from pushforward.models.parts.enlarger import Enlarger  # only for models that import it, too

    if isinstance(model, Enlarger):
        return f"enlarge {run} photo.jpg"
    space = model.condition_space
    pairing = None if space is None else find_pairing(space.preparation)
    if pairing is None or pairing.halves:
        return f"translate {run} condition.png"
    return f"translate {run} photo.jpg --derive-conditions"


def _condition(model: Model) -> str:
    """The condition to sample for, as a flag: the first label, or a file."""
    space = model.condition_space
    if space is None:
        return ""
    if space.is_label and not any(c in space.columns[0].categories[0] for c in ",\n"):
        return f" --y {shlex.quote(space.columns[0].categories[0])}"
    return " --y FILE"
