"""A copy of a model that computes with tensors alone, so that it can be traced.

The verbs of a model read whatever a user passes, refuse what does not fit, and divide many rows
into blocks. None of that is arithmetic, and none of it can be part of a graph: the copy receives
tensors in the user's units, and does the arithmetic only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.core.model import Model
from pushforward.core.scaling import Scaling
from pushforward.densities.known_ranges import find_ends
from pushforward.nets.small_maps import Convolution, TransposedConvolution

__all__ = ["traceable"]


class KnownScaling(Scaling):
    """A scaling whose need of float64 is known, instead of found from its numbers."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__(scaling.space, scaling.kind, scaling.shift, scaling.scale)
        self.is_wide = scaling.wide

    @property
    def wide(self) -> bool:
        """Whether the user's values need float64."""
        return self.is_wide

    def _numbers(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, bool]:
        return self.shift.to(dtype), self.scale.to(dtype), self.is_wide


def traceable(model: Model, dtype: torch.dtype | None = None) -> Model:
    """The copy, in evaluation mode on the CPU.

    Args:
        model: a fitted model.
        dtype: float type to compute in; the model's own by default.
    """
    module = copy.deepcopy(model).to("cpu").requires_grad_(False).eval()
    if dtype is not None:
        module = module.to(dtype)
    module.scaling = KnownScaling(module.scaling)
    find_ends(module.scaling)  # which remembers them; likelihoods ask for them
    if module.condition_space is not None:
        module.condition_scaling = KnownScaling(module.condition_scaling)
    for part in list(module.modules()):
        _make_plain(part)
    _leave_out_checks(module, dtype or model.floating())
    return module


def _make_plain(part: nn.Module) -> None:
    """Turn convolutions that choose their way by the size of a map into torch's own."""
    plain = {Convolution: nn.Conv2d, TransposedConvolution: nn.ConvTranspose2d}.get(type(part))
    if plain is not None:
        object.__setattr__(part, "__class__", plain)


def _leave_out_checks(model: Model, dtype: torch.dtype) -> None:
    """Replace the methods by which verbs read the user's data."""

    def condition(y: Tensor | None, n: int) -> Tensor | None:
        codes: Tensor | None = None if y is None else model.condition_scaling(y).to(dtype)
        return codes

    def at_once(function: Callable[..., Tensor], *rows: Tensor | None) -> Tensor:
        return function(*rows)

    def scaled(x: Tensor, **_: object) -> Tensor:
        coordinates: Tensor = model.scaling(x).to(dtype)
        return coordinates

    replacements = {
        "blockwise": at_once,
        "to_condition": condition,
        "conform": lambda x, **_: x,
        "to_model": scaled,
    }
    for name, replacement in replacements.items():
        object.__setattr__(model, name, replacement)
