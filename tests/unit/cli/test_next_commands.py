"""What a fit of conditions says comes next: each command works as it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.cli.conftest import Cli


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(30):
        levels = np.random.default_rng(i).integers(0, 256, (16, 32, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("pix2pix", "photos", "--label", "edges", "--width", "2"),
            "translate run photo.jpg --derive-conditions",
        ),
        (("pix2pix", "photos", "--label", "left", "--width", "2"), "translate run condition.png"),
        (
            ("srresnet", "photos", "--label", "low_resolution(2)", "--width", "2", "--blocks", "1"),
            "enlarge run photo.jpg",
        ),
        (("gan", "digits", "--label", "auto"), "sample run --y 0"),
        (
            ("vae", "photos", "--label", "coarse(4)", "--hidden", "4"),
            "sample run --using mean --y FILE",
        ),
        (("kmeans", "ring:40", "--clusters", "2"), "assign run FILE"),
    ],
)
def test_the_command_after_a_fit_is_one_that_works(
    cli: Cli, photos: Path, words: tuple[str, ...], expected: str
) -> None:
    steps = () if words[0] == "kmeans" else ("--steps", "1", "--batch", "2")
    done = cli("fit", *words, *steps, "--run", "run")
    assert done.code == 0, done.err
    assert f" pushforward {expected}\n" in done.err
    card = Path("run/README.md").read_text()
    use = card[card.index("## Use") :]
    assert f"pushforward {expected}\n" in use
    assert ("model.translate(y)" in use) == (words[0] in ("pix2pix", "srresnet"))
    if "translate" not in expected and "enlarge" not in expected:
        assert "model.translate" not in use
    file = Path("small.png")
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(file)
    for name in ("photo.jpg", "condition.png"):
        Image.open(photos / "0.png").save(name)
    source = words[1] if words[0] == "kmeans" else str(file)
    again = [source if word == "FILE" else word for word in expected.split()]
    assert cli(*again).code == 0, expected


@pytest.mark.parametrize("words", [("fit", "pix2pix"), ("data",)])
def test_help_says_what_conditions_of_images_can_be(cli: Cli, words: tuple[str, ...]) -> None:
    text = " ".join(cli(*words, "--help").out.replace("│", " ").split())
    assert "a folder of others of the same names" in text
    assert "low_resolution(4), coarse(2), masked" in text
    if words == ("fit", "pix2pix"):
        assert "--label lightness" in text
        assert "y='lightness'" not in text
