"""Conversion between the user's units and model coordinates.

It covers observations, conditions, dtypes and devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from pushforward.core.conditions import Conditions
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import BadSource, NotFitted
from pushforward.core.module import Module
from pushforward.core.scalars import PlainSettings
from pushforward.core.scaling import Scaling
from pushforward.core.space import Space
from pushforward.core.space.conform import has_only_finite

__all__ = ["HasSpace", "HasUnits", "TakesConditions"]


@runtime_checkable
class TakesConditions(Protocol):
    """Lives on a device, and converts the conditions that a user passes."""

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        ...

    def to_condition(self, y: Conditioning, n: int) -> Tensor | None:
        """Conditions for n rows as its networks see them."""
        ...


@runtime_checkable
class HasSpace(Protocol):
    """Knows the space of its observations."""

    def fitted_space(self) -> Space:
        """The space; NotFitted before a fit."""
        ...


class HasUnits(Module, metaclass=PlainSettings):
    """A module with a space and a scaling, which converts to and from model coordinates."""

    accepts: ClassVar[frozenset[str]] = frozenset()
    accepts_with: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Further issues in data that are accepted with a setting (name, value)."""
    dtype: ClassVar[torch.dtype | None] = None
    """The float type of incoming data; None uses the parameters' type."""

    space: Space | None
    condition_space: Space | None
    scaling: Scaling
    condition_scaling: Scaling

    @property
    def conditions(self) -> Conditions:
        """Converter from the user's conditions to a network's inputs; falsy without conditions."""
        if self.condition_space is None:
            return Conditions(None, owner=type(self).__name__)
        return Conditions(
            self.condition_space, self.condition_scaling, self.floating(), type(self).__name__
        )

    @property
    def fitted(self) -> bool:
        """Whether the model has been fitted or loaded."""
        return self.space is not None

    @property
    def device(self) -> torch.device:
        """The model's device; raises NotFitted before `fit`."""
        self.fitted_space()
        return self.scaling.shift.device

    def fitted_space(self) -> Space:
        """The space; raises NotFitted before `fit`."""
        if self.space is None:
            raise NotFitted(f"this {type(self).__name__} is not fitted yet; call fit(x) first")
        return self.space

    def floating(self) -> torch.dtype:
        """The float type the model computes in."""
        if self.dtype is not None:
            return self.dtype
        first = next(self.parameters(), None)
        return torch.get_default_dtype() if first is None else first.dtype

    def user_dtype(self) -> torch.dtype:
        """The float type of observations in the user's units.

        It is the networks', or float64 if that would lose digits.
        """
        if self.dtype is not None or self.scaling.wide:
            return torch.float64
        return torch.promote_types(self.floating(), torch.float32)

    def conform(self, x: Observations, *, what: str = "x") -> Tensor:
        """The user's data as a floating tensor (n, *shape) on the model's device.

        They keep the user's units and their precision, or become float64.

        ShapeMismatch if they do not fit its space.

        Raises:
            BadSource: Names row and column where a value is missing,
                unless the model `accepts` 'missing'.
        """
        space = self.fitted_space()
        rows = space.conform(x, what=what)
        if not has_only_finite(rows):
            if "missing" not in self.accepts:
                space.refuse_missing(rows, what)
            space.refuse_infinite(rows, what)
        device = self.scaling.shift.device
        return rows if rows.device == device else rows.to(device)

    def to_model(self, x: Observations, *, what: str = "x") -> Tensor:
        """The user's data in model coordinates, on the model's device; raises as `conform` does."""
        rows = self.conform(x, what=what)
        u: Tensor = self.scaling(rows).to(self.floating())
        if what == "x" and "missing" not in self.accepts and not bool(u.isfinite().all()):
            row = int((~u.flatten(1).isfinite().all(1)).nonzero()[0])
            kind = str(u.dtype).removeprefix("torch.")
            raise BadSource(
                f"row {row} of x lies too far from the data it was fitted on for {kind}; leave it"
                " out, or correct its values"
            )
        return u

    def to_user(self, u: Tensor) -> Tensor:
        """Model coordinates back to the user's units."""
        return self.scaling.inverse(u)

    def to_condition(self, y: Conditioning, n: int) -> Tensor | None:
        """Conditions for n rows in model coordinates (labels one-hot).

        y has length n, or 1 for all.

        None where the model has no condition.

        Raises:
            InvalidValue: If y is missing, not expected or of another length.
        """
        return self.conditions(y, n)
