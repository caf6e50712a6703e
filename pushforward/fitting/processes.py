"""The processes of one fit: how they are launched, what they tell one another, and how they are interrupted.

Nothing else in this room sees Lightning Fabric. A process that is alone is the common case and pays for nothing: every
exchange below is then the identity, and at full precision its networks are not wrapped at all.

Of several, each named network has a wrapper of its own, which averages its gradients over the processes and does nothing
else. Buffers (batch norm's statistics) are *not* broadcast at every forward pass, as is the wrappers' habit: that costs
an exchange a call, and a call made by one process alone (a callback that samples) would wait for the others for ever.
Each process keeps its own, all are saved, and the first process's are everyone's at the end.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, quoted
from pushforward.core.events import CancelToken
from pushforward.fitting.settings import ProcessSettings

__all__ = ["Processes", "interruptible", "require_script"]

STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]
MOST_PROCESSES = 4096
"""More than any machine has."""
DOUBLE = ("64-true", "64", 64)
SINGLE = ("32-true", "32", 32)


class Processes:
    """This process among all that fit together; launches the others where they are not there yet.

    Arguments:
        settings: accelerator, devices, strategy, precision and num_nodes.

    `world` is how many there are, `rank` which one this is; `device` and `dtype` are what it computes on and in.
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._fabric = _launch(settings)
        self.world: int = self._fabric.world_size
        self.rank: int = self._fabric.global_rank
        self.device: torch.device = self._fabric.device
        self.dtype = torch.float64 if settings.precision in DOUBLE else torch.float32
        # One process at full precision needs nothing of a wrapper but would pay for it at every call.
        self.wraps = settings.strategy != "auto" or self.world > 1 or settings.precision not in (*SINGLE, *DOUBLE)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes, reports and decides."""
        return self.rank == 0

    # ------------------------------------------------------------------------------------------- telling one another

    def wait(self) -> None:
        """Until all have come as far."""
        if self.world > 1:
            self._fabric.barrier()

    def heard(self, value: Any) -> Any:
        """The first process's value, for all."""
        return self._fabric.broadcast(value) if self.world > 1 else value

    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        return self._fabric.all_reduce(value, reduce_op="sum") if self.world > 1 else value

    def gathered(self, mine: Any) -> list[Any]:
        """The same tree of tensors of every process."""
        if self.world == 1:
            return [mine]
        if isinstance(mine, Mapping):
            parts = {name: self.gathered(part) for name, part in mine.items()}
            return [{name: part[rank] for name, part in parts.items()} for rank in range(self.world)]
        return list(self._fabric.all_gather(mine).to("cpu"))

    def first_of_all(self, message: str) -> str:
        """The first process's message that is not empty."""
        if self.world == 1:
            return message
        messages: list[Any] = [""] * self.world
        torch.distributed.all_gather_object(messages, message)
        return next((m for m in messages if m), "")

    # ------------------------------------------------------------------------------------------- wrapping

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network such that calls round as the precision says and gradients are averaged over the processes."""
        if not self.wraps:
            return network
        wrapped = self._fabric.setup_module(network, move_to_device=True)
        # Fabric forbids every backward pass but its own, also the inner one of a penalty on the critic's slope.
        wrapped._register_backward_hook = lambda tensor: tensor
        return wrapped

    def wrapped_optimizer(self, optimizer: torch.optim.Optimizer) -> Any:
        """The optimiser such that its steps go through the loss scaler, if there is one."""
        return self._fabric.setup_optimizers(optimizer) if self.wraps else optimizer

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of the loss."""
        if self.wraps:
            self._fabric.backward(loss)
        else:
            loss.backward()

    def unexchanged(self, wrapped: nn.Module) -> Any:
        """Within: the gradients of a wrapped network stay this process's own."""
        return self._fabric.no_backward_sync(wrapped)

    @property
    def scaler(self) -> Any:
        """The loss scaler of half precision, or None."""
        return getattr(self._fabric._precision, "scaler", None)


