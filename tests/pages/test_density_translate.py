"""The density and translate rooms in a browser; skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pushforward as pf
from tests.pages.test_studio import ROOM, remembered, wait

Open = Callable[..., Any]
WAIT = 120_000
"""Milliseconds: the first answer about a run imports its model and reads its rows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a table, and one of label maps."""
    root = tmp_path_factory.mktemp("pages")
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).double()
    lines = ["a,b,c", *(",".join(f"{v:.4f}" for v in row) for row in x.tolist())]
    (root / "table.csv").write_text("\n".join(lines))
    pf.GMM(1).fit(str(root / "table.csv"), run=root / "table", quiet=True)
    number = torch.randint(2, (4, 4, 4), generator=torch.Generator().manual_seed(1))
    maps = torch.tensor([[0, 48, 252], [252, 80, 1]], dtype=torch.uint8)[number]
    maps = maps.repeat_interleave(4, 1).repeat_interleave(4, 2)
    (root / "sides").mkdir()
    for i, image in enumerate(torch.cat([255 - maps, maps], 2)):
        Image.fromarray(image.numpy()).save(root / "sides" / f"{i}.png")
    how: dict[str, Any] = {"steps": 1, "batch": 2, "quiet": True}
    pf.Pix2Pix(width=2).fit(str(root / "sides"), y="labels", run=root / "maps", **how)
    photos = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    (root / "photos").mkdir()
    for i, photo in enumerate(photos):
        Image.fromarray(photo.movedim(0, -1).numpy()).save(root / "photos" / f"{i}.png")
    larger = pf.SRResNet(width=4, blocks=1)
    larger.fit(str(root / "photos"), y="low_resolution(2)", run=root / "large", **how)
    names = ["name,a,b", *(f"row {i},{r[0]:.4f},{r[1]:.4f}" for i, r in enumerate(x.tolist()))]
    (root / "named.csv").write_text("\n".join([*names, "stranger,3,-3"]))
    pf.GMM(1).fit(pf.read(root / "named.csv", drop=["name"]), run=root / "named", quiet=True)
    (root / "one.csv").write_text("\n".join(["height", *(f"{r[0]:.4f}" for r in x.tolist())]))
    pf.GMM(1).fit(str(root / "one.csv"), run=root / "one", quiet=True)
    return root


@pytest.fixture(scope="module")
def served(served: Any, folder: Path) -> Iterator[Any]:
    """A studio of these runs."""
    studio = type(served)(folder)
    yield studio
    studio.stop()


def width(page: Any) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


def test_a_column_is_fixed_and_an_odd_row_is_marked(open_page: Open) -> None:
    page = open_page("density?run=table", width=375, height=800)
    page.set_default_timeout(WAIT)
    page.wait_for_selector('#room[data-pairs="3"]')
    page.wait_for_selector("#room[data-odd]")
    page.get_by_label("value of a").fill("9")
    page.get_by_label("value of a").press("Enter")
    page.wait_for_selector("#room[data-given*='\"a\":9']")
    assert "a = 9 lies outside the data" in page.inner_text("#warnings")
    assert page.locator("#curves [data-column]").count() == 2
    page.get_by_role("button", name="b and c").click()
    page.wait_for_selector('#room[data-pair="b,c"][data-kind="conditional"]')
    assert "given a = 9" in page.inner_text("#about")
    first = page.get_attribute("#room", "data-odd").split(",")[0]
    page.locator("#odd button").first.click()
    page.wait_for_selector(f'#room[data-row="{first}"]')
    assert "1 of 60 from the least likely" in page.inner_text("#row")
    remembered(page, f"row={first}")
    assert width(page) == 375


def test_a_photo_and_a_drawing_are_translated(open_page: Open, folder: Path) -> None:
    page = open_page("translate?run=maps&mode=photo", width=375, height=800)
    page.set_default_timeout(WAIT)
    page.wait_for_selector("#room[data-made]")
    page.set_input_files("#photo", folder / "sides" / "0.png")
    page.wait_for_selector('#room[data-made="2"]')
    assert "16 × 16" in page.inner_text("#milliseconds")
    page.set_input_files(
        "#photo", files=[{"name": "a.png", "mimeType": "image/png", "buffer": b"nothing"}]
    )
    page.get_by_text("a.png: is not an image that can be read").wait_for()
    page.click("#mode-draw")
    page.wait_for_selector('#room[data-made="3"]')
    page.click("#clear")
    page.wait_for_selector('#room[data-made="4"]')
    page.locator('[data-tool="fill"]').click()
    page.locator("#painting").click()
    page.wait_for_selector('#room[data-made="5"]')
    pixel = "getContext('2d').getImageData(3, 3, 1, 1).data"
    colour = f"Array.from(document.getElementById('{{}}').{pixel})"
    painted = page.evaluate(colour.format("painting"))
    assert painted == page.evaluate(colour.format("input"))
    page.click("#undo")
    page.wait_for_selector('#room[data-made="6"]')
    assert page.evaluate(colour.format("painting")) != painted
    with page.expect_download() as saved:
        page.click("#save")
    assert saved.value.suggested_filename == "maps.png"
    assert width(page) == 375


def test_an_odd_row_has_a_name_and_says_what_is_odd(open_page: Open) -> None:
    page = open_page("density?run=named", width=375, height=800)
    page.set_default_timeout(WAIT)
    page.wait_for_selector('#room[data-scored="61"]')
    assert "All 61 rows are ranked" in page.inner_text("#scored")
    assert "stranger" in page.inner_text("#odd tr[data-row='60']")
    page.get_by_role("button", name="show row 60").click()
    page.wait_for_selector('#room[data-row="60"]')
    assert "stranger" in page.inner_text("#row")
    assert "Odd given its other columns" in page.inner_text("#why")
    assert page.locator("#row tr[data-odd='yes']").count() == 2
    assert width(page) == 375


def test_a_table_of_one_column_shows_its_curve(open_page: Open) -> None:
    page = open_page("density?run=one", width=375, height=800)
    page.set_default_timeout(WAIT)
    page.wait_for_selector("#room[data-odd]")
    page.locator("#curves [data-column='height']").wait_for()
    assert "no pair can be drawn" in page.inner_text("#room")
    assert page.locator("#curves canvas").count() == 1
    assert width(page) == 375


GIVE = """([selector, kind, name, bytes]) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
    const target = selector ? document.querySelector(selector) : window;
    const how = { bubbles: true, cancelable: true };
    target.dispatchEvent(kind === 'paste'
        ? new ClipboardEvent('paste', { ...how, clipboardData: data })
        : new DragEvent(kind, { ...how, dataTransfer: data }));
    return document.querySelector('.drop').dataset.over ?? '';
}"""
"""Drop or paste a file, as a person does."""


def test_photos_are_dropped_pasted_and_enlarged(open_page: Open, folder: Path) -> None:
    page = open_page("translate?run=large")
    page.set_default_timeout(WAIT)
    page.wait_for_selector('#room[data-made="1"]')  # the first pair is there
    made = 1
    photo = list((folder / "photos" / "1.png").read_bytes())
    assert page.evaluate(GIVE, [".drop", "dragover", "one.png", photo]) == "yes"
    assert page.evaluate(GIVE, [".drop", "dragleave", "one.png", photo]) == ""
    page.evaluate(GIVE, [".drop", "dragover", "one.png", photo])
    assert page.evaluate(GIVE, [".drop", "drop", "one.png", photo]) == ""
    page.wait_for_selector(f'#room[data-made="{made + 1}"]')
    sides = "['input', 'output'].map(id => [id, document.getElementById(id).width])"
    assert page.evaluate(sides) == [["input", 16], ["output", 32]]
    dropped = page.evaluate("document.getElementById('output').toDataURL()")
    other = list((folder / "photos" / "2.png").read_bytes())
    page.evaluate(GIVE, ["", "paste", "two.png", other])
    page.wait_for_selector(f'#room[data-made="{made + 2}"]')
    assert page.evaluate("document.getElementById('output').toDataURL()") != dropped
    page.evaluate(GIVE, [".drop", "drop", "bad.png", [1, 2, 3]])
    page.get_by_text("bad.png: is not an image that can be read").wait_for()


def test_a_map_is_painted_with_the_keyboard_in_its_palette(open_page: Open) -> None:
    page = open_page("translate?run=maps&mode=draw")
    page.set_default_timeout(WAIT)
    page.wait_for_selector('#room[data-made="1"]')
    numbers = """(() => { const c = document.getElementById('painting');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const found = {};
        for (let i = 0; i < d.length; i += 4) {
            const k = [d[i], d[i + 1], d[i + 2]].join(); found[k] = (found[k] ?? 0) + 1;
        }
        return found; })()"""
    page.click("#clear")
    page.wait_for_selector('#room[data-made="2"]')
    (paper,) = page.evaluate(numbers)
    swatches = page.get_by_role("group", name="Colours").get_by_role("button")
    assert swatches.count() == 2
    swatches.nth(1).press("Enter")
    assert swatches.nth(1).get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Rectangle").press("Enter")
    page.locator("#painting").focus()
    page.keyboard.press("Space")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    before = int(page.get_attribute("#room", "data-made"))
    page.keyboard.press("Space")
    wait(page, f"Number({ROOM}.made) > {before}", 120)
    page.locator("#painting").blur()  # the pointer of the keyboard is drawn on the picture
    painted = page.evaluate(numbers)
    assert set(painted) == {"0,48,252", "252,80,1"}
    assert painted[paper] < 256
    page.locator("#painting").focus()
    before = int(page.get_attribute("#room", "data-made"))
    page.keyboard.press("Control+z")
    wait(page, f"Number({ROOM}.made) > {before}", 120)
    page.locator("#painting").blur()
    assert page.evaluate(numbers) == {paper: 256}
