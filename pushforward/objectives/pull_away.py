"""The pull-away term: how parallel the codes s_i of a batch are, two by two.

    PT = 1/(N (N - 1)) Σ_i Σ_{j≠i} (⟨s_i, s_j⟩ / (‖s_i‖ ‖s_j‖))²

0 where all are orthogonal, 1 where all lie on one line. A generator that minimises it does not make
one sample only (Zhao, Mathieu & LeCun 2017, https://arxiv.org/abs/1609.03126, §2.4).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

__all__ = ["pull_away"]


def pull_away(codes: Tensor) -> Tensor:
    """The mean squared cosine between different rows (n, d),
    from 0 to 1, as a scalar; 0 of a single row.

    Σ_ij cos² = ‖ŜᵀŜ‖² = ‖ŜŜᵀ‖², Ŝ the rows at length one: the smaller of the two products is taken.
    """
    rows = normalize(codes.flatten(1), dim=1)
    n, d = rows.shape
    product = rows @ rows.T if n <= d else rows.T @ rows
    return (product.square().sum() - rows.square().sum(1).square().sum()) / max(1, n * (n - 1))
