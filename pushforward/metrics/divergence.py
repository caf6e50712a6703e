"""Lower bounds on f-divergences between two samples, by a critic on held-out rows.

For any function h of an observation, T = f'(e^h) is a valid critic, and

    D_f(p‖q) ≥ E_p[f'(e^h)] - E_q[f*(f'(e^h))],   equal where h = ln(p/q)

(Nowozin, Cseke & Tomioka 2016, https://arxiv.org/abs/1606.00709, Eq. 4; `objectives.divergences`).
A small network is trained for h by the bound of the original GAN game, whose gradients are bounded
and whose optimal h is that of every other f. The required bound, minus its standard error on
validation rows, selects the stopping point, and is then averaged over rows held out from both. By
cross-validation every row is held out once. (Maximising the required bound directly is no better
for KL, and with Pearson's and Neyman's e^2h it overfits single rows until the held-out bound is
worthless.)

The expected result is at most the true divergence, however good the network is; a larger result is
noise, of the size of the standard error. That error is itself unreliable if rare observations
dominate the averages: r² and 1/r² (Pearson, Neyman) and r (KL, Jeffrey) have heavy tails as soon as
the distributions are a few widths apart. `details["largest"]` is the largest share of the variance
due to one observation, and `details["note"]` warns if it is above a tenth.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pushforward.core.data_types import Observations
from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch, quote
from pushforward.core.global_random import seeded
from pushforward.core.numbers import require_whole
from pushforward.core.phase import adamw
from pushforward.core.random import Rng, generator, integers, permutation
from pushforward.core.records import Record
from pushforward.core.registry import read
from pushforward.metrics.gauge import mean_and_deviation
from pushforward.metrics.layouts import require_one_layout
from pushforward.metrics.samples import reorder_columns, rows
from pushforward.metrics.whole_numbers import subtract_common_origin
from pushforward.nets.mlp import MLP
from pushforward.objectives.divergences import Divergence

__all__ = ["divergence", "variational_bound", "train_log_ratio", "LogRatio"]

LEAST_ROWS = 20
"""Fewest rows of each distribution per fold.

With fewer, validation has a row or two, whose standard error is meaningless.
"""
LARGEST = 30.0
"""Largest |h|, so that e^2h is finite."""
BATCH = 512
"""Rows of each distribution per step; small data sets are used whole."""
RATE = 2e-3
DECAY = 0.3
"""Learning rate and weight decay of AdamW.

