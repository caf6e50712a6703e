"""Random numbers: every draw goes through here, so that a seed means the same everywhere.

A stream is a `torch.Generator`. An integer (Python's or NumPy's) seeds a new one; a NumPy generator
provides such a seed and advances; None takes a seed from torch's global stream, so
`torch.manual_seed` governs calls without `rng`. A CPU generator may serve tensors on any device
(sampled on the CPU, then moved): the same seed then gives the same numbers on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, require_seed
from pushforward.core.global_random import GLOBAL_STREAMS
from pushforward.core.numbers import to_python

__all__ = ["Rng", "generator", "derive", "normal", "uniform", "integers", "permutation"]

Rng: TypeAlias = (
    torch.Generator
    | np.random.Generator
    | np.random.RandomState
    | np.integer
    | np.ndarray
    | Tensor
    | int
    | None
)


def generator(rng: Rng = None, device: torch.device | str = "cpu") -> torch.Generator:
    """The random stream for `rng`."""
    if isinstance(rng, torch.Generator):
        return rng
    rng = cast(Rng, to_python(rng))
    if rng is None:
        with GLOBAL_STREAMS:  # another thread's step may be using the global stream
            seed = int(torch.randint(2**62, (), dtype=torch.int64, device="cpu"))
    elif isinstance(rng, np.random.Generator):
        seed = int(rng.integers(2**62))
    elif isinstance(rng, np.random.RandomState):
        seed = int(rng.randint(2**62, dtype=np.int64))
    elif isinstance(rng, int) and not isinstance(rng, bool):
        seed = require_seed(rng)
    else:
        raise InvalidKind(
            "rng must be a torch or NumPy generator, an integer seed or None, got"
            f" {type(rng).__name__}; pass rng=0, say"
        )
    return torch.Generator(device=device).manual_seed(seed % 2**63)


def derive(seed: int, *path: str | int) -> int:
    """A seed for the stream named by `path`, independent of every other path's."""
    digest = hashlib.blake2b(
        repr((require_seed(int(seed)), *path)).encode(), digest_size=8
    ).digest()
    return int.from_bytes(digest, "big") >> 1


def normal(
    *shape: int,
    rng: Rng = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    like: Tensor | None = None,
) -> Tensor:
    """Standard normal numbers of the given shape."""
    device, dtype = _placement(device, dtype, like)
    stream = generator(rng, device)
    return torch.randn(shape, generator=stream, device=stream.device, dtype=dtype).to(device)


def uniform(
    *shape: int,
    rng: Rng = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    like: Tensor | None = None,
) -> Tensor:
    """Numbers from U[0, 1) of the given shape."""
    device, dtype = _placement(device, dtype, like)
    stream = generator(rng, device)
    return torch.rand(shape, generator=stream, device=stream.device, dtype=dtype).to(device)


def integers(
    high: int, shape: Sequence[int], *, rng: Rng = None, device: torch.device | str = "cpu"
) -> Tensor:
    """Integers uniform on 0..high-1, int64."""
    stream = generator(rng, device)
    return torch.randint(high, tuple(shape), generator=stream, device=stream.device).to(device)


def permutation(n: int, *, rng: Rng = None) -> Tensor:
    """A random order of 0..n-1 (int64, on the CPU unless the stream lives elsewhere)."""
    stream = generator(rng)
    return torch.randperm(n, generator=stream, device=stream.device)


def _placement(
    device: torch.device | str | None, dtype: torch.dtype | None, like: Tensor | None
) -> tuple[torch.device, torch.dtype]:
    if like is not None:
        return like.device, like.dtype
    return torch.device(device or "cpu"), dtype or torch.get_default_dtype()
