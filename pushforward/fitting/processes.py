"""The processes of one fit: launch and communication.

A single process is the common case and has no overhead: every exchange is then the identity, and a
fit by passes does not even import Lightning Fabric, which launches further processes.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.devices import ACCELERATORS, choose_accelerator
from pushforward.core.errors import InvalidValue, quote
from pushforward.fitting.settings import ProcessSettings

__all__ = ["Processes", "join_processes", "launch", "require_script", "single_device"]

V = TypeVar("V")

MOST_PROCESSES = 4096
"""More processes than any machine runs."""


class Processes:
    """This process among all processes of the fit.

    Args:
        rank: of this process.
        world: number of processes.
        device: of this process.
    """

    def __init__(self, rank: int, world: int, device: torch.device) -> None:
        self.rank, self.world, self.device = rank, world, device

    @property
    def first(self) -> bool:
        """Whether this process writes, reports and decides."""
        return self.rank == 0

    def share(self, n: int) -> range:
        """This process's contiguous part of n rows, starting at an even number."""
        begin = n * self.rank // self.world // 2 * 2
        last = self.rank == self.world - 1
        return range(begin, n if last else n * (self.rank + 1) // self.world // 2 * 2)

    def wait(self) -> None:
        """Wait until all processes arrive here."""
        if self.world > 1:
            cuda = self.device.type == "cuda"
            torch.distributed.barrier(device_ids=[self.device.index] if cuda else None)

    def from_first(self, value: V) -> V:
        """The first process's value, in all processes."""
        if self.world == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values, 0)
        return values[0]

    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.world == 1:
            return value
        summed = value.detach().clone().to(self.device)
        torch.distributed.all_reduce(summed)
        return summed

    def gathered(self, mine: Any) -> list[Any]:
        """The tree of tensors of every process, on the CPU."""
        if self.world == 1:
            return [mine]
        if isinstance(mine, Mapping):
            parts = {name: self.gathered(part) for name, part in mine.items()}
            return [
                {name: part[rank] for name, part in parts.items()} for rank in range(self.world)
            ]
        return [part.to("cpu") for part in self._all(mine.to(self.device))]

    def objects(self, mine: V) -> list[Any]:
        """The object of every process."""
        if self.world == 1:
            return [mine]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, mine)
        return values

    def vectors(self, mine: Tensor) -> list[Tensor]:
        """The float64 vector of every process; lengths may differ."""
        if self.world == 1:
            return [mine]
        lengths = [int(n) for n in self._all(torch.tensor([len(mine)], device=self.device))]
        padded = torch.zeros(max(lengths), dtype=torch.float64, device=self.device)
        padded[: len(mine)] = mine
        return [vector[:length] for vector, length in zip(self._all(padded), lengths)]

    def first_of_all(self, message: str) -> str:
        """The first non-empty message among the processes."""
        return next((m for m in self.objects(message) if m), "")

    def _all(self, tensor: Tensor) -> list[Tensor]:
        tensor = tensor.contiguous()
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        torch.distributed.all_gather(parts, tensor)
        return parts


