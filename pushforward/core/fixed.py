"""Networks that are used but never trained: feature extractors, classifiers, teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from torch import Tensor, nn

__all__ = ["Fixed"]


class Fixed(nn.Module):
    """A network that never changes: no optimiser, average, checkpoint or training mode reaches it.

    It moves to devices and types with the model it belongs to, and gradients pass through it to its
    input. Its weights are stored once, with the model; with `stored=False` they are not, for a
    network that the model's `build` recreates.

    Args:
        network: the module to call; its parameters no longer require gradients.
        stored: whether its tensors are part of the model's.

    Example:
        >>> import torch
        >>> features = Fixed(torch.nn.Linear(3, 2)).train()
        >>> features.training, any(p.requires_grad for p in features.parameters())
        (False, False)
    """

    def __init__(self, network: nn.Module, *, stored: bool = True) -> None:
        super().__init__()
        self.training, self.stored = False, stored
        # in a tuple, to hide the module and its parameters from torch
        self._hidden = (network.requires_grad_(False).eval(),)

    @property
    def network(self) -> nn.Module:
        """The wrapped network."""
        return self._hidden[0]

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever `mode` is."""
        return self

    def forward(self, *args: Any, **kwargs: Any) -> object:
        """The network's output."""
        return self.network(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.network._apply(fn)
        module: Self = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # untyped in torch
        return module

    def state_dict(
        self,
        *args: Any,
        destination: Any = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> Any:
        """The network's tensors if they are stored, under the prefix 'network.'."""
        tensors = super().state_dict(
            *args, destination=destination, prefix=prefix, keep_vars=keep_vars
        )
        if self.stored:
            self.network.state_dict(
                destination=tensors, prefix=f"{prefix}network.", keep_vars=keep_vars
            )
        return tensors

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        if not self.stored:
            return
        begin = f"{prefix}network."
        mine = {
            key.removeprefix(begin): value
            for key, value in state_dict.items()
            if key.startswith(begin)
        }
        try:
            lacks = self.network.load_state_dict(mine, strict=False)
        except RuntimeError as error:
            errors.append(str(error))
            return
        missing += [begin + key for key in lacks.missing_keys]
        unexpected += [begin + key for key in lacks.unexpected_keys]
