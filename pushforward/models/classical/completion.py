"""Missing values filled in by normal distributions and their mixtures, exactly.

For a row with observed coordinates o and missing ones m, in component k (Bishop 2006, Eq. 2.81),

    x_m | x_o, k  ~  N( μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o),  Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om ),

and k is drawn from, or weighted by, its probability given x_o.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import one_of
from pushforward.core.model import Model
from pushforward.core.random import Rng, generator, normal
from pushforward.densities.margins import Scores
from pushforward.models.parts.cells import follow
from pushforward.models.parts.gaps import USES, draw_places, fill_gaps

__all__ = ["CompletesNormally"]

NUMBERS = 1 << 21
"""Numbers of the covariances of a block of rows: sixteen megabytes of float64."""


class CompletesNormally(Model):
    """A model that is a mixture of normal distributions in the user's units."""

    def complete(
        self,
        x: Observations,
        *,
        rng: Rng = None,
        using: Literal["draw", "mean", "mode"] = "draw",
    ) -> Tensor:
        """Rows (n, *shape) with their missing values filled in, given the row's other values.

        Args:
            x: rows, NaN where missing.
            rng: of draws.
            using: 'draw'; 'mean' for the conditional mean; 'mode' for that in the most probable
                component.
        """
        one_of("using", using, USES)
        space = self.fitted_space()
        given = space.conform(x, what="x", missing=True)
        space.refuse_infinite(given, "x")
        stream = generator(rng)
        return fill_gaps(
            given.to(self.device, torch.float64),
            max(1, NUMBERS // space.size**2),
            lambda rows: self._fill(rows, stream, using),
        )

    @abstractmethod
    def _normal_components(self) -> tuple[Tensor, Tensor]:
        """Means (k, d) and covariances (k, d, d), user's units."""

    def _component_probabilities(self, rows: Tensor) -> Tensor:
        """The probability of each component given the observed values of rows (n, k)."""
        return rows.new_ones(len(rows), 1)

    def _fill(self, rows: Tensor, rng: torch.Generator, using: str) -> Tensor:
        """Rows (n, d) without NaN."""
        means, covariances = self._normal_components()
        r = self._component_probabilities(rows)
        if using == "draw":
            chosen = draw_places(r, rng)
        else:
            chosen = r.argmax(1)
        if using != "mean":
            r = torch.nn.functional.one_hot(chosen, r.shape[1]).to(r)
        nothing = torch.full_like(rows, torch.nan)
        out = torch.zeros_like(rows)
        for k, mean in enumerate(means):
            at = (r[:, k] > 0).nonzero()[:, 0]
            if not len(at):
                continue
            scores = Scores(rows[at], nothing[at], nothing[at], nothing[at])
            paths = follow(scores, mean, covariances[k])
            if using == "draw":
                noise = normal(*rows[at].shape, rng=rng, like=rows)
                filled = paths.draw(torch.zeros_like(at), noise)
            else:
                filled = paths.given()[0][:, 0]
            out[at] += r[at, k, None] * filled
        return torch.where(torch.isnan(rows), out, rows)
