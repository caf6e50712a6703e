"""The density and translate rooms in a browser; skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pushforward as pf

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
    assert f"row={first}" in page.url
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
