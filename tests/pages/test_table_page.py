"""The page of a synthetic table in a browser: nothing is fetched, refused or cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pushforward as pf

LONG = "a column with a very long name that no card can hold in one line_" * 2


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a table with long and hostile names, many categories, and a column without values."""
    frames = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(
            {
                LONG: rng.normal(1e9, 1, 150),
                "<b>bold</b>": rng.choice([f"category number {i} & more" for i in range(12)], 150),
                "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, 150), "D"),
                "kind": rng.choice(["yes", "no"], 150),
            }
        )
        frames.append(frame.assign(**{f"x{i}": rng.normal(size=150) for i in range(8)}))
    frames[1]["x0"] = np.nan
    report = pf.compare_tables(*frames[:2], held_out=frames[2])
    return report.write_page(tmp_path_factory.mktemp("page") / "report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_stands_alone_at_any_width(
    browser: Any, page: Path, width: int, scheme: str
) -> None:
    said: list[str] = []
    tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    try:
        tab.on("console", lambda message: said.append(message.text))
        tab.on("request", lambda request: said.append(request.url))
        tab.goto(page.as_uri())
        assert [text for text in said if not text.startswith((page.as_uri(), "data:"))] == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.locator("svg").count() >= 15
        assert tab.locator("h3", has_text="<b>bold</b>").count() == 1
        assert tab.locator("td", has_text="margin <b>bold</b>").count() == 1
        assert tab.locator("b").count() == 0
        paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(251, 250, 248)") == (scheme == "light")
        tab.locator("summary").first.click()
        assert tab.locator("details td", has_text="margins").first.is_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        tab.close()
