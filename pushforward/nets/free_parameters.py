"""Trainable tensors that depend on no input, as a network,
visible to optimisers and checkpoints.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FreeParameters"]


class FreeParameters(nn.Module):
    """() -> the tensors.

    Args:
        values: their initial values.
    """

    def __init__(self, *values: Tensor) -> None:
        super().__init__()
        self.tensors = nn.ParameterList([nn.Parameter(v.clone()) for v in values])

    def forward(self) -> tuple[Tensor, ...]:
        """The tensors, times one, because a wrapped network must
        return the result of a computation.
        """
        return tuple(t * 1.0 for t in self.tensors)
