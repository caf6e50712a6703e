"""Two sets of samples in one feature space, and the records that are made of them.

What a record of a sample metric says besides its number: the feature space with its fingerprint and the metric's own settings
(both in details['features'], which must agree before two records compare), how many real and generated rows, the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.core.source import spread
from pushforward.metrics.features import Features, digest, raw, rows

__all__ = ["Pair", "described", "seed_of"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Features of real rows (n, d) and of generated rows (m, d), float64."""

    real: Tensor
    generated: Tensor
    features: Features
    data: str

    @classmethod
    def of(cls, real: Any, generated: Any, features: Features | None = None, data: str = "", *, least: int = 2) -> Pair:
        """The features of both sets; ShapeMismatch or InvalidValue where they do not fit each other."""
        features = raw() if features is None else features
        one, two = features(real), features(generated)
        if one.shape[1] != two.shape[1]:
            raise ShapeMismatch(
                f"real and generated samples have {one.shape[1]} and {two.shape[1]} features; bring both to one shape (size=..., say)"
            )
        for name, x in (("real", one), ("generated", two)):
            if len(x) < least:
                raise InvalidValue(f"at least {least} {name} rows are needed, got {len(x)}; bring more")
            if not bool(x.isfinite().all()):
                raise InvalidValue(f"the {name} samples hold NaN or infinity in {features.label}; drop these rows")
        return cls(one, two, features, data or described(rows(real)))

    @property
    def dimension(self) -> int:
        """How many features."""
        return int(self.real.shape[1])

    def centred(self) -> tuple[Tensor, Tensor]:
        """Both sets less the real mean, so that distances and covariances do not cancel far from the origin."""
        mean = self.real.mean(0)
        return self.real - mean, self.generated - mean

    def record(self, quantity: str, value: float, error: float, *, settings: str = "", **details: Any) -> Record:
        """A record of one number."""
        return Record(
            quantity, value, error, bound="estimate", data=self.data, n=len(self.generated), details=self._details(settings, details)
        )

    def mean(self, quantity: str, values: Tensor, *, settings: str = "", **details: Any) -> Record:
        """A record of the mean of one number per row, with its standard error; n stays the number of generated rows."""
        of = Record.of(quantity, values)
        found = self.record(quantity, of.value, of.error, settings=settings, **details)
        return Record(**{**found.__dict__, "values": of.values})

    def _details(self, settings: str, details: dict[str, Any]) -> dict[str, Any]:
        return {
            "features": f"{self.features.label}; {settings}" if settings else self.features.label,
            "feature_space": self.features.label,
            "real": len(self.real),
            "generated": len(self.generated),
            **details,
        }


def described(x: Tensor) -> str:
    """What records say they were measured on where no name was given: the count and a fingerprint of the real rows."""
    return f"{len(x)} rows #{digest([x[spread(len(x), 256)].to(torch.float64)])}"


def seed_of(rng: Rng) -> int | str:
    """The seed, where it is known."""
    return rng if isinstance(rng, int) else "a stream"
