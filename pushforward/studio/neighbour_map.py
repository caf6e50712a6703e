"""A map of codes that keeps neighbours together, and the way from it back to codes.

Places are those of t-SNE (van der Maaten & Hinton 2008,
https://www.jmlr.org/papers/v9/vandermaaten08a.html, by scikit-learn). It gives places to codes, not
codes to places, so that a place between them is given the mean of the nearest codes, each weighted
by the inverse square of its distance (Shepard 1968, https://doi.org/10.1145/800186.810616): at a
code's own place this is the code itself. A code between those of the map gets a place the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.errors import BadSource

__all__ = ["NeighbourMap"]

LEAST = 10
"""Codes: fewer have no neighbourhoods."""
PERPLEXITY = 30.0
"""About as many neighbours of each code are kept together."""
NEAREST = 6
"""Codes that a place between them is made of."""


@dataclass(frozen=True)
class NeighbourMap:
    """Codes z (n, latent) and their places (n, 2)."""

    codes: Tensor
    places: Tensor

    @classmethod
    def of(cls, codes: Tensor) -> NeighbourMap:
        """The map of some codes (n, latent), the same each time.

        Raises:
            BadSource: If there are too few.
        """
        from sklearn.manifold import TSNE  # takes a second to import

        z = codes.detach().to("cpu", torch.float64)
        if len(z) < LEAST:
            raise BadSource(f"a map of neighbours needs at least {LEAST} codes, got {len(z)}")
        perplexity = min(PERPLEXITY, (len(z) - 1) / 3)
        start = "pca" if z.shape[1] >= 2 else "random"
        places = TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(z.numpy())
        return cls(z, torch.as_tensor(places, dtype=torch.float64))

    def code(self, place: Tensor) -> Tensor:
        """The code (latent,) of a place (2,)."""
        return _weighted(self.places, self.codes, place)

    def place(self, code: Tensor) -> Tensor:
        """The place (2,) of a code (latent,)."""
        return _weighted(self.codes, self.places, code)


def _weighted(points: Tensor, values: Tensor, at: Tensor) -> Tensor:
    """The mean of the values (n, k) of the points nearest to one, by inverse squared distance."""
    squares = (points - at.to(points)).square().sum(1)
    nearest = squares.topk(min(NEAREST, len(points)), largest=False)
    if float(nearest.values[0]) == 0:
        return values[nearest.indices[0]]
    weights = nearest.values[0] / nearest.values
    mean: Tensor = (weights[:, None] * values[nearest.indices]).sum(0) / weights.sum()
    return mean
