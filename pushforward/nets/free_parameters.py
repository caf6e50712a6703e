"""Learnt tensors that depend on no input, as a network,
so that optimisers, processes and checkpoints see them.
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
        """The tensors; multiplied by one, because what a wrapped
        network returns must come from a computation.
        """
        return tuple(t * 1.0 for t in self.tensors)
