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
    Encodes,
    HasCentres,
    HasComponents,
    HasDensity,
    HasPosterior,
    Samples,
)
from pushforward.core.errors import PushforwardError
from pushforward.core.units import HasUnits
from pushforward.densities.normals import Normal
from pushforward.latent import CodeDistribution, grid, infer_code_distribution

__all__ = ["LAYERS", "Plane", "Scene", "draw_layers", "layers_of", "some"]

SAMPLES = 600
CELLS = 48
"""Cells of heat maps along each axis."""
LINES = 21
"""Lines of the manifold along each axis."""
ARROWS = 120
ENCODED, ELLIPSES = 600, 120
"""Rows of the data whose codes and reconstructions, and whose posteriors, are drawn."""
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


@dataclass(frozen=True)
class Scene:
    """What layers are drawn from.

    Args:
        model: fitted as far as it is.
        plane: the part of the plane that is shown.
        rows: of the data (n, 2).
    """

    model: Any
    plane: Plane
    rows: Tensor


def _samples(scene: Scene) -> Tensor:
    """(n, 2)."""
    return cast(Samples, scene.model).sample(SAMPLES, rng=0)


def _density(scene: Scene) -> Tensor:
    """Log density at cells (CELLS, CELLS), nats."""
    values = cast(HasDensity, scene.model).log_prob(scene.plane.grid())
    return values.reshape(CELLS, CELLS)


def _critic(scene: Scene) -> Tensor:
    """The critic's output at cells (CELLS, CELLS)."""
    values = cast(Criticises, scene.model).criticise(scene.plane.grid())
    return values.reshape(CELLS, CELLS)


def _clusters(scene: Scene) -> Tensor:
    """The cluster of each cell (CELLS, CELLS)."""
    return cast(Assigns, scene.model).assign(scene.plane.grid()).reshape(CELLS, CELLS)


def _components(scene: Scene) -> Tensor:
    """Weight, mean and root R of the covariance R Rᵀ of normal components (k, 1 + 2 + 4).

    The ellipse of r standard deviations is mean + r R (cos t, sin t).
    """
    weights, means, covariances = cast(HasComponents, scene.model).normal_components()
    variances, axes = torch.linalg.eigh(covariances)
    roots = axes * variances.clamp_min(0).sqrt()[:, None]
    return torch.cat([weights[:, None], means, roots.flatten(1)], 1)


def _centres(scene: Scene) -> Tensor:
    """(k, 2)."""
    return cast(HasCentres, scene.model).centres()


def _manifold(scene: Scene) -> Tensor:
    """Where a grid of codes is decoded to (LINES, LINES, 2); (1, LINES, 2) for single numbers."""
    return grid(scene.model, LINES, distribution=_distribution(scene)).x


def _rebuilt(scene: Scene) -> Tensor:
    """Rows of the data, encoded and decoded again (n, 2)."""
    codes = cast(Encodes, scene.model).encode(some(scene.rows, ENCODED))
    return cast(Decodes, scene.model).decode(codes)


def _gradients(scene: Scene) -> Tensor:
    """Samples, and where the critic's output rises from there (n, 4), by central differences."""
    low, high, model = scene.plane.low, scene.plane.high, scene.model
    at = cast(Samples, model).sample(ARROWS, rng=0).to(torch.float64)
    step = (high - low) / 500
    moved = torch.stack([at + s * step * e for e in torch.eye(2).double() for s in (1, -1)])
    outputs = cast(Criticises, model).criticise(moved.reshape(-1, 2)).reshape(2, 2, -1)
    slope = ((outputs[:, 0] - outputs[:, 1]).to(torch.float64) / (2 * step[:, None])).T
    return torch.cat([at, slope], 1)


def _codes(scene: Scene) -> Tensor:
    """Codes of rows of the data (n, 1 or 2)."""
    return cast(Encodes, scene.model).encode(some(scene.rows, ENCODED))


def _posterior(scene: Scene) -> Tensor | None:
    """Means and standard deviations (k, 4) of the codes of rows; None if not normal."""
    model: Any = scene.model
    rows = cast(HasUnits, model).to_model(some(scene.rows, ELLIPSES))
    q = cast(HasPosterior, model).posterior(rows)
    if not isinstance(q, Normal) or q.mean.shape[1] != 2:
        return None
    return torch.cat([q.mean, q.variance.sqrt()], 1)


def some(rows: Tensor, most: int) -> Tensor:
    """At most so many rows, evenly spaced."""
    return rows[:: -(-len(rows) // most)]


def _distribution(scene: Scene) -> CodeDistribution:
    """Of the codes: the prior, or without one that of the codes of the data."""
    try:
        return infer_code_distribution(scene.model)
    except PushforwardError:
        return infer_code_distribution(scene.model, scene.rows)


Draw = Callable[[Scene], Tensor | None]
LAYERS: Mapping[str, tuple[tuple[type, ...], Draw]] = {
    "samples": ((Samples,), _samples),
    "rebuilt": ((Encodes, Decodes), _rebuilt),
    "density": ((HasDensity,), _density),
    "critic": ((Criticises,), _critic),
    "clusters": ((Assigns,), _clusters),
    "components": ((HasComponents,), _components),
    "centres": ((HasCentres,), _centres),
    "manifold": ((Decodes,), _manifold),
    "gradients": ((Criticises, Samples), _gradients),
    "codes": ((Encodes,), _codes),
    "posterior": ((HasPosterior,), _posterior),
}
"""Layers by name, with the capabilities that each needs."""
PLANAR = ("manifold", "codes", "posterior")
"""Layers of models whose codes have at most two numbers."""


def layers_of(model: Any, rows: Tensor) -> list[str]:
    """The layers that a fitted model of points in the plane has, for rows (n, 2) of its data."""
    able = [name for name, (needs, _) in LAYERS.items() if all(isinstance(model, n) for n in needs)]
    if not set(PLANAR) & set(able):
        return able
    try:
        planar = _distribution(Scene(model, Plane.around(rows), rows)).latent <= 2
    except PushforwardError:  # neither a prior nor an encoder: nobody knows its codes
        planar = False
    return [name for name in able if planar or name not in PLANAR]


def draw_layers(model: Any, plane: Plane, rows: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
    """Arrays of some layers; those that the model lacks are left out."""
    arrays: dict[str, Tensor] = {}
    scene = Scene(model, plane, rows)
    for name in set(names) & set(layers_of(model, rows)):
        drawn = LAYERS[name][1](scene)
        if drawn is not None:
            arrays[name] = drawn
    return arrays
