r"""Mixtures over mixed columns: numbers, categories and gaps together.

    p(x) = Σ_k π_k N(z; μ_k, Σ_k) Π_j |dz_j/dx_j| Π_i θ_ki(c_i)

fitted by expectation maximisation in any number of passes, with missing values integrated out
(`score_sums`). Within a component categories are independent of all else; Σ_k has a prior between
that of Fraley & Raftery and the pooled covariance (Friedman 1989), θ a Dirichlet prior with the
frequencies of all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue, suggest
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.phase import Batch
from pushforward.core.registry import register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.densities.margins import MarginKind
from pushforward.fitting.em import EM
from pushforward.fitting.facts import sample_rows
from pushforward.models.classical.refusals import check_whole_number, refuse_large, refuse_many
from pushforward.models.tabular.mixed_parts import (
    CANDIDATES,
    KINDS,
    PRIOR_ROWS,
    START_ROWS,
    MixedKind,
    Parameters,
    Rows,
    Structure,
    choose,
    improve,
)
from pushforward.models.tabular.score_mixture import ScoreMixture
from pushforward.models.tabular.score_sums import ScoreSums
from pushforward.models.tabular.tables import count_codes, frequencies

__all__ = ["MixedMixture"]

WORK = 1 << 22
"""Numbers of the gaps' covariances in a block of rows: 32 megabytes of float64."""
LARGE, WARM_ROWS = 1 << 17, 1 << 15
"""Rows from which on a start is improved on a larger sample, of so many: passes over it cost little
beside those over all rows, of which fewer are needed.
"""
LONE = 1.5
"""A component with fewer rows than this has hardly more than one."""


