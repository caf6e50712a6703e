"""A first visit, from the last lines of the demo to a page for a friend without Python.

With PUSHFORWARD_SHOTS=FOLDER, what is seen at each step is kept there as an image.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pushforward as pf
from tests.drawn_faces import face, faces
from tests.pages.test_studio import READY, ROOM, pixels, wait

pytest.importorskip("starlette", reason="the studio is not installed")
COMMAND = [sys.executable, "-m", "pushforward"]
Shot = Callable[[Any, str], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the visitor works: the demo's runs, and a model of emoji."""
    place = tmp_path_factory.mktemp("visit")
    how: dict[str, Any] = {"steps": 600, "batch": 64, "quiet": True}
    pf.VAE(latent=3, hidden=(128,)).fit(faces(600), run=place / "runs" / "emoji", **how)
    face(-0.9).resize((256, 256)).save(place / "sad.png")
    return place


@pytest.fixture(scope="module")
def studio(folder: Path) -> Iterator[str]:
    """The address of the studio that the demo's last line opens."""
    said = subprocess.run(
        [*COMMAND, "demo", "--run", "runs/demo", "--epochs", "3"],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stderr  # fmt: skip
    line = shlex.split(next(line for line in reversed(said.splitlines()) if " studio " in line))
    assert (folder / line[2]).resolve() == folder / "runs" / "demo"
    line = [*COMMAND, "studio", "runs", "--no-browser", "--port", "0"]
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(20)


@pytest.fixture
def shot() -> Shot:
    """Keep what a page shows, where that is asked for."""
    place = os.environ.get("PUSHFORWARD_SHOTS")

    def keep(page: Any, name: str) -> None:
        if place:
            page.screenshot(path=Path(place) / f"{name}.png", full_page=True)

    return keep


@pytest.fixture
def visitor(browser: Any) -> Iterator[Any]:
    """A page in a window of usual size."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    context.close()


def test_a_ring_is_learned_while_one_watches(visitor: Any, studio: str, shot: Shot) -> None:
    visitor.goto(f"{studio}#/learn")
    visitor.wait_for_selector(READY)
    visitor.click("#play")
    wait(visitor, f"Number({ROOM}.samples) > 200000", 120)
    visitor.get_by_role("button", name="Pause").click()
    wait(visitor, f"{ROOM}.paused === 'true'")
    visitor.wait_for_timeout(500)
    shot(visitor, "learn")
    modes = visitor.inner_text(".numbers").split("modes")[1].split("of")[0]
    assert int(modes) >= 2
    assert len(set(pixels(visitor, "figure.plot canvas"))) > 30


def test_a_digit_is_dragged_through_the_plane(visitor: Any, studio: str, shot: Shot) -> None:
    visitor.goto(f"{studio}#/latent?run=demo%2Fvae")
    wait(visitor, f"Number({ROOM}.decoded) >= 1", 60)
    visitor.wait_for_timeout(1500)
    before = pixels(visitor, "#decoded")
    box = visitor.get_by_label("Codes of the data", exact=True).bounding_box()
    at = [
        (box["x"] + a * box["width"], box["y"] + b * box["height"])
        for a, b in ((0.6, 0.4), (0.4, 0.7))
    ]
    visitor.mouse.move(*at[0])
    visitor.mouse.down()
    visitor.mouse.move(*at[1], steps=12)
    visitor.mouse.up()
    visitor.wait_for_timeout(500)
    shot(visitor, "latent")
    after = pixels(visitor, "#decoded")
    assert sum(abs(a - b) for a, b in zip(before, after)) / len(after) > 5


def test_an_emoji_is_edited(visitor: Any, studio: str, folder: Path, shot: Shot) -> None:
    visitor.goto(f"{studio}#/edit?run=emoji")
    wait(visitor, f"Number({ROOM}.begun) >= 1", 60)
    visitor.set_input_files("#photo", folder / "sad.png")
    wait(visitor, f"Number({ROOM}.begun) >= 2", 60)
    before = pixels(visitor, "#edited")
    visitor.click("#tool-sketch")
    box = visitor.locator(".overlay").bounding_box()
    across = [(9, 20.5), (12, 23), (16, 24.3), (20, 23), (23, 20.5)]
    smile = [
        (box["x"] + x * box["width"] / 32, box["y"] + y * box["height"] / 32) for x, y in across
    ]
    visitor.mouse.move(*smile[0])
    visitor.mouse.down()
    for place in smile[1:]:
        visitor.mouse.move(*place, steps=4)
    visitor.mouse.up()
    wait(visitor, f"Number({ROOM}.edited) >= 1", 60)
    visitor.get_by_text("Looking …").wait_for(state="hidden")
    visitor.wait_for_timeout(700)
    shot(visitor, "edit")
    after = pixels(visitor, "#edited")
    assert _curve(after) < _curve(before) - 1.5


def test_a_friend_opens_it_without_a_network(browser: Any, folder: Path, shot: Shot) -> None:
    made = folder / "emoji.html"
    line = [*COMMAND, "export", "runs/emoji", "--to", "page", "--out", str(made)]
    subprocess.run(line, cwd=folder, check=True, capture_output=True)
    context = browser.new_context(viewport={"width": 1000, "height": 800}, offline=True)
    page = context.new_page()
    page.goto(made.as_uri())
    page.wait_for_function("globalThis.pushforward", timeout=60_000)
    before = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.locator("input[type=range]").first.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    shot(page, "exported")
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != before
    context.close()


def _curve(rgba: list[int]) -> float:
    """How much lower the corners of a mouth are than its middle, in pixels: positive if sad."""
    side = 32

    def dark(columns: range) -> float:
        weights = {
            row: sum(max(0, 200 - rgba[4 * (row * side + x) + 1]) for x in columns)
            for row in range(17, 28)
        }
        return sum(row * weight for row, weight in weights.items()) / max(1, sum(weights.values()))

    return (dark(range(9, 12)) + dark(range(20, 23))) / 2 - dark(range(14, 18))