def _launch(settings: ProcessSettings) -> Any:
    """Fabric, with its errors in the library's form. Under torchrun the processes are there already."""
    names = ("accelerator", "devices", "strategy", "precision")
    wanted = ", ".join(f"{name}={getattr(settings, name)!r}" for name in names)
    for name in ("devices", "num_nodes"):
        count = getattr(settings, name)
        if str(count).strip().isdigit() and int(count) > MOST_PROCESSES:
            raise InvalidValue(f"{name} must be at most {MOST_PROCESSES}, got {quoted(count)}; pass how many processes are to fit")
    try:
        from lightning_fabric import Fabric

        devices, strategy, nodes = _asked_for(settings)
        require_script(devices, nodes)
        fabric = Fabric(
            accelerator=settings.accelerator,
            devices=devices,
            strategy=strategy,
            # Networks and data are in double precision then; Fabric's own would round every network's output to single.
            precision="32-true" if settings.precision in DOUBLE else settings.precision,  # type: ignore[arg-type]
            num_nodes=nodes,
        )
    except InvalidValue:
        raise
    except Exception as error:
        expected = isinstance(error, (ValueError, TypeError, RuntimeError, ImportError, OverflowError, AssertionError))
        if not expected and type(error).__name__ != "MisconfigurationException":
            raise
        raise InvalidValue(f"{wanted} cannot be had here: {(str(error).strip().splitlines() or [type(error).__name__])[0]}") from error
    fabric.launch()
    if fabric.world_size > 1:
        atexit.unregister(_leave)  # one fit follows another
        atexit.register(_leave)
    return fabric


def require_script(devices: Any, nodes: int = 1) -> None:
    """InvalidValue where several processes are asked for, and there is no file that the others could be started from."""
    if "LOCAL_RANK" in os.environ or _count(devices) * nodes == 1:  # this is one of them, or the only one
        return
    main = sys.modules.get("__main__")
    if getattr(main, "__spec__", None) is None and not os.path.isfile(getattr(main, "__file__", "") or ""):
        where = "a notebook" if "ipykernel" in sys.modules else "python -c or a prompt"
        raise InvalidValue(
            f"devices={devices} starts further processes by running the program's file again, and in {where} there is none; put the fit "
            "into a script.py and run it by python script.py, or by torchrun --nproc_per_node=… script.py; or pass devices=1"
        )


def _count(devices: Any) -> int:
    """How many processes are asked for on this machine, as far as that can be told: 'auto' and -1 may be one."""
    if isinstance(devices, str):
        text = devices.strip()
        return len([part for part in text.split(",") if part.strip()]) if "," in text else int(text) if text.isdigit() else 1
    return len(devices) if isinstance(devices, (list, tuple)) else max(1, int(devices))


def _leave() -> None:
    """Leave the group before the interpreter goes: gloo's threads, left running, abort the process now and then."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _asked_for(settings: ProcessSettings) -> tuple[Any, Any, int]:
    """Devices, strategy and machines: torchrun's where it launched this process and nothing else was asked for."""
    devices, strategy, nodes = settings.devices, settings.strategy, settings.num_nodes
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    everywhere = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if everywhere > 1 and devices in (1, "1", "auto"):
        devices, nodes = here, everywhere // here
    several = everywhere > 1 or nodes > 1 or devices not in (0, 1, "0", "1", "auto")
    if strategy == "ddp" or (strategy == "auto" and several and settings.accelerator == "cpu"):
        from lightning_fabric.strategies import DDPStrategy

        strategy = DDPStrategy(broadcast_buffers=False)  # type: ignore[assignment]
    return devices, strategy, nodes


@contextmanager
def interruptible(token: CancelToken, decides: bool) -> Iterator[list[int]]:
    """Ctrl-C and signals that announce an end ask the fit to stop after the step; a second Ctrl-C stops at once.

    These are SIGTERM, SIGHUP (a lost connection) and SIGUSR1 (what schedulers of clusters send ahead of time); those that
    the process was told to ignore, as by nohup, stay ignored. Yields the signals that came.

    Of several processes the first decides; the others, which get the signal too, wait for its word.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def ask(number: int, frame: Any) -> None:
        if token.cancelled and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)
        token.cancel()

    asking = [n for n in STOPPING if n == signal.SIGINT or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, ask if decides else signal.SIG_IGN) for number in asking}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
