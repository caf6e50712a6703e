"""The processes of a fit by gradients: their networks, optimisers and gradients, through Fabric.

A single process at full precision is the common case and has no overhead:
its networks are not wrapped at all.

With several processes, each trained network has a wrapper that averages its gradients over the
processes and does nothing else. Buffers (batch norm's statistics) are *not* broadcast at every
forward pass, the wrappers' default: that would cost an exchange per call, and a call by one process
alone (a callback that samples) would wait for the others for ever. Each process keeps its own; all
are saved, and the first process's are used at the end.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.core.devices import choose_accelerator
from pushforward.core.errors import FitWarning
from pushforward.fitting.processes import Processes, launch, single_device
from pushforward.fitting.settings import ProcessSettings

__all__ = ["GradientProcesses"]

DOUBLE = ("64-true", "64", 64)
SINGLE = ("32-true", "32", 32)
MIXED = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
"""Precisions that compute forward passes in fewer bits than the parameters have."""


class GradientProcesses(Processes):
    """The processes, with wrappers for networks and optimisers; launches them if necessary.

    Args:
        settings: accelerator, devices, strategy, precision and num_nodes.

    `dtype` is the float type of networks and data, `scaler` the loss scaler of half precision.
    """

    def __init__(self, settings: ProcessSettings) -> None:
        precision: Any = settings.precision
        self.scaler: torch.amp.GradScaler | None = None
        plugin: Any = None
        if precision in MIXED:
            plugin, self.scaler = _mixed(settings)
        elif precision in DOUBLE:
            # Networks and data are in double precision; Fabric would round outputs to single.
            precision = "32-true"
        full = settings.precision in (*SINGLE, *DOUBLE)
        alone = single_device(settings) if full else None
        if alone is not None:
            super().__init__(0, 1, alone)
        else:
            fabric = self._fabric = launch(settings, None if plugin else precision, plugin)
            super().__init__(fabric.global_rank, fabric.world_size, fabric.device)
        self.dtype = torch.float64 if settings.precision in DOUBLE else torch.float32
        self._wraps = settings.strategy != "auto" or self.world > 1 or not full

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network with the precision's rounding, and gradients averaged over the processes."""
        return self._fabric.setup_module(network, move_to_device=True) if self._wraps else network

    def wrapped_optimizer(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimiser, stepping through the loss scaler if there is one."""
        return self._fabric.setup_optimizers(optimizer) if self._wraps else optimizer

    def backward(self, loss: Tensor) -> None:
        """Backpropagate the loss, scaled if there is a loss scaler."""
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        if self._wraps:
            self._fabric.backward(loss)
        else:
            loss.backward()

    def unexchanged(self, wrapped: nn.Module) -> AbstractContextManager[Any]:
        """Context manager: gradients of a wrapped network are not averaged over the processes."""
        alone: AbstractContextManager[Any] = self._fabric.no_backward_sync(wrapped)
        return alone


def _mixed(settings: ProcessSettings) -> tuple[Any, torch.amp.GradScaler | None]:
    """The plugin of a mixed precision, and its loss scaler."""
    from pushforward.fitting.mixed_precision import Mixed

    precision = settings.precision
    device = choose_accelerator(settings.accelerator.partition(":")[0])
    if precision == "16-mixed" and device == "cpu":
        precision = "bf16-mixed"
        what = "precision='16-mixed' is for GPUs; on the CPU 'bf16-mixed' is used instead"
        warnings.warn(what, FitWarning, stacklevel=2)
    scaler = torch.amp.GradScaler(device) if precision == "16-mixed" else None
    return Mixed(MIXED[precision], device, scaler), scaler
