"""Validation of stored models before they are built: a run folder may be damaged or malicious.

Nothing large is allocated on the word of model.json: the model is first built without memory
(on torch's 'meta' device) while counting, and its sizes are compared with the header of
model.safetensors. The stored tensors are then checked against each model's constraints.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pushforward.core.assembled import Assembled
from pushforward.core.errors import BadRun
from pushforward.core.kinds import fits, read_hints
from pushforward.core.preparation import Preparation
from pushforward.core.space import Column, Space

__all__ = ["Header", "check_description", "check_hyperparameters", "check_numbers", "check_sizes"]

Header = Mapping[str, tuple[int, ...]]
"""The shapes of stored tensors by name."""

DTYPES = ("float16", "bfloat16", "float32", "float64")
_FIELDS: dict[str, Any] = {
    "model": str, "hyperparameters": dict, "space": dict, "condition_space": dict | None,
    "scaling": str, "dtype": str, "versions": dict, "command": str,
}  # fmt: skip
_AXES = {"points": (0, 1), "images": (3,), "clips": (4,)}
SPARE_NUMBERS, SPARE_CALLS = 1 << 24, 20_000
"""Allowance for building beyond a multiple of the stored size: numbers (128 MiB) and torch calls.
"""
MOST_COUPLED = 1e-6
"""How far a correlation may exceed 1 by rounding."""


# --------------------------------------------------------------------------------------- model.json


def check_description(content: Mapping[str, Any]) -> None:
    """Raise ValueError if a part of model.json is missing or of the wrong kind."""
    for name, hint in _FIELDS.items():
        if name not in content and name != "command":
            raise ValueError(f"{name} is missing")
        if not fits(content.get(name, ""), hint):
            raise ValueError(f"{name} has the wrong type")
    if content.get("preparation") is not None:
        if not isinstance(content["preparation"], dict):
            raise ValueError("preparation has the wrong type")
        _check_fields(content["preparation"], read_hints(Preparation), "preparation", {})
    if content["dtype"] not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}")
    for name in ("space", "condition_space"):
        if content[name] is not None:
            _check_space(content[name], name)


def _check_space(content: Mapping[str, Any], name: str) -> None:
    _check_fields(content, read_hints(Space), name, {"columns": list})
    for column in content.get("columns", ()):
        if not isinstance(column, dict):
            raise ValueError(f"{name} has a column that is not an object")
        _check_fields(
            column,
            read_hints(Column),
            f"a column of {name}",
            {"low": float | None, "high": float | None},
        )
        if column.get("kind") == "categorical" and not column.get("categories"):
            raise ValueError(f"{name} has a column without categories")
    shape, columns = content["shape"], content.get("columns", ())
    if len(shape) not in _AXES[content["kind"]]:
        raise ValueError(f"{name} has a shape of {len(shape)} axes")
    if any(length is not None and length < 1 for length in shape) or (
        content["kind"] == "points" and None in shape
    ):
        raise ValueError(f"{name} has a length that is not positive")
    if columns and len(columns) != math.prod(shape or [1]):
        raise ValueError(
            f"{name} has {len(columns)} columns in a shape of {math.prod(shape or [1])}"
        )
    if not shape and not columns:
        raise ValueError(f"{name} has no columns")


def _check_fields(
    content: Mapping[str, Any], hints: Mapping[str, Any], owner: str, other: Mapping[str, Any]
) -> None:
    """Check that every field is known and of its dataclass's kind.

    Open ranges are stored as null.
    """
    for key, value in content.items():
        hint = other.get(key, hints.get(key))
        if hint is None:
            raise ValueError(f"{owner} has an unknown part {key!r}")
        if not fits(value, hint) and not (key in ("low", "high") and value is None):
            raise ValueError(f"{key} of {owner} has the wrong type")


def check_hyperparameters(cls: type, values: Mapping[str, Any]) -> None:
    """Raise ValueError if a hyper-parameter does not match its annotation in `__init__`."""
    hints = read_hints(cls.__init__)  # type: ignore[misc]
    for name, value in values.items():
        if name in hints and not fits(value, hints[name]):
            raise ValueError(f"{name} has the wrong type")


# -------------------------------------------------------------------------------------------- sizes


class _Counting(TorchFunctionMode):
    """Stops a construction that exceeds the stored sizes.

    It may neither allocate more nor call torch more often than these warrant.
    """

    def __init__(self, numbers: int, calls: int) -> None:
        super().__init__()
        self.numbers, self.calls = numbers, calls

    def __torch_function__(
        self,
        function: Callable[..., object],
        kinds: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        found = function(*args, **(kwargs or {}))
        self.calls -= 1
        if isinstance(found, Tensor):
            self.numbers -= found.numel()
        if self.numbers < 0 or self.calls < 0:
            raise ValueError("it is larger than the stored tensors")
        return found


def check_sizes(build: Callable[[], Any], stored: Header) -> None:
    """Raise ValueError if the model that `build` makes differs in size from the stored one.

    Takes no memory. Buffers that start empty adopt the fitted size, so any size is allowed.
    """
    held = sum(math.prod(shape) for shape in stored.values())
    with (
        torch.device("meta"),
        _Counting(8 * held + SPARE_NUMBERS, 500 * len(stored) + SPARE_CALLS),
        torch.no_grad(),
    ):
        model: nn.Module = build()
    parameters = {name for name, _ in model.named_parameters()}
    for name, value in model.state_dict().items():
        strict = name in parameters or re.search(
            r"(^|\.)(condition_)?scaling\.(shift|scale)$", name
        )
        if strict and name not in stored:
            raise ValueError(f"{name} is missing from model.safetensors")
        if strict and tuple(value.shape) != stored[name]:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)} here and {stored[name]} in"
                " model.safetensors"
            )


# ------------------------------------------------------------------------------------------ numbers


def check_numbers(model: Assembled, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise BadRun if stored tensors violate `Model.fitted_tensors` or hold NaN or infinity."""
    sizes: dict[str, Any] = {
        k: v
        for k, v in model.hyperparameters().items()
        if isinstance(v, int) and not isinstance(v, bool)
    }
    sizes["d"] = math.prod(n or 0 for n in model.fitted_space().shape)
    buffers = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    rules = model.fitted_tensors()
    for name, value in tensors.items():
        fault = ""
        if (
            name in buffers
            and value.dtype.is_floating_point != buffers[name].dtype.is_floating_point
        ) or (name in rules and value.dtype not in (torch.float32, torch.float64)):
            fault = f"is of {value.dtype}"
        elif name in rules:
            fault = _find_fault(value, rules[name], sizes)
        elif isinstance(buffers.get(name), nn.Parameter) or name.endswith(
            ("scaling.shift", "scaling.scale")
        ):
            fault = "holds NaN or infinity" if not _finite(value) else ""
        if not fault and name.endswith("scaling.scale") and not bool((value > 0).all()):
            fault = "is not positive"
        if fault:
            raise BadRun(f"{path}: {name} {fault}; restore it from a copy")


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(value.isfinite().all())


