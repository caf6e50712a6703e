"""Images translated by a model: photographs of any size, one file or many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.capabilities import Translates
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.model import Model
from pushforward.core.samplers import Sampler
from pushforward.data.formats.image_files import ImageFile
from pushforward.data.formats.images import decode, header
from pushforward.data.halves import conform_condition
from pushforward.data.image_inputs import image_channels, image_files
from pushforward.data.options import Fit, Options
from pushforward.data.pairing import Pairing
from pushforward.data.pairings import find_pairing
from pushforward.experiments.opened import OpenedRun

__all__ = ["Translation", "translate"]


@dataclass(frozen=True)
class Translation:
    """One image translated.

    Args:
        name: of its file, without the ending.
        y: what the model was told, (c, h, w), levels.
        x: what it made of it, (d, k, l), user's units.
        notes: what a user may not expect, each said of the first image that it is true of.
    """

    name: str
    y: Tensor
    x: Tensor
    notes: tuple[str, ...] = ()


def translate(
    run: OpenedRun,
    source: str | Path,
    *,
    derive_conditions: bool = False,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    seed: int = 0,
    using: Sampler | str | None = None,
) -> Iterator[Translation]:
    """Translate the images of a file, folder, glob or zip, one by one, in the order of names.

    Args:
        run: whose model translates.
        source: images of any sizes, in the channels of the model's conditions or converted to them.
        derive_conditions: make of each image the condition that the model was fitted with first,
            such as its edges.
        size, fit: bring each image to this size first; otherwise it keeps its own.
        seed: of the noise; each image has the noise it would have alone.
        using: 'mean' to leave the noise out.

    Raises:
        InvalidKind: For a model that translates nothing.
        InvalidValue: For `derive_conditions` of a model whose conditions are images of their own.
    """
    model = run.model
    if not run.can("Translates") or model.condition_space is None:
        raise InvalidKind(
            f"a {run.name} translates no images; fit one that does, as in: pushforward fit pix2pix"
            " photos/ --label edges"
        )
    pairing = find_pairing(model.condition_space.preparation)
    if derive_conditions and pairing is None:
        raise InvalidValue(
            f"the conditions of this run are images of their own, and cannot be made of others;"
            f" leave {argument('derive_conditions')} out"
        )
    files = image_files(source)
    reading = Options(size=size, fit=fit, label=False)
    how = {} if using is None else {"using": using}
    return _translations(model, files, pairing if derive_conditions else None, reading, seed, how)


def _translations(
    model: Model,
    files: Sequence[ImageFile],
    pairing: Pairing | None,
    reading: Options,
    seed: int,
    how: Mapping[str, Any],
) -> Iterator[Translation]:
    space = model.fitted_space()
    channels = (
        space.shape[0] or 1
        if pairing is not None
        else image_channels(model.condition_space or space)
    )
    told: set[str] = set()
    for file in files:
        head = header(file.open(), file.display_name)
        levels = decode(file.open(), file.display_name, reading, channels)
        image = torch.from_numpy(levels.copy())  # Pillow's may not be written to
        y = image[None].to(torch.get_default_dtype())
        if pairing is not None:
            whole = replace(space, shape=tuple(image.shape))
            pairing.spaces(whole)  # refuses sizes that it cannot divide
            y = pairing.condition(y, whole, torch.zeros(1, dtype=torch.int64))
        else:
            y = conform_condition(y, model.condition_space or space)
        x = cast(Tensor, cast(Translates, model).translate(y[0], rng=seed, **how))
        notes = {}
        if head.channels != channels:
            notes["channels"] = (
                f"{file.display_name} has {head.channels} channels, the model takes {channels}:"
                " converted"
            )
        if x.shape[-2:] != space.shape[-2:] and reading.size is None:
            high, wide = space.shape[-2:]
            notes["size"] = (
                f"{file.display_name} gives {x.shape[-2]}x{x.shape[-1]}, the model was fitted to"
                f" {high}x{wide}: {argument('size', f'{high}x{wide}')} translates at that scale"
            )
        fresh = tuple(text for kind, text in notes.items() if kind not in told)
        told |= notes.keys()
        yield Translation(Path(file.name).stem, y[0], x, fresh)
