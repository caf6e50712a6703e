"""How the data of a fit are read and split, as settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["DataSettings"]


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """How the data of a fit are read and split; `TableFormat` adds how text tables are written.

    Args:
        held_out: share (or number) of rows set aside, never trained on; evaluate measures on them;
            0 for none.
        split_seed: of the choice of rows set aside.
        label: fit p(x | label): the labels' column or array, or 'auto' for those that come with
            the data. For images also a folder of others of the same names, a half of side-by-side
            images (left, right, labels), or made of them: edges, grey, lightness,
            low_resolution(4), coarse(2), masked.
        size: bring images to this size: 64, or 48x64 for height x width.
        fit: how images are brought to the size.
        tiles: cut images, whose sizes may differ, into square tiles of so many pixels a side.
        channels: bring images to 1 (grey), 3 (colour) or 4 (with alpha) channels.
        frame_rate: frames per second of clips, where the file does not say.
        clips: how clips are kept, where it cannot be found out: files (animations, films), strips
            (images of frames side by side), folders (of frames), or none (first frames alone).
        frames: cut clips into windows of so many frames.
        stride: take every so many-th frame of clips.
        hop: begin a window of a clip every so many frames; by default they do not overlap.
        categorical: text columns to take as categories.
        columns: columns to use, and no others.
        drop: columns to leave out.
        types: what columns are, such as age=count,share=bounded(0,1); 'auto' infers all of them.
        relation: a linear relation between columns that rows obey, such as 'GS <= G' or
            'PTS = 2*FG + FT'; repeatable.
        download: fetch a named data set that is not found.
        dequantise: add U(-1/2, 1/2) to integers; by default to levels of images, if the model has a
            density per unit.
    """

    held_out: int | float = 0.2
    split_seed: int = 0
    label: str | None = None
    size: str | None = None
    fit: Literal["crop", "pad", "stretch"] | None = None
    tiles: int | None = None
    channels: int | None = None
    frame_rate: float | None = None
    clips: Literal["files", "strips", "folders", "none"] | None = None
    frames: int | None = None
    stride: int | None = None
    hop: int | None = None
    categorical: Sequence[str] = ()
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()
    types: Sequence[str] = ()
    relation: Sequence[str] = ()
    download: bool = False
    dequantise: bool | None = None