def _find_fault(value: Tensor, rule: str, sizes: dict[str, Any]) -> str:
    """What is wrong with a tensor given its rule, such as 'rows d +';
    '' if nothing. Bars separate alternatives.
    """
    found = ""
    for option in rule.split("|"):
        words = option.split()
        axes = [w for w in words if w not in _RULES]
        found = _find_shape_fault(value, axes, sizes)
        if not found:
            if not _finite(value):
                return "holds NaN or infinity"
            return next((fault for w in words if w in _RULES and (fault := _RULES[w](value))), "")
    return found


def _find_shape_fault(value: Tensor, axes: list[str], sizes: dict[str, Any]) -> str:
    """Compare a shape with named axes; the first size of a name binds later ones."""
    shape = tuple(value.shape)
    if axes and axes[0].startswith("*"):
        return (
            ""
            if sizes.setdefault(axes[0], shape) == shape and value.numel()
            else f"has shape {shape}"
        )
    if len(shape) != len(axes) or not value.numel():
        return f"has shape {shape}"
    wrong = any(sizes.get(axis, length) != length for axis, length in zip(axes, shape))
    if wrong:
        return f"has shape {shape}, which does not match the rest"
    sizes.update(zip(axes, shape))
    return ""


def _is_not_positive(value: Tensor) -> str:
    return "" if bool((value > 0).all()) else "is not positive"


def _is_negative(value: Tensor) -> str:
    return "" if bool((value >= 0).all()) else "is negative"


def _is_no_share(value: Tensor) -> str:
    near = abs(float(value.sum()) - 1) < 1e-3
    return _is_negative(value) or ("" if near else "does not sum to one")


def _is_no_covariance(value: Tensor) -> str:
    """Check symmetry and that no covariance exceeds its variances; fast for large matrices."""
    deviation = value.diagonal(dim1=-2, dim2=-1)
    if bool((deviation < 0).any()):
        return "has negative variances"
    most = (deviation.sqrt()[..., None] * deviation.sqrt()[..., None, :]) * (1 + MOST_COUPLED)
    fits_ = torch.allclose(value, value.mT, rtol=1e-6, atol=1e-6 * float(deviation.max())) and bool(
        (value.abs() <= most).all()
    )
    return "" if fits_ else "is no covariance"


def _is_not_definite(value: Tensor) -> str:
    return _is_no_covariance(value) or (
        "" if not bool(torch.linalg.cholesky_ex(value).info.any()) else "is not positive definite"
    )


_RULES: dict[str, Callable[[Tensor], str]] = {
    "positive": _is_not_positive, "weights": _is_negative, "shares": _is_no_share,
    "covariance": _is_no_covariance, "definite": _is_not_definite,
}  # fmt: skip
