"""Files of known content, and the shared real data where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def shared(monkeypatch):
    """The folder of real data; the test is skipped where it is absent."""
    folder = Path(
        os.environ.get("PUSHFORWARD_DATA") or REPOSITORY / ".." / "shared" / "data"
    ).resolve()
    if not (folder / "INDEX.md").is_file():
        pytest.skip(f"the real data are not at {folder}")
    monkeypatch.setenv("PUSHFORWARD_DATA", str(folder))
    return folder


@pytest.fixture
def nothing_found(monkeypatch, tmp_path):
    """No data folder, and an empty cache."""
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    monkeypatch.setenv("PUSHFORWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def image(tmp_path):
    """A maker of image files of random content: image('a/b.png',
    mode='RGB', size=(width, height)).
    """
    rng = np.random.default_rng(0)

    def make(name, mode="RGB", size=(6, 4), **kwargs):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,), "LA": (2,)}[mode]
        array = rng.integers(0, 256, (size[1], size[0], *bands), dtype=np.uint8)
        image = Image.frombytes(mode, size, array.tobytes())
        image.save(path, **kwargs)
        return array

    make.folder = tmp_path
    return make
