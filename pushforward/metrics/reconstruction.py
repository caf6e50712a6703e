"""Reconstruction error of encoding and decoding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind
from pushforward.core.records import Record
from pushforward.core.units import HasSpace

__all__ = ["reconstruct", "squared_error"]


@torch.no_grad()
def reconstruct(model: object, x: Observations, y: Conditioning = None) -> Tensor:
    """decode(encode(x)): observations (n, *shape) in the user's units."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise InvalidKind(
            f"{type(model).__name__} does not both encode and decode, so it cannot reconstruct"
        )
    if y is None:
        return model.decode(model.encode(x))
    return model.decode(model.encode(x, y), y)


def squared_error(
    model: object, x: Observations, y: Conditioning = None, *, data: str = ""
) -> Record:
    """Mean of ‖x - decode(encode(x))‖², summed over the event, in squared user's units."""
    reconstructions = reconstruct(model, x, y).to("cpu", torch.float64)
    originals = cast(HasSpace, model).fitted_space().conform(x)
    values = (originals.to("cpu", torch.float64) - reconstructions).square().flatten(1).sum(1)
    return Record.of("squared_error", values, unit="squared units", data=data)
