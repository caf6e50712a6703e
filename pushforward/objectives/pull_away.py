"""The pull-away term: how parallel the codes s_i of a batch are, pairwise.

    PT = 1/(N (N - 1)) Σ_i Σ_{j≠i} (⟨s_i, s_j⟩ / (‖s_i‖ ‖s_j‖))²

0 if all are orthogonal, 1 if all lie on one line. Minimising it keeps a generator from collapsing
to one sample (Zhao, Mathieu & LeCun 2017, https://arxiv.org/abs/1609.03126, §2.4).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["pull_away"]


def pull_away(codes: Tensor) -> Tensor:
    """The mean squared cosine between different rows (n, d), from 0 to 1, as a scalar.

    0 for a single row.

    Σ_ij cos² = ‖ŜᵀŜ‖² = ‖ŜŜᵀ‖², Ŝ the rows normalised to length one;
    the smaller of the two products is used.
    """
    rows = normalize(codes.flatten(1), dim=1)
    n, d = rows.shape
    product = rows @ rows.T if n <= d else rows.T @ rows
    return (product.square().sum() - rows.square().sum(1).square().sum()) / max(1, n * (n - 1))
