"""Pictures of tables: bins, categories beyond those shown, dates, fonts, titles, cells."""

from __future__ import annotations

import importlib
import re
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pushforward.core.columns import Column
from pushforward.core.dates import DAYS
from pushforward.core.errors import DataWarning
from pushforward.core.space import Space
from pushforward.plots import cell_map, table_margins, write_figure

module: Any = importlib.import_module("pushforward.plots.lettering")


def margins(values: Any, column: Column, **more: Any) -> Any:
    x = np.asarray(values, dtype=np.float64)[:, None]
    figure = table_margins({"all": x}, Space("points", (1,), (column,)), **more)
    return figure, figure.axes[0]


def edges_of(ax: Any) -> Any:
    return ax.patches[0].get_data().edges


@pytest.mark.parametrize("top", [25, 47, 90, 400])
def test_bins_hold_equally_many_whole_numbers(top: int) -> None:
    values = np.tile(np.arange(top + 1), 20)
    edges = edges_of(margins(values, Column("n", "integer"))[1])
    held = np.histogram(np.arange(-1000, 1000), edges)[0]
    assert len(set(held)) == 1
    assert 5 < len(edges) <= 31
    heights = np.histogram(values, edges)[0][1:-1]
    assert len(set(heights)) == 1, "equal shares have no teeth"


def test_bins_hold_equally_many_of_the_decimals_that_the_column_has() -> None:
    values = np.tile(np.arange(0, 171) / 10, 10)
    edges = edges_of(margins(values, Column("rebate", decimals=1))[1])
    held = np.histogram(np.arange(-1000, 1000) / 10, edges)[0]
    assert len(set(held)) == 1


def test_categories_beyond_those_shown_are_counted() -> None:
    codes = np.repeat(np.arange(10), np.arange(20, 10, -1))
    column = Column("town", "categorical", categories=tuple("abcdefghij"))
    ax = margins(codes, column)[1]
    assert [t.get_text() for t in ax.get_yticklabels()] == [*"abcdefg", "3 others"]
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(1)
    assert ax.get_xlabel() == "share of rows"


def test_dates_are_round_and_in_the_format_of_the_table() -> None:
    days = np.arange(18262, 18262 + 1460)
    for written, form in (("%d.%m.%Y", r"01\.0[17]\.202\d"), ("", r"202\d-0[17]-01")):
        ax = margins(days, Column("day", "integer", unit=DAYS, format=written))[1]
        texts = [t.get_text() for t in ax.get_xticklabels()]
        assert 2 <= len(texts) <= 3
        assert all(re.fullmatch(form, text) for text in texts)
        numbers = np.array(texts if not written else ["-".join(t.split(".")[::-1]) for t in texts])
        assert ax.get_xticks().tolist() == numbers.astype("datetime64[D]").astype(int).tolist()


def test_what_is_left_out_is_in_the_title_and_columns_are_titles() -> None:
    x = np.random.default_rng(0).normal(size=(50, 30))
    space = Space("points", (30,), tuple(Column(f"c{i}") for i in range(30)))
    figure = table_margins({"all": x}, space, title="t.csv")
    assert figure.get_suptitle() == "t.csv (the first 24 of 30 columns)"
    assert figure.axes[0].get_title(loc="left") == "c0"
    assert figure.axes[0].get_ylabel() == "share of rows"


def test_characters_without_a_font_are_said_once_and_no_more(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = module.mpl("matplotlib.font_manager").findfont("DejaVu Sans")
    characters = module._characters(usual)
    monkeypatch.setattr(module, "_characters", lambda path: characters)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        figure = margins([0, 1], Column("city", "categorical", categories=("Łódź", "東京")))[0]
        write_figure(figure, tmp_path / "a.png")
    assert [w.category for w in told] == [DataWarning]
    assert "no installed font has the characters 京東" in str(told[0].message)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["Łódź", "□□"]


def test_a_font_that_has_the_characters_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = module.mpl("matplotlib.font_manager").findfont("DejaVu Sans")
    first, characters = module._characters(usual), module._characters
    more = lambda path: characters(path) if path == usual else first | {"東", "京"}  # noqa: E731
    monkeypatch.setattr(module, "_characters", more)
    ax = margins([0, 1], Column("city", "categorical", categories=("Łódź", "東京")))[1]
    label = ax.get_yticklabels()[1]
    assert label.get_text() == "東京"
    families = label.get_fontfamily()
    assert families[0] == "DejaVu Sans"
    assert len(families) == 2
    assert not families[1].startswith("Last Resort")


def test_cells_are_as_wide_as_their_texts_which_touch_nothing() -> None:
    texts = [["13.07.2020", "General Motors", "a"], ["1", "2", "b"]]
    figure = cell_map(
        np.ones((2, 3)), ["first", "second"], ["day", "firm", "x"], label="", texts=texts
    )
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.texts[:3]] == texts[0]
    boxes = [t.get_window_extent() for t in ax.texts]
    assert all(a.x1 < b.x0 for row in (boxes[:3], boxes[3:]) for a, b in pairwise(row))
    assert ax.get_window_extent().x0 < min(box.x0 for box in boxes)
    assert ax.yaxis.get_ticklines()[0].get_markersize() == 0


def test_cells_without_a_value_are_grey() -> None:
    figure = cell_map(np.array([[1.0, np.nan]]), ["r"], ["a", "b"], label="", diverging=False)
    colours = figure.axes[0].collections[0]
    shown = colours.to_rgba(colours.get_array())
    assert shown[0, 1] == pytest.approx([238 / 255, 238 / 255, 238 / 255, 1], abs=0.01)
    assert shown[0, 0] != pytest.approx(shown[0, 1])


def test_lettering_leaves_the_fonts_of_others_alone() -> None:
    import matplotlib

    before = matplotlib.rcParams["font.family"]
    with module.lettering(["Łódź"]) as drawable:
        assert drawable("Łódź") == "Łódź"
    assert matplotlib.rcParams["font.family"] == before
