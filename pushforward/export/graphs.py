"""What a model computes, as modules of tensors: the user's units in and out.

    decoder     codes z (n, latent)[, y]  -> x (n, *shape)
    encoder     x (n, *shape)[, y]        -> codes z (n, latent)
    translator  y (n, c, h, w)            -> x (n, d, h, w)
    enlarger    y (n, c, h, w)            -> x (n, c, f h, f w)

Images are clamped to the range of their levels. Labels are whole numbers (n,), places in the list
of categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.errors import InvalidKind
from pushforward.core.model import Model
from pushforward.core.space import Space
from pushforward.export.traced import traceable
from pushforward.latent.code_distribution import infer_code_distribution
from pushforward.models.parts.enlarger import Enlarger
from pushforward.models.parts.translator import Translator
from pushforward.models.tabular.mode_encoding import ModeEncoding
from pushforward.nets.unet import UNet

__all__ = ["Graph", "Input", "code_width", "find_graphs"]


@dataclass(frozen=True)
class Input:
    """An input of a graph.

    Args:
        name: 'codes', 'x' or 'y'.
        shape: of one row; None where a size is free.
        dtype: of its values.
        space: of its values; None for codes.
        multiple: what free sizes are multiples of.
        usual: the size that a free height and width had in training.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: torch.dtype
    space: Space | None = None
    multiple: int = 1
    usual: tuple[int, int] | None = None


@dataclass(frozen=True)
class Graph:
    """A map of tensors.

    Args:
        name: 'decoder', 'encoder', 'translator' or 'enlarger'.
        module: takes a tensor for each input.
        inputs: in the order of the arguments.
        output: 'x' or 'codes'.
        space: of the output; None for codes.
    """

    name: str
    module: nn.Module
    inputs: tuple[Input, ...]
    output: str
    space: Space | None


def find_graphs(model: Model) -> list[Graph]:
    """The graphs of a fitted model.

    Raises:
        InvalidKind: If it has none.
    """
    model.fitted_space()
    if isinstance(model.scaling, ModeEncoding) and isinstance(model, (Decodes, Encodes)):
        raise InvalidKind(
            f"{type(model).__name__} cannot be exported: its rows are encoded by modes, which is"
            " not part of a graph yet; sample it here and export the rows"
        )
    if isinstance(model, Translator):
        return [_translator(model)]
    graphs = [_decoder(model)] if isinstance(model, Decodes) else []
    graphs += [_encoder(model)] if isinstance(model, Encodes) else []
    if not graphs:
        raise InvalidKind(
            f"{type(model).__name__} has nothing to export: no map from codes to observations, from"
            " observations to codes or from images to images; models that have one: pca,"
            " autoencoder, vae, gan, pix2pix and others"
        )
    return graphs


def code_width(model: Model) -> int:
    """Numbers in a code of a model."""
    width = getattr(model, "code_width", None) or getattr(model, "latent", None)
    return width if isinstance(width, int) else infer_code_distribution(model).latent


class _Decoder(nn.Module):
    """Codes and conditions to observations."""

    def __init__(self, model: Model, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.model, self.space = traceable(model, dtype), model.fitted_space()

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return _clamped(cast(Decodes, self.model).decode(z, y), self.space)


class _Encoder(nn.Module):
    """Observations and conditions to codes."""

    def __init__(self, model: Model, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.model = traceable(model, dtype)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return cast(Encodes, self.model).encode(x, y)


class _Translator(nn.Module):
    """Images to images."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        self.model, self.space = traceable(model), model.fitted_space()
        self.whole = isinstance(model, Enlarger)

    def forward(self, y: Tensor) -> Tensor:
        model = cast(Translator, self.model)
        u = cast(Tensor, model.to_condition(y, y.shape[0]))
        # an enlarger would divide a large image into tiles
        made = model.generator(u) if self.whole else model.make(u)
        return _clamped(model.to_user(made), self.space)


def _clamped(x: Tensor, space: Space) -> Tensor:
    """Images in the range of their levels; points as they are."""
    return x if space.kind == "points" else x.clamp(space.low, space.high)


def _decoder(model: Model) -> Graph:
    dtype = _narrowed(model)
    codes = Input("codes", (code_width(model),), dtype or model.floating())
    module = _Decoder(model, dtype)
    return Graph("decoder", module, (codes, *_condition(model)), "x", model.fitted_space())


def _encoder(model: Model) -> Graph:
    space, dtype = model.fitted_space(), _narrowed(model)
    x = Input("x", space.shape, _outside(model, dtype), space)
    return Graph("encoder", _Encoder(model, dtype), (x, *_condition(model)), "codes", None)


def _translator(model: Translator) -> Graph:
    space = model.condition_space
    assert space is not None
    channels, height, width = space.shape
    network = model.generator
    multiple = 2**network.depth if isinstance(network, UNet) else 1
    usual = (height or 0, width or 0)
    images = Input("y", (channels, None, None), torch.float32, space, multiple, usual)
    name = "enlarger" if isinstance(model, Enlarger) else "translator"
    return Graph(name, _Translator(model), (images,), "x", model.fitted_space())


def _condition(model: Model) -> tuple[Input, ...]:
    space = model.condition_space
    if space is None:
        return ()
    if space.is_label:
        return (Input("y", (), torch.int64, space),)
    dtype = torch.float64 if model.condition_scaling.wide else torch.float32
    return (Input("y", space.shape, dtype, space),)


def _narrowed(model: Model) -> torch.dtype | None:
    """The float type of the graph, if it is not the model's own.

    Models in closed form compute in float64; that is kept only where the data need it.
    """
    needs = model.scaling.wide or any(_is_far(c.low, c.high) for c in model.fitted_space().columns)
    return torch.float32 if model.floating() == torch.float64 and not needs else None


def _is_far(low: float, high: float) -> bool:
    """Whether values lie so far from 0, beside their range, that float32 would lose them."""
    return max(abs(low), abs(high)) > 256 * max(high - low, 0.0)


def _outside(model: Model, dtype: torch.dtype | None) -> torch.dtype:
    """The float type of observations."""
    return torch.float64 if model.scaling.wide else (dtype or model.floating())
