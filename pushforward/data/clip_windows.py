"""Windows of long clips: so many frames, every so many, from a new start every so many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.data_types import ArrayOrTensor
from pushforward.core.errors import BadSource
from pushforward.data.options import Options

__all__ = ["cut_array", "cut_length", "preparation_of_clips", "whole_clips", "window_span"]


def window_span(options: Options) -> int:
    """Frames of the file from a window's first to its last, both counted."""
    return ((options.frames or 1) - 1) * (options.stride or 1) + 1


def cut_length(options: Options) -> int:
    """Frames of the file between the starts of two windows; without a hop, these do not overlap."""
    return options.hop or (options.frames or 1) * (options.stride or 1)


def preparation_of_clips(options: Options) -> dict[str, Any]:
    """The preparation of clips as recorded in their space: arguments for `Space`."""
    from pushforward.data.formats.images import preparation  # Pillow is loaded for images only

    settings = preparation(options)
    prepared = dict(settings["extra"].get("prepared", {}))
    words = []
    if options.frames is not None:
        prepared["frames"] = options.frames
        words.append(f"{options.frames} frames")
    if (options.stride or 1) > 1:
        prepared["stride"] = options.stride
        words.append(f"stride {options.stride}")
    if options.frames is not None and options.hop is not None:
        prepared["hop"] = options.hop
        words.append(f"hop {options.hop}")
    words += [settings["preparation"]] if settings["preparation"] else []
    return {
        "preparation": ", ".join(words),
        "extra": {"prepared": prepared} if prepared else {},
    }


def whole_clips(counts: Sequence[int]) -> Tensor | None:
    """The number of the clip that each window was cut from; None if there is one clip, or if each
    is one window.

    Args:
        counts: windows of each clip.
    """
    if len(counts) < 2 or max(counts) < 2:
        return None
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))


def cut_array(x: ArrayOrTensor, options: Options) -> ArrayOrTensor:
    """Clips (n, channels, time, height, width) cut into windows, those of one clip together.

    Raises:
        BadSource: If they have fewer frames than a window.
    """
    stride = options.stride or 1
    if options.frames is None:
        return x[:, :, ::stride]
    span, total = window_span(options), x.shape[2]
    if total < span:
        raise BadSource(
            f"{options.name or 'clips'}: has {total} frames, fewer than the {span} of a window;"
            f" pass {setting('frames', max(1, (total - 1) // stride + 1))} at most"
        )
    starts = range(0, total - span + 1, cut_length(options))
    if isinstance(x, Tensor):
        return torch.stack([x[:, :, s : s + span : stride] for s in starts], 1).flatten(0, 1)
    cut = np.stack([x[:, :, s : s + span : stride] for s in starts], 1)
    return cut.reshape(-1, *cut.shape[2:])


def prepare_clips(x: ArrayOrTensor, options: Options) -> tuple[Any, dict[str, Any]]:
    """Byte clips in an array, cut and in the requested size and channels, and their preparation."""
    x = cut_array(x, options)
    if options.size is not None or options.channels is not None:
        from pushforward.data.formats.images import prepare_array

        n, channels, time, height, width = x.shape
        frames = (
            x.transpose(1, 2) if isinstance(x, Tensor) else x.transpose(0, 2, 1, 3, 4)
        ).reshape(n * time, channels, height, width)
        out, _ = prepare_array(frames, None, replace(options, frames=None))
        out = out.reshape(n, time, *out.shape[1:])
        x = out.transpose(1, 2) if isinstance(out, Tensor) else out.transpose(0, 2, 1, 3, 4)
    return x, preparation_of_clips(options)
