"""The studio as a person uses it, in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

READY = "#room[data-ready]"
Open = Callable[..., Any]


def pixels(page: Any, canvas: str) -> list[int]:
    """RGBA bytes of a canvas."""
    values: list[int] = page.eval_on_selector(
        canvas, "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    return values


def wait(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Wait until an expression is true; the page's policy forbids the browser to poll it."""
    until = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < until, expression
        page.wait_for_timeout(50)


def remembered(page: Any, text: str) -> None:
    """Wait until the address, which follows what rests, holds a text."""
    wait(page, f"location.href.includes({text!r})", 10)


ROOM = "document.getElementById('room').dataset"


def test_a_gan_is_watched_held_stepped_and_returned_to(open_page: Open) -> None:
    page = open_page("learn?model=gan&data=eight_gaussians")
    page.wait_for_selector(READY)
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 2000")
    page.get_by_role("button", name="Pause").click()
    wait(page, f"{ROOM}.paused === 'true'")
    page.wait_for_timeout(400)
    before = int(page.evaluate(f"{ROOM}.samples"))
    page.get_by_role("button", name="Step generator").click()
    wait(page, f"Number({ROOM}.samples) === {before + 128}")
    page.click("#keep")
    back = page.get_by_role("button", name="Back to")
    back.wait_for()
    page.get_by_role("button", name="Go on").click()
    wait(page, f"Number({ROOM}.samples) > {before + 1000}")
    page.get_by_role("button", name="Pause").click()
    wait(page, f"{ROOM}.paused === 'true'")
    back.click()
    wait(page, f"Number({ROOM}.samples) === {before + 128}")
    assert "modes" in page.inner_text(".numbers")
    for layer in ("Generator's grid", "Gradient at samples", "Critic's output"):
        page.get_by_label(layer).check()
    assert len(set(pixels(page, "figure.plot canvas"))) > 30


def test_the_fit_is_there_again_after_a_reload(open_page: Open) -> None:
    page = open_page("learn?model=vae&data=moons")
    page.wait_for_selector(READY)
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 500")
    page.get_by_role("button", name="Pause").click()
    wait(page, f"{ROOM}.paused === 'true'")
    page.wait_for_timeout(300)
    samples = page.evaluate(f"{ROOM}.samples")
    page.reload()
    wait(page, f"{ROOM}.samples === '{samples}'")
    assert page.get_by_role("button", name="Go on").is_visible()


def test_a_drawing_is_fitted(open_page: Open) -> None:
    page = open_page("learn?model=gmm&data=drawing")
    page.wait_for_selector(READY)
    page.click("#play")
    page.get_by_text("Draw some points first").wait_for()
    box = page.get_by_label("Square to draw points in").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    for k in range(20):
        page.mouse.move(box["x"] + 40 + 8 * k, box["y"] + 40 + 6 * k)
    page.mouse.up()
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 0")
    page.get_by_label("Clusters").wait_for()


def test_a_wrong_setting_is_explained_where_it_happened(open_page: Open) -> None:
    page = open_page("learn?model=gan&data=eight_gaussians")
    page.wait_for_selector(READY)
    page.get_by_label("game").fill("chess")
    page.get_by_label("game").press("Tab")
    page.click("#play")
    error = page.wait_for_selector("p.error:not([hidden])")
    assert "chess" in error.inner_text()


def test_a_point_is_dragged_through_latent_space(open_page: Open) -> None:
    page = open_page("latent?run=vae")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    page.wait_for_timeout(500)
    before, decoded = pixels(page, "#decoded"), int(page.evaluate(f"{ROOM}.decoded"))
    box = page.get_by_label("Codes of the data", exact=True).bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.7 * box["height"], steps=8)
    page.mouse.up()
    wait(page, f"Number({ROOM}.decoded) > {decoded}")
    page.wait_for_timeout(300)
    assert pixels(page, "#decoded") != before
    remembered(page, "z=")
    after = pixels(page, "#decoded")
    page.reload()
    wait(page, f"Number({ROOM}.decoded) >= 1")
    assert max(abs(a - b) for a, b in zip(pixels(page, "#decoded"), after)) <= 1


def test_ways_attributes_and_nearest_rows(open_page: Open) -> None:
    page = open_page("latent?run=vae")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    page.get_by_role("button", name="From here").click()
    page.click("#random")
    page.click("#way")
    page.get_by_label("step 9").wait_for()
    page.click("#nearest")
    page.get_by_text("Nearest of 1,797 rows").wait_for()
    page.get_by_role("button", name="more 3").click()
    page.get_by_text("Towards 3").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save GIF").click()
    assert download.value.suggested_filename == "vae.gif"


