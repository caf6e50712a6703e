"""What a model of points in the plane looks like, layer by layer, as arrays for a page.

Every layer needs one capability, so models of users' own show as much as those of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from pushforward.core.capabilities import (
    Assigns,
    Criticises,
    Decodes,
    HasDensity,
    HasPosterior,
    Samples,
)
from pushforward.core.units import HasUnits
from pushforward.densities.normals import Normal
from pushforward.latent import grid, infer_code_distribution

__all__ = ["LAYERS", "Plane", "draw_layers", "layers_of"]

SAMPLES = 600
CELLS = 48
"""Cells of heat maps along each axis."""
LINES = 21
"""Lines of the manifold along each axis."""
ARROWS = 120
ELLIPSES = 120
MARGIN = 0.25
"""Of the data's range, shown around it."""


@dataclass(frozen=True)
class Plane:
    """The part of the plane that is shown: corners (2,) each."""

    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, x: Tensor) -> Plane:
        """A square around rows (n, 2), without the outermost hundredth on each side."""
        ends = torch.quantile(
            x[:20_000].to(torch.float64), torch.tensor([0.01, 0.99]).double(), dim=0
        )
        half = (1 + 2 * MARGIN) / 2 * (ends[1] - ends[0])
        half = torch.where(half > 0, half, half.amax().clamp_min(1.0))
        middle = ends.mean(0)
        return cls(middle - half, middle + half)

    def grid(self, cells: int = CELLS) -> Tensor:
        """Centres of cells (cells², 2), row by row from the bottom."""
        at = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
        x, y = (self.low[k] + (self.high[k] - self.low[k]) * at for k in range(2))
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


def _samples(model: Any, plane: Plane) -> dict[str, Tensor]:
    return {"samples": cast(Samples, model).sample(SAMPLES, rng=0)}


def _density(model: Any, plane: Plane) -> dict[str, Tensor]:
    values = cast(HasDensity, model).log_prob(plane.grid())
    return {"density": values.reshape(CELLS, CELLS)}


def _critic(model: Any, plane: Plane) -> dict[str, Tensor]:
    return {"critic": cast(Criticises, model).criticise(plane.grid()).reshape(CELLS, CELLS)}


def _clusters(model: Any, plane: Plane) -> dict[str, Tensor]:
    return {"clusters": cast(Assigns, model).assign(plane.grid()).reshape(CELLS, CELLS)}


def _manifold(model: Any, plane: Plane) -> dict[str, Tensor]:
    return {"manifold": grid(model, LINES).x}


def _gradients(model: Any, plane: Plane) -> dict[str, Tensor]:
    """Samples, and where the critic's output rises from there, by central differences."""
    at = cast(Samples, model).sample(ARROWS, rng=0).to(torch.float64)
    step = (plane.high - plane.low) / 500
    moved = torch.stack([at + s * step * e for e in torch.eye(2).double() for s in (1, -1)])
    outputs = cast(Criticises, model).criticise(moved.reshape(-1, 2)).reshape(2, 2, -1)
    slope = ((outputs[:, 0] - outputs[:, 1]).to(torch.float64) / (2 * step[:, None])).T
    return {"gradients": torch.cat([at, slope], 1)}


def _posterior(model: Any, plane: Plane) -> dict[str, Tensor]:
    """Means and standard deviations (k, 4) of the codes of samples, of normal posteriors."""
    rows = cast(Samples, model).sample(ELLIPSES, rng=1)
    q = cast(HasPosterior, model).posterior(cast(HasUnits, model).to_model(rows))
    if not isinstance(q, Normal) or q.mean.shape[1] != 2:
        return {}
    return {"posterior": torch.cat([q.mean, q.variance.sqrt()], 1)}


Draw = Callable[[Any, Plane], dict[str, Tensor]]
LAYERS: Mapping[str, tuple[tuple[type, ...], Draw]] = {
    "samples": ((Samples,), _samples),
    "density": ((HasDensity,), _density),
    "critic": ((Criticises,), _critic),
    "clusters": ((Assigns,), _clusters),
    "manifold": ((Decodes,), _manifold),
    "gradients": ((Criticises, Samples), _gradients),
    "posterior": ((HasPosterior, Samples), _posterior),
}
"""Layers by name, with the capabilities that each needs."""
PLANAR = ("manifold", "posterior")
"""Layers of models whose codes have at most two numbers."""


def layers_of(model: Any) -> list[str]:
    """The layers that a fitted model of points in the plane has."""
    found = [name for name, (needs, _) in LAYERS.items() if isinstance(model, needs)]
    found = [name for name in found if all(isinstance(model, n) for n in LAYERS[name][0])]
    if isinstance(model, Decodes) and infer_code_distribution(model).latent <= 2:
        return found
    return [name for name in found if name not in PLANAR]


def draw_layers(model: Any, plane: Plane, names: Iterable[str]) -> dict[str, Tensor]:
    """Arrays of some layers; those that the model lacks are left out."""
    arrays: dict[str, Tensor] = {}
    for name in set(names) & set(layers_of(model)):
        arrays |= LAYERS[name][1](model, plane)
    return arrays
