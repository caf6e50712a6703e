"""The first parameter of a module, whose device and type are taken for all of them."""

from __future__ import annotations

from torch import nn

__all__ = ["first_parameter"]


def first_parameter(module: nn.Module) -> nn.Parameter:
    """What `next(module.parameters())` gives, without a list of all modules at every step.

    Raises:
        StopIteration: If there is none, as `next` does.
    """
    found = _find(module)
    return next(module.parameters()) if found is None else found


def _find(module: nn.Module) -> nn.Parameter | None:
    for parameter in module._parameters.values():
        if parameter is not None:
            return parameter
    for part in module._modules.values():
        found = None if part is None else _find(part)
        if found is not None:
            return found
    return None
