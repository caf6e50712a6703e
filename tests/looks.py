"""What every image and film of a recipe must be."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

MOST = {".png": 300_000, ".gif": 700_000}


def seen(paths: list[Path], *names: str) -> None:
    """Images and films of these names, neither small nor blank nor heavy;
    a film has more than one frame.
    """
    assert [p.name for p in paths] == list(names)
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 150
            assert (getattr(image, "n_frames", 1) > 1) == (path.suffix == ".gif")
            low, high = image.convert("L").getextrema()
            assert high - low > 150
        assert path.stat().st_size < MOST[path.suffix]
