r"""Gaps of table rows filled from their distribution given the rest of the row.

Draws, means and modes are exact where the model's are: those of models that complete rows
(`Completes`), else row by row from closed conditionals (`Conditions`).

With M imputations, the mean of a column and its error are pooled (Rubin 1987, section 3.1):

    Q̄ = Σ Q_m / M,  T = Ū + (1 + 1/M) B,  ν = (M - 1) (1 + Ū / ((1 + 1/M) B))²

with Ū the mean of the squared errors s²/n within imputations, and B the variance between them.

Reference:
    Rubin (1987), Multiple imputation for nonresponse in surveys.
    https://doi.org/10.1002/9780470316696
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from pushforward.core.capabilities import Completes, Conditions, HasDensity, capabilities
from pushforward.core.errors import InvalidKind
from pushforward.core.random import Rng, generator
from pushforward.core.registry import registered_models
from pushforward.tabular.moments import closed_moments

__all__ = [
    "DRAWS",
    "Pooled",
    "Using",
    "complete",
    "draw_gaps",
    "interval",
    "pool",
    "require_filling",
]

Using = Literal["draw", "mean", "mode"]
DRAWS = 199
"""Draws for intervals: (DRAWS + 1) times a tail of 5 % is a whole number, so that the coverage of
the interval between two of them is exact under the model.
"""
MEAN_DRAWS = 1000
"""Draws for means without a closed form: two digits of a standard deviation."""


def require_filling(model: Any) -> None:
    """Raise InvalidKind, naming suitable models, for a model that cannot fill gaps."""
    if isinstance(model, (Completes, Conditions)):
        return
    able = [
        name
        for name, cls in registered_models()
        if {"Completes", "Conditions"} & set(capabilities(cls))
    ]
    raise InvalidKind(
        f"the {model.registered_name} model cannot fill gaps; models that do: {', '.join(able)}"
    )


def complete(model: Any, x: Tensor, *, using: Using = "draw", rng: Rng = None) -> Tensor:
    """Rows (n, d), user's units, with their missing values (NaN) filled in.

    Raises:
        InvalidKind: If the model neither completes rows nor has closed conditionals.
    """
    require_filling(model)
    if not bool(x.isnan().any()):
        return x
    if isinstance(model, Completes):
        return model.complete(x, rng=rng, using=using)
    stream, filled = generator(rng, model.device), x.clone()
    for i in x.isnan().any(1).nonzero()[:, 0].tolist():
        gap = x[i].isnan()
        filled[i, gap] = _given_row(model, x[i], using, stream)[0].to(x)
    return filled


def draw_gaps(model: Any, x: Tensor, draws: int = DRAWS, *, rng: Rng = None) -> Tensor:
    """Draws of the m missing values of rows x (n, d), in order: (draws, m)."""
    stream = generator(rng, model.device)
    gaps = x.isnan()
    if isinstance(model, Completes):
        rows = complete(model, x.repeat(draws, 1), rng=stream)
        return rows.reshape(draws, *x.shape)[:, gaps].cpu()
    require_filling(model)
    parts = [_given_row(model, row, "draw", stream, draws).double().cpu() for row in x[gaps.any(1)]]
    return torch.cat(parts, 1) if parts else x.new_empty(draws, 0)


def _given_row(
    model: Any, row: Tensor, using: Using, stream: torch.Generator, draws: int = 1
) -> Tensor:
    """The missing values of one row: (draws, missing), from the closed conditional."""
    names = model.fitted_space().names
    known = {names[j]: float(v) for j, v in enumerate(row.tolist()) if not math.isnan(v)}
    rest = model.condition(known) if known else model
    if using == "draw":
        return rest.sample(draws, rng=stream).flatten(1)  # type: ignore[no-any-return]
    if using == "mean" and (moments := closed_moments(rest)) is not None:
        return moments[0][None]
    some: Tensor = rest.sample(MEAN_DRAWS, rng=stream).double().flatten(1)
    if using == "mean":
        return some.mean(0, keepdim=True)
    peaks = getattr(rest, "means_", getattr(rest, "mean_", None))
    candidates = some if peaks is None else torch.atleast_2d(peaks)
    if not isinstance(rest, HasDensity):
        return some.mean(0, keepdim=True)
    return candidates[rest.log_prob(candidates).argmax()][None]


def interval(draws: NDArray[Any], share: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """The ends (m,) of central intervals that hold a share of the distribution drawn (draws, m).

    Quantiles are those of order statistics at k / (draws + 1), which cover exactly that share of
    further draws, on average (Weibull's plotting positions).
    """
    tail = (1 - share) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0, method="weibull")
    return low, high


# ------------------------------------------------------------------------------------------ pooling


@dataclass(frozen=True)
class Pooled:
    """A pooled estimate of several imputations.

    Args:
        value: the mean of the estimates.
        error: its standard error.
        within, between: the variance within imputations, and that between them.
        freedom: degrees of freedom of the t distribution; infinite without gaps.
        fraction: the share of the error's variance that is due to the gaps.
    """

    value: float
    error: float
    within: float
    between: float
    freedom: float
    fraction: float

    def interval(self, share: float = 0.95) -> tuple[float, float]:
        """The ends of the confidence interval."""
        half = self.error * float(stats.t.ppf((1 + share) / 2, self.freedom))
        return self.value - half, self.value + half


def pool(estimates: Sequence[float], variances: Sequence[float]) -> Pooled:
    """Rubin's rules for M estimates and their squared errors.

    Raises:
        InvalidKind: For fewer than two.
    """
    count = len(estimates)
    if count < 2 or len(variances) != count:
        raise InvalidKind(f"pooling needs at least two imputations, got {count}")
    within, between = float(np.mean(variances)), float(np.var(estimates, ddof=1))
    added = (1 + 1 / count) * between
    total = within + added
    freedom = math.inf if added <= 0 else (count - 1) * (1 + within / added) ** 2
    fraction = added / total if total > 0 else 0.0
    return Pooled(float(np.mean(estimates)), math.sqrt(total), within, between, freedom, fraction)