def join_processes(settings: ProcessSettings) -> Processes:
    """Join the running processes, or launch those requested by `devices`."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    if together:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        cuda = torch.distributed.get_backend() == "nccl"
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)
    alone = single_device(settings)
    if alone is not None:
        return Processes(0, 1, alone)
    fabric = launch(settings, "32-true")
    return Processes(fabric.global_rank, fabric.world_size, fabric.device)


def single_device(settings: ProcessSettings) -> torch.device | None:
    """The device of a fit in this process alone.

    None where Lightning Fabric has to launch it: on several processes, with a strategy, and on
    devices that 'auto' does not know.

    Raises:
        InvalidValue: If the device is not here.
    """
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1 or settings.num_nodes != 1
    started = torch.distributed.is_available() and torch.distributed.is_initialized()
    if several or started or settings.strategy != "auto" or settings.devices not in (1, "1"):
        return None
    name, colon, number = settings.accelerator.partition(":")
    kind = choose_accelerator(name)
    if kind == "cpu":
        return torch.device("cpu")
    if kind not in ACCELERATORS:
        return None
    index, count = (int(number) if number.isdecimal() else -1 if colon else 0), ACCELERATORS[kind]()
    if not 0 <= index < count:
        raise InvalidValue(
            f"accelerator {quote(settings.accelerator)} was requested, but there"
            f" {'is' if count == 1 else 'are'} {count} here, counted from {kind}:0; pass"
            f" {setting('accelerator', 'auto')}"
        )
    return torch.device(kind, index)


def launch(settings: ProcessSettings, precision: str | None, plugin: Any = None) -> Any:
    """Launch Fabric, converting its errors to the library's.

    Under torchrun the processes already exist.
    """
    kind, _, index = settings.accelerator.partition(":")
    if index and settings.devices in (1, "1"):
        settings = replace(settings, accelerator=kind, devices=f"{index},")
    names = ("accelerator", "devices", "strategy", "precision")
    request = ", ".join(f"{name}={getattr(settings, name)!r}" for name in names)
    for name in ("devices", "num_nodes"):
        count = getattr(settings, name)
        if str(count).strip().isdigit() and int(count) > MOST_PROCESSES:
            raise InvalidValue(
                f"{name} must be at most {MOST_PROCESSES}, got {quote(count)}; pass the number of"
                " processes"
            )
    try:
        from lightning_fabric import Fabric

        devices, strategy, nodes = _requested(settings)
        require_script(devices, nodes)
        fabric = Fabric(
            accelerator=choose_accelerator(settings.accelerator),
            devices=devices,
            strategy=strategy,
            precision=precision,  # type: ignore[arg-type]
            plugins=plugin,
            num_nodes=nodes,
        )
    except InvalidValue:
        raise
    except Exception as error:
        expected = (ValueError, TypeError, RuntimeError, ImportError, OverflowError, AssertionError)
        if not isinstance(error, expected) and type(error).__name__ != "MisconfigurationException":
            raise
        if kind not in ("auto", "cpu", "gpu", *ACCELERATORS):
            here = ", ".join(["cpu", *(name for name, count in ACCELERATORS.items() if count())])
            raise InvalidValue(
                f"accelerator {quote(kind)} is not available on this machine, which has {here};"
                f" pass {setting('accelerator', 'auto')}"
            ) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InvalidValue(f"{request} is not available on this machine: {reason}") from error
    fabric.launch()
    if fabric.world_size > 1:
        atexit.unregister(_leave_group)  # later fits in this process need it
        atexit.register(_leave_group)
    return fabric


def require_script(devices: int | str | Sequence[int], nodes: int = 1) -> None:
    """Raise InvalidValue if several processes are requested without a script to start them from."""
    # this is one of them, or the only one
    if "LOCAL_RANK" in os.environ or _count(devices) * nodes == 1:
        return
    main = sys.modules.get("__main__")
    if getattr(main, "__spec__", None) is None and not os.path.isfile(
        getattr(main, "__file__", "") or ""
    ):
        where = "a notebook" if "ipykernel" in sys.modules else "python -c or a prompt"
        raise InvalidValue(
            f"{setting('devices', devices)} starts further processes by running the program's file"
            " again, but"
            f" {where} has no such file; put the fit into a script and run python script.py, or"
            f" torchrun --nproc_per_node=… script.py; or pass {setting('devices', 1)}"
        )


def _count(devices: int | str | Sequence[int]) -> int:
    """Number of processes requested on this machine, if known: 'auto' and -1 may mean one."""
    if isinstance(devices, str):
        text = devices.strip()
        return (
            len([part for part in text.split(",") if part.strip()])
            if "," in text
            else int(text)
            if text.isdigit()
            else 1
        )
    return max(1, devices) if isinstance(devices, int) else len(devices)


def _leave_group() -> None:
    """Leave the process group before the interpreter exits.

    Running threads of gloo sometimes abort the process.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _requested(settings: ProcessSettings) -> tuple[Any, Any, int]:
    """Devices, strategy and nodes.

    They are torchrun's if it launched this process and nothing else was requested.
    """
    devices, strategy, nodes = settings.devices, settings.strategy, settings.num_nodes
    here = (
        int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    )
    everywhere = (
        int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    )
    if everywhere > 1 and devices in (1, "1", "auto"):
        devices, nodes = here, everywhere // here
    several = everywhere > 1 or nodes > 1 or devices not in (0, 1, "0", "1", "auto")
    on_cpu = choose_accelerator(settings.accelerator) == "cpu"
    if strategy == "ddp" or (strategy == "auto" and several and on_cpu):
        from lightning_fabric.strategies.ddp import DDPStrategy

        strategy = DDPStrategy(broadcast_buffers=False)  # type: ignore[assignment]
    return devices, strategy, nodes
