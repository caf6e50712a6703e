"""Exponential moving average of the parameters that a model samples with.

m ← m + (1 - β_t)(θ - m), with β_t = min(β, (1 + t)/(10 + t)) so that the start is forgotten
quickly. Buffers (batch norm's statistics) are not averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pushforward.core.errors import InvalidValue

__all__ = ["MovingAverage"]


class MovingAverage:
    """The average of a set of networks' parameters.

    Args:
        networks: by name; unwrapped.
        decay: β in (0, 1), per step.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        if not 0 < decay < 1:
            raise InvalidValue(
                f"ema is the decay per step, between 0 and 1 (e.g. 0.999), got {decay}"
            )
        self.decay, self.count = decay, 0
        self._live = {
            f"{n}.{k}": p for n, net in networks.items() for k, p in net.named_parameters()
        }
        self._mean = {k: p.detach().clone() for k, p in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Include the current parameters in the average."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        # One call for all parameters: a loop over them takes longer than a small step.
        average = get_ema_multi_avg_fn(decay)
        average(list(self._mean.values()), [p.detach() for p in self._live.values()], None)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context manager: the networks hold the average.

        Their parameters are restored afterwards.
        """
        live = {k: p.detach().clone() for k, p in self._live.items()}
        self.put()
        try:
            yield
        finally:
            self._put(live)

    def put(self) -> None:
        """Copy the average into the networks permanently."""
        self._put(self._mean)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for key, parameter in self._live.items():
            parameter.copy_(values[key])

    def state(self) -> dict[str, object]:
        """The state for exact resumption."""
        return {"count": self.count, "mean": {k: v.clone() for k, v in self._mean.items()}}

    def load(self, state: Mapping[str, object]) -> None:
        """Restore the result of `state`."""
        self.count = int(state["count"])  # type: ignore[call-overload]
        mean: Mapping[str, Tensor] = state["mean"]  # type: ignore[assignment]
        for key, value in self._mean.items():
            value.copy_(mean[key])
