r"""What two views of the same observation jointly tell about its category: an estimate of their
mutual information, from below.

    I ≥ E_i log [ p_i·q_i / (1/n Σ_j p_i·q_j) ]
        p_i, q_i: probabilities of row i's category as read off either view

InfoNCE (van den Oord et al. 2018, §2.3) with the chance that both views are of one category, p·q,
as its score; at most ln K, where every category is equally often and surely read, and the same off
both views, and 0 where what is read does not depend on the observation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["shared_information"]


def shared_information(one: Tensor, two: Tensor) -> Tensor:
    """Nats for each row (n,), from logits (n, K) of both views;
    symmetric: the mean of either view as the one that is given.
    """
    log_p, log_q = one.log_softmax(-1), two.log_softmax(-1)
    both = torch.logsumexp(log_p[:, None] + log_q[None], -1)
    own, many = both.diagonal(), math.log(len(both))
    return own - (both.logsumexp(0) + both.logsumexp(1)) / 2 + many
