"""Statistics of several processes: packed, exchanged and merged in the same way everywhere.

Statistics travel as one float64 vector each, packed with their shapes; every process merges them in
the same order, so that all get the same bits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from pushforward.fitting.processes import Processes
from pushforward.fitting.protocols import Statistics

__all__ = ["merge_over", "pack", "unpack"]

T = TypeVar("T")

S = TypeVar("S", bound=Statistics)


def merge_over(processes: Processes, statistics: S, flags: int = 0) -> tuple[Any, int]:
    """The merged statistics of all processes, and the union of their flags (bits)."""
    if processes.world == 1:
        return statistics, flags
    message = torch.cat([torch.tensor([float(flags)], dtype=torch.float64), pack(statistics)])
    total, flagged = None, 0
    for content in processes.vectors(message.to(processes.device)):
        flagged |= int(content[0])
        part = unpack(content[1:], statistics)
        total = part if total is None else total.merge(part)
    return total, flagged


def pack(value: object) -> Tensor:
    """Pack a dataclass of tensors and numbers into one float64 vector, shapes first."""
    shapes: list[float] = []
    parts: list[Tensor] = []
    for leaf in _leaves(value):
        tensor = torch.as_tensor(leaf).detach().to("cpu", torch.float64)
        shapes += [tensor.ndim, *tensor.shape]
        parts.append(tensor.reshape(-1))
    return torch.cat([torch.tensor([float(len(shapes)), *shapes], dtype=torch.float64), *parts])


def unpack(vector: Tensor, like: T) -> T:
    """The inverse of `pack`, with the types and device of `like`, whose shapes may differ."""
    header = int(vector[0])
    shapes = [int(v) for v in vector[1 : 1 + header].tolist()]
    return cast(T, _build(like, shapes, [vector[1 + header :]]))


def _leaves(value: object) -> Iterator[Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for f in dataclasses.fields(value):
            yield from _leaves(getattr(value, f.name))
    elif value is not None:
        yield value


def _build(like: Any, shapes: list[int], rest: list[Tensor]) -> Any:
    if like is None:
        return None
    if dataclasses.is_dataclass(like) and not isinstance(like, type):
        return type(like)(
            **{
                f.name: _build(getattr(like, f.name), shapes, rest)
                for f in dataclasses.fields(like)
            }
        )
    axes = shapes.pop(0)
    shape = [shapes.pop(0) for _ in range(axes)]
    count = math.prod(shape)
    leaf, rest[0] = rest[0][:count].reshape(shape), rest[0][count:]
    return leaf.to(like) if isinstance(like, Tensor) else type(like)(leaf.item())
