"""The fitter of an experiment: the model's own, with the experiment's settings,
writing to a run folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.core.events import Listener
from pushforward.core.fitter import Fitter
from pushforward.core.fitter_settings import adjust_fitter
from pushforward.core.model import Model
from pushforward.core.source import Source
from pushforward.fitting.em import EM
from pushforward.fitting.trainer import Trainer

__all__ = ["CHOOSING_SHARE", "fitter_for", "quiet_fabric", "writes_run"]

CHOOSING_SHARE = 0.1
"""Share of the training rows that choose the weights (`keep_best`,
`patience`): the rows held out must not, as they measure.
"""


def fitter_for(
    model: Model,
    settings: Mapping[str, Any] | Fitter,
    held_out: Source | None,
    folder: Path | None,
    *,
    overwrite: bool,
    listeners: Sequence[Listener],
    start: Model | None = None,
) -> Fitter:
    """The model's own fitter with some settings in place of its own (a budget in one unit replaces
    one in another); or the fitter that is given, as it is but for the folder it writes to.

    Args:
        settings: by name, as the fitter's arguments; or a fitter.
        folder: of the run; None for none.
        held_out: rows that evaluations look at, where nothing depends on them.
        start: whose weights to begin from.
    """
    is_own = isinstance(settings, Mapping)
    changes: dict[str, Any] = dict(settings) if isinstance(settings, Mapping) else {}
    fitter: Fitter = model.default_fitter() if isinstance(settings, Mapping) else settings
    if isinstance(fitter, Trainer) and is_own:
        choosing = changes.get("keep_best") or changes.get("patience")
        changes.setdefault("held_out", CHOOSING_SHARE if choosing else held_out)
    if isinstance(fitter, Trainer) and start is not None:
        changes["start"] = start
    if isinstance(fitter, (EM, Trainer)):
        changes["listeners"] = (*fitter.listeners, *listeners)
        if folder is not None:
            changes |= {"run": folder, "overwrite": overwrite}
    adjusted_fitter: Fitter = adjust_fitter(fitter, changes, (), is_default=is_own)
    return adjusted_fitter


def writes_run(fitter: Fitter) -> bool:
    """Whether a fitter writes a run folder as it goes."""
    return isinstance(fitter, (EM, Trainer))


@contextmanager
def quiet_fabric() -> Iterator[None]:
    """Within: Lightning Fabric keeps to itself what it says to its developers."""
    import logging
    import warnings

    import lightning_fabric  # noqa: F401 - sets its level when it is imported

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning_fabric(\.|$)")
        yield