def test_a_digit_is_edited_undone_and_saved(open_page: Open) -> None:
    page = open_page("edit?run=pca")
    wait(page, f"Number({ROOM}.begun) >= 1")
    page.wait_for_timeout(200)
    before = pixels(page, "#edited")
    box = page.locator(".overlay").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    wait(page, f"Number({ROOM}.edited) >= 1")
    page.wait_for_timeout(500)
    painted = pixels(page, "#edited")
    assert painted != before
    row = slice(4 * 8 * 4, 4 * 8 * 5)  # the row of the stroke, which is white
    assert sum(painted[row]) > sum(before[row])
    page.get_by_label("candidate 1").wait_for()
    page.locator(".overlay").focus()
    page.keyboard.press("2")
    assert page.get_attribute("#tool-sketch", "aria-pressed") == "true"
    for name, button in (("pca.gif", "Save GIF"), ("pca.png", "Save image")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == name
    page.locator(".overlay").focus()
    page.keyboard.press("Control+z")
    page.get_by_text("Paint, sketch or drag something").wait_for()
    assert pixels(page, "#edited") == before
    page.get_by_label("candidate 1").wait_for(state="hidden")


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press, move and release on the image, in shares of its sides."""
    page.locator(".overlay").scroll_into_view_if_needed()
    box = page.locator(".overlay").bounding_box()
    (a, b), (c, d) = (
        (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)
    )
    page.mouse.move(a, b)
    page.mouse.down()
    page.mouse.move(c, d, steps=5)
    page.mouse.up()


def test_a_drawing_on_a_blank_sheet_is_projected(open_page: Open) -> None:
    page = open_page("edit?run=vae", width=375, height=800)
    wait(page, f"Number({ROOM}.begun) >= 1")
    page.click("#sheet")
    wait(page, f"{ROOM}.drawing === 'true'")
    assert len(set(pixels(page, "#edited"))) <= 2  # the paper, and what is opaque
    assert page.locator("#tool-drag").is_disabled()
    drag(page, (0.5, 0.1), (0.5, 0.9))
    page.click("#project")
    wait(page, f"Number({ROOM}.begun) >= 2")
    assert page.get_attribute("#room", "data-drawing") == "false"
    drawn = pixels(page, "canvas.small")
    assert drawn[4 * (8 * 3 + 4)] == 255  # the stroke, as it was projected
    errors = page.locator("#errors tr[data-method]")
    assert [row.split()[0] for row in errors.all_inner_texts()] == [
        "encoder", "optimisation", "both"
    ]  # fmt: skip
    page.get_by_text("Rows of the data differ by").wait_for()
    page.select_option("#method", "encoder")
    wait(page, f"Number({ROOM}.begun) >= 3")
    assert page.get_attribute("[data-method=encoder]", "aria-selected") == "true"
    assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_undoing_leads_back_over_what_was_taken(open_page: Open) -> None:
    page = open_page("edit?run=pca")
    wait(page, f"Number({ROOM}.begun) >= 1")
    page.wait_for_timeout(200)
    before = pixels(page, "#edited")
    drag(page, (0.3, 0.5), (0.7, 0.5))
    wait(page, f"Number({ROOM}.edited) >= 1")
    page.wait_for_timeout(500)
    taken = pixels(page, "#edited")
    page.click("#settle")
    page.click("#undo")
    page.wait_for_timeout(800)
    again = pixels(page, "#edited")
    assert max(abs(a - b) for a, b in zip(again, taken)) <= 2  # the stroke asks the same again
    page.click("#undo")
    page.get_by_text("Paint, sketch or drag something").wait_for()
    assert pixels(page, "#edited") == before


def test_runs_are_listed_and_laid_side_by_side(open_page: Open) -> None:
    page = open_page("runs")
    page.wait_for_selector(READY)
    assert page.get_by_label("show vae").count() == 1
    for name in ("vae", "pca", "gmm"):
        page.get_by_label(f"show {name}", exact=True).check()
    page.get_by_role("heading", name="gmm").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save Training curves: vae as SVG").click()
    assert download.value.suggested_filename == "training-curves-vae.svg"


@pytest.mark.parametrize("room", ["learn", "runs", "latent", "edit"])
@pytest.mark.parametrize("dark", [False, True])
def test_rooms_fit_a_phone_in_both_themes(open_page: Open, room: str, dark: bool) -> None:
    page = open_page(room, width=375, height=700, dark=dark)
    page.wait_for_selector("#room h1")
    page.wait_for_timeout(700)
    wide, theme = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.dataset.theme]"
    )
    assert wide <= 375
    assert theme == ("dark" if dark else "light")


def test_the_page_says_that_the_server_is_gone_and_comes_back(open_page: Open, served: Any) -> None:
    page = open_page("latent?run=pca")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    served.stop()
    page.get_by_text("The studio does not answer").wait_for()
    served.start()
    wait(page, "document.documentElement.dataset.connected === 'true'")
    page.locator("#connection").wait_for(state="hidden")
    decoded = int(page.evaluate(f"{ROOM}.decoded"))
    page.click("#random")
    wait(page, f"Number({ROOM}.decoded) > {decoded}")


def test_the_page_says_that_a_studio_was_started_anew(open_page: Open, served: Any) -> None:
    page = open_page("latent?run=pca")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    decoded = int(page.evaluate(f"{ROOM}.decoded"))
    served.stop()
    page.get_by_text("The studio does not answer").wait_for()
    page.click("#random")  # is refused, and not done later
    token, served.token = served.token, "another"
    served.start()
    page.get_by_text("it was started again").wait_for()
    page.wait_for_timeout(1500)
    assert page.get_by_text("it was started again").is_visible()
    served.stop()
    served.token = token
    served.start()
    page.locator("#connection").wait_for(state="hidden")
    page.wait_for_timeout(500)
    assert int(page.evaluate(f"{ROOM}.decoded")) == decoded


def test_rooms_are_used_with_the_keyboard(open_page: Open) -> None:
    page = open_page("latent?run=vae")
    wait(page, f"Number({ROOM}.decoded) >= 1")
    page.wait_for_timeout(500)
    decoded = int(page.evaluate(f"{ROOM}.decoded"))
    page.get_by_label("Codes of the data", exact=True).focus()
    page.keyboard.press("ArrowRight")
    wait(page, f"Number({ROOM}.decoded) > {decoded}")
    page.keyboard.press("Tab")
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, a')].filter(e => !(e.ariaLabel"
        " || e.textContent.trim() || e.closest('label'))).map(e => e.outerHTML)"
    )
    assert unnamed == []
