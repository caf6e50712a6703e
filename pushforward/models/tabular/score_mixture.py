r"""Distributions of tables as mixtures of normal distributions of scores, and of categories.

    p(x) = Σ_k π_k N(z; μ_k, Σ_k) Π_j |dz_j/dx_j| Π_i θ_ki(c_i),      z = margins(x),

with z the normal scores of the *scored* columns and θ the tables of *listed* categorical ones. The
density of a wide cell (an integer or category with a share of the rows) is its mass over its width,
integrated as in `cells`; missing values are integrated out. A Gaussian copula is one component with
all columns scored; independent columns are one with Σ = I.

The density is per unit of numbers, and per category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import one_of
from pushforward.core.random import Rng, generator
from pushforward.core.samplers import Sampler
from pushforward.densities.margins import FARTHEST, Scores
from pushforward.models.classical.axes import (
    axes_to_keep,
    read_known_values,
    subspace,
    too_far_error,
)
from pushforward.models.classical.covariance import root
from pushforward.models.parts.cells import follow
from pushforward.models.parts.gaps import USES, fill_gaps
from pushforward.models.parts.mixture_draws import draw_mixture
from pushforward.models.tabular.filling import Filling
from pushforward.models.tabular.likely_components import add_log_masses
from pushforward.models.tabular.scored_columns import ScoredColumns
from pushforward.models.tabular.tables import (
    add_log_tables,
    as_codes,
    check_codes,
    draw_codes,
)

__all__ = ["ScoreMixture"]

PATHS = 32
"""Components that a conditional has for each component, if a wide cell is known."""
LEAST_WEIGHT = 1e-300
"""Replaces a weight of 0, whose logarithm would be infinite."""


class ScoreMixture(ScoredColumns):
    """A mixture of normal distributions of scores, and of categories."""

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        rules = {"weights_": "k shares"}
        if self.scored:
            rules |= {
                "location_": "k s",
                "covariance_": "c s s definite | c s positive",
                "margins_.edges": "s e",
                "margins_.mass": "s m weights",
                "margins_.below": "s e weights",
                "margins_.above": "s e weights",
            }
        if self.listed:
            rules["tables_"] = "k t"
        return rules

    def covariance_of(self, k: int) -> Tensor:
        """The covariance (s, s) of a component's scores, or variances (s,) if independent."""
        return self.covariance_[k if len(self.covariance_) > 1 else 0]

    # ----------------------------------------------------------------------------------- queries

    def log_prob(self, x: Observations) -> Tensor:
        """Log-density of each row (n,), nats, per unit of numbers and per category.

        Of the observed values where some are NaN. Integers and other cells have the density of
        their cell, its mass over its width.
        """
        logits, jacobian = self.joint(self.conform(x).flatten(1).to(torch.float64))
        return logits.logsumexp(1) + jacobian

    def joint(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """log π_k p(z, c; k) of rows (n, d), (n, k), and their log-Jacobians (n,)."""
        scores = self.margins_.scores(self.numbers(rows))
        return self.logits_of(scores, rows[:, self.listed]), scores.log_jacobian.sum(1)

    def logits_of(self, scores: Scores, codes: Tensor) -> Tensor:
        """log π_k p(z, c; k) of scores and codes (n, c): (n, k)."""
        logits = self.weights_.clamp_min(LEAST_WEIGHT).log().repeat(len(codes), 1)
        add_log_tables(logits, codes, self.tables_, self.sizes)
        if not self.scored:
            return logits
        covariances = [self.covariance_of(k) for k in range(len(self.location_))]
        return add_log_masses(logits, scores, self.location_, covariances)

    def sample(
        self,
        n: int,
        y: Conditioning = None,
        rng: Rng = None,
        using: Sampler | str | None = None,
    ) -> Tensor:
        """n samples (n, *shape), user's units, float64, within known bounds."""
        space = self.fitted_space()
        self.to_condition(y, n)
        stream = generator(rng)
        full = self.covariance_.ndim == 3 and bool(self.scored)
        roots = root(self.covariance_) if full else self.covariance_.sqrt()
        component, z = draw_mixture(n, self.weights_, self.location_, roots, stream)
        codes = draw_codes(component, self.tables_, self.sizes, stream)
        x = self.rows_of(self.margins_.inverse(z), codes)
        return x.reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def complete(
        self,
        x: Observations,
        *,
        rng: Rng = None,
        using: Literal["draw", "mean", "mode"] = "draw",
    ) -> Tensor:
        """Rows (n, *shape) with their missing values filled in, given the row's other values.

        Args:
            x: rows, NaN where missing.
            rng: of draws.
            using: 'draw'; 'mean' for means of numbers and the most probable categories; 'mode' for
                medians of numbers in the most probable component instead.
        """
        one_of("using", using, USES)
        filling = Filling(self, generator(rng), using)
        return fill_gaps(self.conform(x).to(torch.float64), filling.block, filling.fill)

    def condition(self, known: Mapping[Any, Any]) -> Self:
        """The distribution of the other columns, given {column name or position: value}.

        In closed form for numbers; with a wide cell known (a category that is scored, a common
        integer) it is a mixture over points of the cell.
        """
        columns = self.columns
        at, free, values = read_known_values(self, as_codes(known, columns, self.fitted_space()))
        if not at:
            return self.marginal(free)
        row = torch.full((1, len(columns)), torch.nan, dtype=torch.float64, device=self.device)
        row[0, at] = values
        check_codes(row[0], columns)
        scores, codes = self.margins_.scores(self.numbers(row)), row[:, self.listed]
        logits = self.logits_of(scores, codes)[0] + scores.log_jacobian.sum()
        far = self.margins != "none" and bool((scores.z.abs() >= FARTHEST).any())
        if far or not bool((logits > -torch.inf).any()):
            raise too_far_error(values)
        if not self.scored:
            weights, tables = logits.softmax(0), self.tables_
            return self.restricted(free, weights, self.location_, self.covariance_, tables)
        kept = [p for p, i in enumerate(self.scored) if i in free]
        hidden = torch.isnan(scores.z) & torch.isnan(scores.low)
        known_cells = bool((~torch.isnan(scores.low)).any())
        count = PATHS if known_cells and self.covariance_.ndim == 3 else 1
        prior = self.logits_of(_nothing(scores), codes)[0]
        weights_, means, covariances = [], [], []
        for k, mean in enumerate(self.location_):
            paths = follow(scores, mean, self.covariance_of(k), count)
            weights_.append(prior[k] + paths.log_weight[0])
            means.append(paths.given()[0][0][:, kept])
            rest = _rest(self.covariance_of(k), hidden[0])
            rest = rest[kept] if rest.ndim == 1 else rest[kept][:, kept]
            covariances.append(rest.expand(count, *rest.shape))
        shares = torch.cat(weights_).softmax(0)
        tables = self.tables_.repeat_interleave(count, 0)
        return self.restricted(free, shares, torch.cat(means), torch.cat(covariances), tables)

    def marginal(self, axes: object) -> Self:
        """The distribution of some columns (a name or position, or several)."""
        keep = axes_to_keep(self.fitted_space(), axes)
        kept = [self.scored.index(i) for i in keep if i in self.scored]
        covariance = self.covariance_[:, kept]
        if covariance.ndim == 3:
            covariance = covariance[:, :, kept]
        location = self.location_[:, kept]
        return self.restricted(keep, self.weights_, location, covariance, self.tables_)

    # ----------------------------------------------------------------------------------- details

    def restricted(
        self,
        keep: Sequence[int],
        weights: Tensor,
        location: Tensor,
        covariance: Tensor,
        tables: Tensor,
    ) -> Self:
        """The model of some columns, with tables (k, C) of all listed ones."""
        model = type(self)(**self.hyperparameters())
        model.assemble(subspace(self.fitted_space(), list(keep)), None)
        model.to(self.device)
        places = [self.scored.index(i) for i in keep if i in self.scored]
        model.margins_ = self.margins_.keep(places)
        model.weights_, model.location_, model.covariance_ = weights, location, covariance
        parts = dict(zip(self.listed, tables.split(self.sizes, 1) if self.listed else ()))
        chosen = [parts[i] for i in keep if i in parts]
        model.tables_ = torch.cat(chosen, 1) if chosen else weights.new_zeros(len(weights), 0)
        ranked = [i for i in self.scored if self.columns[i].categories]
        sizes = [len(self.columns[i].categories) for i in ranked]
        if len(self.ranks_):
            ranks = dict(zip(ranked, self.ranks_.split(sizes)))
            chosen = [ranks[i] for i in keep if i in ranks]
            model.ranks_ = torch.cat(chosen) if chosen else self.ranks_[:0]
        return model


def _rest(covariance: Tensor, hidden: Tensor) -> Tensor:
    """The covariance (s, s) of the hidden scores given the others, 0 for these."""
    if covariance.ndim == 1:
        return covariance
    a, b = hidden.nonzero()[:, 0], (~hidden).nonzero()[:, 0]
    rest = torch.zeros_like(covariance)
    left = covariance[a][:, a]
    if len(b) and len(a):
        gain = torch.linalg.solve(covariance[b][:, b], covariance[b][:, a])
        left = left - covariance[a][:, b] @ gain
        left = (left + left.T) / 2
        least = 4 * len(covariance) * torch.finfo(left.dtype).eps
        left.diagonal().clamp_min_(least)
    rest[a[:, None], a] = left
    return rest


def _nothing(scores: Scores) -> Scores:
    """Scores of the same rows with every value missing."""
    gap = torch.full_like(scores.z, torch.nan)
    return Scores(gap, gap, gap, torch.zeros_like(scores.z))
