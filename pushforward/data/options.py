"""The options of `read`, checked once and passed to every reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from pushforward.core.argument_names import setting
from pushforward.core.errors import (
    InvalidKind,
    InvalidValue,
    require_positive,
    suggest,
    suggest_listed,
)
from pushforward.core.space import Space
from pushforward.data.tables.text_format import SETTINGS, TableFormat
from pushforward.data.tables.types import ColumnType, parse_types

__all__ = ["ClipLayout", "Options", "FITS", "Fit", "MEMORY", "read_size"]

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = get_args(Fit)
"""How images are brought to a size: by cutting, by a border, or by distortion."""
ClipLayout: TypeAlias = Literal["files", "strips", "folders", "none"]
"""How clips are kept: an animation or a film each, an image of all frames side by side (or one
below the other), or a folder of frames; 'none' takes the first frame of animations as an image.
"""
LAYOUTS: tuple[ClipLayout, ...] = get_args(ClipLayout)
MEMORY = 2**30
"""Bytes of data held in memory unless told otherwise, 1 GB: a small machine has several times as
many.
"""
_UNTOLD = TableFormat()
_UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


@dataclass(frozen=True)
class Options:
    """The checked arguments of `read`.

    Args:
        size: (height, width) to resize images to.
        fit: 'crop', 'pad' or 'stretch'.
        clips: how clips are kept, if the caller says so.
        frames, stride, hop: of windows of clips: see `read`.
        tiles: side of the tiles that images are cut into.
        table: format of a text table, as far as the caller specified it.
        types: declared types of a table's columns; the others are inferred. None: none are.
        lenient: for reports: note problems instead of raising.
        scanned_later: the caller scans for infinities itself, so reading need not.
        like, like_condition: spaces to read the data into (a fitted model's).
    """

    y: Any = None
    weights: Any = None
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    tiles: int | None = None
    channels: int | None = None
    frame_rate: float | None = None
    clips: ClipLayout | None = None
    frames: int | None = None
    stride: int | None = None
    hop: int | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    types: Mapping[str, ColumnType] | None = None
    relation: tuple[str, ...] = ()
    label: str | bool | None = None
    memory: int = MEMORY
    download: bool = False
    n: int | None = None
    seed: int = 0
    name: str = ""
    like: Space | None = None
    like_condition: Space | None = None
    lenient: bool = False
    table: TableFormat = _UNTOLD
    scanned_later: bool = False

    @property
    def labelled(self) -> bool:
        """Whether labels that come with the data are requested."""
        return self.label is not False

    @property
    def cuts_clips(self) -> bool:
        """Whether options say that the data are clips."""
        return self.clips_setting is not None

    @property
    def clips_setting(self) -> str | None:
        """The first option for clips alone, as the caller wrote it; None without."""
        names = ("frame_rate", "clips", "frames", "stride", "hop")
        options = ((name, getattr(self, name)) for name in names)
        return next((setting(n, v) for n, v in options if v not in (None, "none")), None)

    def among(self, known: Sequence[str]) -> Options:
        """The options with 'a,b' split into a and b, unless a column has that name."""

        def apart(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(
                p.strip()
                for n in names
                for p in ([n] if n in known else n.split(","))
                if p.strip() or n in known
            )

        columns = None if self.columns is None else apart(self.columns)
        return replace(
            self, categorical=apart(self.categorical), drop=apart(self.drop), columns=columns
        )

    @property
    def label_name(self) -> str | None:
        """The label's column or key, if the caller named one."""
        return self.label if isinstance(self.label, str) else None

    @classmethod
    def check(
        cls,
        *,
        size: object,
        fit: object,
        channels: object,
        like: object,
        memory: object,
        **rest: Any,
    ) -> Options:
        """Checked options.

        Raises:
            InvalidValue, InvalidKind: For invalid values.
        """
        for field in ("categorical", "drop", "columns"):
            rest[field] = _names(rest[field], field)
        rest["categorical"], rest["drop"] = rest["categorical"] or (), rest["drop"] or ()
        rest["types"] = parse_types(rest.get("types"))
        rest["relation"] = _names(rest.get("relation"), "relation") or ()
        if fit is not None and fit not in FITS:
            raise InvalidValue(
                f"fit must be 'crop', 'pad' or 'stretch', got {fit!r}; {suggest_listed(fit, FITS)}"
            )
        if fit is not None and size is None:
            raise InvalidValue(
                f"{setting('fit', fit)} says how images are brought to a size; pass the size too"
                f" ({setting('size', 64)})"
            )
        channels = int(channels) if isinstance(channels, str) and channels.isdigit() else channels
        if channels not in (None, 1, 3, 4):
            raise InvalidValue(
                f"channels must be 1 (grey), 3 (colour) or 4 (colour and alpha), got {channels!r}"
            )
        require_positive(frame_rate=rest.get("frame_rate"))
        _check_windows(rest)
        require_positive(tiles=rest.get("tiles"))
        if rest.get("tiles") is not None and size is not None:
            raise InvalidValue(
                f"{setting('tiles', rest['tiles'])} leaves images as large as they are, and"
                f" {setting('size', size)} resizes them; give one of them"
            )
        space, condition = _like(like)
        rest["table"] = TableFormat.check(**{name: rest.pop(name, None) for name in SETTINGS})
        checked = cls(
            size=read_size(size),
            fit=fit or "crop",
            channels=channels,
            memory=_bytes(memory),
            like=space,
            like_condition=condition,
            **rest,
        )
        return checked.prepared_like(space) if space is not None else checked

    def for_conditions(self) -> Options:
        """The options of images that are conditions: prepared as the images they belong to, or as
        a fitted model's conditions.
        """
        options = Options(label=False, memory=self.memory, size=self.size, fit=self.fit)
        like = self.like_condition
        return options if like is None else replace(options, size=None).prepared_like(like)

    def prepared_like(self, space: Space) -> Options:
        """The options with the image preparation recorded in `space`,
        unless the caller gave one.
        """
        if space.kind == "points":
            return self
        recorded = space.extra.get("prepared", {})
        size = self.size or (tuple(recorded["size"]) if recorded.get("size") else None)
        return replace(
            self,
            size=size,
            tiles=self.tiles or (None if self.size else recorded.get("tiles")),
            fit=recorded.get("fit", self.fit),
            channels=self.channels or recorded.get("channels"),
            frames=self.frames or recorded.get("frames"),
            stride=self.stride or recorded.get("stride"),
            hop=self.hop or recorded.get("hop"),
        )


def _check_windows(options: dict[str, Any]) -> None:
    """Check how clips are kept and cut.

    Raises:
        InvalidValue, InvalidKind: For invalid values.
    """
    layout = options.get("clips")
    if layout is not None and layout not in LAYOUTS:
        raise InvalidValue(
            f"clips must be 'files', 'strips', 'folders' or 'none', got {layout!r};"
            f" {suggest(str(layout), LAYOUTS)}"
        )
    for name in ("frames", "stride", "hop"):
        value = options.get(name)
        require_positive(**{name: value})
        if value is not None and not isinstance(value, int):
            raise InvalidKind(f"{name} must be a whole number, got {value!r}; pass {round(value)}")
    if options.get("hop") is not None and options.get("frames") is None:
        raise InvalidValue(
            f"{setting('hop', options['hop'])} is the distance between windows; say how long they"
            f" are ({setting('frames', 16)})"
        )


def _like(like: object) -> tuple[Space | None, Space | None]:
    if like is None or isinstance(like, Space):
        return like, None
    space = getattr(like, "space", None)
    if not isinstance(space, Space):
        raise InvalidKind(
            "like must be a Space, or a fitted model or source that has one, got"
            f" {type(like).__name__}"
        )
    return space, getattr(like, "condition_space", None)


def _names(value: object, field: str) -> tuple[str, ...] | None:
    """Column names as given; those with commas are split by `among` once the columns are known."""
    if value is None or isinstance(value, str):
        return None if value is None else (value,)
    if isinstance(value, Sequence) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise InvalidKind(
        f"{field} must be column names, got {type(value).__name__}; pass a list such as ['team',"
        " 'zone']"
    )


def read_size(value: object) -> tuple[int, int] | None:
    """(height, width) from 64, '64', '48x64' or (48, 64)."""
    if value is None:
        return None
    if isinstance(value, str):
        parts: list[Any] = re.split(r"[x×,]", value.strip())
    else:
        parts = list(value) if isinstance(value, (tuple, list)) else [value]
    try:
        numbers = [int(p) for p in parts]
        whole = all(float(p) == n for p, n in zip(parts, numbers))
    except (TypeError, ValueError):
        numbers, whole = [], False
    if len(numbers) not in (1, 2) or not whole or min(numbers) < 1:
        raise InvalidValue(
            f"size must be a whole number of pixels above 0, or height×width, got {value!r}; pass"
            f" {setting('size', 64)} or {setting('size', '48x64')}"
        )
    return numbers[0], numbers[-1]


def _bytes(value: object) -> int:
    """A memory budget in bytes from 2**30 or '1GB'."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?i?B?)\s*", value, re.IGNORECASE)
        unit = match[2].upper().replace("I", "") if match else "?"
        unit = unit if unit.endswith("B") or not unit else unit + "B"
        if match and unit in _UNITS and match[1].count(".") <= 1 and match[1] != ".":
            value = float(match[1]) * _UNITS[unit]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InvalidValue(
            f"memory must be a number of bytes above 0, or a text such as '2GB', got {value!r}"
        )
    return int(value)
