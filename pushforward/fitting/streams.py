"""The random numbers of one fit: its own named streams, and the global ones on loan.

The fit's own draws come from separate streams for losses and augmentations. Dropout, a user's loss
or a user's source may draw from the global streams of torch, Python and NumPy; these are seeded too
during the fit, and all of them are part of the state for exact resumption.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.global_random import GLOBAL_STREAMS
from pushforward.core.random import derive

__all__ = ["Streams", "BorrowedStreams", "save_random_states", "restore_random_states"]


class Streams:
    """The streams of one process; creating them seeds the global ones.

    Args:
        seed: the fit's.
        rank: of this process, which has its own numbers.
        device: where the fit's own streams live.
    """

    def __init__(self, seed: int, rank: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self.noise, self.augment = (
            torch.Generator(device).manual_seed(derive(seed, name, rank))
            for name in ("noise", "augment")
        )
        torch.manual_seed(derive(seed, "torch", rank))
        random.seed(derive(seed, "python", rank))
        np.random.seed(derive(seed, "numpy", rank) % 2**32)

    def fixed(self, name: str) -> torch.Generator:
        """A stream that is the same at every call and in every process.

        It makes measurements repeatable.
        """
        return torch.Generator(self._device).manual_seed(derive(self._seed, "fixed", name))

    def state(self) -> dict[str, Tensor]:
        """What exact resume needs."""
        return save_random_states(self._device, {"noise": self.noise, "augment": self.augment})

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        restore_random_states(state, self._device, {"noise": self.noise, "augment": self.augment})


def save_random_states(
    device: torch.device, streams: dict[str, torch.Generator]
) -> dict[str, Tensor]:
    """The states of this process's streams and of torch's, Python's and NumPy's global ones."""
    states = {name: stream.get_state().clone() for name, stream in streams.items()}
    states["torch"] = torch.get_rng_state().clone()
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device).clone()
    version, numbers, spare = random.getstate()
    states["python"] = torch.tensor([version, *numbers])
    _, keys, position, has_spare, numpy_spare = np.random.get_state()
    states["numpy"] = torch.tensor([position, has_spare, *np.asarray(keys).tolist()])
    states["spare"] = torch.tensor(
        [math.nan if spare is None else spare, numpy_spare], dtype=torch.float64
    )
    return states


def restore_random_states(
    states: dict[str, Tensor], device: torch.device, streams: dict[str, torch.Generator]
) -> None:
    """Restore the result of `save_random_states`."""
    for name, stream in streams.items():
        stream.set_state(states[name])
    torch.set_rng_state(states["torch"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    spare, numpy_spare = states["spare"].tolist()
    version, *numbers = states["python"].tolist()
    random.setstate((version, tuple(numbers), None if math.isnan(spare) else spare))
    position, has_spare, *keys = states["numpy"].tolist()
    np.random.set_state(
        ("MT19937", np.array(keys, dtype=np.uint32), position, has_spare, numpy_spare)
    )


class BorrowedStreams:
    """Context manager that lends torch's, Python's and NumPy's global streams to a fit.

    Torch's streams are shared by all threads, so fits in several threads take turns, step by step:
    each draws the same numbers as alone.

    Args:
        device: of the fit.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._callers: tuple[Any, ...] = ()
        self._held = False

    def __enter__(self) -> BorrowedStreams:
        self._borrow()
        return self

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._return()

    def _borrow(self) -> None:
        GLOBAL_STREAMS.acquire()
        self._held = True
        self._callers = _global_states(self._device)

    def _return(self) -> None:
        _put_global_states(self._callers, self._device)
        self._held = False
        GLOBAL_STREAMS.release()

    @contextmanager
    def returned(self) -> Iterator[None]:
        """Context manager: the global streams are the caller's again.

        Draws do not affect the fit.
        """
        states = _global_states(self._device)
        self._return()
        try:
            yield
        finally:
            self._borrow()
            _put_global_states(states, self._device)

    def give_way(self) -> None:
        """Let waiting threads take their turn."""
        if GLOBAL_STREAMS.has_waiters:
            with self.returned():
                pass


def _global_states(device: torch.device) -> tuple[Any, ...]:
    """The global states in the libraries' own form, faster than a checkpoint's tensors."""
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), on_device


def _put_global_states(states: tuple[Any, ...], device: torch.device) -> None:
    python, numpy, torch_state, on_device = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(torch_state)
    if on_device is not None:
        torch.cuda.set_rng_state(on_device, device)
