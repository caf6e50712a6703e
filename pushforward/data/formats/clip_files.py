"""Clips in a folder, glob or zip archive: films, animations, strips of frames, folders of frames.

Long clips are cut into windows of `frames` frames, every `stride`-th of the file's, a new one every
`hop` frames. They are kept in memory as bytes or, beyond the memory budget, in a memory-mapped
temporary file: a film can be decoded only from its beginning.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource
from pushforward.core.space import Space
from pushforward.data.clip_windows import cut_length, preparation_of_clips, whole_clips, window_span
from pushforward.data.files import announce, listed, printable
from pushforward.data.formats.image_labels import file_labels
from pushforward.data.formats.image_lists import ImageFile, Listing
from pushforward.data.formats.images import Header, decode_image, header, prepare_image
from pushforward.data.formats.moving_images import Film, animation, film, is_film
from pushforward.data.options import ClipLayout, Options
from pushforward.data.sources.arrays import labels_of
from pushforward.data.sources.spool import Spool

__all__ = ["ClipFiles", "build_clips", "find_layout", "list_clips", "survey_clips"]

Surveyed = Sequence[tuple[ImageFile, Header]]


@dataclass(frozen=True)
class ClipFiles:
    """A clip, and the files that hold it.

    Args:
        file: the file, or a folder of frames.
        frames: the files of a folder's frames, in order.
        layout: how the clip is kept.
    """

    file: ImageFile
    layout: ClipLayout
    frames: tuple[ImageFile, ...] = ()

    def open(self) -> Film:
        """Its size, frame rate and frames.

        Raises:
            BadSource: If it cannot be read.
        """
        name = self.file.display_name
        if self.layout == "folders":
            return _folder(self.frames, name)
        if self.layout == "strips":
            return _strip(self.file)
        return (film if is_film(self.file.name) else animation)(self.file.open, name)


def _folder(files: Sequence[ImageFile], name: str) -> Film:
    heads = [(file, header(file.open(), file.display_name)) for file in files]
    first, head = heads[0]
    other = next((f for f, h in heads if (h.height, h.width) != (head.height, head.width)), None)
    if other is not None:
        raise BadSource(
            f"{printable(name)}: frames of mixed sizes ({first.name} and {other.name}); expected"
            " the frames of one clip in each folder"
        )
    channels = max(h.channels for _, h in heads)

    def frames() -> Iterator[Image.Image]:
        yield from (decode_image(file.open(), file.display_name) for file in files)

    return Film(replace(head, channels=channels), None, frames)


def _strip(file: ImageFile) -> Film:
    head = header(file.open(), file.display_name)
    side = min(head.height, head.width)
    count, rest = divmod(max(head.height, head.width), side)
    if rest or count < 2:
        raise BadSource(
            f"{printable(file.display_name)}: is {head.height}×{head.width}, expected a strip of"
            " square frames, whose width (or height) is a multiple of the other side;"
            f" {setting('clips', 'folders')} takes images as single frames"
        )

    def frames() -> Iterator[Image.Image]:
        strip = decode_image(file.open(), file.display_name)
        wide = head.width > head.height
        for i in range(count):
            left, top = (i * side, 0) if wide else (0, i * side)
            yield strip.crop((left, top, left + side, top + side))

    return Film(replace(head, height=side, width=side), None, frames)


# ----------------------------------------------------------------------------------- what clips are


def find_layout(listing: Listing, good: Surveyed, options: Options) -> ClipLayout | None:
    """How the clips of surveyed files are kept; None for images.

    Films, and files that are all animations, are clips. Other images are if the options say so:
    strips if all of them can be, else the frames of the folder they lie in.
    """
    films = [file for file in listing.files if is_film(file.name)]
    stills = [file for file, head in good if not head.animated]
    if options.clips is not None and not (films and options.clips != "files"):
        return None if options.clips == "none" else options.clips
    if films:
        if stills:
            raise BadSource(
                f"{printable(options.name)}: holds both films and images ({listed([films[0].name])}"
                f" and {listed([stills[0].name])}); read them one by one"
            )
        return "files"
    if good and not stills:
        return "files"
    if not options.cuts_clips:
        return None
    strips = [_is_strip(head) for _, head in good]
    return "strips" if all(strips) else "folders"


def _is_strip(head: Header) -> bool:
    short, long = sorted((head.height, head.width))
    return long % short == 0 and long > short


def list_clips(listing: Listing, layout: ClipLayout) -> list[ClipFiles]:
    """The clips of a listing, in the order of their names; frames are in natural order, frame 2
    before frame 10.

    Raises:
        BadSource: For frames beside folders of frames.
    """
    if layout != "folders":
        return [ClipFiles(file, layout) for file in listing.files]
    folders: dict[str, list[ImageFile]] = {}
    for file in listing.files:
        folders.setdefault(PurePosixPath(file.name).parent.as_posix(), []).append(file)
    if "." in folders and len(folders) > 1:
        raise BadSource(
            f"{listed([f.name for f in folders['.']])}: lie beside folders of frames; expected a"
            " folder for each clip: move them into one, or away"
        )
    clips = []
    for folder, files in folders.items():
        first = files[0]
        place = PurePosixPath(first.display_name).parent.as_posix()
        whole = replace(first, name=folder, display_name=place, path=first.path.parent)
        ordered = sorted(files, key=lambda f: _natural(PurePosixPath(f.name).name))
        clips.append(ClipFiles(whole, layout, tuple(ordered)))
    return clips


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their value."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


# --------------------------------------------------------------------------------------- the source


def survey_clips(
    clips: Sequence[ClipFiles],
) -> tuple[list[tuple[ClipFiles, Film]], list[tuple[str, str]]]:
    """The readable clips, and (name, reason) of the others."""
    good, bad = [], []
    for clip in clips:
        name = clip.file.display_name
        try:
            good.append((clip, clip.open()))
        except BadSource as error:
            bad.append((name, str(error).removeprefix(f"{name}: ")))
    return good, bad


def build_clips(
    listing: Listing,
    films: Sequence[tuple[ClipFiles, Film]],
    options: Options,
    on_fault: Callable[[str, str], None] | None = None,
) -> Arrays:
    """The source of surveyed clips, one row for each or for each window.

    Args:
        on_fault: called with the name of a clip that cannot be decoded, and the reason; such clips
            are errors if it is None.

    Raises:
        BadSource: For clips of mixed sizes, channels or lengths, or that cannot be decoded.
    """
    channels = options.channels or _one_kind(films)
    size = options.size or _one_size(films)
    rows: list[ImageFile] = []
    counts: list[int] = []
    short: list[str] = []
    first: tuple[str, int] | None = None
    with Spool(options.memory) as spool:
        for clip, opened in films:
            name = clip.file.display_name
            try:
                before = spool.rows
                for window in _windows(opened, channels, options, name):
                    first = first or (name, window.shape[1])
                    _check_length(first, name, window.shape[1])
                    spool.add(window[None])
            except BadSource as error:
                if on_fault is None or spool.rows > before:
                    raise
                on_fault(name, str(error).removeprefix(f"{name}: "))
                continue
            if spool.rows == before:
                short.append(name)
            counts.append(spool.rows - before)
            rows += [clip.file] * counts[-1]
        if first is None:
            raise BadSource(_too_short(options, short))
        x = spool.finish()
    rates = {opened.frame_rate for _, opened in films}
    notes = [*listing.notes(), *_notes(films, short, rows, rates, options)]
    rate = rates.pop() if len(rates) == 1 else None
    space = Space(
        "clips",
        (channels, x.shape[2], *size),
        (),
        0.0,
        255.0,
        True,
        "clips",
        None if rate is None else rate / (options.stride or 1),
        **preparation_of_clips(options),
    )
    y, conditions = labels_of(file_labels(rows, listing.table, options), options, len(x))
    source = Arrays(x, y, options.weights, space=space, condition_space=conditions)
    source.name = options.name
    decided = () if listing.table is None else listing.table.notes
    source.notes, source.files = (*notes, *decided), rows
    source.groups = whole_clips(counts)
    if not options.lenient:
        announce(options.name or "clips", notes)
    return source


def _check_length(first: tuple[str, int], name: str, length: int) -> None:
    if length != first[1]:
        raise BadSource(
            f"clips of unequal length: {printable(first[0])} has {first[1]} frames,"
            f" {printable(name)} has {length}; cut them with"
            f" {setting('frames', min(length, first[1]))}"
        )


def _windows(opened: Film, channels: int, options: Options, name: str) -> Iterator[NDArray[Any]]:
    """The windows (channels, time, height, width) of one clip, none if it is too short."""
    stride = options.stride or 1
    span, hop = window_span(options), cut_length(options)
    step = stride if options.frames is None or hop % stride == 0 else 1
    images = (
        prepare_image(image, channels, options, name) if i % step == 0 else None
        for i, image in enumerate(opened.frames())
    )
    if options.frames is None:
        kept: list[NDArray[Any]] = []
        for frame in images:
            if frame is None:
                continue
            kept.append(frame)
            if len(kept) * frame.nbytes > options.memory:
                raise BadSource(
                    f"{printable(name)}: as one clip it takes more than"
                    f" {options.memory / 2**20:.0f} MB; cut it with {setting('frames', 32)}"
                )
        yield np.stack(kept, 1)
        return
    held: deque[NDArray[Any] | None] = deque(maxlen=span)
    for i, frame in enumerate(images):
        held.append(frame)
        start = i - span + 1
        if start >= 0 and start % hop == 0:
            yield np.stack([f for f in list(held)[::stride] if f is not None], 1)


def _too_short(options: Options, short: Sequence[str]) -> str:
    span = window_span(options)
    which = f" ({listed(short)})" if short else ""
    return (
        f"{printable(options.name)}: no clip has the {span} frames of a window{which}; pass fewer"
        f" {setting('frames', max(1, (options.frames or 2) // 2))}, or a smaller stride"
    )


def _notes(
    films: Sequence[tuple[ClipFiles, Film]],
    short: Sequence[str],
    rows: Sequence[ImageFile],
    rates: set[float | None],
    options: Options,
) -> list[str]:
    notes = []
    if short:
        one = len(short) == 1
        notes.append(
            f"{len(short)} clip{'' if one else 's'} shorter than {window_span(options)} frames"
            f" {'is' if one else 'are'} left out ({listed(short)})"
        )
    if len(rates) > 1:
        shown = sorted(r for r in rates if r is not None)
        low, high = (f"{r:g}" for r in (shown[0], shown[-1]))
        notes.append(
            f"frame rates differ (from {low} to {high} per second), so the clips have none; pass"
            f" {setting('frame_rate', 25)} to give them one"
        )
    return notes


def _one_kind(films: Sequence[tuple[ClipFiles, Film]]) -> int:
    clip, first = films[0]
    other = next(((c, f) for c, f in films if f.header.channels != first.header.channels), None)
    if other is not None:
        raise BadSource(
            f"clips of mixed channels: {clip.file.display_name} has {first.header.channels},"
            f" {other[0].file.display_name} has {other[1].header.channels}; choose with"
            f" {setting('channels', 1)}, 3 or 4"
        )
    return first.header.channels


def _one_size(films: Sequence[tuple[ClipFiles, Film]]) -> tuple[int, int]:
    clip, head = films[0][0], films[0][1].header
    size = head.height, head.width
    other = next(((c, f) for c, f in films if (f.header.height, f.header.width) != size), None)
    if other is not None:
        that = other[1].header
        raise BadSource(
            f"clips of mixed sizes: {clip.file.display_name} is {size[0]}×{size[1]},"
            f" {other[0].file.display_name} is {that.height}×{that.width}; bring them to one with"
            f" {setting('size', 64)} and {setting('fit', 'crop')} ('pad', 'stretch')"
        )
    return size
