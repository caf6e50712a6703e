"""A record: one measured number with everything needed to trust, repeat and compare it.

Two records compare only if they measure the same quantity, in the same measure, on the same data,
with the same features and counts. A density per unit, a probability of levels and a binary
probability are different measures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue

__all__ = ["Record", "require_comparable"]

Bound: TypeAlias = Literal["exact", "estimate", "lower bound", "upper bound"]
"""What a number is beside the truth."""


@dataclass(frozen=True)
class Record:
    """A measured mean with its standard error.

    Args:
        quantity: what was measured, e.g. 'log_prob', 'elbo', 'reconstruction'.
        value: the number, in `unit`.
        error: its standard error (0 where exact, NaN where unknown).
        unit: 'nats', 'bits/dim', the data's own unit, …
        measure: for likelihoods: 'density per unit',
            'mass on levels' or 'binary mass'; '' otherwise.
        bound: 'exact', 'lower bound', 'upper bound' or 'estimate'.
        data: the data it was measured on (source, split, seed, fingerprint).
        n: number of observations.
        details: estimator settings, features and their hash, model, run, seconds.
        values: one number per observation, if kept (not stored in JSON).
    """

    quantity: str
    value: float
    error: float = float("nan")
    unit: str = ""
    measure: str = ""
    bound: Bound = "exact"
    data: str = ""
    n: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    values: Tensor | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, quantity: str, values: Tensor, **facts: Any) -> Record:
        """The mean of per-observation values (n,) with its standard error sd/√n."""
        values = values.detach().to("cpu", torch.float64)
        n = len(values)
        error = float(values.std(correction=1)) / math.sqrt(n) if n > 1 else float("nan")
        return cls(quantity, float(values.mean()), error, n=n, values=values, **facts)

    def comparable(self) -> tuple[str, ...]:
        """The facts that must agree before two records may share a column."""
        return (
            self.quantity_family,
            self.unit,
            self.measure,
            self.data,
            str(self.n),
            str(self.details.get("features", "")),
        )

    @property
    def quantity_family(self) -> str:
        """The quantity, where exact log-densities and bounds on them count as one."""
        return "log-likelihood" if self.measure else self.quantity

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the per-observation values; NaN becomes null."""
        content = {k: v for k, v in asdict(self).items() if k != "values"}
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in content.items()
        }

    def __str__(self) -> str:
        error = f" ± {self.error:.2g}" if math.isfinite(self.error) else ""
        sign = {"lower bound": "≥ ", "upper bound": "≤ "}.get(self.bound, "")
        return f"{self.quantity} {sign}{self.value:.4f}{error} {self.unit}".rstrip()

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(self.as_dict(), default=str)


def require_comparable(first: Record, second: Record) -> None:
    """Raise InvalidValue, naming the difference, if two records do not measure the same thing."""
    names = ("quantity", "unit", "measure", "data", "n", "features")
    for name, one, two in zip(names, first.comparable(), second.comparable()):
        if one != two:
            raise InvalidValue(
                f"these records are not comparable: {name} is {one!r} in one and {two!r} in the"
                " other"
            )
