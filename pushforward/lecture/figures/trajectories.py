r"""How do they move? Trajectories

A path of 25 places is a vector of 50 numbers, and many paths are samples of a distribution in 50
dimensions. Its principal components are typical *changes* of a path:

$$\text{path} \approx \bar x + \sum_k z_k\, v_k .$$

Few of them describe nearly all of it. The paths are synthetic, relative to their start, with the
first step pointing ahead; `pushforward recipe trajectories` does this with players of the NBA.

Try:

* The third component: `z[i, 2]`.
* `model.explained_variance_ratio_`: how many numbers does a path need?
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.lecture.synthetic import moves
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels, paths


def figure() -> Figure:
    """Mean path, and paths along the first two components."""
    x = moves(2000)
    model = pf.PCA(4).fit(x.flatten(1))
    drawn, feet = [], ("feet ahead", "feet to the left")
    for k, name in enumerate(["component 1: how far", "component 2: which way it turns"]):
        z = torch.zeros(5, 4, dtype=torch.float64)
        z[:, k] = torch.linspace(-2, 2, 5) * model.encode(x.flatten(1))[:, k].std()
        line = model.decode(z).reshape(5, 25, 2)
        named = {f"{s:+d} sd" if s else "mean": line[s + 2] for s in range(-2, 3)}
        drawn.append(paths(named, name, names=feet, limits=(-3, 90, -45, 45)))
    return panels(*drawn, side=4.6)
