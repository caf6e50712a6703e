"""Missing values of tables filled in from their distribution given the row's other values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pushforward.core.random import normal, uniform
from pushforward.core.space import Column
from pushforward.densities.margins import Margins, Scores, normal_mass_below
from pushforward.models.parts.cells import Paths, follow
from pushforward.models.parts.gaps import draw_places
from pushforward.models.tabular.tables import draw_codes

__all__ = ["Filling"]

PATHS = 32
"""Paths through the wide cells of a row from which one is drawn, or over which means are taken."""
NODES = 24
"""Nodes of Gauss and Hermite for means of numbers in the user's units."""
NUMBERS = 1 << 23
"""Numbers in a block of rows: sixty-four megabytes of float64."""


@runtime_checkable
class ScoreModel(Protocol):
    """What filling asks of a mixture of scores and categories."""

    margins_: Margins
    weights_: Tensor
    location_: Tensor
    tables_: Tensor

    @property
    def columns(self) -> Sequence[Column]: ...
    @property
    def listed(self) -> list[int]: ...
    @property
    def scored(self) -> list[int]: ...
    @property
    def sizes(self) -> list[int]: ...

    def numbers(self, rows: Tensor) -> Tensor: ...
    def rows_of(self, numbers: Tensor, codes: Tensor) -> Tensor: ...
    def covariance_of(self, k: int) -> Tensor: ...
    def logits_of(self, scores: Scores, codes: Tensor) -> Tensor: ...


class Filling:
    """Fills in rows.

    Args:
        model: fitted.
        rng: of draws.
        using: 'draw', 'mean' or 'mode'.
    """

    def __init__(
        self, model: ScoreModel, rng: torch.Generator, using: Literal["draw", "mean", "mode"]
    ) -> None:
        self._model, self._rng, self._using = model, rng, using
        s, k = max(len(model.scored), 1), len(model.weights_)
        self.block = max(1, NUMBERS // (s * max(s, PATHS) + k))

    def fill(self, rows: Tensor) -> Tensor:
        """Rows (n, d) without NaN."""
        model = self._model
        scores, codes = model.margins_.scores(model.numbers(rows)), rows[:, model.listed]
        r = model.logits_of(scores, codes).softmax(1).nan_to_num(1 / len(model.weights_))
        if self._using == "draw":
            component = draw_places(r, self._rng)
            filled = self._drawn(scores, component)
        elif self._using == "mode":
            component = r.argmax(1)
            r = torch.nn.functional.one_hot(component, r.shape[1]).to(r)
            filled = self._centres(scores, r, medians=True)
        else:
            filled = self._centres(scores, r, medians=False)
        if self._using == "draw":
            new_codes = draw_codes(component, model.tables_, model.sizes, self._rng)
        else:
            parts = (r @ model.tables_.exp()).split(model.sizes, 1) if model.listed else ()
            best = [part.argmax(1).to(rows) for part in parts]
            new_codes = torch.stack(best, 1) if best else rows[:, :0]
        return torch.where(torch.isnan(rows), model.rows_of(filled, new_codes), rows)

    def _paths(self, scores: Scores, k: int) -> Paths:
        count = PATHS if bool((~torch.isnan(scores.low)).any()) else 1
        return follow(scores, self._model.location_[k], self._model.covariance_of(k), count)

    def _drawn(self, scores: Scores, component: Tensor) -> Tensor:
        """Scored columns (n, s) drawn in the components (n,) of rows; 0 in those without gaps."""
        z = torch.zeros_like(scores.z)
        for k in component.unique().tolist():
            rows = (component == k).nonzero()[:, 0]
            paths = self._paths(scores.at(rows), k)
            shares = paths.log_weight.softmax(1).nan_to_num(1.0).cumsum(1)
            u = uniform(len(rows), rng=self._rng, like=shares) * shares[:, -1]
            path = torch.searchsorted(shares, u[:, None], right=True)[:, 0]
            noise = normal(*z[rows].shape, rng=self._rng, like=z)
            z[rows] = paths.draw(path.clamp_max(shares.shape[1] - 1), noise)
        gaps = (torch.isnan(scores.z) & torch.isnan(scores.low)).any(0).nonzero()[:, 0]
        numbers = torch.zeros_like(z)
        numbers[:, gaps] = self._model.margins_.keep(gaps.tolist()).inverse(z[:, gaps])
        return numbers

    def _centres(self, scores: Scores, r: Tensor, *, medians: bool) -> Tensor:
        """Means or medians (n, s) of scored numbers, the most probable scored categories."""
        model = self._model
        gap = torch.isnan(scores.z) & torch.isnan(scores.low)
        out = torch.zeros_like(scores.z)
        numeric = [p for p, i in enumerate(model.scored) if not model.columns[i].categories]
        masses = {
            p: out.new_zeros(len(out), len(model.columns[i].categories))
            for p, i in enumerate(model.scored)
            if model.columns[i].categories
        }
        for k in range(r.shape[1]):
            rows = (r[:, k] > 0).nonzero()[:, 0]
            if not len(rows) or not gap.any():
                continue
            paths = self._paths(scores.at(rows), k)
            mean, deviation = paths.given()
            share = paths.log_weight.softmax(1).nan_to_num(1 / mean.shape[1]) * r[rows, k, None]
            for p in numeric:
                at = gap[rows, p].nonzero()[:, 0]
                if not len(at):
                    continue
                values = (
                    model.margins_.keep([p]).inverse(mean[at, :, p].reshape(-1, 1), snap=True)
                    if medians
                    else self._mean(p, mean[at, :, p], deviation[at, p])
                )
                values = values.reshape(len(at), -1)
                out[rows[at], p] += (share[at] * values).sum(1)
            for p, mass in masses.items():
                at = gap[rows, p].nonzero()[:, 0]
                edges = model.margins_.cell_scores(p)
                edges = torch.cat([edges[:1] * math.inf, edges[1:-1], edges[-1:] * math.inf])
                away = (edges - mean[at, :, p, None]) / deviation[at, None, p, None]
                each = normal_mass_below(away).diff(dim=2)
                mass[rows[at]] += (share[at][:, :, None] * each).sum(1)
        for p, mass in masses.items():
            out[:, p] = mass.argmax(1)
        return out

    def _mean(self, p: int, mean: Tensor, deviation: Tensor) -> Tensor:
        """Means (n, m), user's units, of a column with normal scores."""
        gauss = np.polynomial.hermite_e.hermegauss(NODES)
        nodes, weights = (torch.from_numpy(v).to(mean) for v in gauss)
        z = mean[:, :, None] + deviation[:, None, None] * nodes
        margin = self._model.margins_.keep([p])
        values = margin.inverse(z.reshape(-1, 1), snap=False).reshape(z.shape)
        low, high = margin.bounds[0, :2].tolist()
        means: Tensor = (values @ (weights / weights.sum())).clamp(low, high)
        return means
