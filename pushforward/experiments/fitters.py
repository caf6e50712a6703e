"""The fitter of an experiment: the model's own, with the experiment's settings and run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.core.capabilities import HasQuality
from pushforward.core.events import CancelToken, Listener
from pushforward.core.fitter import Fitter
from pushforward.core.fitter_settings import adjust_fitter
from pushforward.core.model import Model
from pushforward.core.source import Source
from pushforward.fitting.em import EM
from pushforward.fitting.trainer import Trainer

__all__ = ["CHOOSING_SHARE", "make_fitter", "silence_fabric", "writes_run"]

CHOOSING_SHARE = 0.1
"""Share of the training rows used to select weights (`keep_best`, `patience`).

Held-out rows are kept for measuring.
"""


def make_fitter(
    model: Model,
    settings: Mapping[str, Any] | Fitter,
    held_out: Source | None,
    folder: Path | None,
    *,
    overwrite: bool,
    listeners: Sequence[Listener],
    token: CancelToken | None = None,
    start: Model | None = None,
) -> Fitter:
    """The model's own fitter with some settings replaced, or the given fitter.

    A budget in one unit replaces one in another; of a given fitter, only the folder is set.

    Args:
        settings: by name, as the fitter's arguments; or a fitter.
        folder: of the run; None for none.
        token: stops the fit when cancelled; the fitter's own if None.
        held_out: rows for evaluations that affect nothing.
        start: model to take initial weights from.
    """
    is_own = isinstance(settings, Mapping)
    changes: dict[str, Any] = dict(settings) if isinstance(settings, Mapping) else {}
    fitter: Fitter = model.default_fitter() if isinstance(settings, Mapping) else settings
    if isinstance(fitter, Trainer) and is_own:
        choosing = changes.get("keep_best") or changes.get("patience")
        judged = held_out if isinstance(model, HasQuality) else None  # else nothing to evaluate
        changes.setdefault("held_out", CHOOSING_SHARE if choosing else judged)
    if isinstance(fitter, Trainer) and start is not None:
        changes["start"] = start
    if isinstance(fitter, (EM, Trainer)):
        changes["listeners"] = (*fitter.listeners, *listeners)
        if token is not None:
            changes["token"] = token
        if folder is not None:
            changes |= {"run": folder, "overwrite": overwrite}
    adjusted_fitter: Fitter = adjust_fitter(fitter, changes, (), is_default=is_own)
    return adjusted_fitter


def writes_run(fitter: Fitter) -> bool:
    """Whether a fitter writes a run folder during the fit."""
    return isinstance(fitter, (EM, Trainer))


@contextmanager
def silence_fabric() -> Iterator[None]:
    """Context manager: suppress Lightning Fabric's messages to developers."""
    import logging
    import warnings

    import lightning_fabric  # noqa: F401 - sets its level when it is imported

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric(\.|$)")
        yield
