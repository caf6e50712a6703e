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
    """A precision plugin that leaves the backward pass to the caller.

    Fabric's own plugin forbids other backward passes than Fabric's,
    but penalties on the critic's slope need an inner one.

    Args:
        dtype: torch.float16 or torch.bfloat16.
        device: the type of the device, 'cuda' or 'cpu'.
        scaler: of the losses, which the caller scales; steps with infinite gradients are skipped.
    """

    def __init__(
        self, dtype: torch.dtype, device: str, scaler: torch.amp.GradScaler | None
    ) -> None:
        self._dtype, self._device, self._scaler = dtype, device, scaler

    def forward_context(self) -> AbstractContextManager[Any]:
        """Context manager: eligible operations compute in 16 bits."""
        return torch.autocast(self._device, dtype=self._dtype)

    def convert_input(self, data: object) -> object:
        """Nested float tensors in 16 bits."""
        return _convert(data, self._dtype)

    def convert_output(self, data: object) -> object:
        """Nested float tensors in the default type."""
        return _convert(data, torch.get_default_dtype())

    def optimizer_step(self, optimizer: Any, **keywords: Any) -> Any:
        """An optimiser step, through the loss scaler if there is one."""
        if self._scaler is None:
            return super().optimizer_step(optimizer, **keywords)
        result = self._scaler.step(optimizer, **keywords)
        self._scaler.update()
        return result


def _convert(data: object, dtype: torch.dtype) -> object:
    def convert(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return apply_to_collection(data, function=convert, dtype=Tensor)