They are fast for a small network, and strong enough against overfitting single rows.
"""
EVERY = 50
PATIENCE = 8
"""Steps between validations, and validations without improvement before stopping: 400 steps."""
VALIDATION = 0.15
"""The share of rows for validation; the others are for training."""
AVERAGE = 0.98
"""Decay of the weight average, over about 50 steps: single steps of a critic are noisy."""
HEAVY = 0.1
"""Share of the variance due to one row above which the error bar is flagged as unreliable."""


def divergence(
    p: Observations,
    q: Observations,
    kind: Divergence | str = "kl",
    *,
    hidden: Sequence[int] = (32, 32),
    folds: int = 2,
    steps: int = 1500,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """A lower bound on D_f(p‖q) from samples p (n, *shape) and q (m, *shape), with standard error.

    Args:
        kind: 'kl', 'reverse_kl', 'pearson', 'neyman', 'hellinger',
            'jeffrey', 'js' (= 2 JSD), 'gan' or 'total_variation'.
        hidden: sizes of the critic's hidden layers.
        folds: number of folds; each critic is trained on the other folds and evaluated on its own.
        steps: most steps per critic; it stops early when the validation bound no longer improves.
        rng: seed or generator for the split, the initial weights and the batches.
        data: description of p and q for the record.

    Raises:
        ShapeMismatch: If p and q are not rows of one shape.
        BadSource: For numbers that are not finite or too few rows.

    Example:
        >>> import torch
        >>> stream = torch.Generator().manual_seed(0)
        >>> p = torch.randn(2000, 1, generator=stream)
        >>> q = 1 + torch.randn(2000, 1, generator=stream)
        >>> record = divergence(p, q, "hellinger", steps=200) # exact: .2350
        >>> 0.15 < record.value < 0.2350 + 3 * record.error
        True
    """
    rule = read(Divergence, kind)
    # no critic is evaluated on its training rows
    folds, steps = require_whole(folds, "folds", least=2), require_whole(steps, "steps", least=1)
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise InvalidKind(
            f"hidden must be the sizes of the critic's layers, got {quote(hidden)}; pass"
            " hidden=(32, 32), say"
        )
    hidden = [require_whole(size, f"hidden[{i}]", least=1) for i, size in enumerate(hidden)]
    stream, p, q = generator(rng), _check_rows(p, "p"), _check_rows(reorder_columns(q, p), "q")
    require_one_layout(p, q, ("p's", "q's"))
    p, q = p.flatten(1), q.flatten(1)
    _check(p, q, folds)
    p, q = subtract_common_origin(p, q)
    shift, scale = mean_and_deviation(torch.cat([p, q]))
    # units and offsets would cost the critics digits in float32
    p, q = (((x - shift) / scale).float() for x in (p, q))
    on_p, on_q = _held_out_outputs(
        p, q, folds, partial(train_log_ratio, kind=rule, hidden=hidden, steps=steps), stream
    )
    value, error, largest = variational_bound(rule, on_p, on_q)
    details: dict[str, Any] = {
        "critic": f"mlp{tuple(hidden)} with a linear part, float32",
        "split": f"{folds} folds in turn held out, {VALIDATION:.0%} of the rest for validation",
        "p": len(p),
        "q": len(q),
        "dimensions": p.shape[1],
        "steps": steps,
        "seed": rng if isinstance(rng, int) else None,
        "largest": largest,
    }
    if largest > HEAVY:
        details["note"] = (
            f"one observation makes up {largest:.0%} of the variance, so the error bar is"
            " unreliable; try hellinger, js or more rows"
        )
    n = len(p) + len(q)
    return Record(
        f"f-divergence {rule.name}",
        value,
        error,
        unit=rule.unit,
        bound="lower bound",
        data=data,
        n=n,
        details=details,
    )


def _held_out_outputs(
    p: Tensor, q: Tensor, folds: int, train: Callable[..., LogRatio], rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The log-ratios on every row of p (n,) and q (m,), each by a critic that has not seen it."""
    fold_p, fold_q = (permutation(len(x), rng=rng).to(x.device) % folds for x in (p, q))
    on_p, on_q = torch.empty(len(p), dtype=torch.float64), torch.empty(len(q), dtype=torch.float64)
    for fold in range(folds):
        h = train(p[fold_p != fold], q[fold_q != fold], rng=rng)
        for x, of, outputs in ((p, fold_p, on_p), (q, fold_q, on_q)):
            outputs[(of == fold).cpu()] = h.evaluate_blocks(x[of == fold])
    return on_p, on_q


def variational_bound(
    kind: Divergence | str, on_p: Tensor, on_q: Tensor
) -> tuple[float, float, float]:
    """E_p[f'(e^h)] - E_q[f*(f'(e^h))] from log-ratios h on held-out rows of p (n,) and q (m,).

    Returns:
        The value, its standard error, and the largest share of the variance due to one observation.
    """
    rule = read(Divergence, kind)
    gain, cost = rule.best(on_p.double()), rule.best_conjugate(on_q.double())
    parts = [
        (values - values.mean()).square() / (len(values) * (len(values) - 1))
        for values in (gain, cost)
    ]
    variance = float(parts[0].sum() + parts[1].sum())
    largest = max(float(part.max()) for part in parts) / variance if variance > 0 else 0.0
    return float(gain.mean() - cost.mean()), math.sqrt(variance), largest


