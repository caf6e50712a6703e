r"""What shape do they have? A topological map

Mapper draws the shape of data of any dimension as a graph. A *lens* $f(x)$ gives each row a number
or two. Intervals that overlap cover its range; the rows of each interval are clustered; each
cluster is a node; and two nodes with common rows are joined:

$$\text{nodes} = \bigcup_i \text{clusters of } f^{-1}(U_i), \qquad a \sim b \iff a \cap b \ne
\emptyset.$$

From above, the points on the left form a figure of eight. Their map on the right, made from all
three coordinates, has a single loop: in space one strand passes over the other.

Try:

* `torch.cos(2 * t)` in the third coordinate: the strands touch, and there are two loops.
* `intervals=5`, and `intervals=30`: a map has a resolution, as a histogram has.
* Another lens, such as the distance from the mean.
* `pf.read("digits")` with two principal components as the lens.
"""

from __future__ import annotations

import torch

from pushforward.latent.topology import map_topology
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels, points
from pushforward.plots.topology import topology


def figure() -> Figure:
    """A loop in space that looks like a figure of eight, and its topological map."""
    stream = torch.Generator().manual_seed(0)
    t = torch.rand(1500, generator=stream) * 2 * torch.pi
    x = torch.stack([torch.sin(t), torch.sin(2 * t) / 2, torch.cos(3 * t) / 5], 1)
    x = x + 0.03 * torch.randn(1500, 3, generator=stream)
    graph = map_topology(x, lens=x[:, 0], intervals=12, overlap=0.35)
    words = f"{len(graph.nodes)} nodes; pieces {graph.pieces()}, loops {graph.loops()}"
    return panels(
        points(x[:, :2], "1500 points, seen from above", colour=x[:, 0]),
        topology(graph, x[:, :2], f"Their map: {words}", colour=x[:, 0], quantity="mean of lens"),
        side=4.6,
    )
