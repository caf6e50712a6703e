"""torch's module with quick assignment.

torch examines every assignment to a module's attribute, for parameters, modules and hooks. That
takes longer than the arithmetic of a fit to a few rows, which assigns about forty times.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

__all__ = ["Module"]


KEPT = frozenset({type(None), bool, int, float, str, tuple, list, dict, Tensor})
"""Classes of values that replace an attribute that is not registered."""


class Module(nn.Module):
    """torch's module; assignments, and moves to where it is, take a fraction of the time."""

    def __setattr__(self, name: str, value: Any) -> None:
        """As in torch: parameters, modules and buffers are registered, other values are kept."""
        own = self.__dict__
        if name in own and type(value) in KEPT:
            own[name] = value
            return
        if not isinstance(value, (Tensor, nn.Module)):
            held = own.get("_buffers", ()), own.get("_parameters", ()), own.get("_modules", ())
            if name not in held[0] and name not in held[1] and name not in held[2]:
                object.__setattr__(self, name, value)
                return
        elif type(value) is Tensor and name in own.get("_buffers", ()):
            self._buffers[name] = value
            return
        super().__setattr__(name, value)

    def add_buffers(self, **tensors: Tensor) -> None:
        """Register new buffers, which are stored with the model."""
        self._buffers.update(tensors)

    def add_zeros(self, *names: str, shape: tuple[int, ...] = (0,)) -> None:
        """Register buffers of zeros, float64, each with memory of its own."""
        for name in names:
            self._buffers[name] = torch.zeros(shape, dtype=torch.float64)

    def eval(self) -> Self:
        """As in torch; a module in evaluation mode is returned at once."""
        return self if _is_evaluating(self) else super().eval()

    def to(self, *args: Any, **keywords: Any) -> Self:
        """As in torch; a module that is on the device already is returned at once."""
        device = args[0] if len(args) == 1 and not keywords else None
        if isinstance(device, (str, torch.device)) and _is_on(self, torch.device(device)):
            return self
        moved: Self = super().to(*args, **keywords)
        return moved


def _is_evaluating(module: nn.Module) -> bool:
    """Whether a module and all its parts are in evaluation mode."""
    if module.training:
        return False
    for part in module._modules.values():
        if part is not None and not _is_evaluating(part):
            return False
    return True


def _is_on(module: nn.Module, device: torch.device) -> bool:
    """Whether all tensors of a module and of its parts are on a device."""
    for tensors in (module._parameters, module._buffers):
        for tensor in tensors.values():
            if tensor is not None and tensor.device != device:
                return False
    for part in module._modules.values():
        if part is not None and not _is_on(part, device):
            return False
    return True
