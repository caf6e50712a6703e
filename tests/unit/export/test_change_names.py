"""Names for what a number of a code changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward.core.space import Space
from pushforward.export.change_names import name_changes

SIDE = torch.linspace(-1, 1, 8)
LEFT_TO_RIGHT = SIDE.expand(1, 8, 8)


def moved(change: Tensor) -> Tensor:
    """A run from nothing to this change."""
    return torch.stack([torch.zeros_like(change), change / 2, change])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (torch.ones(1, 8, 8), "brightness"),
        (LEFT_TO_RIGHT, "left and right"),
        (-LEFT_TO_RIGHT.transpose(1, 2), "top and bottom"),
        (LEFT_TO_RIGHT * LEFT_TO_RIGHT.transpose(1, 2), "slant"),
    ],
)
def test_an_image_changes_as_a_whole_or_in_parts(change: Tensor, name: str) -> None:
    assert name_changes(Space("images", (1, 8, 8)), [moved(change)]) == [name]


def test_a_clip_changes_as_its_frames_do_or_moves() -> None:
    space = Space("clips", (1, 4, 8, 8))
    alike = LEFT_TO_RIGHT[:, None].expand(1, 4, 8, 8)
    moving = alike * torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None, None]
    names = name_changes(space, [moved(x) for x in (alike, moving, torch.ones(1, 4, 8, 8))])
    assert names == ["left and right", "motion", "brightness"]


def test_names_that_repeat_are_numbered() -> None:
    runs = [moved(torch.ones(1, 8, 8)), moved(LEFT_TO_RIGHT), moved(-torch.ones(1, 8, 8))]
    assert name_changes(Space("images", (1, 8, 8)), runs) == [
        "brightness 1", "left and right", "brightness 2",
    ]  # fmt: skip
