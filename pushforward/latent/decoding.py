"""Decoding of codes in any arrangement: (*arrangement, latent) -> (*arrangement, *shape)."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind

__all__ = ["Decoded", "decode", "is_shared", "rows_of_condition"]

BLOCK = 1024
"""Codes per block: large images of many codes would fill the memory."""


@dataclass(frozen=True)
class Decoded:
    """Codes (*arrangement, latent) and their observations x (*arrangement, *shape).

    The observations are in the user's units.
    """

    codes: Tensor
    x: Tensor


@torch.no_grad()
def decode(model: object, codes: Tensor, y: Conditioning = None) -> Decoded:
    """Decode codes (*arrangement, latent).

    y is one condition for all, or one each in reading order.
    """
    if not isinstance(model, Decodes):
        raise InvalidKind(
            f"{type(model).__name__} does not decode codes; pass a model that does, e.g. PCA, VAE"
            " or GAN"
        )
    flat = codes.reshape(-1, codes.shape[-1])
    parts = [
        model.decode(flat[i : i + BLOCK], rows_of_condition(y, slice(i, i + BLOCK)))
        for i in range(0, len(flat), BLOCK)
    ]
    x = torch.cat(parts)
    return Decoded(codes, x.reshape(*codes.shape[:-1], *x.shape[1:]))


def rows_of_condition(y: Conditioning, rows: Tensor | slice) -> Conditioning:
    """The conditions of some rows; a single condition for all is returned unchanged."""
    if is_shared(y):
        return y
    table: Any = y
    chosen: Conditioning = table.iloc[rows] if hasattr(y, "iloc") else table[rows]
    return chosen


def is_shared(y: Conditioning) -> bool:
    """Whether a condition is the same for all rows."""
    return y is None or isinstance(y, (int, float)) or len(cast(Sized, y)) == 1
