"""The rooms Runs and Latent as a person uses them, in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pages.test_studio import READY, ROOM, pixels, remembered, wait

Open = Callable[..., Any]


def begun(run: Path) -> subprocess.Popen[bytes]:
    """A fit in another process, too long to wait for."""
    command = [sys.executable, "-m", "pushforward", "fit", "vae", "moons:200", "--latent", "1"]
    rest = ["--steps", "200000", "--batch", "8", "--film", "6", "--quiet", "--run", str(run)]
    return subprocess.Popen([*command, *rest], env={**os.environ}, stderr=subprocess.DEVNULL)


def test_a_fit_elsewhere_appears_is_stopped_and_resumed(open_page: Open, runs: Path) -> None:
    page = open_page("runs")
    page.wait_for_selector(READY)
    process = begun(runs / "elsewhere")
    try:
        box = page.get_by_label("show elsewhere", exact=True)
        box.wait_for(timeout=120_000)  # it appears by itself
        box.check()
        page.get_by_role("heading", name="elsewhere").wait_for()
        card = page.locator("section.run", has=page.get_by_role("heading", name="elsewhere"))
        card.locator(".badge.running").wait_for()
        card.get_by_text(re.compile(r"frame ([2-9]|\d\d) of")).wait_for()  # the film grows
        stop = card.get_by_role("button", name="Stop elsewhere")
        stop.focus()
        page.keyboard.press("Enter")
        assert process.wait(60) == 130, "as after Ctrl-C"
        card.locator(".badge.interrupted").wait_for()
        card.get_by_role("button", name="Resume elsewhere").click()
        card.get_by_text("It is this studio’s").wait_for()
        stop.click()
        card.locator(".badge.interrupted").wait_for()
    finally:
        process.kill()
        process.wait()


def test_a_film_is_scrubbed_and_its_place_is_in_the_address(open_page: Open, runs: Path) -> None:
    page = open_page("runs?runs=vae")
    card = page.locator("section.run")
    card.get_by_text("of the same codes as they change").wait_for()
    page.get_by_label("show vae", exact=True).uncheck()
    page.get_by_label("show filmed", exact=True).check()
    scrubber = page.get_by_label("frame of the film of filmed")
    scrubber.wait_for()
    last = card.locator(".thumbs canvas").first
    card.get_by_text("after 256 samples").wait_for()
    before = last.evaluate("c => c.toDataURL()")
    scrubber.focus()
    page.keyboard.press("Home")
    page.get_by_text("after 0 samples, frame 1 of").wait_for()
    page.wait_for_timeout(300)
    assert last.evaluate("c => c.toDataURL()") != before
    remembered(page, "frame.filmed=0")
    page.reload()
    page.get_by_text("after 0 samples, frame 1 of").wait_for()


def test_runs_are_compared_by_features(open_page: Open) -> None:
    page = open_page("runs?runs=vae,pca")
    page.get_by_label("Features").select_option("pca(20)")
    page.get_by_label("Rows at most").select_option("200")
    page.click("#compare")
    page.wait_for_selector("table.measures")
    head = page.locator("table.measures thead th").all_inner_texts()
    assert head == ["Measure", "vae", "pca", "Ideal"]
    row = page.locator("table.measures tr", has_text="squared error").inner_text()
    assert "lower is better" in row
    assert "★" in row
    assert "±" in row
    remembered(page, "features=pca%2820%29")
    page.get_by_label("show gmm", exact=True).check()
    page.get_by_text("only runs of the same data compare").wait_for()
    assert page.locator("#compare").is_disabled()


def test_curves_are_chosen_and_drawn_by_logarithm(open_page: Open) -> None:
    page = open_page("runs?runs=vae,filmed")
    page.wait_for_selector(READY)
    page.get_by_label("Term").select_option("distortion")
    plot = "figure.plot canvas[aria-label='Training curves']"
    page.wait_for_timeout(300)
    before = page.eval_on_selector(plot, "c => c.toDataURL()")
    page.get_by_label("Logarithmic").check()
    page.wait_for_timeout(300)
    assert page.eval_on_selector(plot, "c => c.toDataURL()") != before
    remembered(page, "term=distortion")
    remembered(page, "log=1")
    page.reload()
    page.wait_for_selector(READY)
    assert page.get_by_label("Logarithmic").is_checked()
    assert page.get_by_label("Term").input_value() == "distortion"


def test_what_is_not_measured_alike_has_axes_of_its_own(open_page: Open) -> None:
    page = open_page("runs?runs=vae,filmed,gmm")
    page.wait_for_selector(READY)
    page.wait_for_timeout(300)
    for title in ("Training curves: vae, filmed", "Training curves: gmm"):
        assert page.get_by_label(title, exact=True).count() == 1
    assert page.get_by_label("Training curves", exact=True).count() == 0
    page.get_by_label("Term").select_option("distortion")  # of one kind of run alone
    page.wait_for_timeout(300)
    assert page.get_by_label("Training curves", exact=True).count() == 1


def test_a_point_is_dragged_over_the_map_of_neighbours(open_page: Open) -> None:
    page = open_page("latent?run=pca&map=neighbours")
    wait(page, f"Number({ROOM}.decoded) >= 2", 120)  # again once the map is there
    page.wait_for_timeout(300)
    before, address = pixels(page, "#decoded"), page.url
    plot = page.get_by_label("Codes of the data", exact=True)
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    dragged = pixels(page, "#decoded")
    assert dragged != before
    wait(page, f"location.href !== {address!r}", 10)
    decoded = int(page.evaluate(f"{ROOM}.decoded"))
    plot.focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    wait(page, f"Number({ROOM}.decoded) > {decoded}")
    assert "mean of the six nearest codes" in page.inner_text("#room")


def test_a_walk_plays_and_is_there_after_a_reload(open_page: Open) -> None:
    page = open_page("latent?run=vae")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    assert "Sorted by how much each changes the image" in page.inner_text("#room")
    page.click("#keep-code")
    page.click("#random")
    page.wait_for_timeout(200)
    page.click("#keep-code")
    page.click("#walk-kept")
    page.get_by_text("Through 2 codes along lines, in 24 steps").wait_for()
    place = page.get_by_label("place in the walk")
    at = place.input_value()
    page.wait_for_timeout(400)
    assert place.input_value() != at, "it plays"
    page.click("#play-walk")
    held = place.input_value()
    page.wait_for_timeout(300)
    assert place.input_value() == held
    page.get_by_label("Along").select_option("sphere")
    page.get_by_text("Through 2 codes along a sphere").wait_for()
    remembered(page, "along=sphere")
    page.reload()
    page.get_by_text("Through 2 codes along a sphere, in 24 steps").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save walk as GIF").click()
    assert download.value.suggested_filename == "vae-walk.gif"


def test_memorising_is_judged_by_typical_distances(open_page: Open) -> None:
    page = open_page("latent?run=pca")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    page.click("#nearest")
    page.get_by_text("× counts in typical distances").wait_for()
    assert "typical distance from one row to the next" in page.inner_text("#verdict")
    assert "×" in page.inner_text("#nearest-card figcaption >> nth=0")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "room", ["runs?runs=vae,filmed,pca&log=1", "latent?run=pca&map=neighbours&walk=3"]
)
def test_both_rooms_fit_a_phone_by_touch(open_page: Open, room: str, dark: bool) -> None:
    page = open_page(room, width=375, height=700, dark=dark)
    if room.startswith("runs"):
        page.wait_for_selector(READY)
        page.click("#compare")
        page.wait_for_selector("table.measures")
    else:
        page.get_by_text("Through 5 codes").wait_for()
        page.get_by_text("Arranging").wait_for(state="hidden", timeout=120_000)
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    small = page.evaluate(
        "[...document.querySelectorAll('#room button')].filter(e => e.offsetParent)"
        ".filter(e => e.offsetHeight < 24 || e.offsetWidth < 24).map(e => e.outerHTML)"
    )
    assert small == []
