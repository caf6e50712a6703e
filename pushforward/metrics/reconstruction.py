"""What is lost between encoding and decoding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.errors import InvalidKind
from pushforward.core.records import Record

__all__ = ["reconstruct", "squared_error"]


@torch.no_grad()
def reconstruct(model: Any, x: Any, y: Any = None) -> Tensor:
    """decode(encode(x)): observations (n, *shape) in the user's units."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise InvalidKind(
            f"{type(model).__name__} does not both encode and decode, so it cannot reconstruct"
        )
    if y is None:
        return model.decode(model.encode(x))
    return model.decode(model.encode(x, y), y)


def squared_error(model: Any, x: Any, y: Any = None, *, data: str = "") -> Record:
    """Mean of ‖x - decode(encode(x))‖², summed over the event, in squared user's units."""
    given = model.fitted_space().conform(x)
    restored = reconstruct(model, x, y).to("cpu", torch.float64)
    values = (given.to("cpu", torch.float64) - restored).square().flatten(1).sum(1)
    return Record.of("squared_error", values, unit="squared units", data=data)
