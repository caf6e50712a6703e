"""Logarithms in forms that neither overflow nor cancel, elementwise and differentiable."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

__all__ = ["LN2", "binary_negentropy", "infinite_above", "log1mexp", "log_lambert"]

LN2 = math.log(2)
STEPS = 6
"""Newton steps, each doubling the digits: enough for float64 from any start."""


def log_lambert(s: Tensor) -> Tensor:
    """ln W(e^s): the y with e^y + y = s, any real s, differentiable any number of times."""
    y: Tensor = _LogLambert.apply(s)  # type: ignore[no-untyped-call]  # untyped in torch
    return y


class _LogLambert(torch.autograd.Function):
    """Newton's iteration forwards, the implicit derivative dy/ds = 1/(1 + e^y) backwards."""

    @staticmethod
    def forward(ctx: FunctionCtx, s: Tensor) -> Tensor:
        # e^y + y - s is convex and increasing, and y starts above the root,
        # so every step decreases towards it.
        y = torch.where(s < -10, s, torch.logaddexp(s, torch.zeros_like(s)).clamp_min(4e-5).log())
        for _ in range(STEPS):
            w = y.exp()
            y = y - (w + y - s) / (w + 1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradients[0] * torch.sigmoid(-y)


def infinite_above(t: Tensor, top: float, safe: float, value: Callable[[Tensor], Tensor]) -> Tensor:
    """value(t) where t < top and +∞ elsewhere, with gradient 0 there.

    `safe` stands in there, because where() passes NaN gradients on.
    """
    outside = t >= top
    return torch.where(outside, math.inf, value(torch.where(outside, safe, t)))


def log1mexp(s: Tensor) -> Tensor:
    """ln(1 - e^s) for s < 0, precise at both ends.

    Reference:
        Mächler (2012), Accurately computing log(1 - exp(-|a|)).
        https://cran.r-project.org/web/packages/Rmpfr/vignettes/log1mexp-note.pdf
    """
    far = s < -LN2
    near = (-torch.where(far, -LN2, s).expm1()).log()
    return torch.where(far, (-torch.where(far, s, -LN2).exp()).log1p(), near)


def binary_negentropy(u: Tensor) -> Tensor:
    """u ln u - (u+1) ln(u+1), without its cancellation at large u.

    As -u ln(1+1/u) - ln(1+u): (1+u) times minus the entropy of a coin of odds u.
    """
    w = u.clamp_min(torch.finfo(u.dtype).tiny)
    return -w * (1 / w).log1p() - u.log1p()
