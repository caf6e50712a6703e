"""Batched L-BFGS: each row of z minimises its own f_i(z_i), with its own memory and step size.

With s = z⁺ - z and y = ∇f⁺ - ∇f of the last m steps, the direction -H∇f comes from the two loops of
Nocedal (1980, https://doi.org/10.1090/S0025-5718-1980-0572855-7), started at H_0 = (sᵀy / yᵀy) I;
the step is halved (or set by the parabola through the last trial) until Armijo's condition
f(z + t p) ≤ f(z) + c t ∇fᵀp holds. A pair with too little curvature, sᵀy ≤ ε|s||y|, is skipped,
which keeps H positive without Wolfe's second condition. f never increases in any row, and rows do
not affect one another.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind

__all__ = ["descend"]

ARMIJO = 1e-4
HALVINGS = 20
Objective = Callable[[Tensor, Tensor], Tensor]
"""(z of some rows (m, d), their numbers (m,)) -> f (m,)."""


def descend(
    objective: Objective, start: Tensor, steps: int, *, memory: int = 10
) -> tuple[Tensor, Tensor]:
    """Points (n, d) with f no higher than at `start`, and f there (n,).

    At most `steps` steps per row.
    """
    z = start.detach().clone()
    rows = torch.arange(len(z), device=z.device)
    f, gradient = _evaluate(objective, z, rows)
    past = _Memory(memory, z)
    active = torch.isfinite(f) & torch.isfinite(gradient).all(1)
    for _ in range(steps):
        rows = active.nonzero()[:, 0]
        if not len(rows):
            break
        move = _move(past, gradient, rows)
        new_z, new_f, new_gradient, moved = _search(
            objective, z[rows], f[rows], gradient[rows], move, rows
        )
        past.remember(new_z - z[rows], new_gradient - gradient[rows], rows)
        small = f[rows] - new_f <= 10 * torch.finfo(f.dtype).eps * f[rows].abs()
        z[rows], f[rows], gradient[rows] = new_z, new_f, new_gradient
        active[rows] = moved & ~small
    return z, f


class _Memory:
    """The last steps and gradient changes of every row; skipped pairs have weight 0."""

    def __init__(self, size: int, like: Tensor) -> None:
        self.size = size
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.first = torch.zeros_like(like[:, 0])
        self.like = like

    def remember(self, s: Tensor, y: Tensor, rows: Tensor) -> None:
        """Store s and y (m, d) of some rows, replacing the oldest."""
        curvature = (s * y).sum(1)
        good = curvature > 1e-10 * s.norm(dim=1) * y.norm(dim=1)
        weight = torch.where(good, 1 / curvature.where(good, torch.ones_like(curvature)), 0.0)
        buffers = (
            torch.zeros_like(self.like),
            torch.zeros_like(self.like),
            torch.zeros_like(self.first),
        )
        for buffer, value in zip(buffers, (s, y, weight)):
            buffer[rows] = value
        self.first[rows] = torch.where(
            good,
            curvature / y.square().sum(1).where(good, torch.ones_like(curvature)),
            self.first[rows],
        )
        self.pairs = [*self.pairs, buffers][-self.size :]

    def times(self, gradient: Tensor, rows: Tensor) -> Tensor:
        """H∇f (m, d) of some rows.

        Without pairs, ∇f / max(1, |∇f|), a first step of length at most 1.
        """
        q, sizes = gradient, []
        for s, y, weight in reversed(self.pairs):
            size = weight[rows] * (s[rows] * q).sum(1)
            q = q - size[:, None] * y[rows]
            sizes.append(size)
        plain = 1 / gradient.norm(dim=1).clamp_min(1)
        q = torch.where(self.first[rows] > 0, self.first[rows], plain)[:, None] * q
        for (s, y, weight), size in zip(self.pairs, reversed(sizes)):
            q = q + (size - weight[rows] * (y[rows] * q).sum(1))[:, None] * s[rows]
        return q


def _move(past: _Memory, gradient: Tensor, rows: Tensor) -> Tensor:
    """A descent direction (m, d)."""
    g = gradient[rows]
    move = -past.times(g, rows)
    down = (move * g).sum(1) < 0
    return torch.where(down[:, None], move, -g / g.norm(dim=1, keepdim=True).clamp_min(1))


def _search(
    objective: Objective, z: Tensor, f: Tensor, gradient: Tensor, move: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Backtracking per row: new z, f and gradient, and which rows moved."""
    new_z, new_f, new_gradient = z.clone(), f.clone(), gradient.clone()
    slope = (gradient * move).sum(1)
    step = torch.ones_like(f)
    pending = torch.arange(len(z), device=z.device)
    for _ in range(HALVINGS):
        tried = z[pending] + step[pending, None] * move[pending]
        value, own = _evaluate(objective, tried, rows[pending])
        good = (value <= f[pending] + ARMIJO * step[pending] * slope[pending]) & torch.isfinite(
            own
        ).all(1)
        accepted = pending[good]
        new_z[accepted], new_f[accepted], new_gradient[accepted] = (
            tried[good],
            value[good],
            own[good],
        )
        value, pending = value[~good], pending[~good]
        if not len(pending):
            break
        parabola = (
            -slope[pending]
            * step[pending]
            / (2 * (value - f[pending] - step[pending] * slope[pending]))
        )
        step[pending] *= torch.nan_to_num(parabola, nan=0.1).clamp(0.1, 0.5)
    moved = torch.ones_like(f, dtype=torch.bool)
    moved[pending] = False
    return new_z, new_f, new_gradient, moved


def _evaluate(objective: Objective, z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """f (m,) and its gradient (m, d)."""
    with torch.enable_grad():
        point = z.detach().requires_grad_(True)
        f = objective(point, rows)
        if not f.requires_grad:
            raise InvalidKind(
                "what is minimised has no gradient with respect to codes; decode must compute it:"
                " leave out torch.no_grad() and detach()"
            )
        (gradient,) = torch.autograd.grad(f.sum(), point)
    return f.detach(), gradient
