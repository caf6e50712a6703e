"""The Learn room in a browser: own data, changes while it runs, and what is drawn over time."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

READY = "#room[data-ready]"
ROOM = "document.getElementById('room').dataset"
Open = Callable[..., Any]


def wait(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Wait until an expression is true; the page's policy forbids the browser to poll it."""
    until = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < until, expression
        page.wait_for_timeout(50)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [f"{i % 7},{i * i % 11},{'' if i % 10 == 0 else i % 5},name" for i in range(60)]
    (tmp_path / "mine.csv").write_text("\n".join(["a,b,c,text", *rows]))
    return tmp_path / "mine.csv"


def test_two_columns_of_a_table_are_fitted_and_there_after_a_reload(
    open_page: Open, table: Path
) -> None:
    page = open_page("learn?model=gmm&data=upload")
    page.wait_for_selector(READY)
    page.click("#play")
    page.get_by_text("Choose a file first").wait_for()
    page.set_input_files("#own-data", str(table))
    page.wait_for_selector("#upload-facts")
    assert "60 rows" in page.inner_text("#upload-facts")
    page.get_by_label("Up (y)").select_option("c")
    page.wait_for_selector("#left-out")
    assert "6 of 60 rows have no value in 'a' or 'c'" in page.inner_text("#left-out")
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) >= 54")
    page.get_by_role("checkbox", name="Components").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.reload()
    page.wait_for_selector("#left-out")
    assert page.get_by_label("Up (y)").input_value() == "c"
    wait(page, f"Number({ROOM}.samples) >= 54")


def test_a_file_that_is_no_data_is_explained_where_it_was_chosen(
    open_page: Open, tmp_path: Path
) -> None:
    (tmp_path / "words.csv").write_text("word\none\ntwo\n")
    page = open_page("learn?data=upload")
    page.wait_for_selector(READY)
    page.set_input_files("#own-data", str(tmp_path / "words.csv"))
    error = page.wait_for_selector(".what p.error:not([hidden])")
    assert "expected two or more columns of numbers" in error.inner_text()


def test_data_that_are_gone_are_asked_for_again(open_page: Open) -> None:
    page = open_page("learn?data=upload&upload=0123456789ab&x=a&y=b")
    error = page.wait_for_selector(".what p.error:not([hidden])")
    assert "choose the file again" in error.inner_text()


def test_own_pictures_are_learned(open_page: Open) -> None:
    files = []
    for k in range(24):
        file = io.BytesIO()
        Image.new("L", (20, 20), 10 * k).save(file, "PNG")
        files.append({"name": f"{k}.png", "mimeType": "image/png", "buffer": file.getvalue()})
    page = open_page("learn?model=vae&data=upload&side=8&settings=" + '{"hidden":"8"}')
    page.wait_for_selector(READY)
    page.set_input_files("#own-data", files)
    page.get_by_text("24 images of 8 × 8 pixels").wait_for()
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 3000")
    for title in ("Data", "Samples of the same codes", "Data, encoded and decoded"):
        page.get_by_role("heading", name=title, exact=True).wait_for()
    page.get_by_role("heading", name="The same codes over time").wait_for()
    assert page.locator("#over-time figure").count() >= 2


def test_a_rate_is_changed_while_it_runs(open_page: Open, served: Any) -> None:
    page = open_page("learn?model=gan&data=moons")
    page.wait_for_selector(READY)
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 500")
    assert page.locator("#apply").is_hidden()
    rate = page.get_by_label("Learning rate of the critic")
    rate.fill("0.01")
    rate.press("Tab")
    page.get_by_text("Changed: learning rate of the critic.").wait_for()
    page.get_by_label("game").fill("wasserstein")
    page.get_by_label("game").press("Tab")
    before = int(page.evaluate(f"{ROOM}.samples"))
    wait(page, "location.hash.includes('fit=')")
    first = page.url.split("fit=")[1].split("&")[0]
    page.click("#apply")
    page.locator("#apply").wait_for(state="hidden")
    wait(page, f"Number({ROOM}.samples) > {before}")
    wait(page, f"!location.hash.includes('{first}')")
    fit = served.studio.fit(page.url.split("fit=")[1].split("&")[0])
    assert str(fit.model.game) == "wasserstein"
    assert fit.experiment.fitter["optimizers"]["critic"] == "adam(rate=0.01, beta1=0.5)"


def test_a_change_that_cannot_be_made_is_explained_beside_it(open_page: Open) -> None:
    page = open_page("learn?model=gan&data=moons")
    page.wait_for_selector(READY)
    page.click("#play")
    wait(page, f"Number({ROOM}.samples) > 100")
    page.get_by_label("game").fill("chess")
    page.get_by_label("game").press("Tab")
    page.click("#apply")
    error = page.wait_for_selector(".after p.error:not([hidden])")
    assert "chess" in error.inner_text()


def test_the_measure_is_chosen_and_remembered(open_page: Open) -> None:
    page = open_page("learn?model=kmeans&data=eight_gaussians")
    page.wait_for_selector(READY)
    page.get_by_label("Measure").select_option("js")
    page.get_by_text("at most ln 2").wait_for()
    wait(page, "location.hash.includes('measure=js')")
    page.click("#play")
    page.get_by_role("checkbox", name="Centres").wait_for()
    wait(page, f"{ROOM}.ended === 'true'")
    assert "converged" in page.inner_text(".numbers")


def test_terms_too_small_for_the_axis_have_a_plot_of_their_own(open_page: Open) -> None:
    page = open_page("learn?model=vae")
    page.wait_for_selector(READY)
    hidden = page.evaluate(
        """async () => {
            const { measurePlots } = await import("/page/rooms/learning_plots.js");
            const plots = measurePlots("energy", () => {}), found = [];
            const after = (terms) => {
                plots.drawLosses([1, 2, 3].map((n) => ({ samples: n, terms: n > 1 ? terms : {} })));
                found.push(plots.smallerCard.hidden);
            };
            after({ distortion: 50, rate: 7 });
            after({ distortion: 9, rate: 8 });
            after({ distortion: -9000, rate: 8, other: null });
            after({ loss: NaN });
            after({});
            return found;
        }"""
    )
    assert hidden == [False, True, False, True, True]
