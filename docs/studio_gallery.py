"""`python -m docs.studio_gallery`: fit small runs, open every room of the studio, and draw the
images docs/images/studio-*.png and studio-edit.gif. Needs Chromium and Playwright; some minutes.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_wine

import pushforward as pf
from benchmarks.studio import served
from tests.drawn_faces import face, faces

IMAGES = Path(__file__).parent / "images"
WIDTH, SHOWN = 1280, 960
"""Of the window, and of the images."""
SMILE = [
    (9.0, 20.5),
    (11.0, 22.6),
    (13.5, 23.9),
    (16.0, 24.3),
    (18.5, 23.9),
    (21.0, 22.6),
    (23.0, 20.5),
]
"""What is drawn on a sad face of 32 pixels."""


def fit_runs(folder: Path) -> None:
    """Digits, a table, drawn faces, and faces from their edges."""
    quiet: dict[str, Any] = {"quiet": True}
    line = [
        "fit",
        "vae",
        "digits",
        "--epochs",
        "300",
        "--film",
        "36",
        "--run",
        str(folder / "digits"),
    ]
    subprocess.run([sys.executable, "-m", "pushforward", *line], check=True, capture_output=True)
    table = folder.parent / "wine.csv"
    columns = ["alcohol", "malic_acid", "flavanoids", "color_intensity", "proline"]
    load_wine(as_frame=True).frame[columns].to_csv(table, index=False)
    pf.GMM(3).fit(str(table), run=folder / "wine", **quiet)
    drawn = faces(2000)
    pf.VAE(latent=3, hidden=(512,)).fit(drawn, steps=4000, batch=64, run=folder / "faces", **quiet)
    images = folder.parent / "faces"
    images.mkdir()
    for k, image in enumerate(drawn[:800]):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(images / f"{k}.png")
    budget: dict[str, Any] = {"steps": 1200, "batch": 8, **quiet}
    pf.Pix2Pix(width=16).fit(str(images), y="edges", run=folder / "edges-to-faces", **budget)
    face(-0.9).resize((512, 512)).save(folder.parent / "sad.png")


def wait(page: Any, expression: str, seconds: float = 120.0) -> None:
    """Until an expression of the page is true."""
    until = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > until:
            raise TimeoutError(expression)
        page.wait_for_timeout(100)


ROOM = "document.getElementById('room').dataset"


def learn(page: Any, address: str) -> None:
    """A GAN on eight dots, after a while."""
    page.goto(f"{address}#/learn")
    page.wait_for_selector("#room[data-ready]")
    page.get_by_label("Gradient at samples").check() if page.get_by_label(
        "Gradient at samples"
    ).count() else None
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 400000", 300)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(1500)


def runs(page: Any, address: str) -> None:
    """Curves of two runs, and a film of samples."""
    page.goto(f"{address}#/runs?runs=digits,faces")
    page.wait_for_selector("#room[data-ready]")
    page.wait_for_timeout(3000)


def latent(page: Any, address: str) -> None:
    """The map of digits, with a code between groups."""
    page.goto(f"{address}#/latent?run=digits")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    page.wait_for_timeout(2500)
    box = page.get_by_label("Codes of the data", exact=True).bounding_box()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.35 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"], steps=5)
    page.mouse.up()
    page.click("#nearest")
    page.wait_for_timeout(2000)


def density(page: Any, address: str) -> None:
    """Pairs of columns of wines."""
    page.goto(f"{address}#/density?run=wine")
    page.wait_for_selector("#room[data-odd]", timeout=120_000)
    page.wait_for_timeout(2000)


def translate(page: Any, address: str) -> None:
    """A face from its edges."""
    page.goto(f"{address}#/translate?run=edges-to-faces")
    page.wait_for_selector("#room[data-ready]", timeout=120_000)
    page.get_by_label("Row, of 800").fill("7")
    page.click("#example")
    wait(page, f"Number({ROOM}.made) >= 2")
    page.wait_for_timeout(1500)


def edit(page: Any, address: str, photo: Path, frames: list[Image.Image]) -> None:
    """A smile is drawn on a sad face."""
    page.goto(f"{address}#/edit?run=faces")
    wait(page, f"Number({ROOM}.begun) >= 1")
    page.set_input_files("#photo", photo)
    wait(page, f"Number({ROOM}.begun) >= 2")
    page.wait_for_timeout(500)
    page.click("#tool-sketch")
    box = page.locator(".overlay").bounding_box()
    at = [(box["x"] + x * box["width"] / 32, box["y"] + y * box["height"] / 32) for x, y in SMILE]
    keep = lambda: frames.append(_image(page.locator(".stage").screenshot()))  # noqa: E731
    keep()
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=4)
        keep()
    page.mouse.up()
    wait(page, f"Number({ROOM}.edited) >= 1")
    page.get_by_text("Looking …").wait_for(state="hidden")
    page.wait_for_timeout(1500)
    slider = page.get_by_label("from the start to the result")
    end = page.locator(".stage").screenshot()
    for _ in range(100):  # until the images on the way are there
        slider.focus()
        page.keyboard.press("Home")
        page.wait_for_timeout(100)
        if slider.input_value() == "0" and page.locator(".stage").screenshot() != end:
            break
    for _ in range(16):
        page.wait_for_timeout(60)
        keep()
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)


def _image(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def _save(png: bytes, name: str) -> None:
    """An image of usual width and few colours."""
    image = _image(png)
    image = image.resize(
        (SHOWN, round(image.height * SHOWN / image.width)), Image.Resampling.LANCZOS
    )
    image.quantize(192, dither=Image.Dither.NONE).save(IMAGES / f"studio-{name}.png", optimize=True)


def main() -> None:
    """Fit, open, draw."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, help="fitted before; otherwise they are fitted")
    given = parser.parse_args().runs
    place = given or Path(tempfile.mkdtemp()) / "runs"
    if not place.exists():
        place.mkdir(parents=True)
        fit_runs(place)
    frames: list[Image.Image] = []
    with served(place) as (address, _), sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for room in (learn, runs, latent, density, translate):
            page = browser.new_page(viewport={"width": WIDTH, "height": 860})
            room(page, address)
            _save(page.screenshot(), room.__name__)
            page.close()
        page = browser.new_page(viewport={"width": WIDTH, "height": 860})
        edit(page, address, place.parent / "sad.png", frames)
        _save(page.screenshot(), "edit")
        browser.close()
    _save_film(frames)


def _save_film(frames: list[Image.Image]) -> None:
    """A GIF with one palette, which rests at its start and its end."""
    small = [frame.resize((320, 320), Image.Resampling.LANCZOS) for frame in frames]
    sheet = Image.fromarray(np.concatenate([np.asarray(frame) for frame in small[::2]]))
    palette = sheet.quantize(128)
    stills = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in small]
    durations = [600] + [160] * (len(stills) - 2) + [1500]
    stills[0].save(
        IMAGES / "studio-edit.gif", save_all=True, append_images=stills[1:], duration=durations,
        loop=0, optimize=False, disposal=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
