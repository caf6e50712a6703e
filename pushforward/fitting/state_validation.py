"""What a checkpoint must be like before a fit goes on from it:
everything there, of its kind, shape and number.

Each check raises ValueError, TypeError or KeyError,
which the run folder turns into an error that says what to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_optimizer", "check_state"]

MOST = 1 << 62


def check_state(state: Mapping[str, Any], shapes: Mapping[str, torch.Size]) -> None:
    """The parts of a state that nobody else checks;
    `shapes` are those of the model's tensors by name.
    """
    for name in ("step", "log", "world", "rollbacks"):
        _check_count(state[name], name)
    _check_number(state["seconds"], "seconds")
    _check_number(state["backoff"], "backoff")
    if not (
        isinstance(state["networks"], dict)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state["networks"].items())
    ):
        raise TypeError("networks are no tensors by name")
    if not (isinstance(state["warned"], list) and all(isinstance(w, str) for w in state["warned"])):
        raise TypeError("warned is no list of names")
    if not (isinstance(state["processes"], list) and len(state["processes"]) == state["world"]):
        raise ValueError("processes are not as many as they were")
    _check_best(state["best"], shapes)
    sums = state["sums"] if isinstance(state["sums"], list) else [state["sums"]]
    for part in sums:
        if not all(
            isinstance(v, Tensor) and v.numel() == 1 and v.dtype == torch.float32
            for v in part.values()
        ):
            raise TypeError("sums are no numbers")
        for name in part:
            _check_count(state["counts"][name], f"counts of {name}")
    if not isinstance(state["good"], (dict, type(None))):
        raise TypeError("good is no state")


def _check_best(best: Mapping[str, Any], shapes: Mapping[str, torch.Size]) -> None:
    if not isinstance(best["quality"], float) or math.isnan(best["quality"]):
        raise TypeError("quality is no number")
    _check_count(best["since"], "since")
    for name, value in (best["tensors"] or {}).items():
        if value.shape != shapes[name]:
            raise ValueError(f"{name} has shape {tuple(value.shape)}")


def _check_count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST:
        raise TypeError(f"{name} is no count")


def _check_number(value: object, name: str) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not (math.isfinite(value) and value >= 0)
    ):
        raise TypeError(f"{name} is no number from 0 up")


def check_optimizer(optimizer: torch.optim.Optimizer, stored: Mapping[str, Any]) -> None:
    """The settings of an optimiser's groups are of the kinds they
    were made with, and its tensors of their parameters' shapes.
    """
    for own, given in zip(optimizer.param_groups, stored["param_groups"], strict=True):
        for key, value in own.items():
            if key == "params":
                if len(given[key]) != len(value):
                    raise ValueError("another number of parameters")
            elif not _alike(value, given[key]):
                raise TypeError(f"{key} of an optimiser is {given[key]!r}")
    flat = [p for group in optimizer.param_groups for p in group["params"]]
    names = [i for group in stored["param_groups"] for i in group["params"]]
    places = dict(zip(names, flat, strict=True))
    for i, kept in stored["state"].items():
        for key, value in kept.items():
            wanted = () if key == "step" else tuple(places[i].shape)
            if isinstance(value, Tensor) and (
                tuple(value.shape) != wanted or not value.is_floating_point()
            ):
                raise ValueError(f"{key} of an optimiser has shape {tuple(value.shape)}")
            if not isinstance(value, (Tensor, int, float, type(None))):
                raise TypeError(f"{key} of an optimiser is no number")


def _alike(own: object, given: object) -> bool:
    if isinstance(own, (int, float)) and not isinstance(own, bool):
        return (
            isinstance(given, (int, float)) and not isinstance(given, bool) and math.isfinite(given)
        )
    if isinstance(own, (tuple, list)):
        return (
            isinstance(given, (tuple, list))
            and len(own) == len(given)
            and all(map(_alike, own, given))
        )
    if own is None or isinstance(own, bool):
        return given is None or isinstance(given, bool)  # another device has other switches
    return type(own) is type(given) and (isinstance(own, Tensor) or own == given)
