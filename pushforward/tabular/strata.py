"""Synthetic rows whose columns are closer to the model's margins than independent draws are.

**Numbers**, and categories that the model ranks: Latin hypercube sampling with dependence. Each of
n rows gets one of the n equal parts of a column's margin, in the order in which they were drawn,
so rank correlations are those drawn.

**Other categories**: each occurs as often as its share of n rows says, to a whole number. Rows of
a category that was drawn too often draw it again given the rest of the row, and take what they
draw if it was drawn too seldom: Gibbs steps, of which the useful ones are accepted.

Columns with a relation stay, and so do those of models without margins.

Reference:
    Packham & Schmidt (2010), Latin hypercube sampling with dependence and applications in finance.
    https://doi.org/10.21314/JCF.2010.227
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.random import uniform
from pushforward.tabular.rules import Rules

__all__ = ["stratify"]

Rows = NDArray[np.float64]
PASSES = 8
"""Rounds of Gibbs steps for a column; what is left over then, stays."""
PROPOSALS = 16
"""Rows that draw again, for each one that should change."""


def stratify(x: Rows, model: Any, rules: Rules, stream: torch.Generator) -> Rows:
    """Rows (n, d), drawn from the model, spread over its margins."""
    margins = getattr(model, "margins_", None)
    if margins is None or margins.kind == "none" or len(x) < 2:
        return x
    related = {j for relation in rules.relations for j in relation.places(rules.space)}
    spread = _stratify_scores(torch.from_numpy(x), model, rules, stream)
    free = [j for j in model.scored if j not in related]
    x = x.copy()
    x[:, free] = rules.clipped(rules.rounded(spread.numpy()))[:, free]
    shares = (model.weights_ @ model.tables_.exp()).split(model.sizes) if model.listed else ()
    for j, share in zip(model.listed, shares):
        if j not in related:
            _balance(x, j, share, model, stream)
    return x


def _stratify_scores(x: Tensor, model: Any, rules: Rules, stream: torch.Generator) -> Tensor:
    """Rows (n, d) whose scored columns are in different parts of their margin."""
    drawn = model.numbers(x)
    ties = uniform(*drawn.shape, rng=stream, dtype=torch.float64)
    order = torch.from_numpy(np.lexsort((ties.numpy(), drawn.numpy()), axis=0))
    ranks = order.argsort(0)
    u = (ranks + uniform(*drawn.shape, rng=stream, dtype=torch.float64)) / len(x)
    if rules.observed:
        low, high = _observed_range(model, rules)
        u = low + u * (high - low)
    numbers = model.margins_.inverse(torch.special.ndtri(u))
    rows: Tensor = model.rows_of(numbers, x[:, model.listed])
    return rows


def _observed_range(model: Any, rules: Rules) -> tuple[Tensor, Tensor]:
    """The mass of each margin below the least and up to the greatest value of its column (s,)."""
    columns = [rules.space.columns[j] for j in model.scored]
    pairs = [(-np.inf, np.inf) if c.categories else (c.low, c.high) for c in columns]
    ends = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2).T
    at = model.margins_.scores(torch.where(ends.isfinite(), ends, 0.0))
    edges = torch.stack([at.low[0], at.high[1]])  # of an end that is a wide cell
    scores = torch.where(at.z.isnan(), edges, at.z)
    whole = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    low, high = torch.where(ends.isfinite(), torch.special.ndtr(scores), whole)
    return low, high


def _balance(x: Rows, j: int, share: Tensor, model: Any, stream: torch.Generator) -> None:
    """Change codes of column j of rows (n, d), in place, until each is as frequent as its share."""
    n, size = len(x), len(share)
    parts = torch.cat([share.new_zeros(1), share.cumsum(0) * n / share.sum()])
    offset = uniform(1, rng=stream, dtype=torch.float64)
    wanted = (parts + offset).floor().diff().to(torch.int64).numpy()
    for _ in range(PASSES):
        spare = np.bincount(x[:, j].astype(np.int64), minlength=size) - wanted
        if not (spare > 0).any():
            return
        order = torch.randperm(n, generator=stream).numpy()
        rows = order[spare[x[order, j].astype(np.int64)] > 0]
        rows = rows[: PROPOSALS * int(spare[spare > 0].sum())]
        some = torch.from_numpy(x[rows])
        some[:, j] = torch.nan
        found = model.complete(some, rng=stream)[:, j].to(torch.int64).tolist()
        for row, new in zip(rows.tolist(), found):
            old = int(x[row, j])
            if spare[old] > 0 > spare[new]:
                x[row, j] = new
                spare[old] -= 1
                spare[new] += 1
