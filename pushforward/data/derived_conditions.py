"""Conditions that are made of the images themselves: `read(photos, label='grey')`."""

from __future__ import annotations

from dataclasses import replace

from pushforward.core.errors import InvalidValue
from pushforward.core.frames import is_frame
from pushforward.core.source import Source
from pushforward.data.dispatch import normalised, read_any, reader_of
from pushforward.data.files import locate
from pushforward.data.formats.numpy_files import array_names
from pushforward.data.halves import warn_of_photographs
from pushforward.data.options import Options
from pushforward.data.pairing import Pairing
from pushforward.data.pairings import find_pairing
from pushforward.data.sources.pairs import DerivedPairs

__all__ = ["derived", "derives_conditions"]


def derived(source: object, pairing: Pairing, options: Options) -> Source | None:
    """Images with conditions derived from them; None for data with a column of that name."""
    source = normalised(source)
    if _has_column(source, str(options.label)):
        return None
    if pairing.halves and options.size is not None:  # of one half
        options = replace(options, size=(options.size[0], 2 * options.size[1]))
    if options.tiles is not None:  # conditions are made of whole images, and cut with them
        return read_any(source, options)
    images = read_any(source, replace(options, label=False))
    if images.space.kind != pairing.kind:
        raise InvalidValue(
            f"y='{pairing}' makes conditions of {pairing.kind}, but the data are {images.space};"
            " pass conditions of their own"
        )
    if pairing.halves:
        warn_of_photographs(images, pairing)
    return DerivedPairs(images, pairing)


def derives_conditions(source: object, label: object) -> bool:
    """Whether a label names conditions made of the images, and no column of the data."""
    return find_pairing(label) is not None and not _has_column(source, str(label))


def _has_column(source: object, name: str) -> bool:
    """Whether labels of this name come with the data: a column, or an array of an archive."""
    if is_frame(source):
        return True
    if not isinstance(source, str):
        return name in (getattr(source, "column_names", None) or ())
    reader, path = reader_of(source), locate(source)
    if reader.name == "npz" and path.is_file():
        return name in array_names(path)
    if reader.name == "images":
        from pushforward.data.formats.image_files import open_listing  # imports Pillow

        table = open_listing(path).table
        return table is not None and name in table.columns
    return reader.tabular
