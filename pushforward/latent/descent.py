"""L-BFGS for many small problems at once:
each row of z minimises its own f_i(z_i), with its own memory and its own step.

With s = z⁺ - z and y = ∇f⁺ - ∇f of the last m moves, the direction -H∇f comes from the two loops of
Nocedal (1980, https://doi.org/10.1090/S0025-5718-1980-0572855-7), begun at H_0 = (sᵀy / yᵀy) I; the
step is halved (or set by the parabola through the last trial) until Armijo's condition f(z + t p) ≤
f(z) + c t ∇fᵀp holds. A pair with too little curvature, sᵀy ≤ ε|s||y|, is left out, which keeps H
positive without Wolfe's second condition. So f never rises in any row, and no row's answer depends
on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["descend"]

ARMIJO = 1e-4
HALVINGS = 20
Objective = Callable[[Tensor, Tensor], Tensor]
"""(z of some rows (m, d), their numbers (m,)) -> f (m,)."""


def descend(
    objective: Objective, start: Tensor, steps: int, *, memory: int = 10
) -> tuple[Tensor, Tensor]:
    """Points (n, d) with f no higher than at `start`, and f there (n,);
    at most `steps` moves of each row.
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
    """The last moves and changes of gradient of every row;
    pairs that were left out have weight 0.
    """

    def __init__(self, size: int, like: Tensor) -> None:
        self.size = size
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.first = torch.zeros_like(like[:, 0])
        self.like = like

    def remember(self, s: Tensor, y: Tensor, rows: Tensor) -> None:
        """s and y (m, d) of some rows, in the place of the oldest."""
        curvature = (s * y).sum(1)
        good = curvature > 1e-10 * s.norm(dim=1) * y.norm(dim=1)
        weight = torch.where(good, 1 / curvature.where(good, torch.ones_like(curvature)), 0.0)
        own = torch.zeros_like(self.like), torch.zeros_like(self.like), torch.zeros_like(self.first)
        for kept, value in zip(own, (s, y, weight)):
            kept[rows] = value
        self.first[rows] = torch.where(
            good,
            curvature / y.square().sum(1).where(good, torch.ones_like(curvature)),
            self.first[rows],
        )
        self.pairs = [*self.pairs, own][-self.size :]

    def times(self, gradient: Tensor, rows: Tensor) -> Tensor:
        """H∇f (m, d) of some rows; rows without any pair give ∇f
        / max(1, |∇f|), a first step of length 1 or less.
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
    """A direction of descent (m, d)."""
    g = gradient[rows]
    move = -past.times(g, rows)
    down = (move * g).sum(1) < 0
    return torch.where(down[:, None], move, -g / g.norm(dim=1, keepdim=True).clamp_min(1))


def _search(
    objective: Objective, z: Tensor, f: Tensor, gradient: Tensor, move: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Backtracking, row by row: new z, f and gradient, and which rows moved."""
    new_z, new_f, new_gradient = z.clone(), f.clone(), gradient.clone()
    slope = (gradient * move).sum(1)
    step = torch.ones_like(f)
    left = torch.arange(len(z), device=z.device)
    for _ in range(HALVINGS):
        tried = z[left] + step[left, None] * move[left]
        value, own = _evaluate(objective, tried, rows[left])
        good = (value <= f[left] + ARMIJO * step[left] * slope[left]) & torch.isfinite(own).all(1)
        done = left[good]
        new_z[done], new_f[done], new_gradient[done] = tried[good], value[good], own[good]
        value, left = value[~good], left[~good]
        if not len(left):
            break
        parabola = -slope[left] * step[left] / (2 * (value - f[left] - step[left] * slope[left]))
        step[left] *= torch.nan_to_num(parabola, nan=0.1).clamp(0.1, 0.5)
    moved = torch.ones_like(f, dtype=torch.bool)
    moved[left] = False
    return new_z, new_f, new_gradient, moved


def _evaluate(objective: Objective, z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """f (m,) and its gradient (m, d)."""
    with torch.enable_grad():
        point = z.detach().requires_grad_(True)
        f = objective(point, rows)
        (gradient,) = torch.autograd.grad(f.sum(), point)
    return f.detach(), gradient
