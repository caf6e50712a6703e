r"""Columns of a table as if they were independent: the baseline of every model of tables.

p(x) = Π_j f_j(x_j) Π_i θ_i(c_i)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.fitter import Fitter
from pushforward.core.phase import Batch
from pushforward.core.registry import register
from pushforward.densities.margins import MarginKind
from pushforward.fitting.em import EM
from pushforward.models.tabular.score_mixture import ScoreMixture
from pushforward.models.tabular.tables import count_codes, frequencies

__all__ = ["IndependentColumns"]


@dataclass
class CodeCounts:
    """Weighted counts of the categories of all columns (C,)."""

    counts: Tensor

    def merge(self, other: CodeCounts) -> CodeCounts:
        """The counts of both sets of rows, in place."""
        self.counts += other.counts
        return self


@register("independent")
class IndependentColumns(ScoreMixture):
    """Independent columns: the product of margins and of category frequencies.

    What a model of a table must beat: nothing that columns have to do with each other is known to
    it. NaN is a missing value.

    Args:
        margins: 'kernel' (kernel densities within known bounds), 'empirical' (distribution
            functions between order statistics) or 'none' (normal distributions).

    Attributes:
        margins_: of the numbers.
        tables_: log-probabilities of the categories (1, C), of all columns side by side.

    Reference:
        Silverman (1986), Density Estimation for Statistics and Data Analysis, chapter 2.
        https://doi.org/10.1201/9781315140919

    Example:
        >>> import pandas as pd
        >>> import pushforward as pf
        >>> table = pd.DataFrame({"age": [30, 40, 50] * 9, "sex": ["f", "m", "f"] * 9})
        >>> model = IndependentColumns().fit(pf.read(table, types="auto"))
        >>> model.sample(5, rng=0).shape
        torch.Size([5, 2])
    """

    def __init__(self, margins: MarginKind = "kernel") -> None:
        super().__init__()
        self.margins = self.check_margins(margins)

    def default_fitter(self) -> Fitter:
        """One pass."""
        return EM()

    def statistics(self, batch: Batch) -> CodeCounts:
        """Counts of the categories in one block of rows."""
        codes = batch.x.flatten(1)[:, self.listed].to(torch.float64)
        w = codes.new_ones(len(codes)) if batch.weights is None else batch.weights.to(codes)
        return CodeCounts(count_codes(codes, w[:, None], self.sizes)[0])

    def update(self, statistics: CodeCounts) -> bool:
        """Set the frequencies; one pass suffices."""
        counts = statistics.counts
        s = len(self.scored)
        self.weights_ = counts.new_ones(1)
        self.location_, self.covariance_ = counts.new_zeros(1, s), counts.new_ones(1, s)
        self.tables_ = frequencies(counts, self.sizes).log()[None]
        return True
