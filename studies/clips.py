"""VGAN on clips: moving shapes, generated and of the set MoCoGAN was shown on, and people.

All are cut to 16 frames of 32x32 pixels. People (Weizmann) are few: every second frame, a window
from every second one, and one clip of each action is held out whole, since windows of one clip
overlap. Motion is a share of that of the clips trained on, all else is measured on those held out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.random import derive
from pushforward.core.source import Source
from pushforward.core.source_views import Subset
from pushforward.experiments.clips import clip_facts
from pushforward.metrics.clips import motion
from pushforward.recipes import moving_shapes as recipe
from studies.study import RUNS, Study, Target, at_least, at_most, data_folder

__all__ = ["STUDIES"]

SHAPES = "video_shapes/mocogan_shapes_2000.zip"
WEIZMANN = "video_weizmann"
HELD_OUT = "_clip6_"
"""In the names of one clip of each of the four actions."""
TEST = 400
SHOWN = recipe.SHOWN
MOCOGAN: Mapping[str, float] = {"budget": 1.25, "mask_weight": 2.0, "average": 0.95}
"""Of MoCoGAN's shapes, which stand before black: with a lighter mask the foreground makes the whole
clip, and with a longer average shapes stand still.
"""
PEOPLE: Mapping[str, float] = {"budget": 0.625, "average": 0.99, "r1": 0.3}
"""Of people, in batches of 8: 2000 steps. After 500 they stand still; with a lighter penalty and a
shorter average they flicker.
"""
RATIO = "background variance as a share of the foreground's"


def generated() -> tuple[Source, Tensor]:
    """2000 clips of the built-in set, a fifth held out."""
    return _split(pf.read("moving-shapes"))


def shapes() -> tuple[Source, Tensor]:
    """2000 clips in two motions, every second frame, a fifth held out."""
    settings: dict[str, Any] = {"frames": 16, "stride": 2, "size": 32, "channels": 3}
    return _split(pf.read(str(_folder() / SHAPES), label=False, **settings))


def people() -> tuple[Source, Tensor]:
    """Windows of 28 clips of four actions, one clip of each held out."""
    settings: dict[str, Any] = {"frames": 16, "stride": 2, "hop": 2, "size": 32}
    source = pf.read(str(_folder() / WEIZMANN), clips="strips", **settings)
    files = getattr(source, "files", None) or ()
    unseen = torch.tensor([HELD_OUT in file.name for file in files])
    every = torch.arange(len(source))
    return Subset(source, every[~unseen]), source.take(every[unseen]).x[:TEST]


def _split(source: Source) -> tuple[Source, Tensor]:
    train, rest = pf.data.split(source, held_out=0.2, seed=0)
    return train, rest.take(torch.arange(min(TEST, len(rest)))).x


def _folder() -> Any:
    folder = data_folder()
    assert folder is not None  # or the study is skipped
    return folder


def clips(
    seed: int,
    *,
    name: str,
    data: Callable[[], tuple[Source, Tensor]],
    budget: float = 1.0,
    batch: int = recipe.BATCH,
    **settings: float,
) -> Mapping[str, Any]:
    """The measures of the recipe `moving-shapes` on clips."""
    train, test = data()
    began = time.process_time()
    place = RUNS / f"vgan-{name}-{seed}"
    model = recipe.learn(train, seed=seed, budget=budget, batch=batch, folder=place, **settings)
    results: dict[str, Any] = {
        "clips shown": round(budget * recipe.SHOWN),
        "training clips": len(train),
        "CPU seconds of training": round(time.process_time() - began, 1),
    }
    samples = model.sample(len(test), rng=derive(seed, "samples"))
    scenes = model.scenes(recipe.SCENES, rng=derive(seed, "scenes"))
    records = recipe.measured(test, samples, scenes, train.space, name)
    # of people, clips that were not trained on move half as much as those that were
    shown = train.take(torch.linspace(0, len(train) - 1, TEST).long()).x
    facts = {"data": f"{name}, trained on", **clip_facts(train.space)}
    records["motion"] = motion(shown, samples, **facts)
    results |= {quantity: record.value for quantity, record in records.items()}
    results["clips"] = records["motion"].details["feature_space"]
    results["consistency of the data"] = records["consistency"].details["truth"]
    spread = {side: records[f"{side} variance"].value for side in ("background", "foreground")}
    results[RATIO] = spread["background"] / spread["foreground"]
    return results


MOVES: Mapping[str, Target] = {"motion": Target(0.7, 1.3), RATIO: at_most(0.999)}
ON_SHAPES: Mapping[str, Target] = {"mask IoU": at_least(0.5), **MOVES}
STUDIES = [
    Study(
        "vgan-moving-shapes",
        f"VGAN of width {recipe.WIDTH} on 1600 generated clips of moving shapes,"
        f" {SHOWN:,} clips shown, 400 held out",
        partial(clips, name="moving-shapes", data=generated),
        ON_SHAPES,
    ),
    Study(
        "vgan-shapes",
        f"VGAN of width {recipe.WIDTH} on 1600 clips of MoCoGAN's moving shapes,"
        f" {round(MOCOGAN['budget'] * SHOWN):,} clips shown, 400 held out",
        partial(clips, name="shapes", data=shapes, **MOCOGAN),
        ON_SHAPES,
        needs="video_shapes",
    ),
    Study(
        "vgan-weizmann",
        f"VGAN of width {recipe.WIDTH} on windows of 24 clips of people,"
        f" {round(PEOPLE['budget'] * SHOWN):,} windows shown by 8, windows of 4 clips held out",
        partial(clips, name="weizmann", data=people, batch=8, **PEOPLE),
        MOVES,
        needs="video_weizmann",
    ),
]
