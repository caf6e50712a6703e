"""Clips that a run samples, measured beside rows and shown with their layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Composes
from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.experiments.opened import OpenedRun, rows_of
from pushforward.experiments.sample import beside, of_run
from pushforward.metrics.clips import consistency, masks, motion
from pushforward.plots.clips import clip_sheet
from pushforward.plots.matplotlib_types import Figure

__all__ = ["clip_facts", "layers_figure", "measure_clips"]

SCENES = 256
"""Clips whose masks are measured: the standard errors are below a tenth of the spread."""
SHOWN = 3
"""Clips shown with their layers."""


def clip_facts(space: Space) -> dict[str, Any]:
    """What records of clips state about them, besides their shape."""
    facts: dict[str, Any] = {"low": space.low, "high": space.high}
    facts["stride"] = int(space.extra.get("prepared", {}).get("stride", 1))
    return facts if space.frame_rate is None else {**facts, "frame_rate": space.frame_rate}


def measure_clips(run: OpenedRun, source: Source, most: int) -> list[Record]:
    """How the samples of a run move beside rows, and what their masks cover.

    Runs on other data have none of these, and models without layers no masks.

    Args:
        source: rows that the run has not seen, with conditions if the run has any.
        most: the most rows to use.
    """
    if run.model.fitted_space().kind != "clips" or not run.can("Samples"):
        return []
    real, samples = beside(run, source, most)
    facts = clip_facts(source.space)
    data = real.description
    records = [measure(real.x, samples.x, data=data, **facts) for measure in (motion, consistency)]
    if run.can("Composes"):
        n = min(SCENES, len(real.x))
        scenes = cast(Composes, run.model).scenes(
            n, _conditions(run, source, n), rng=derive(0, "scenes")
        )
        records += masks(scenes.x.cpu(), scenes.mask.cpu(), data=data, **facts)
    return [of_run(record, run) for record in records]


def layers_figure(
    run: OpenedRun, source: Source | None, title: str, *, shown: int = SHOWN, seed: int = 0
) -> Figure:
    """Samples of a run, each with its mask, foreground and background below it, frame by frame."""
    y = None if source is None else _conditions(run, source, shown)
    scenes = cast(Composes, run.model).scenes(shown, y, rng=seed)
    space = run.model.fitted_space()
    low, high = space.low, space.high
    mask = (low + (high - low) * scenes.mask).expand_as(scenes.x)
    rows: list[Tensor] = []
    names: list[str] = []
    for i in range(shown):
        rows += [scenes.x[i], mask[i], scenes.foreground[i], scenes.background[i]]
        names += ["sample", "mask", "foreground", "background"]
    return clip_sheet(torch.stack(rows), space, names, title=title)


def _conditions(run: OpenedRun, source: Source, n: int) -> Tensor | Sequence[Any] | None:
    if not run.conditional:
        return None
    y = rows_of(source, n).y
    return None if y is None else cast(Tensor, run.model.condition_space.as_given(y))
