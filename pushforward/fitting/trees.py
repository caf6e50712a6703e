"""Models and statistics as trees of plain values and tensors, for checkpoints of fits by passes.

State that a model keeps besides its buffers during a fit (a plan of the centres, an origin) is
taken from its attributes; dataclasses are stored by the names their modules use. Tensors keep their
memory order, since matrix products round differently in another.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.core.errors import BadRun
from pushforward.core.model import Model

__all__ = ["collect_attributes", "find_classes", "as_tree", "put_attributes", "from_tree"]

_OF_MODULES = frozenset(vars(nn.Module()))
_NOT_LEARNT = (
    "space",
    "condition_space",
    "command",
    "preparation",
    "dequantise",
    "accepts",
    "fit_result",
    "provenance",
    "loaded_from",
)


def collect_attributes(model: Model) -> dict[str, Any]:
    """The tree of a model's state besides its arguments: buffers and storable attributes."""
    excluded = {*_OF_MODULES, *model.hyperparameters(), *_NOT_LEARNT}
    attributes = {
        name: as_tree(value)
        for name, value in vars(model).items()
        if name not in excluded and _storable(value)
    }
    return {
        "buffers": {name: as_tree(value) for name, value in model.named_buffers()},
        "attributes": attributes,
    }


def put_attributes(model: Model, tree: Mapping[str, Any], device: torch.device) -> None:
    """Restore the result of `collect_attributes` to a prepared model."""
    for name, value in tree["buffers"].items():
        holder, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(holder), leaf, from_tree(value, {}, device))
    classes = find_classes(model)
    for name, value in tree["attributes"].items():
        setattr(model, name, from_tree(value, classes, device))


def as_tree(value: object) -> object:
    """A value as a tree for a checkpoint.

    Dataclasses are stored by name and fields, tensors with their memory order.
    """
    if isinstance(value, Tensor):
        strides = value.stride()
        order = sorted(range(value.ndim), key=lambda axis: -strides[axis])
        return value if value.is_contiguous() else {"axes": order, "tensor": value.permute(order)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: as_tree(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, dict):
        return {"dict": {k: as_tree(v) for k, v in value.items()}}
    return (
        [as_tree(v) for v in value]
        if isinstance(value, list)
        else tuple(map(as_tree, value))
        if isinstance(value, tuple)
        else value
    )


def from_tree(tree: object, classes: Mapping[str, type], device: torch.device) -> Any:
    """The inverse of `as_tree`.

    Raises:
        BadRun: For a dataclass that is not one of `classes`.
    """
    if isinstance(tree, Tensor):
        return tree.to(device, copy=True)
    if isinstance(tree, dict) and "axes" in tree:
        order = [int(axis) for axis in tree["axes"]]
        return (
            tree["tensor"]
            .to(device, copy=True)
            .permute([order.index(axis) for axis in range(len(order))])
        )
    if isinstance(tree, dict) and "class" in tree:
        if tree["class"] not in classes:
            raise BadRun(
                f"the checkpoint contains {str(tree['class'])[:60]}, which this version does not"
                " know; start a new run"
            )
        cls = classes[tree["class"]]
        instance: Any = object.__new__(cls)
        for name, value in tree["fields"].items():
            object.__setattr__(instance, name, from_tree(value, classes, device))
        return instance
    if isinstance(tree, dict):
        return {k: from_tree(v, classes, device) for k, v in tree["dict"].items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(from_tree(v, classes, device) for v in tree)
    return tree


def find_classes(model: Model) -> dict[str, type]:
    """The dataclasses in the modules of a model's classes, by name."""
    classes: dict[str, type] = {}
    for cls in reversed(type(model).__mro__):
        names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        classes.update(
            {
                v.__name__: v
                for v in names.values()
                if isinstance(v, type) and dataclasses.is_dataclass(v)
            }
        )
    return classes


def _storable(value: object) -> bool:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(_storable(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, dict):
        return all(isinstance(k, (str, int)) and _storable(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_storable, value))
    return value is None or isinstance(value, (Tensor, bool, int, float, str))
