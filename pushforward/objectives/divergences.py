"""f-divergences and the terms of their variational bounds.

For f convex and r = p/q,

    D_f(p‖q) = ∫ q f(r) ≥ E_p[T] - E_q[f*(T)],   f*(t) = max_u (u t - f(u)),

for every T with values where f* is finite, with equality at T* = f'(r). A critic's output v becomes
T = g(v), with g onto that range.

All numbers come in one of three variables: u = r itself; t, a value of T; v or log r, an unbounded
real number. Expressions in v or log r are simplified first, so that nothing overflows if the result
fits: KL and Hellinger grow like e^v, reverse KL and Neyman like e^-v, hence |v| ≤ 80 in float32; in
log r Pearson grows like r² and Neyman like r^-2, hence |log r| ≤ 40. f(1) is not subtracted: the
value named `gan` is -ln 4 between equal distributions.

References:
    Nowozin, Cseke & Tomioka (2016), f-GAN: training generative neural samplers using variational
    divergence minimization. https://arxiv.org/abs/1606.00709 Nguyen, Wainwright & Jordan (2010),
    Estimating divergence functionals and the likelihood ratio by convex risk minimization.
    https://doi.org/10.1109/TIT.2010.2068870
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.core.registry import Value
from pushforward.objectives.stable_logs import (
    LN2,
    binary_negentropy,
    infinite_above,
    log1mexp,
    log_lambert,
)

__all__ = [
    "Divergence",
    "KL",
    "ReverseKL",
    "Pearson",
    "Neyman",
    "Hellinger",
    "Jeffrey",
    "JensenShannon",
    "GANDivergence",
    "TotalVariation",
]


class Divergence(Value, family="divergence"):
    """One row of f-GAN's table.

    Every method is elementwise: any shape in, the same shape out, in the input's precision.

    Attributes:
        threshold: f'(1); a critic's T above it calls an observation real.
        boundary: the output v with g(v) = f'(1).
        top: supremum of the t where f* is finite.
        at_one: f(1), the divergence of a distribution from itself.
        unit: 'nats' if measured in nats, else ''.
    """

    threshold: ClassVar[float] = 0.0
    boundary: ClassVar[float] = 0.0
    top: ClassVar[float] = math.inf
    at_one: ClassVar[float] = 0.0
    unit: ClassVar[str] = ""

    @abstractmethod
    def f(self, u: Tensor) -> Tensor:
        """f(u) for u > 0."""

    @abstractmethod
    def conjugate(self, t: Tensor) -> Tensor:
        """f*(t); +∞ where it is infinite."""

    def activation(self, v: Tensor) -> Tensor:
        """T = g(v), increasing; by default v, for a T of any size."""
        return v

    def composed(self, v: Tensor) -> Tensor:
        """f*(g(v)), simplified where it can be."""
        return self.conjugate(self.activation(v))

    @abstractmethod
    def best(self, log_ratio: Tensor) -> Tensor:
        """T* = f'(r) from log r."""

    @abstractmethod
    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """f*(T*) = r f'(r) - f(r) from log r."""

    def between(self, log_p: Tensor, log_q: Tensor, at: Tensor) -> Tensor:
        """D_f(p‖q) of densities on a line, (..., m) at places (m,), by the trapezoid rule.

        Log-ratios are limited to ±40, so that no f overflows in double precision.
        """
        ratio = (log_p - log_q).clamp(-40, 40).exp()
        return torch.trapezoid(log_q.exp() * self.f(ratio), at)

    def best_bound(self, log_p: Tensor, log_q: Tensor, at: Tensor) -> Tensor:
        """E_p[T*] - E_q[f*(T*)], which equals `between`, from the same arguments."""
        log_ratio = (log_p - log_q).clamp(-40, 40)
        gain = log_p.exp() * self.best(log_ratio) - log_q.exp() * self.best_conjugate(log_ratio)
        return torch.trapezoid(gain, at)


