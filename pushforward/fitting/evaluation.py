"""Evaluation during a fit: vital signs, held-out quality, and the best weights.

Everything is measured as sampling would use it: in evaluation mode, with averaged weights if there
is an average, on the same rows and with the same noise every time.
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
    """Raise InvalidValue if rows are held out but the model has no quality measure."""
    if held_out and not isinstance(model, HasQuality):
        name = type(model).__name__
        raise InvalidValue(
            f"held-out rows are evaluated by quality(batch), which {name} does not define; define"
            " it, or leave held_out out"
        )


@dataclass(frozen=True)
class Judgement:
    """The result of one evaluation.

    `quality` is None without held-out rows, `better` if it is the best so far.
    """

    vitals: Mapping[str, float]
    symptoms: Sequence[Symptom]
    quality: float | None = None
    better: bool = False


class Evaluation:
    """Evaluates a model, and remembers its best state.

    Args:
        settings: keep_best and patience.
        model: evaluated by its own `vitals`, `symptoms` and `quality`.
        feed: provides the rows.
        players: the model's networks.
        processes: the first one's evaluation counts, since buffers differ between processes.
        streams: provide the fixed noise.
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
        """Whether too many evaluations passed without improvement."""
        return bool(self._settings.patience) and self._best["since"] >= self._settings.patience

    def be_patient(self) -> None:
        """Reset the count of evaluations without improvement."""
        self._best["since"] = 0

    def best_tensors(self) -> dict[str, Tensor]:
        """The best parameters and buffers, by the model's names; empty if not kept."""
        return dict(self._best["tensors"] or {}) if self._settings.keep_best else {}

    def state(self) -> dict[str, Any]:
        """What exact resume needs."""
        return self._best

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""
        self._best = copy_tree(dict(state))
