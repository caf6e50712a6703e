"""Pictures that are none, or too large, through the verbs of the room Edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Request
from pushforward.studio.pictures import ONE_PHOTO
from pushforward.studio.rooms import edit, find_verb
from pushforward.studio.studio import Studio
from tests.png_chunks import bomb, png

CODE = [[0.0, 0.0]]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    place: Path = tmp_path_factory.mktemp("pictures")
    pf.Experiment(pf.PCA(2), "digits").run(place / "pca")
    return Studio(place)


def ask(studio: Studio, verb: str, file: bytes) -> Any:
    content: dict[str, Any] = {"run": "pca", "name": "a.png", "from": CODE, "to": CODE}
    with torch.no_grad():
        return find_verb(verb)(studio, Request(1, verb, content, "", file))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (bomb(8000, 6000), "has 48 megapixels, expected at most 40"),
        (bomb(60_000, 60_000), "far too many megapixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "is not an image"),
        (b"GIF89a" + bytes(20), "is not an image"),
        (b"no picture", "is not an image"),
    ],
)
@pytest.mark.parametrize("verb", ["edit.begin", "edit.photo"])
def test_pictures_that_are_none_or_too_large(
    studio: Studio, verb: str, file: bytes, text: str
) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, verb, file)


def test_photographs_are_changed_one_at_a_time(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def change(*given: Any) -> None:
        held.append(ONE_PHOTO.locked())

    monkeypatch.setattr(edit, "change_photo", change)
    assert "no larger" in ask(studio, "edit.photo", png(9, 9)).content["note"]
    assert held == [True]
    assert not ONE_PHOTO.locked()
