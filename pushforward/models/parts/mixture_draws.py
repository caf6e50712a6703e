"""Draws of a mixture of normal distributions: x = μ_k + L_k ε with k ~ π and ε ~ N(0, I)."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.core.random import normal

__all__ = ["draw_mixture"]


def draw_mixture(
    n: int, weights: Tensor, means: Tensor, roots: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The component (n,) and the value (n, d) of n draws.

    Args:
        weights: π (k,).
        means: μ (k, d).
        roots: L (k, d, d), or standard deviations (k, d) of independent coordinates; (1, …) if all
            components share them.
        rng: a stream.
    """
    drawn = torch.multinomial(weights.to(rng.device), n, replacement=True, generator=rng)
    component = drawn.to(means.device)
    x = normal(n, means.shape[1], rng=rng, like=means)
    full = roots.ndim == 3
    for k in component.unique().tolist():
        rows, spread = component == k, roots[k if len(roots) > 1 else 0]
        x[rows] = means[k] + (x[rows] @ spread.T if full else x[rows] * spread)
    return component, x
