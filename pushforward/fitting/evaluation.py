"""What the model says of itself while it learns: vital signs,
held-out quality, and which weights were the best.

Everything is measured as sampling would find it: in evaluation mode, with the average of the
weights if one is kept, on the same rows and with the same noise every time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import HasQuality
from pushforward.core.errors import InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.learner import Learner
from pushforward.fitting.checkpoint import copy_tree
from pushforward.fitting.feed import Feed
from pushforward.fitting.players import Players
from pushforward.fitting.processes import Processes
from pushforward.fitting.settings import EvaluationSettings
from pushforward.fitting.streams import Streams

__all__ = ["Evaluation", "Judgement", "check_quality"]


def check_quality(model: Learner, held_out: bool) -> None:
    """InvalidValue where rows are held out and the model cannot say how good it is on them."""
    if held_out and not isinstance(model, HasQuality):
        name = type(model).__name__
        raise InvalidValue(
            f"held-out rows are judged by quality(batch), which {name} does not define; define it,"
            " or leave held_out out"
        )


@dataclass(frozen=True)
class Judgement:
    """What one evaluation found; `quality` is None where no rows are held out,
    `better` whether it is the best so far.
    """

    vitals: Mapping[str, float]
    symptoms: Sequence[Symptom]
    quality: float | None = None
    better: bool = False


class Evaluation:
    """Judges a model, and remembers the best it was.

    Args:
        settings: keep_best and patience.
        model: judged by its own `vitals`, `symptoms` and `quality`.
        feed: gives the rows to judge it on.
        players: the model's networks.
        processes: of several, the first one's judgement counts, since their buffers differ.
        streams: give the fixed noise.
    """

    def __init__(
        self,
        settings: EvaluationSettings,
        model: Learner,
        feed: Feed,
        players: Players,
        processes: Processes,
        streams: Streams,
    ) -> None:
        self._settings, self._model, self._feed = settings, model, feed
        self._players, self._processes, self._streams = players, processes, streams
        self._best: dict[str, Any] = {"quality": -math.inf, "since": 0, "tensors": None}

    @torch.no_grad()
    def judge(self) -> Judgement:
        """Measure, and compare with the best so far."""
        with self._players.as_sampled():
            watched = self._feed.watched(self._streams.fixed("watched"))
            vitals = self._model.vitals(watched, rng=self._streams.fixed("vitals"))
            symptoms = list(self._model.symptoms(vitals))
            if self._feed.held_out is None:
                return Judgement(vitals, symptoms)
            quality = self._processes.from_first(self._quality())
            return Judgement(vitals, symptoms, quality, self._is_better(quality))

    def _quality(self) -> float:
        """The weighted mean over the held-out rows."""
        rng = self._streams.fixed("quality")
        total = count = 0.0
        for batch in self._feed.evaluated(rng):
            assert isinstance(self._model, HasQuality)
            value = self._model.quality(batch, rng=rng).to(torch.float64)
            weights = (
                value.new_ones(len(batch)) if batch.weights is None else batch.weights.to(value)
            )
            total += float((value * weights).sum())
            count += float(weights.sum())
        return total / count

    def _is_better(self, quality: float) -> bool:
        if quality > self._best["quality"]:
            tensors = copy_tree(self._players.tensors()) if self._settings.keep_best else None
            self._best = {"quality": quality, "since": 0, "tensors": tensors}
            return True
        self._best["since"] += 1
        return False

    @property
    def quality(self) -> float | None:
        """The best quality so far; None if none was finite."""
        return self._best["quality"] if math.isfinite(self._best["quality"]) else None

    @property
    def out_of_patience(self) -> bool:
        """Whether too many evaluations went by without a better one."""
        return bool(self._settings.patience) and self._best["since"] >= self._settings.patience

    def be_patient(self) -> None:
        """Count the evaluations without a better one anew."""
        self._best["since"] = 0

    def best_tensors(self) -> dict[str, Tensor]:
        """The networks at their best, by the model's own names; empty where that is not kept."""
        return dict(self._best["tensors"] or {}) if self._settings.keep_best else {}

    def state(self) -> dict[str, Any]:
        """What exact resume needs."""
        return self._best

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self._best = copy_tree(dict(state))
