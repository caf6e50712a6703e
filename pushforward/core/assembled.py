"""A model's networks and buffers without its methods: what a run folder describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from pushforward.core.moments import Moments
from pushforward.core.preparation import Preparation
from pushforward.core.provenance import Provenance
from pushforward.core.scaling import Scaling, ScalingKind
from pushforward.core.space import Space
from pushforward.core.stored import Stored
from pushforward.core.units import HasUnits

__all__ = ["Assembled"]


class Assembled(HasUnits, Stored):
    """A module whose networks and buffers are built once its spaces are known.

    Attributes:
        space, condition_space: of observations and conditions; None before a fit.
        command: the command line that fitted it; None if fitted from Python.
        dequantise: the `dequantise` argument of `fit`.
        preparation: what was done to the data before the fit.
        provenance: origin of the rows of the last fit.
        loaded_from: the run folder it was loaded from; None otherwise.
    """

    scaling_kind: ScalingKind = "standardised"

    command: str
    dequantise: bool | None
    preparation: Preparation
    provenance: Provenance
    loaded_from: str | None

    def __init__(self) -> None:
        super().__init__()
        vars(self).update(
            space=None,
            condition_space=None,
            command="",
            dequantise=None,
            preparation=Preparation(),
            provenance=Provenance(),
            loaded_from=None,
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As in torch, but a model with its own dtype ignores casts.

        These are `float()`, `half()` and `double()`.
        """

        def moved(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            return result if result.dtype == tensor.dtype else tensor.to(result.device)

        function = fn if self.dtype is None else moved
        model: Self = super()._apply(function, recurse)  # type: ignore[no-untyped-call]  # untyped in torch
        return model

    def assemble(
        self, space: Space, condition_space: Space | None, moments: Moments | None = None
    ) -> None:
        """Set the spaces, choose the scalings and build the networks.

        Args:
            moments: of the data; needed by standardised scalings.
        """
        self.space, self.condition_space = space, condition_space
        self.scaling = self.choose_scaling(space, moments)
        if condition_space is not None:
            kind: ScalingKind = "signed" if condition_space.kind != "points" else "unit"
            self.condition_scaling = Scaling.choose(kind, condition_space)
        self.build(space, condition_space)

    def choose_scaling(self, space: Space, moments: Moments | None = None) -> Scaling:
        """The scaling of observations, by `scaling_kind`; moments as for `assemble`."""
        return Scaling.choose(self.scaling_kind, space, moments or _unit_moments(space))

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Create everything whose size depends on the spaces; models without networks need not."""


def _unit_moments(space: Space) -> Moments:
    size = space.size
    return Moments(
        torch.tensor(1.0, dtype=torch.float64),
        torch.zeros(size, dtype=torch.float64),
        torch.ones(size, dtype=torch.float64),
    )