@register("mixed")
class MixedMixture(ScoreMixture):
    """A mixture over mixed columns: each component has its own numbers and its own categories.

    For tables of any columns, with missing values. Numbers are modelled by their normal scores.

    Args:
        components: k, or 'auto' for the best of 1, 2, 4, 8 and 16 by the log-density of held-out
            rows of a sample of at most 4096: a quarter of them, or each quarter in turn if there
            are fewer than 2000.
        covariance: of the scores in each component: 'full', 'diagonal', 'tied' (one for all), or
            'auto' for the better of 'full' and 'diagonal', likewise.
        margins: 'kernel' (kernel densities within known bounds), 'empirical' (distribution
            functions between order statistics) or 'none' (standardised numbers).
        pseudo_count: rows with the frequencies of the whole table that are added to each
            component's categories.
        rare: categories with fewer rows than this are pooled within components, and share their
            probability as in the whole table.
        prior_rows: rows of the prior of each component's covariance: a quarter of them have
            independent columns, the others the covariance within all components. 'auto' for the
            best of 4, 1, 1/4 and 1/16, likewise.

    Attributes:
        weights_: π (k,).
        location_: μ (k, s), of scores.
        covariance_: Σ (k or 1, s, s), or variances (k, s), of scores.
        tables_: log θ (k, C), of all categorical columns side by side.
        margins_: of the numbers.
        prior_rows_: those of the prior, ().

    References:
        Ghahramani & Jordan (1994), Supervised learning from incomplete data via an EM approach.
        https://proceedings.neurips.cc/paper/1993/hash/f2201f5191c4e92cc5af043eebfd0946-Abstract.html
        Fraley & Raftery (2007), Bayesian regularization for normal mixture estimation.
        https://doi.org/10.1007/s00357-007-0004-5

    Example:
        >>> import pandas as pd
        >>> import pushforward as pf
        >>> table = pd.DataFrame({"age": [30, 40, 50] * 9, "sex": ["f", "m", "f"] * 9})
        >>> model = MixedMixture(2).fit(pf.read(table, types="auto"))
        >>> model.responsibilities(table).shape
        torch.Size([27, 2])
    """

    base_: Tensor
    rare_: Tensor
    prior_rows_: Tensor

    def __init__(
        self,
        components: int | Literal["auto"] = "auto",
        covariance: MixedKind = "auto",
        margins: MarginKind = "kernel",
        pseudo_count: float = 1.0,
        rare: int = 5,
        prior_rows: float | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        if isinstance(components, str):
            if components != "auto":
                raise InvalidValue(
                    f"components must be a whole number or 'auto', got {components!r}"
                )
            self.components: int | Literal["auto"] = "auto"
        else:
            self.components = check_whole_number("components", components)
        if covariance not in KINDS:
            raise InvalidValue(
                f"unknown covariance {covariance!r}; {suggest(str(covariance), KINDS)}"
            )
        if isinstance(pseudo_count, bool) or not isinstance(pseudo_count, (int, float)):
            raise InvalidKind(f"pseudo_count must be a number above 0, got {pseudo_count!r}")
        if not 0 < pseudo_count < float("inf"):
            raise InvalidValue(
                f"pseudo_count is in rows and must be above 0, got {pseudo_count}; 1 is usual"
            )
        self.covariance, self.margins = covariance, self.check_margins(margins)
        self.pseudo_count, self.rare = float(pseudo_count), check_whole_number("rare", rare, 0)
        self.prior_rows = _check_prior(prior_rows)
        self.register_buffer("base_", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("rare_", torch.zeros(0, dtype=torch.float64))
        self.register_buffer("prior_rows_", torch.tensor(PRIOR_ROWS[0], dtype=torch.float64))
        self._rows = self._gapped = 0
        self._prior = torch.zeros(0, dtype=torch.float64)
        self._ready: Parameters | None = None

    def default_fitter(self) -> Fitter:
        """Passes until the mean log-likelihood gains less than 1e-3 nats, at most 50."""
        return EM(steps=50, tolerance=1e-3)

    def chosen_hyperparameters(self) -> dict[str, Any]:
        """The hyper-parameters, with what was chosen in place of 'auto'."""
        kind = self.covariance
        if kind == "auto":
            kind = "diagonal" if self.covariance_.ndim == 2 else "full"
        chosen = {
            "components": len(self.weights_),
            "covariance": kind,
            "prior_rows": float(self.prior_rows_),
        }
        return {**self.hyperparameters(), **chosen}

    @property
    def block_rows(self) -> int:  # type: ignore[override]
        """Rows in a block."""
        k = self.components if isinstance(self.components, int) else max(CANDIDATES)
        return max(128, min(4096, WORK // (max(self._gapped, 4) ** 2 * k)))

    # ------------------------------------------------------------------------------------ fitting

    def prepare(self, source: Source, facts: Facts) -> None:
        """Margins, and frequencies of categories."""
        k = self.components if isinstance(self.components, int) else 1
        refuse_many(type(self).__name__, "components", k, len(source))
        refuse_large(self, source, k)
        super().prepare(source, facts)
        self._rows, self._ready = len(source), None
        self._gapped = int((facts.missing[self.scored] > 0).sum())

    def begin_columns(self, rows: Tensor, weights: Tensor | None) -> None:
        """The categories' frequencies, and which are rare."""
        w = rows.new_ones(len(rows)) if weights is None else weights.to(rows)
        counts = count_codes(rows[:, self.listed], w[:, None], self.sizes)[0]
        self.base_ = frequencies(counts, self.sizes)
        self.rare_ = (counts < self.rare).to(torch.float64)

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Initial parameters, from a seeded sample of rows; the number of components, if 'auto'."""
        batch = sample_rows(source, START_ROWS, rng)
        x = batch.x.to(self.device)
        rows = self._split(self.coordinates(x), batch.weights)
        self._prior = rows.variances()
        counts = CANDIDATES if isinstance(self.components, str) else (self.components,)
        kinds = KINDS[:2] if self.covariance == "auto" else (self.covariance,)
        strengths = PRIOR_ROWS if isinstance(self.prior_rows, str) else (self.prior_rows,)
        structures = [self._structure(kind) for kind in kinds]
        chosen = choose(rows, counts, structures, strengths, rng)
        self.prior_rows_ = rows.z.new_tensor(chosen.structure.prior_rows)
        if len(source) > LARGE:
            batch = sample_rows(source, WARM_ROWS, rng)
            rows = self._split(self.coordinates(batch.x.to(self.device)), batch.weights)
            self._prior = rows.variances()
            chosen = improve(chosen, rows, self._prior)
        self._set(chosen)

    def coordinates(self, x: Tensor) -> Tensor:
        """Means and variances of scores (n, s) each, codes (n, c), and the offset (n, 1)."""
        rows = x.flatten(1).to(torch.float64)
        scores = self.margins_.scores(self.numbers(rows))
        mean, variance = scores.moments()
        return torch.cat([mean, variance, rows[:, self.listed], scores.offset()[:, None]], 1)

    def statistics(self, batch: Batch) -> ScoreSums:
        """E step of one block of rows."""
        rows = self._split(batch.x, batch.weights)
        return self._current().expect(rows)[1]

    def update(self, statistics: ScoreSums) -> bool:
        """M step; the fitter judges convergence."""
        self._set(self._current().maximise(statistics, self._prior))
        return False

    def objective(self, statistics: ScoreSums) -> float:
        """A lower bound of the mean log-likelihood of the rows before the last M step, nats.

        It is exact without wide cells; see `score_sums`.
        """
        return float(statistics.log_likelihood / statistics.weight)

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Components with one row or none."""
        alone = int((self.weights_ * self._rows < LONE).sum())
        if not alone or self._rows <= 2 * len(self.weights_):
            return ()
        text = (
            f"{alone} of the {len(self.weights_)} groups of rows that the model is made of"
            " (components) have one row or none"
        )
        return (
            Symptom(
                "lone rows",
                text,
                "ask for fewer components, or leave out rows that `pushforward odd` names",
            ),
        )

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        more = {"base_": "t positive", "rare_": "t weights"} if self.listed else {}
        return {**super().fitted_tensors(), **more}

    # ------------------------------------------------------------------------------------ queries

    def responsibilities(self, x: Observations) -> Tensor:
        """Probability of each component given the row's observed values (n, k)."""
        logits, _ = self.joint(self.conform(x).flatten(1).to(torch.float64))
        return logits.softmax(1).nan_to_num(1 / logits.shape[1])

    def assign(self, x: Observations) -> Tensor:
        """The most probable component of each row (n,), int64."""
        return self.responsibilities(x).argmax(1)

    # ------------------------------------------------------------------------------------ details

    def _structure(self, kind: MixedKind) -> Structure:
        return Structure(
            kind,
            tuple(self.sizes),
            self.base_,
            self.rare_ > 0,
            self.pseudo_count,
            float(self.prior_rows_),
        )

    def _split(self, coordinates: Tensor, weights: Tensor | None) -> Rows:
        s, c = len(self.scored), len(self.listed)
        parts = coordinates.split([s, s, c, 1], 1)
        w = None if weights is None else weights.to(coordinates)
        return Rows(parts[0], parts[1], parts[2], parts[3][:, 0], w)

    def _current(self) -> Parameters:
        """The parameters, prepared for a pass."""
        if self._ready is None:
            covariance = self.covariance_
            kind: MixedKind = "tied" if self.covariance == "tied" else "full"
            if covariance.ndim == 2:
                covariance, kind = torch.diag_embed(covariance), "diagonal"
            self._ready = Parameters(
                self._structure(kind), self.weights_, self.location_, covariance, self.tables_
            )
        return self._ready

    def _set(self, parameters: Parameters) -> None:
        self._ready = parameters
        self.weights_, self.location_ = parameters.weights, parameters.means
        self.tables_ = parameters.tables
        covariance = parameters.covariances
        diagonal = parameters.structure.kind == "diagonal"
        self.covariance_ = covariance.diagonal(dim1=1, dim2=2).clone() if diagonal else covariance


def _check_prior(prior_rows: float | str) -> float | Literal["auto"]:
    if prior_rows == "auto":
        return "auto"
    if isinstance(prior_rows, (bool, str)) or not isinstance(prior_rows, (int, float)):
        raise InvalidKind(f"prior_rows must be a number above 0 or 'auto', got {prior_rows!r}")
    if not 0 < prior_rows < float("inf"):
        raise InvalidValue(f"prior_rows must be above 0, got {prior_rows}; 4 is usual")
    return float(prior_rows)
