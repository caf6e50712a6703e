"""Whether a rule of thumb has made a kernel density too smooth, as it does for several groups.

Scott's and Silverman's rules are derived for one normal distribution. Of groups that lie apart, the
standard deviation is mostly the distance between them, and the rules blur each group by it. Rows
left out one by one tell: they are more likely with a multiple of the bandwidth.
"""

from __future__ import annotations

import math
from functools import partial

import torch

from pushforward.core.argument_names import argument
from pushforward.core.errors import PushforwardError
from pushforward.densities import Scale
from pushforward.densities.bandwidths import likelihood_bandwidth
from pushforward.densities.choose import KernelSums
from pushforward.models.classical.kde import KDE

__all__ = ["oversmoothed"]

RULES = ("scott", "silverman")
MOST_POINTS = 2000
"""Points that are judged, drawn from more: the search takes a second or less."""
CLEAR = 3.0
"""Standard errors of the mean difference that are not chance."""
WORTH = 0.05
"""Nats per row below which nobody sees the difference."""
DISTINCT = 0.9
"""Share of distinct rows, below which leaving one out leaves its copies in."""


def oversmoothed(model: object) -> str:
    """A sentence that says so, and what to do; empty if all is well or nothing can be said.

    Args:
        model: of which only kernel densities of points by a rule of thumb are judged.
    """
    if not isinstance(model, KDE) or model.bandwidth not in RULES:
        return ""
    is_plain = model.boundary is None and model.adaptive is None
    if not is_plain or model.fitted_space().kind != "points":
        return ""
    points, (n, d) = model.points_, model.points_.shape
    if len(points.unique(dim=0)) < DISTINCT * n:
        return ""  # the likelihood of repeated rows has no largest value above a bandwidth of 0
    scale = Scale.of(model.bandwidth_, d)
    if n > MOST_POINTS:
        points = points[torch.linspace(0, n - 1, MOST_POINTS).long()]
        scale = scale.times((n / MOST_POINTS) ** (1 / (d + 4)))  # as the rules have it
    sums = partial(KernelSums, points, kernel=model.kernel, shape=model.shape)
    try:
        choice = likelihood_bandwidth(
            points, scale, kernel=model.kernel, shape=model.shape, precision=0.1
        )
        narrow = sums(scale.times(choice.factor)).leave_one_out()
        difference = narrow - sums(scale).leave_one_out()
    except PushforwardError:
        return ""  # the search has no answer for these rows
    gain = float(difference.mean())
    error = float(difference.std()) / math.sqrt(len(difference))
    if choice.at_edge or choice.factor >= 1 or not gain > max(WORTH, CLEAR * error):
        return ""
    return (
        f"the bandwidth by the rule {model.bandwidth!r} is too smooth for these rows, as for"
        f" several groups: rows left out one by one are {gain:.2f} ± {error:.2g} nats more likely"
        f" with {argument('bandwidth', 'likelihood')}; fit again with it"
    )
