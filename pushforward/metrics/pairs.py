"""Two sets of samples in one feature space, and the records made from them.

Besides its value, a record of a sample metric holds the feature space with its fingerprint and the
settings of the metric (both in details['features'], which must be equal for records to be
compared), the numbers of real and generated rows, and the seed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, quote
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.core.source import space_rows
from pushforward.metrics.feature_spaces import raw
from pushforward.metrics.features import Features, digest
from pushforward.metrics.gauge import Gauge, is_finite, power_of_two
from pushforward.metrics.layouts import require_one_layout
from pushforward.metrics.neighbours import Points
from pushforward.metrics.samples import reorder_columns, rows

__all__ = ["FewRows", "Pair", "describe_rows", "known_seed", "warn_few_rows"]


class FewRows(UserWarning):
    """A metric's value and error bar are rough because there are few rows."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Features of real rows (n, d) and of generated rows (m, d).

    Args:
        sets: both, float64, or float32 if they are raw numbers in it.
        features: their space.
        data: a description of the real rows.
    """

    sets: tuple[Tensor, Tensor]
    features: Features
    data: str

    @classmethod
    def of(
        cls,
        real: Observations,
        generated: Observations,
        features: Features | None = None,
        data: str = "",
        *,
        least: int = 2,
    ) -> Pair:
        """Compute the features of both sets.

        Raises:
            ShapeMismatch, InvalidValue: If they are incompatible.
        """
        real_rows, generated_rows = rows(real), rows(reorder_columns(generated, real))
        if not isinstance(features, Features | None):
            raise InvalidKind(
                f"features must be a feature space, got {quote(features)}; pass"
                " features=scaled(real), or find_features('pca(20)', real)"
            )
        features = (raw() if features is None else features).with_origin(real_rows, generated_rows)
        require_one_layout(real_rows, generated_rows)
        one, two = features.compact(real_rows), features.compact(generated_rows)
        if one.shape[1] != two.shape[1]:
            raise ShapeMismatch(
                f"real and generated samples have {one.shape[1]} and {two.shape[1]} features; bring"
                " both to one shape (size=..., say)"
            )
        for name, x in (("real", one), ("generated", two)):
            if len(x) < least:
                raise InvalidValue(
                    f"at least {least} {name} rows are needed, got {len(x)}; bring more"
                )
            _require_finite(name, x, features)
        return cls((one, two), features, data or describe_rows(real_rows))

    def transform_third(
        self, x: Observations, real: Observations, names: tuple[str, str]
    ) -> Tensor:
        """The features of a third set, with the layout of the real rows.

        `names` are the names of the real and the third rows in messages.
        """
        x = rows(reorder_columns(x, real))
        require_one_layout(rows(real), x, names)
        features = self.features(x)
        if features.shape[1] != self.dimension:
            raise ShapeMismatch(
                f"{names[1]} rows have {features.shape[1]} features, {names[0]} rows"
                f" {self.dimension}; pass rows of one shape"
            )
        _require_finite(names[1], features, self.features)
        return features

    @property
    def dimension(self) -> int:
        """The number of features."""
        return int(self.sets[0].shape[1])

    @cached_property
    def real(self) -> Tensor:
        """Features of the real rows (n, d), float64."""
        return self.sets[0].to(torch.float64)

    @cached_property
    def generated(self) -> Tensor:
        """Features of the generated rows (m, d), float64."""
        return self.sets[1].to(torch.float64)

    @cached_property
    def gauge(self) -> Gauge:
        """The common centre and scale of both sets."""
        return Gauge.of(*self.sets)

    def centred(self) -> tuple[Tensor, Tensor]:
        """Both sets in the common gauge, with distances in units of `gauge.scale`."""
        return self.gauge(self.sets[0]), self.gauge(self.sets[1])

    def points(self, *sets: Tensor) -> tuple[Points, ...]:
        """Both sets, or the given ones, in the common gauge.

        Also returns the rounding error of each row.
        """
        gauge, share = self.gauge, self.features.rounding
        sets = sets or self.sets
        unit = gauge.unit(*sets)
        return tuple(Points(gauge(x), gauge.noise(x, share), unit) for x in sets)

    def record(
        self, quantity: str, value: float, error: float, *, settings: str = "", **details: Any
    ) -> Record:
        """A record of one number."""
        return Record(
            quantity,
            value,
            error,
            bound="estimate",
            data=self.data,
            n=len(self.sets[1]),
            details=self._details(settings, details),
        )

    def mean(self, quantity: str, values: Tensor, *, settings: str = "", **details: Any) -> Record:
        """A record of the mean of one number per row, with its standard error.

        n stays the number of generated rows.
        """
        largest = float(values.abs().max())
        unit = power_of_two(largest)  # squares of 1e178 would be infinite
        of = Record.of(quantity, values / unit)
        record = self.record(
            quantity, of.value * unit, of.error * unit, settings=settings, **details
        )
        return Record(**{**record.__dict__, "values": values.detach().to("cpu", torch.float64)})

    def _details(self, settings: str, details: dict[str, Any]) -> dict[str, Any]:
        return {
            "features": f"{self.features.label}; {settings}" if settings else self.features.label,
            "feature_space": self.features.label,
            "real": len(self.sets[0]),
            "generated": len(self.sets[1]),
            **details,
        }


def _require_finite(name: str, x: Tensor, features: Features) -> None:
    if not is_finite(x):
        raise InvalidValue(
            f"the {name} samples hold NaN or infinity in {features.label}; drop these rows"
        )


def describe_rows(x: Tensor) -> str:
    """A description of unnamed data for records: the count and fingerprint of the real rows."""
    return f"{len(x)} rows #{digest([x[space_rows(len(x), 256)].to(torch.float64)])}"


def known_seed(rng: Rng) -> int | str:
    """The seed, if known."""
    return rng if isinstance(rng, int) else "a stream"


def warn_few_rows(metric: str, note: str) -> None:
    """Issue a `FewRows` warning, which the command line formats."""
    warnings.warn(f"{metric}: {note}", FewRows, stacklevel=3)
