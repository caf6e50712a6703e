"""The processes of a fit by passes: who takes which rows, and how what they found is put together.

Statistics travel as one float64 vector each, packed with their shapes; every process merges those of all in the same order, so that all
end with the same bits.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.fitting.processes import require_script

__all__ = ["World", "pack", "unpack"]


@dataclass(frozen=True)
class World:
    """The processes that fit together: this one's rank, how many, and its device."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def join(cls, em: Any) -> World:
        """Join the processes that torchrun started, or start those that `devices` asks for."""
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        outside = int(os.environ.get("WORLD_SIZE", "1"))
        if not together and outside * em.devices * em.num_nodes == 1:
            cuda = em.accelerator != "cpu" and torch.cuda.is_available()
            if em.accelerator in ("cuda", "gpu") and not cuda:
                raise InvalidValue("accelerator 'cuda' was asked for, and there is no CUDA device; pass accelerator='auto'")
            return cls(0, 1, torch.device("cuda" if cuda else "cpu"))
        if together:
            local = int(os.environ.get("LOCAL_RANK", "0"))
            cuda = torch.distributed.get_backend() == "nccl"
            device = torch.device("cuda", local) if cuda else torch.device("cpu")
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)
        from lightning_fabric import Fabric

        require_script(em.devices, em.num_nodes)
        local = int(os.environ.get("LOCAL_WORLD_SIZE", em.devices)) if outside > 1 else em.devices
        nodes = outside // local if outside > 1 else em.num_nodes
        strategy = "ddp" if em.strategy == "auto" else em.strategy
        fabric = Fabric(accelerator=em.accelerator, devices=local, num_nodes=nodes, strategy=strategy)
        fabric.launch()
        return cls(fabric.global_rank, fabric.world_size, fabric.device)

    def share(self, n: int) -> range:
        """This rank's rows: contiguous, and beginning at an even number."""
        return range(n * self.rank // self.size // 2 * 2, n if self.rank == self.size - 1 else n * (self.rank + 1) // self.size // 2 * 2)

    def merge(self, own: Any) -> Any:
        """The statistics of all ranks, merged in rank order: the same bits everywhere."""
        return self.gather(own, 0)[0]

    def objects(self, own: Any) -> list[Any]:
        """The same tree of every rank."""
        if self.size == 1:
            return [own]
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, own)
        return found

    def gather(self, own: Any, flags: int) -> tuple[Any, int]:
        """Merged statistics, and the flags (bits) that any rank has raised."""
        if self.size == 1:
            return own, flags
        message = torch.cat([torch.tensor([float(flags)], dtype=torch.float64), pack(own)]).to(self.device)
        sizes = self._all(torch.tensor([len(message)], device=self.device))
        padded = torch.zeros(int(max(sizes)), dtype=torch.float64, device=self.device)
        padded[: len(message)] = message
        total, flagged = None, 0
        for content, size in zip(self._all(padded), sizes):
            flagged |= int(content[0])
            part = unpack(content[1 : int(size)], own)
            total = part if total is None else total.merge(part)
        return total, flagged

    def _all(self, tensor: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        torch.distributed.all_gather(parts, tensor)
        return parts


def pack(value: Any) -> Tensor:
    """A dataclass of tensors, numbers and dataclasses as one float64 vector that begins with every shape."""
    shapes: list[float] = []
    parts: list[Tensor] = []
    for leaf in _leaves(value):
        tensor = torch.as_tensor(leaf).detach().to("cpu", torch.float64)
        shapes += [tensor.ndim, *tensor.shape]
        parts.append(tensor.reshape(-1))
    return torch.cat([torch.tensor([float(len(shapes)), *shapes], dtype=torch.float64), *parts])


def unpack(vector: Tensor, like: Any) -> Any:
    """What `pack` packed, as a value of the same classes, types and device as `like`; its shapes may differ."""
    header = int(vector[0])
    shapes = [int(v) for v in vector[1 : 1 + header].tolist()]
    return _build(like, shapes, [vector[1 + header :]])


def _leaves(value: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for f in dataclasses.fields(value):
            yield from _leaves(getattr(value, f.name))
    elif value is not None:
        yield value


def _build(like: Any, shapes: list[int], rest: list[Tensor]) -> Any:
    if like is None:
        return None
    if dataclasses.is_dataclass(like) and not isinstance(like, type):
        return type(like)(**{f.name: _build(getattr(like, f.name), shapes, rest) for f in dataclasses.fields(like)})
    axes = shapes.pop(0)
    shape = [shapes.pop(0) for _ in range(axes)]
    count = math.prod(shape)
    leaf, rest[0] = rest[0][:count].reshape(shape), rest[0][count:]
    return leaf.to(like) if isinstance(like, Tensor) else type(like)(leaf.item())
