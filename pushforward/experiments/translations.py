"""Images translated by a model: photographs of any size, one file or many."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, cast

from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.capabilities import Translates
from pushforward.core.errors import (
    BadSource,
    DataWarning,
    InvalidKind,
    InvalidValue,
    ShapeMismatch,
    printable,
)
from pushforward.core.model import Model
from pushforward.core.samplers import Sampler
from pushforward.data.files import listed
from pushforward.data.formats.image_files import ImageFile
from pushforward.data.formats.images import header
from pushforward.data.image_inputs import ImageInputs, image_channels, image_files, is_single_file
from pushforward.data.options import Fit
from pushforward.data.pairing import Pairing
from pushforward.data.pairings import pairing_of, pairing_to_derive
from pushforward.experiments.opened import OpenedRun

__all__ = ["Skips", "Translation", "result_names", "translate"]


@dataclass(frozen=True)
class Translation:
    """One image translated.

    Args:
        name: of its file in the source, with its folder and without the ending.
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
            such as its edges, or the half of a side-by-side image that the model is told.
        size, fit: bring each image to this size first; otherwise it keeps its own.
        seed: of the noise; each image has the noise it would have alone.
        using: 'mean' to leave the noise out.

    Raises:
        InvalidKind: For a model that translates nothing.
        InvalidValue: For `derive_conditions` of a model whose conditions are images of their own;
            for files of one name.
        BadSource: For a file that cannot be read; of several, once the others are done.
    """
    model = run.model
    if not run.can("Translates") or model.condition_space is None:
        raise InvalidKind(
            f"a {run.name} translates no images;{_instead(run)} fit one that does, as in:"
            " pushforward fit pix2pix photos/ --label edges"
        )
    pairing = pairing_to_derive(model.condition_space) if derive_conditions else None
    files = image_files(source)
    names = result_names(files, [""] * len(files), several=not is_single_file(source))
    how = {} if using is None else {"using": using}
    return _translations(model, files, names, pairing, size, fit, seed, how)


def _instead(run: OpenedRun) -> str:
    """What a run whose conditions are images can do with one."""
    told = run.model.condition_space
    if told is None or told.kind != "images" or not run.can("Samples"):
        return ""
    return f" it samples for them: pushforward sample {run.folder} --y photo.jpg;"


def result_names(files: Sequence[ImageFile], endings: Sequence[str], *, several: bool) -> list[str]:
    """What the results of files are called: as they are, with their folders below the one that all
    lie in, but for their endings, which become part of names that would be the same.

    Raises:
        InvalidValue: For two of one name.
    """
    common = _common_folder(files) if several else PurePosixPath()
    stems = [_stem(file, common, several) for file in files]
    shared = {stem for stem, count in Counter(stems).items() if count > 1}
    for i, file in enumerate(files):
        if stems[i] in shared:  # a.jpg and a.png
            stems[i] += f"-{PurePosixPath(file.name).suffix.lstrip('.')}"
    names = [f"{stem}{ending}" for stem, ending in zip(stems, endings)]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        same = [file.name for file, name in zip(files, names) if name == twice]
        raise InvalidValue(
            f"the results of {' and '.join(same[:2])} would both be called {twice}; pass them one"
            " by one"
        )
    return names


def _common_folder(files: Sequence[ImageFile]) -> PurePosixPath:
    """The folder in which all files lie, at whatever depth."""
    parents = [PurePosixPath(file.name).parent.parts for file in files]
    shared = zip(*parents)
    return PurePosixPath(*(parts[0] for parts in takewhile(lambda p: len(set(p)) == 1, shared)))


def _stem(file: ImageFile, common: PurePosixPath, several: bool) -> str:
    name = PurePosixPath(file.name)
    inner = name.relative_to(common) if several else PurePosixPath(name.name)
    inner = PurePosixPath(*(part for part in inner.parts if part != ".."))
    return str(inner.parent / inner.stem)


class Skips:
    """Files among several that cannot be used: named at once, and counted at the end.

    Args:
        files: all of them; the fault of a single one is raised as it is.
    """

    def __init__(self, files: Sequence[ImageFile]) -> None:
        self.total, self.names = len(files), list[str]()

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Context manager around the use of one file."""
        try:
            yield
        except (BadSource, InvalidValue, ShapeMismatch) as error:
            if self.total == 1:
                raise
            self.names.append(name)
            reason = str(error).removeprefix(f"{name}: ")
            warnings.warn(f"{printable(name)} is skipped: {reason}", DataWarning, stacklevel=3)

    def finish(self) -> None:
        """Raise BadSource if any was skipped."""
        if self.names:
            count = len(self.names)
            raise BadSource(
                f"{count} of {self.total} files {'is' if count == 1 else 'are'} skipped"
                f" ({listed(self.names)}); the others are done"
            )


def _translations(
    model: Model,
    files: Sequence[ImageFile],
    names: Sequence[str],
    pairing: Pairing | None,
    size: tuple[int, int] | None,
    fit: Fit,
    seed: int,
    how: Mapping[str, Any],
) -> Iterator[Translation]:
    space, told = model.fitted_space(), model.condition_space
    assert told is not None
    skips = Skips(files)
    notes: set[str] = set()
    inputs = ImageInputs(told, size, fit)
    if pairing is not None:
        inputs = ImageInputs.deriving(space, pairing, size, fit)
    for file, name in zip(files, names):
        with skips.around(file.display_name):
            y = inputs.file(file)
            x = cast(Tensor, cast(Translates, model).translate(y, rng=seed, **how))
            remarks = _remarks(file, inputs, model, x.shape[-2:], derived=pairing is not None)
            fresh = tuple(text for kind, text in remarks.items() if kind not in notes)
            notes |= remarks.keys()
            yield Translation(name, y, x, fresh)
    skips.finish()


def _remarks(
    file: ImageFile, inputs: ImageInputs, model: Model, sides: Sequence[int], *, derived: bool
) -> dict[str, str]:
    """What a user may not expect of a translated file, by kind.

    Args:
        sides: of the result.
        derived: whether the condition is made of the file.
    """
    assert model.condition_space is not None
    head = header(file.open(), file.display_name, reduced=True)
    channels = image_channels(inputs.space)
    remarks = {}
    if head.channels != channels:
        remarks["channels"] = (
            f"{file.display_name} has {head.channels} channels, the model takes {channels}:"
            " converted"
        )
    high, wide = (side or 0 for side in model.fitted_space().shape[-2:])
    pairing = pairing_of(model.condition_space)
    twice = head.width * high == 2 * head.height * wide
    if twice and not derived and pairing is not None and pairing.halves:
        remarks["halves"] = (
            f"{file.display_name} is {head.height}x{head.width}, as wide as two halves, and the"
            f" model was fitted to one ({pairing.name!r}): {argument('derive_conditions')} takes"
            " that one"
        )
        return remarks
    told = model.condition_space.shape[-2:]
    enlarges = tuple(told) != (high, wide)  # at any size, as the network sees no farther than tiles
    if tuple(sides) != (high, wide) and inputs.size is None and not enlarges:
        remarks["size"] = (
            f"{file.display_name} is translated at its own size, {sides[0]}x{sides[1]}; the model"
            f" was fitted to {high}x{wide}: {argument('size', f'{high}x{wide}')} brings it to that"
            f" size first, cut to its shape ({argument('fit', 'stretch')} for all of it)"
        )
    return remarks
