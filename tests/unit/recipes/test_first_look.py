"""Shots of a made-up player, and the page of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from pushforward.recipes.basketball.court import RIM, beyond_arc
from pushforward.recipes.basketball.invented import ZONES, invented_shots
from pushforward.recipes.first_look import Context, digits_on_demand, gan_film
from pushforward.recipes.first_look_page import Exhibit, first_look_page


def test_invented_shots_fall_where_their_zones_say() -> None:
    x = invented_shots(20_000, rng=0)
    assert x.shape == (20_000, 2)
    assert bool(((x[:, 0].abs() <= 25) & (x[:, 1] >= 0) & (x[:, 1] <= 47)).all())
    threes = sum(ZONES[zone] for zone in ("left corner", "right corner", "arc"))
    assert float(beyond_arc(x).mean()) == pytest.approx(threes, abs=0.03)
    distance = (x - torch.tensor(RIM, dtype=x.dtype)).norm(dim=1)
    assert float((distance < 6).double().mean()) == pytest.approx(ZONES["rim"], abs=0.03)
    assert sum(ZONES.values()) == pytest.approx(1)
    assert torch.equal(x, invented_shots(20_000, rng=0))


def test_digits_are_labelled_and_the_film_moves(tmp_path: Path) -> None:
    context = Context(tmp_path, budget=0.01)
    digits = digits_on_demand(context)
    assert digits.image == tmp_path / "images" / "digits.png"
    assert "for 1 epochs" in digits.caption
    with Image.open(digits.image) as image:
        assert image.width > 700
    with Image.open(gan_film(context).image) as film:
        assert film.n_frames > 3


def test_text_on_the_page_is_escaped(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.new("L", (2, 2)).save(image)
    exhibit = Exhibit("a < b", "<script> `x < y`", image, "pushforward 'x & y'")
    page = first_look_page([exhibit], ["<h>"], [["<c>"]], ["go <there>"], note="<n>")
    assert "a &lt; b" in page
    assert "<script" not in page
    assert "<code>x &lt; y</code>" in page
    for tag in ("<h>", "<c>", "<there>", "<n>"):
        assert tag not in page
