"""Validation of a checkpoint before a fit resumes.

Every part must be present, with its type, shape and number.

Each check raises ValueError, TypeError or KeyError,
which the run folder converts to an error with a remedy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_optimizer", "check_state"]

MOST = 1 << 62
"""Counts from here on are no counts of steps, and sums of two would leave 64 bits."""


def check_state(state: Mapping[str, Any], shapes: Mapping[str, torch.Size]) -> None:
    """Check the parts of a state that have no check elsewhere.

    `shapes` are the model's tensors' by name.
    """
    for name in ("step", "log", "world", "rollbacks"):
        _check_count(state[name], name)
    _check_number(state["seconds"], "seconds")
    _check_number(state["backoff"], "backoff")
    if not (
        isinstance(state["networks"], dict)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state["networks"].items())
    ):
        raise TypeError("networks are not tensors by name")
    if not (isinstance(state["warned"], list) and all(isinstance(w, str) for w in state["warned"])):
        raise TypeError("warned is not a list of names")
    if not (isinstance(state["processes"], list) and len(state["processes"]) == state["world"]):
        raise ValueError("the number of processes differs")
    _check_best(state["best"], shapes)
    sums = state["sums"] if isinstance(state["sums"], list) else [state["sums"]]
    for part in sums:
        if not all(
            isinstance(v, Tensor) and v.numel() == 1 and v.dtype == torch.float32
            for v in part.values()
        ):
            raise TypeError("sums are not numbers")
        for name in part:
            _check_count(state["counts"][name], f"counts of {name}")
    if not isinstance(state["good"], (dict, type(None))):
        raise TypeError("good is not a state")


def _check_best(best: Mapping[str, Any], shapes: Mapping[str, torch.Size]) -> None:
    if not isinstance(best["quality"], float) or math.isnan(best["quality"]):
        raise TypeError("quality is not a number")
    _check_count(best["since"], "since")
    for name, value in (best["tensors"] or {}).items():
        if value.shape != shapes[name]:
            raise ValueError(f"{name} has shape {tuple(value.shape)}")


def _check_count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST:
        raise TypeError(f"{name} is not a count")


def _check_number(value: object, name: str) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not (math.isfinite(value) and value >= 0)
    ):
        raise TypeError(f"{name} is not a number of at least 0")


def check_optimizer(optimizer: torch.optim.Optimizer, stored: Mapping[str, Any]) -> None:
    """Check that an optimiser's settings have their types and its tensors their shapes."""
    for own, stored_group in zip(optimizer.param_groups, stored["param_groups"], strict=True):
        for key, value in own.items():
            if key == "params":
                if len(stored_group[key]) != len(value):
                    raise ValueError("another number of parameters")
            elif not _is_same_kind(value, stored_group[key]):
                raise TypeError(f"{key} of an optimiser is {stored_group[key]!r}")
    flat = [p for group in optimizer.param_groups for p in group["params"]]
    names = [i for group in stored["param_groups"] for i in group["params"]]
    places = dict(zip(names, flat, strict=True))
    for i, moments in stored["state"].items():
        for key, value in moments.items():
            expected = () if key == "step" else tuple(places[i].shape)
            if isinstance(value, Tensor) and (
                tuple(value.shape) != expected or not value.is_floating_point()
            ):
                raise ValueError(f"{key} of an optimiser has shape {tuple(value.shape)}")
            if not isinstance(value, (Tensor, int, float, type(None))):
                raise TypeError(f"{key} of an optimiser is not a number")


def _is_same_kind(current: object, value: object) -> bool:
    if isinstance(current, (int, float)) and not isinstance(current, bool):
        return (
            isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        )
    if isinstance(current, (tuple, list)):
        return (
            isinstance(value, (tuple, list))
            and len(current) == len(value)
            and all(map(_is_same_kind, current, value))
        )
    if current is None or isinstance(current, bool):
        return value is None or isinstance(value, bool)  # another device has different switches
    return type(current) is type(value) and (isinstance(current, Tensor) or current == value)
