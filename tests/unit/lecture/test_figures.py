"""Every figure of the lecture draws: the quick ones always, all of them with the slow tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from pushforward.core.errors import MissingExtra
from pushforward.lecture.building import draw, write_pictures
from pushforward.lecture.contents import FIGURES
from pushforward.lecture.lesson import read_lesson
from pushforward.lecture.synthetic import made, shots

QUICK = (
    "shots", "clusters", "mapper", "trajectories", "pca-projection", "pca-variance", "kernels",
    "bandwidths", "heat-map", "push-forward", "ring", "bound", "computation-graph", "minimax",
)  # fmt: skip
"""Figures of at most two seconds."""


@pytest.fixture(autouse=True)
def one_seed_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    assert not [p for p in tmp_path.iterdir() if p.suffix not in (".png", ".gif")]


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_figure_is_written(name: str, tmp_path: Path) -> None:
    _write(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in QUICK])
def test_a_figure_is_written(name: str, tmp_path: Path) -> None:
    _write(name, tmp_path)


def _write(name: str, folder: Path) -> None:
    paths = write_pictures(name, folder)
    moves = read_lesson(name).moves
    assert [p.name for p in paths] == [f"{name}.png", f"{name}.gif"][: 1 + moves]
    assert all(path.stat().st_size < 300_000 for path in paths)
    with Image.open(paths[0]) as image:
        levels = image.convert("L").getextrema()
        assert image.width > 500
        assert levels == (levels[0], 255), "a white page"
        assert levels[0] < 128, "with something on it"
    if moves:
        with Image.open(paths[1]) as film:
            assert film.n_frames > 10


def test_without_pandas_a_figure_of_a_table_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(**_: object) -> None:
        raise ImportError("load_iris with as_frame=True requires pandas.")

    monkeypatch.setattr("pushforward.lecture.figures.clusters.load_iris", absent)
    with pytest.raises(MissingExtra, match=r"the figure clusters.*\[tables\]"):
        draw("clusters")


def test_axes_are_labelled() -> None:
    (picture,) = draw("ring")
    shown = [ax for ax in picture.axes if ax.get_visible() and ax.axison]
    assert all(ax.get_xlabel() or ax.get_ylabel() for ax in shown)


def test_the_bound_holds_and_the_sum_is_log_p() -> None:
    """The proof in numbers: ELBO + KL = log p to rounding, and ELBO touches log p at width 1."""
    (picture,) = draw("bound")
    lines = {line.get_label(): line.get_ydata() for line in picture.axes[0].lines}
    exact = lines["log p(x)"]
    assert abs(lines["ELBO"] + lines["KL"] - exact).max() < 1e-12
    assert (lines["ELBO"] <= exact + 1e-12).all()
    assert abs(lines["ELBO"].max() - exact[0]) < 1e-12
    assert lines["ELBO"].min() < exact[0] - 1


def test_shots_go_in_by_distance_and_not_by_how_they_were_drawn() -> None:
    """With the numbers of the shots themselves, every shot at the rim would go in."""
    x = shots(20_000)
    far, good = (x - torch.tensor([0, 5.25])).norm(dim=1), made(x).double()
    assert abs(good[far < 3].mean() - 0.625) < 0.03
    assert abs(good[far > 24].mean() - 0.33) < 0.03