class LogRatio(nn.Module):
    """h(x) ≈ ln(p/q): a linear map plus a perceptron of standardised x, clipped.

    Both are initially 0.
    """

    mean: Tensor
    scale: Tensor
    range: Tensor

    def __init__(self, x: Tensor, hidden: Sequence[int]) -> None:
        super().__init__()
        scale = x.std(0)
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("scale", torch.where(scale > 0, scale, 1.0))
        self.register_buffer("range", torch.tensor([-LARGEST, LARGEST]))
        self.linear = nn.Linear(x.shape[1], 1)
        self.curved = MLP(x.shape[1], (1,), hidden, "silu")
        for layer in (self.linear, self.curved.layers[-1]):
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.to(x.device)

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) -> (n,)."""
        u = (x - self.mean) / self.scale
        log_ratio: Tensor = self.linear(u) + self.curved(u)
        return log_ratio.squeeze(1).clamp(self.range[0], self.range[1])

    def limit_range(self, x: Tensor) -> None:
        """Clip h to its range of values on x from now on."""
        values = self.evaluate_blocks(x)
        self.range.copy_(torch.stack([values.min(), values.max()]))

    @torch.no_grad()
    def evaluate_blocks(self, x: Tensor) -> Tensor:
        """The same as `forward`, in blocks, in float64 on the CPU."""
        return torch.cat([self(part).double().cpu() for part in x.split(1 << 14)])


def train_log_ratio(
    p: Tensor,
    q: Tensor,
    kind: Divergence | str,
    *,
    hidden: Sequence[int] = (32, 32),
    steps: int = 1500,
    rng: Rng = None,
) -> LogRatio:
    """Train h for the best bound on D_f(p‖q).

    Rows are split off from p (n, d) and q (m, d), float32.
    """
    rule, stream = read(Divergence, kind), generator(rng)
    (p, seen_p), (q, seen_q) = (_split_rows(x, stream) for x in (p, q))
    with seeded(int(integers(2**62, (), rng=stream))):
        h = LogRatio(torch.cat([p, q]), hidden)
    h = _ascend(
        h,
        p,
        q,
        lambda h: penalised_bound(rule, h.evaluate_blocks(seen_p), h.evaluate_blocks(seen_q)),
        steps,
        stream,
    )
    h.limit_range(torch.cat([p, q]))
    return h


def penalised_bound(rule: Divergence, on_p: Tensor, on_q: Tensor) -> float:
    """The bound minus its standard error, so that noise is not rewarded."""
    value, error, _ = variational_bound(rule, on_p, on_q)
    return value - error


def _ascend(
    h: LogRatio,
    p: Tensor,
    q: Tensor,
    quality: Callable[[LogRatio], float],
    steps: int,
    rng: torch.Generator,
) -> LogRatio:
    """Maximise the original GAN bound on batches of p and q.

    Return the best running average of h.
    """
    mean, best, since = copy.deepcopy(h), copy.deepcopy(h), 0
    highest = quality(best)
    weights = list(h.parameters())
    optimizer = adamw(RATE, decay=DECAY).build(weights)
    for step in range(1, steps + 1):
        loss = (
            softplus(-h(_sample_batch(p, rng))).mean() + softplus(h(_sample_batch(q, rng))).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for average, weight in zip(mean.parameters(), weights):
                average.lerp_(weight, 1 - AVERAGE)
        if step % EVERY == 0 or step == steps:
            now, since = quality(mean), since + 1
            if now > highest:  # false for NaN
                highest, best, since = now, copy.deepcopy(mean), 0
            if since == PATIENCE:
                break
    return best


def _sample_batch(x: Tensor, rng: torch.Generator) -> Tensor:
    return x if len(x) <= BATCH else x[integers(len(x), (BATCH,), rng=rng).to(x.device)]


def _split_rows(x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split rows into training and validation rows."""
    order, n = permutation(len(x), rng=rng).to(x.device), max(1, round(VALIDATION * len(x)))
    return x[order[n:]], x[order[:n]]


def _check_rows(x: Observations, name: str) -> Tensor:
    """Rows (n, *shape), keeping integers."""
    tensor = rows(x)
    if getattr(x, "ndim", tensor.ndim) < 2:
        raise ShapeMismatch(
            f"{name} must be rows (n, d), got shape {tuple(getattr(x, 'shape', ()))}; reshape"
            " single numbers to (n, 1)"
        )
    if not tensor.isfinite().all():
        raise BadSource(f"{name} holds NaN or infinity; drop or fill those rows")
    return tensor


def _check(p: Tensor, q: Tensor, folds: int) -> None:
    if p.shape[1] != q.shape[1]:
        raise ShapeMismatch(
            f"p and q must be rows of one shape, got {p.shape[1]} and {q.shape[1]} numbers a row"
        )
    least = LEAST_ROWS * folds
    if min(len(p), len(q)) < least:
        raise BadSource(
            f"a critic needs {least} rows of each distribution with {folds} folds, got {len(p)} and"
            f" {len(q)}; sample more"
        )
