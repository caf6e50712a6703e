"""Devices by name, and the one that 'auto' is.

'auto' is the first CUDA device (NVIDIA, or AMD through ROCm) if there is one, else the CPU. It is
never Apple's 'mps', which has no float64: scalings, densities and sums of every model are float64
(see `core/scaling.py`), so that offsets and tails keep their digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from pushforward.core.errors import InvalidValue, quote

__all__ = ["ACCELERATORS", "choose_accelerator", "describe_device", "find_device"]

ACCELERATORS: Mapping[str, Callable[[], int]] = {"cuda": torch.cuda.device_count}
"""The accelerators that 'auto' may choose, in order of preference, with the number that is here."""


def choose_accelerator(name: str) -> str:
    """The type of device that an accelerator's name stands for on this machine.

    'auto' is the first of `ACCELERATORS` that is here, else 'cpu'; 'gpu' is the same, but never the
    CPU. Any other name stands for itself.

    Raises:
        InvalidValue: For 'gpu' or an accelerator of the list that is not here.
    """
    here = [each for each, count in ACCELERATORS.items() if count() > 0]
    if name == "auto":
        return here[0] if here else "cpu"
    if name == "gpu" and here:
        return here[0]
    if name == "gpu" or (name in ACCELERATORS and name not in here):
        kind = "CUDA device" if name in ("gpu", "cuda") else f"{name} device"
        raise InvalidValue(
            f"accelerator {quote(name)} was requested, but there is no {kind}; pass 'auto' or 'cpu'"
        )
    return name


def find_device(name: str | torch.device) -> torch.device:
    """The torch device with a name: 'auto', 'cpu', 'cuda', 'cuda:1', 'gpu', ...; or the one given.

    Raises:
        InvalidValue: For an unknown or unavailable device.
    """
    if isinstance(name, torch.device):
        return name
    try:
        device = torch.device(choose_accelerator(name))
        torch.empty(1, device=device)
    except Exception as error:
        others = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        have = ["cpu", *(name for name, there in others.items() if there)]
        unknown = isinstance(error, RuntimeError) and "xpected one of" in str(error)
        reason = "is not a device" if unknown else "is not available"
        raise InvalidValue(
            f"device {name!r} {reason}; this machine has {', '.join(have)}"
        ) from error
    return device


def describe_device(device: torch.device) -> str:
    """A device with the name of its card, such as 'cuda:0 (NVIDIA H200)', or 'cpu'."""
    if device.type != "cuda":
        return str(device)
    index = torch.cuda.current_device() if device.index is None else device.index
    return f"cuda:{index} ({torch.cuda.get_device_properties(index).name})"
