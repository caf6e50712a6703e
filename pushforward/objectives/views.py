r"""What two views of the same observation jointly tell about its category: an estimate of their
mutual information, from below.

    I ≥ E_i log [ p_i·q_i / (1/n Σ_j p_i·q_j) ]
        p_i, q_i: probabilities of row i's category as read off either view

InfoNCE (van den Oord et al. 2018, §2.3, https://arxiv.org/abs/1807.03748) with the probability that
both views have the same category, p·q, as its score; at most ln K, reached if all categories are
equally frequent, certain, and agree between views, and 0 if the categories do not depend on the
observation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["shared_information"]


def shared_information(one: Tensor, two: Tensor) -> Tensor:
    """Nats for each row (n,) from logits (n, K) of both views,
    averaged over either as the reference.
    """
    log_p, log_q = one.log_softmax(-1), two.log_softmax(-1)
    both = torch.logsumexp(log_p[:, None] + log_q[None], -1)
    matches, log_n = both.diagonal(), math.log(len(both))
    return matches - (both.logsumexp(0) + both.logsumexp(1)) / 2 + log_n
