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
    settings: Mapping[str, Any],
    held_out: Source | None,
    folder: Path,
    *,
    overwrite: bool,
    listeners: Sequence[Listener],
    start: Model | None = None,
) -> Fitter:
    """The model's own fitter with some settings in place of its own;
    a budget in one unit replaces one in another.

    Args:
        settings: by name, as the fitter's arguments.
        held_out: rows that evaluations look at, where nothing depends on them.
        start: whose weights to begin from.
    """
    fitter = model.default_fitter()
    changes = dict(settings)
    if writes_run(fitter):
        changes |= {"run": folder, "overwrite": overwrite, "listeners": listeners}
    if isinstance(fitter, Trainer):
        changes.setdefault(
            "held_out",
            CHOOSING_SHARE if settings.get("keep_best") or settings.get("patience") else held_out,
        )
        if start is not None:
            changes["start"] = start
    adjusted_fitter: Fitter = adjust_fitter(fitter, changes, (), is_default=True)
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
