"""Mixed precision for Fabric: forward passes in 16 bits, parameters and optimisers in 32.

Reference: Micikevicius et al. (2018), Mixed precision training, https://arxiv.org/abs/1710.03740.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

__all__ = ["Mixed"]


class Mixed(Precision):
    """A precision plugin that leaves the backward pass to its user.

    Fabric's own plugin forbids every backward pass but Fabric's,
    and penalties on the critic's slope take an inner one.

    Args:
        dtype: torch.float16 or torch.bfloat16.
        device: the type of the device, 'cuda' or 'cpu'.
        scaler: of the losses, which its user scales; steps with infinite gradients are skipped.
    """

    def __init__(
        self, dtype: torch.dtype, device: str, scaler: torch.amp.GradScaler | None
    ) -> None:
        self._dtype, self._device, self._scaler = dtype, device, scaler

    def forward_context(self) -> AbstractContextManager[Any]:
        """Within: eligible operations compute in 16 bits."""
        return torch.autocast(self._device, dtype=self._dtype)

    def convert_input(self, data: object) -> object:
        """Floating tensors, however nested, in 16 bits."""
        return _converted(data, self._dtype)

    def convert_output(self, data: object) -> object:
        """Floating tensors, however nested, in the default type."""
        return _converted(data, torch.get_default_dtype())

    def optimizer_step(self, optimizer: Any, **named: Any) -> Any:
        """A step through the loss scaler, if there is one."""
        if self._scaler is None:
            return super().optimizer_step(optimizer, **named)
        result = self._scaler.step(optimizer, **named)
        self._scaler.update()
        return result


def _converted(data: object, dtype: torch.dtype) -> object:
    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return apply_to_collection(data, function=convert, dtype=Tensor)
