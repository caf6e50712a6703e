"""Photographs enlarged by a model, into files; and measured beside the originals.

A photograph keeps what it is: its channels (a grey one stays grey; transparency is enlarged, too),
its EXIF, upright, and its colour profile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from pushforward.core.counting import count_rows
from pushforward.core.errors import InvalidKind, require_positive
from pushforward.core.phase import Batch
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data.export.moving import ANIMATIONS
from pushforward.data.export.single_images import (
    SUFFIXES,
    image_target,
    results_folder,
    write_image,
)
from pushforward.data.formats.image_files import ImageFile
from pushforward.data.formats.moving_images import Film
from pushforward.data.formats.photographs import Photograph, read_photograph
from pushforward.data.image_inputs import image_files, is_single_file
from pushforward.data.pairings import LowResolution, find_pairing
from pushforward.data.resampling import enlarge as interpolate
from pushforward.experiments.enlarged_clips import clip_suffix, enlarge_clip, open_clip
from pushforward.experiments.opened import MEASURED_ROWS, OpenedRun
from pushforward.experiments.translations import Skips, result_names
from pushforward.metrics.features import digest
from pushforward.metrics.super_resolution import Enlarged, enlargement_records, reduced
from pushforward.models.parts.enlarger import Enlarger

__all__ = [
    "Enlargement",
    "Photographs",
    "compare_rows",
    "enlarge",
    "enlarge_levels",
    "enlarger",
    "enlarges",
]


@dataclass(frozen=True)
class Enlargement:
    """A photograph enlarged.

    Args:
        name: of its file.
        path: where the result is.
        before, after: its height and width, pixels.
        frames: of a clip; 1 for a photograph.
    """

    name: str
    path: Path
    before: tuple[int, int]
    after: tuple[int, int]
    frames: int = 1


def enlarge(
    run: OpenedRun,
    source: str | Path,
    out: str | None = None,
    *,
    tile: int | None = None,
) -> Iterator[Enlargement]:
    """Enlarge the photographs and clips of a file, folder, glob or zip, each into a file.

    Args:
        run: whose model enlarges.
        source: photographs of any sizes, animations and films.
        out: a file for one, a folder for several; by default NAME-enlarged.png here (a clip
            keeps its suffix), or the folder NAME-enlarged/.
        tile: longest side of the tiles that are computed at a time, pixels of the photograph; by
            default one that bounds the memory.

    Raises:
        InvalidKind: For a model that enlarges nothing.
        InvalidValue: For results that exist, or would have one name.
        BadSource: For a file that cannot be read; of several, once the others are done.
    """
    model = enlarger(run)
    require_positive(tile=tile)
    files = image_files(source, films=True)
    several, skips = not is_single_file(source), Skips(files)
    readable: list[tuple[ImageFile, Film | None]] = []
    for file in files:
        with skips.around(file.display_name):
            readable.append((file, open_clip(file)))
    files, clips = [file for file, _ in readable], [clip for _, clip in readable]
    out = results_folder(source, "enlarged") if several and out is None else out
    endings = [".png" if c is None else clip_suffix(f.name) for f, c in zip(files, clips)]
    endings = [f"-enlarged{ending}" for ending in endings]
    names = result_names(files, endings, several=several)
    paths = [
        image_target(out, name, several=several, suffixes=SUFFIXES if clip is None else ANIMATIONS)
        for name, clip in zip(names, clips)
    ]
    return _enlargements(model, files, clips, paths, tile, skips)


def _enlargements(
    model: Enlarger,
    files: Sequence[ImageFile],
    clips: Sequence[Film | None],
    paths: Sequence[Path],
    tile: int | None,
    skips: Skips,
) -> Iterator[Enlargement]:
    for file, clip, path in zip(files, clips, paths):
        with skips.around(file.display_name):
            yield _enlargement(model, file, clip, path, tile)
    skips.finish()


def _enlargement(
    model: Enlarger, file: ImageFile, clip: Film | None, path: Path, tile: int | None
) -> Enlargement:
    if clip is not None:
        count = enlarge_clip(clip, lambda x: enlarge_levels(model, x, tile), path)
        before = (clip.header.height, clip.header.width)
        height, width = (side * model.factor for side in before)
        return Enlargement(file.display_name, path, before, (height, width), count)
    photograph = read_photograph(file)
    x = torch.from_numpy(photograph.levels)
    made = enlarge_levels(model, x, tile)
    space = replace(model.fitted_space(), shape=tuple(made.shape), low=0.0, high=255.0)
    write_image(made, space, path, exif=photograph.exif, profile=photograph.profile)
    before, after = (x.shape[1], x.shape[2]), (made.shape[1], made.shape[2])
    return Enlargement(file.display_name, path, before, after)


def enlarger(run: OpenedRun) -> Enlarger:
    """The model of a run that enlarges images.

    Raises:
        InvalidKind: For other models.
    """
    model = run.model
    if not isinstance(model, Enlarger):
        raise InvalidKind(
            f"a {run.name} enlarges no images; fit one that does, as in: pushforward fit srresnet"
            " photos/ --tiles 96 --label 'low_resolution(4)'"
        )
    return model


def enlarge_levels(model: Enlarger, x: Tensor, tile: int | None = None) -> Tensor:
    """An image (1, 3 or 4 channels, h, w), bytes, enlarged in its own channels, as bytes."""
    space = model.fitted_space()
    span = space.high - space.low
    y = x.to(torch.float32) if span == 255 else x / 255 * span + space.low
    made = model.enlarge(y, tile=tile)
    scaled = made if span == 255 else (made - space.low) / span * 255
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


# ---------------------------------------------------------------------------------------- measuring


class Photographs:
    """Whole photographs to measure an enlarging model on; sizes may differ.

    Args:
        source: a file, folder, glob or zip.
    """

    condition_space = None
    resident = False

    def __init__(self, source: str | Path, run: OpenedRun) -> None:
        self.name, self.files = Path(source).name, image_files(source)
        self.space = replace(run.model.fitted_space(), shape=(None, None, None), extra={})

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: Tensor) -> Batch:
        """The given photographs, if they are of one size."""
        images = [read_photograph(self.files[row]).levels for row in rows.tolist()]
        return Batch(torch.stack([torch.from_numpy(image) for image in images]))

    def __iter__(self) -> Iterator[Photograph]:
        return (read_photograph(file) for file in self.files)

    @property
    def description(self) -> str:
        """The description in records, with a fingerprint of all bytes."""
        mark = digest(torch.from_numpy(photograph.levels) for photograph in self)
        several = "s" if len(self) > 1 else ""
        return f"{self.name} ({len(self)} photograph{several}, {mark})"

    def measure(self, run: OpenedRun, most: int) -> list[Record]:
        """The records of a run on at most `most` of them, by the protocol of published tables."""
        model = enlarger(run)
        return enlargement_records(self.enlarged(model, most), model.factor, self.description)

    def enlarged(self, model: Enlarger, most: int = MEASURED_ROWS) -> Iterator[Enlarged]:
        """The first photographs, what a model makes of their reductions, and interpolation."""
        count = min(most, len(self))
        for done, photograph in zip(range(count), self):
            count_rows("enlarged", done, count)
            x = torch.from_numpy(photograph.levels)[None, :3]
            real, small = reduced(x, model.factor)
            made = enlarge_levels(model, small[0])[None]
            yield real, made, interpolate(small, model.factor)


def enlarges(run: OpenedRun) -> bool:
    """Whether a run enlarges images that are reduced ones of those it is compared with."""
    space = run.model.condition_space
    pairing = None if space is None else find_pairing(space.preparation)
    return isinstance(run.model, Enlarger) and isinstance(pairing, LowResolution)


def compare_rows(run: OpenedRun, source: Source, most: int, description: str) -> list[Record]:
    """The records of a run on the first rows of a source with reduced images as conditions."""
    model = enlarger(run)
    return enlargement_records(_rows(model, source, most), model.factor, description)


def _rows(model: Enlarger, source: Source, most: int) -> Iterator[Enlarged]:
    count = min(most, len(source))
    for row in torch.arange(count).split(1):
        count_rows("enlarged", int(row), count)
        batch = source.take(row)
        assert batch.y is not None
        real, small = (_whole_levels(u, source.space) for u in (batch.x, batch.y))
        yield real, enlarge_levels(model, small[0])[None], interpolate(small, model.factor)


def _whole_levels(u: Tensor, space: Space) -> Tensor:
    """Images in the units of a space as bytes; interpolation may have left its range."""
    share = (u.to(torch.float64) - space.low) / (space.high - space.low)
    return (share * 255).round().clamp(0, 255).to(torch.uint8)
