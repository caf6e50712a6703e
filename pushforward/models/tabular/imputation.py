r"""Missing values of table rows, drawn from a variational auto-encoder given the other values.

1. Chains of Gibbs sampling fill the gaps, each on its own: z ~ q(z|x), then the gaps from p(x|z)
   (Rezende et al. 2014, §F, https://arxiv.org/abs/1401.4082). This alone is exact only for
   q(z|x) = p(z|x).
2. A code z_i ~ q(z|x_i) of each chain's row x_i is weighted by w_i ∝ p(x observed|z_i) p(z_i) /
   q(z_i|x_i), so that they are draws of p(z|x observed) as their number grows (Mattei & Frellsen
   2019, MIWAE, Eq. 10, https://arxiv.org/abs/1812.02633).
3. A draw takes the gaps from p(x|z_i) for one z_i drawn by its weight; means and probabilities are
   averages over all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pushforward.core.errors import one_of
from pushforward.core.random import Rng, generator
from pushforward.densities.normals import Normal
from pushforward.densities.repeats import repeat
from pushforward.models.parts.gaps import USES, draw_places, fill_gaps
from pushforward.models.tabular.mode_columns import ModeColumns
from pushforward.models.tabular.mode_encoding import Block, ModeEncoding

__all__ = ["Imputer", "complete_rows"]

ROUNDS = 10
"""Rounds of Gibbs sampling before codes are weighted; without any, errors are an eighth larger."""
CODES = 64
"""Chains, and codes, per row: four times as many change the error by a hundredth."""
ROWS = 256
"""Rows at a time, which bounds the memory of their codes."""


@dataclass(frozen=True)
class Imputer:
    """What of a latent-variable model of encoded rows fills in values.

    Args:
        scaling: the encoding.
        prior: p(z) of a number of codes.
        posterior: q(z|x) of encoded rows.
        likelihood: p(x|z) of codes.
    """

    scaling: ModeEncoding
    prior: Callable[[int], Normal]
    posterior: Callable[[Tensor], Normal]
    likelihood: Callable[[Tensor], ModeColumns]


def complete_rows(
    model: Imputer, x: Tensor, rng: Rng, using: Literal["draw", "mean", "mode"]
) -> Tensor:
    """Rows x (n, d), user's units, with NaN filled in; other values are as they were."""
    one_of("using", using, USES)
    stream = generator(rng, x.device)

    def fill(rows: Tensor) -> Tensor:
        filled = model.scaling.settle(_filled(model, rows, stream, using).to(x.dtype))
        return torch.where(rows.isnan(), filled, rows)

    return fill_gaps(x, ROWS, fill)


def _filled(model: Imputer, x: Tensor, stream: torch.Generator, using: str) -> Tensor:
    """Values (n, d) for the gaps of rows x (n, d), all with gaps; other places mean nothing."""
    like = model.prior(1).mean
    observed = repeat(model.scaling(x).to(like), CODES)
    q = model.posterior(_with_gibbs(model, observed, repeat(x.isnan(), CODES), stream))
    z = q.rsample(rng=stream)
    log_weight = (
        model.likelihood(z).log_prob(observed) + model.prior(len(z)).log_prob(z) - q.log_prob(z)
    )
    share = log_weight.reshape(CODES, -1).softmax(0)
    if using != "draw":
        return _averages(model, model.likelihood(z), share, using)
    place = draw_places(share.T.contiguous(), stream)
    chosen = z[place * len(x) + torch.arange(len(x), device=x.device)]
    return model.scaling.inverse(model.likelihood(chosen).rsample(rng=stream))


def _with_gibbs(model: Imputer, u: Tensor, gaps: Tensor, stream: torch.Generator) -> Tensor:
    """Encoded rows (n, width) whose gaps (n, d) are filled by Gibbs sampling."""
    widths = [b.choices.stop - b.start for b in model.scaling.blocks]
    missing = gaps.repeat_interleave(torch.tensor(widths, device=gaps.device), 1)
    for _ in range(ROUNDS):
        z = model.posterior(u).rsample(rng=stream)
        u = torch.where(missing, model.likelihood(z).rsample(rng=stream), u)
    return u


def _averages(model: Imputer, p: ModeColumns, share: Tensor, using: str) -> Tensor:
    """Means of numbers (or of their likeliest mode) and likeliest categories, (n, d)."""
    columns = []
    for block in model.scaling.blocks:
        each = p.log_shares(block).exp().reshape(*share.shape, -1).to(share) * share[..., None]
        total = each.sum(0)  # probabilities (n, count)
        if not block.numeric:
            columns.append(total.argmax(1).to(share))
            continue
        means = (each * p.values(block).reshape(each.shape).to(share)).sum(0)
        columns.append(_summary(block, total, means, using))
    return torch.stack(columns, 1)


def _summary(block: Block, total: Tensor, means: Tensor, using: str) -> Tensor:
    """A number's mean (n,), or the mean of its likeliest mode.

    Args:
        block: of the number.
        total: probabilities of its modes (n, count).
        means: their means, times these probabilities.
    """
    if using == "mean":
        return means.sum(1)
    mode = total.argmax(1, keepdim=True)
    return (means.gather(1, mode) / total.gather(1, mode))[:, 0]