@dataclass(frozen=True)
class KL(Divergence, name="kl"):
    """∫ p ln(p/q): covers all of p."""

    threshold: ClassVar[float] = 1.0
    boundary: ClassVar[float] = 1.0
    unit: ClassVar[str] = "nats"

    def f(self, u: Tensor) -> Tensor:
        """u ln u."""
        return torch.xlogy(u, u)

    def conjugate(self, t: Tensor) -> Tensor:
        """e^(t-1)."""
        return (t - 1).exp()

    def composed(self, v: Tensor) -> Tensor:
        """e^(v-1)."""
        return (v - 1).exp()

    def best(self, log_ratio: Tensor) -> Tensor:
        """1 + ln r."""
        return 1 + log_ratio

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """r."""
        return log_ratio.exp()


@dataclass(frozen=True)
class ReverseKL(Divergence, name="reverse_kl"):
    """∫ q ln(q/p): seeks a mode of p."""

    threshold: ClassVar[float] = -1.0
    top: ClassVar[float] = 0.0
    unit: ClassVar[str] = "nats"

    def f(self, u: Tensor) -> Tensor:
        """-ln u."""
        return -u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        """-1 - ln(-t) for t < 0."""
        return infinite_above(t, self.top, -1.0, lambda t: -1 - (-t).log())

    def activation(self, v: Tensor) -> Tensor:
        """-e^-v."""
        return -(-v).exp()

    def composed(self, v: Tensor) -> Tensor:
        """v - 1."""
        return v - 1

    def best(self, log_ratio: Tensor) -> Tensor:
        """-1/r."""
        return -(-log_ratio).exp()

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """ln r - 1."""
        return log_ratio - 1


@dataclass(frozen=True)
class Pearson(Divergence, name="pearson"):
    """∫ (p-q)²/q.

    Table 1 of Nowozin et al. has p in the denominator, contradicting its f.
    """

    def f(self, u: Tensor) -> Tensor:
        """(u-1)²."""
        return (u - 1).square()

    def conjugate(self, t: Tensor) -> Tensor:
        """t²/4 + t for t ≥ -2, else -1: u cannot be negative."""
        return (1 + t / 2).relu().square() - 1

    def best(self, log_ratio: Tensor) -> Tensor:
        """2(r-1)."""
        return 2 * log_ratio.expm1()

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """r² - 1."""
        return (2 * log_ratio).expm1()


@dataclass(frozen=True)
class Neyman(Divergence, name="neyman"):
    """∫ (p-q)²/p: Pearson's with the distributions exchanged."""

    top: ClassVar[float] = 1.0

    def f(self, u: Tensor) -> Tensor:
        """(1-u)²/u."""
        return (1 - u).square() / u

    def conjugate(self, t: Tensor) -> Tensor:
        """2 - 2√(1-t) for t ≤ 1."""
        inside = infinite_above(t, self.top, 0.0, lambda t: 2 - 2 * (1 - t).sqrt())
        return torch.where(t == self.top, 2.0, inside)

    def activation(self, v: Tensor) -> Tensor:
        """1 - e^-v."""
        return -(-v).expm1()

    def composed(self, v: Tensor) -> Tensor:
        """2 - 2e^(-v/2)."""
        return -2 * (-v / 2).expm1()

    def best(self, log_ratio: Tensor) -> Tensor:
        """1 - 1/r²."""
        return -(-2 * log_ratio).expm1()

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """2 - 2/r."""
        return -2 * (-log_ratio).expm1()


@dataclass(frozen=True)
class Hellinger(Divergence, name="hellinger"):
    """∫ (√p-√q)², at most 2."""

    top: ClassVar[float] = 1.0

    def f(self, u: Tensor) -> Tensor:
        """(√u-1)²."""
        return (u.sqrt() - 1).square()

    def conjugate(self, t: Tensor) -> Tensor:
        """t/(1-t) for t < 1."""
        return infinite_above(t, self.top, 0.0, lambda t: t / (1 - t))

    def activation(self, v: Tensor) -> Tensor:
        """1 - e^-v."""
        return -(-v).expm1()

    def composed(self, v: Tensor) -> Tensor:
        """e^v - 1."""
        return v.expm1()

    def best(self, log_ratio: Tensor) -> Tensor:
        """1 - r^-½."""
        return -(-log_ratio / 2).expm1()

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """√r - 1."""
        return (log_ratio / 2).expm1()


