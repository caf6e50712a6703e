"""A small model of mixed tables, for tests of what is done with any: latent classes, within which
columns are independent, normal or categorical. Gaps are left out of products, so that densities,
completions and conditionals are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.events import Finished
from pushforward.core.model import Model
from pushforward.core.random import generator
from pushforward.core.space import Space
from pushforward.models.classical.axes import read_known_values, subspace

LEAST = 1e-3


class Steps:
    """The fitter: expectation maximisation of all rows at once, for so many steps."""

    setting_names = ("quiet",)

    def with_settings(self, settings: Mapping[str, Any], *, keep: bool = True) -> Steps:
        return self

    def fit(self, model: Any, source: Any) -> Finished:
        model.assemble(source.space, None)
        x = source.take(torch.arange(len(source))).x.double()
        order = np.random.default_rng(0).permutation(len(x))
        r = torch.nn.functional.one_hot(torch.from_numpy(order % model.classes), model.classes)
        first = x[:, 0].nan_to_num(float(x[:, 0].nanmean()))
        rank = first.argsort().argsort() * model.classes // len(x)
        r = 0.5 * r + 0.5 * torch.nn.functional.one_hot(rank, model.classes)
        for _ in range(50):
            model.maximise(x, r.double())
            r = model.joint(x).softmax(1)
        return Finished(samples=50 * len(x), seconds=0.0)


@pf.register("tiny_classes")
class TinyClasses(Model):
    """Latent classes of independent columns.

    Args:
        classes: how many.
    """

    accepts: ClassVar[frozenset[str]] = frozenset(
        {"missing", "constant", "single", "few", "categorical"}
    )
    scaling_kind = "identity"
    dtype = torch.float64

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.classes = classes

    def default_fitter(self) -> Any:
        return Steps()

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        most = max([2, *(len(c.categories) for c in space.columns)])
        shape = (self.classes, space.size, most)
        self.register_buffer("values", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("shares", torch.ones(self.classes, dtype=torch.float64))

    def maximise(self, x: Tensor, r: Tensor) -> None:
        self.shares = (r.sum(0) + 1e-3) / (r.sum(0) + 1e-3).sum()
        for j, column in enumerate(self.fitted_space().columns):
            there = ~x[:, j].isnan()
            own, values = r[there], x[there, j]
            if column.kind == "categorical":
                hot = torch.nn.functional.one_hot(values.long(), len(column.categories)).double()
                counts = own.T @ hot + 1e-3
                self.values[:, j, : hot.shape[1]] = counts / counts.sum(1, keepdim=True)
                continue
            total = own.sum(0) + 1e-9
            mean = own.T @ values / total
            square = (own * (values[:, None] - mean) ** 2).sum(0) / total
            spread = float(values.std()) * LEAST + 1e-9
            self.values[:, j, 0], self.values[:, j, 1] = mean, square.sqrt().clamp_min(spread)

    def joint(self, x: Tensor) -> Tensor:
        total = self.shares.log().expand(len(x), -1).clone()
        for j, column in enumerate(self.fitted_space().columns):
            there = ~x[:, j].isnan()
            if column.kind == "categorical":
                part = self.values[:, j].log()[:, x[there, j].long()].T
            else:
                z = (x[there, j][:, None] - self.values[:, j, 0]) / self.values[:, j, 1]
                part = -0.5 * z**2 - self.values[:, j, 1].log() - 0.5 * math.log(2 * math.pi)
            total[there] += part
        return total

    def log_prob(self, x: Any) -> Tensor:
        return self.joint(self.conform(x).double()).logsumexp(1)

    def responsibilities(self, x: Any) -> Tensor:
        return self.joint(self.conform(x).double()).softmax(1)

    def assign(self, x: Any) -> Tensor:
        return self.responsibilities(x).argmax(1)

    def sample(self, n: int, y: Any = None, rng: Any = None, using: Any = None) -> Tensor:
        empty = torch.full((n, self.fitted_space().size), math.nan, dtype=torch.float64)
        return self.complete(empty, rng=rng)

    def complete(self, x: Any, *, rng: Any = None, using: str = "draw") -> Tensor:
        x = self.conform(x).double().clone()
        stream, r = generator(rng), self.joint(x).softmax(1)
        chosen = torch.multinomial(r, 1, generator=stream)[:, 0] if len(x) else r.argmax(1)
        for j, column in enumerate(self.fitted_space().columns):
            gap = x[:, j].isnan()
            if column.kind == "categorical":
                p = r[gap] @ self.values[:, j] if using != "draw" else self.values[chosen[gap], j]
                if len(p):
                    draws = torch.multinomial(p, 1, generator=stream)[:, 0]
                    x[gap, j] = (draws if using == "draw" else p.argmax(1)).double()
            elif using == "draw":
                mean, spread = self.values[chosen[gap], j, 0], self.values[chosen[gap], j, 1]
                noise = torch.randn(len(mean), generator=stream, dtype=torch.float64)
                x[gap, j] = mean + spread * noise
            else:
                x[gap, j] = r[gap] @ self.values[:, j, 0]
        return x

    def condition(self, known: Mapping[Any, Any]) -> TinyClasses:
        b, a, values = read_known_values(self, known)
        x = torch.full((1, self.fitted_space().size), math.nan, dtype=torch.float64)
        x[0, b] = values.double()
        rest = TinyClasses(self.classes)
        rest.assemble(subspace(self.fitted_space(), a), None)
        rest.values = self.values[:, a]
        rest.shares = self.joint(x).softmax(1)[0]
        return rest