@dataclass(frozen=True)
class Jeffrey(Divergence, name="jeffrey"):
    """∫ (p-q) ln(p/q): KL and reverse KL together.

    With w the root of w + ln w = 1 - t, that is Lambert's W(e^(1-t)), the maximum is at u = 1/w and
    f* = 1/w + w + t - 2. In y = ln w, which avoids e^(1-t), this is e^-y - 1 - y.
    """

    unit: ClassVar[str] = "nats"

    def f(self, u: Tensor) -> Tensor:
        """(u-1) ln u."""
        return (u - 1) * u.log()

    def conjugate(self, t: Tensor) -> Tensor:
        """1/W + W + t - 2 with W = W(e^(1-t))."""
        y = log_lambert(1 - t)
        return (-y).expm1() - y

    def best(self, log_ratio: Tensor) -> Tensor:
        """ln r + 1 - 1/r."""
        return log_ratio - (-log_ratio).expm1()

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """r - 1 + ln r."""
        return log_ratio.expm1() + log_ratio


@dataclass(frozen=True)
class JensenShannon(Divergence, name="js"):
    """Twice the Jensen-Shannon divergence, at most ln 4.

    Table 1 of Nowozin et al. has a factor ½ that its f lacks.
    """

    top: ClassVar[float] = LN2
    unit: ClassVar[str] = "nats"

    def f(self, u: Tensor) -> Tensor:
        """u ln u - (u+1) ln((1+u)/2)."""
        return binary_negentropy(u) + (1 + u) * LN2

    def conjugate(self, t: Tensor) -> Tensor:
        """-ln(2 - e^t) for t < ln 2."""
        return infinite_above(t, self.top, 0.0, lambda t: -log1mexp(t - LN2) - LN2)

    def activation(self, v: Tensor) -> Tensor:
        """ln 2 - ln(1+e^-v)."""
        return LN2 + logsigmoid(v)

    def composed(self, v: Tensor) -> Tensor:
        """ln(1+e^v) - ln 2."""
        return -logsigmoid(-v) - LN2

    def best(self, log_ratio: Tensor) -> Tensor:
        """ln(2r/(1+r))."""
        return self.activation(log_ratio)

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """ln((1+r)/2)."""
        return self.composed(log_ratio)


@dataclass(frozen=True)
class GANDivergence(Divergence, name="gan"):
    """Twice the Jensen-Shannon divergence minus ln 4:
    the value of the original GAN at its optimal critic.
    """

    threshold: ClassVar[float] = -LN2
    top: ClassVar[float] = 0.0
    at_one: ClassVar[float] = -2 * LN2
    unit: ClassVar[str] = "nats"

    def f(self, u: Tensor) -> Tensor:
        """u ln u - (u+1) ln(u+1)."""
        return binary_negentropy(u)

    def conjugate(self, t: Tensor) -> Tensor:
        """-ln(1 - e^t) for t < 0."""
        return infinite_above(t, self.top, -1.0, lambda t: -log1mexp(t))

    def activation(self, v: Tensor) -> Tensor:
        """-ln(1+e^-v)."""
        return logsigmoid(v)

    def composed(self, v: Tensor) -> Tensor:
        """ln(1+e^v)."""
        return -logsigmoid(-v)

    def best(self, log_ratio: Tensor) -> Tensor:
        """ln(r/(1+r))."""
        return self.activation(log_ratio)

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """ln(1+r)."""
        return self.composed(log_ratio)


@dataclass(frozen=True)
class TotalVariation(Divergence, name="total_variation"):
    """½∫ |p-q|, at most 1."""

    top: ClassVar[float] = 0.5

    def f(self, u: Tensor) -> Tensor:
        """½|u-1|."""
        return 0.5 * (u - 1).abs()

    def conjugate(self, t: Tensor) -> Tensor:
        """t for |t| ≤ ½, -½ below: u cannot be negative."""
        return torch.where(t > self.top, math.inf, t.clamp_min(-0.5))

    def activation(self, v: Tensor) -> Tensor:
        """½ tanh v."""
        return 0.5 * v.tanh()

    def composed(self, v: Tensor) -> Tensor:
        """½ tanh v."""
        return 0.5 * v.tanh()

    def best(self, log_ratio: Tensor) -> Tensor:
        """½ sgn(r-1); no slope."""
        return 0.5 * log_ratio.sign()

    def best_conjugate(self, log_ratio: Tensor) -> Tensor:
        """½ sgn(r-1)."""
        return 0.5 * log_ratio.sign()
