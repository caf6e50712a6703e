"""Every figure: its axes, its labels, what is drawn in it, and what it refuses."""

import builtins
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward import plots
from pushforward.core.errors import InvalidKind, InvalidValue, MissingExtra
from pushforward.models.classical.gaussian import Gaussian
from pushforward.plots.axis_distributions import evaluate_grid, select_axes
from pushforward.plots.density import mass_levels, widen_limits
from pushforward.plots.style import name_points


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.normal([0, 0, 0], 1, (80, 3)), rng.normal([8, -5, 0.3], [1, 0.5, 1], (120, 3))]
    )
    return pandas.DataFrame(x, columns=["height", "weight", "age"])


@pytest.fixture(scope="module")
def mixture(rows):
    return pf.GMM(2).fit(rows)


def visible(figure):
    return [ax for ax in figure.axes if ax.get_visible() and ax.get_label() != "<colorbar>"]


def test_contours_hold_the_mass_they_name():
    distribution = Gaussian.of(torch.zeros(2), torch.eye(2))
    u, _, f = evaluate_grid(distribution, (-6.0, -6.0), (6.0, 6.0), 300)
    levels = mass_levels(f, (0.5, 0.9), (u[1] - u[0]) ** 2)
    # Half of a standard normal distribution in the plane lies where the
    # density is above 1/(2π) · ½, nine tenths above a tenth.
    assert list(levels.values()) == [0.9, 0.5]
    assert list(levels) == pytest.approx([0.1 / (2 * math.pi), 0.5 / (2 * math.pi)], rel=0.01)
    assert mass_levels(f[:60], (0.5,), (u[1] - u[0]) ** 2) == {}
    with pytest.raises(InvalidValue, match=r"between 0 and 1, got 1\.5"):
        mass_levels(f, (1.5,), 1.0)


def test_the_outermost_contour_is_inside_the_picture_of_a_smooth_density():
    rows = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]).repeat(5, 1)
    ax = visible(plots.density_map(pf.KDE(2.0).fit(rows), rows))[0]
    assert 2 < np.diff(ax.get_xlim())[0] < 3  # twice the range of the rows and its margin, at most
    narrow = Gaussian.of(torch.zeros(2), torch.eye(2))
    low, high = widen_limits(narrow, np.full(2, -2.0), np.array([2.0, 9.0]), 0.95)
    # 95 % of a standard normal distribution in the plane have a radius below √(2 ln 20) = 2.448.
    assert (low < -2.44).all()
    assert (low > -3.5).all()
    assert high[0] > 2.44
    assert high[1] == 9


def test_a_picture_is_not_widened_beyond_the_end_of_a_density():
    model = pf.KDE(0.5, boundary="reflect", bounds=[(0, 0.0, None)])
    x = torch.rand(300, 2, generator=torch.Generator().manual_seed(0))
    low, high = widen_limits(model.fit(x), np.zeros(2), np.ones(2), 0.95)
    assert low[0] == 0
    assert low[1] < 0
    assert (high > 1).all()


def test_a_density_map_shows_the_distribution_of_two_axes_with_its_unit(mixture, rows):
    figure = plots.density_map(mixture, rows, axes=["weight", "age"], title="people")
    ax = visible(figure)[0]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == (
        "weight",
        "age",
        "people",
    )
    image = ax.images[0].get_array()
    inside = mixture.marginal(["weight", "age"]).log_prob(torch.tensor([[-5.0, 0.3]])).exp()
    assert image.max() == pytest.approx(float(inside), rel=0.1)
    assert figure.axes[-1].get_ylabel() == "density per unit of both axes"


def test_rows_alone_are_drawn_by_their_kernel_density(rows):
    distribution, names, shown = select_axes(rows[["height", "age"]])
    assert type(distribution).__name__ == "KDE"
    assert names == ("height", "age")
    assert shown.shape == (200, 2)
    assert len(visible(plots.density_map(torch.tensor(rows.to_numpy())))[0].images) == 1


def test_a_density_is_drawn_within_limits_on_the_axes_given(rows):
    page, ax = plots.new_page()
    figure = plots.density_map(
        pf.GMM(1).fit(rows[["height", "age"]].abs()),
        limits=((-25, 0), (25, 47)),
        contour_names="legend",
        scale=100,
        unit="shots",
        ax=ax,
    )
    assert figure is page
    assert ax.images[0].get_extent() == [-25, 25, 0, 47]
    assert (ax.get_xlim(), ax.get_ylim()) == ((-25, 25), (0, 47))
    assert ax.get_legend().get_texts()[0].get_text() == "25% inside"
    assert figure.axes[-1].get_ylabel() == "shots"


def test_a_density_needs_two_different_axes(mixture):
    with pytest.raises(InvalidValue, match="expected 2 different axes"):
        plots.density_map(mixture, axes=["age", "age"])
    with pytest.raises(InvalidKind, match="neither a density nor samples"):
        plots.density_map(pf.KMeans(2).fit(torch.randn(20, 2)))
    with pytest.raises(InvalidKind, match="at least 2 dimensions"):
        plots.density_map(pf.GMM(1).fit(torch.randn(20, 1)))


def test_marginals_draw_a_curve_over_a_histogram(mixture, rows):
    axes = visible(plots.marginals(mixture, rows))
    assert [ax.get_xlabel() for ax in axes] == ["height", "weight", "age"]
    assert all(len(ax.lines) == 1 and len(ax.patches) == 40 for ax in axes)
    curve = axes[0].lines[0]
    assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(1, abs=0.02)
    without = visible(plots.marginals(mixture))
    assert all(len(ax.patches) == 0 for ax in without)


def test_a_corner_has_every_pair_once(mixture, rows):
    axes = visible(plots.corner(mixture, rows))
    assert len(axes) == 6
    assert axes[-3].get_xlabel() == "height"
    assert axes[-3].get_ylabel() == "age"


def test_a_corner_says_what_it_leaves_out(mixture, rows):
    wide = pandas.concat([rows, rows.add_suffix(" 2"), rows.add_suffix(" 3")], axis=1)
    model = pf.GMM(1, covariance="diagonal").fit(wide)
    words = plots.corner(model, wide)._supxlabel.get_text()
    assert "50% and 95% of the model's mass" in words
    assert "first 6 of 9 columns" in words
    assert "height 3, weight 3, age 3" in words
    words = plots.corner(model, wide, axes=["age", "age 2"])._supxlabel.get_text()
    assert "first" not in words
    assert words.endswith("height 2, weight 2, height 3, weight 3, age 3."), words
    many = pandas.concat([rows] * 90)
    assert "16,000 of 18,000 rows" in plots.corner(mixture, many, axes=[0, 1])._supxlabel.get_text()


def test_contours_stand_out_from_dots(mixture, rows):
    ax = visible(plots.density_map(mixture, rows))[0]
    (lines,) = [c for c in ax.collections if c.get_path_effects()]
    (dots,) = ax.lines
    assert lines.get_zorder() > dots.get_zorder()
    many = pandas.concat([rows] * 90)
    (fainter,) = visible(plots.density_map(mixture, many))[0].lines
    assert fainter.get_alpha() < dots.get_alpha()


def test_ten_classes_have_ten_colours_that_can_be_told_apart():
    from pushforward.plots.style import COLOURS, MARKERS

    assert len(set(COLOURS)) == len(set(MARKERS)) == 10
    codes = torch.randn(100, 2)
    labels = np.arange(100) % 10
    looks = visible(plots.embedding(codes, labels))[0].collections
    assert len({tuple(look.get_facecolor()[0]) for look in looks}) == 10
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, COLOURS)]
    assert max(lightness) < 0.5, "all are seen on white"


DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881),
)  # fmt: skip
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)  # fmt: skip
"""Machado, Oliveira & Fernandes (2009), severity 1, of linear RGB.
https://doi.org/10.1109/TVCG.2009.113
"""


@pytest.mark.parametrize("seen", [np.eye(3), DEUTERANOPIA, PROTANOPIA])
def test_ten_colours_are_told_apart_without_red_or_green_cones(seen):
    from pushforward.plots.style import COLOURS

    light = np.clip(np.array([linear(c) for c in COLOURS]) @ np.array(seen).T, 0, 1)
    lab = cielab(light)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert apart[np.triu_indices(10, 1)].min() > 15  # a just noticeable difference is 2.3
    assert apart[0, 1] > 80, "the first two at a glance"


def cielab(light):
    """CIELAB (n, 3) of linear RGB (n, 3) in 0..1, white D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = light @ np.array(to_xyz).T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def linear(colour: str) -> list[float]:
    """The linear light of a colour's red, green and blue."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def test_clusters_lie_on_the_axes_that_part_them_and_ellipses_hold_their_share(mixture, rows):
    figure = plots.clusters(mixture, rows, shares=(0.5,))
    ax = visible(figure)[0]
    assert {ax.get_xlabel(), ax.get_ylabel()} == {"height", "weight"}
    assert len(ax.patches) == 2
    labels = sorted(t.get_text() for t in ax.get_legend().get_texts())
    assert {label.split(" ")[-1] for label in labels} == {"(40%)", "(60%)"}
    draws = mixture.sample(4000, rng=0)[:, [0, 1]].numpy()
    inside = sum(
        patch.get_path().contains_points(
            patch.get_transform().inverted().transform(ax.transData.transform(draws))
        )
        for patch in ax.patches
    )
    assert inside.mean() == pytest.approx(0.5, abs=0.03)


def test_k_means_show_their_centres(rows):
    model = pf.KMeans(2).fit(rows)
    ax = visible(plots.clusters(model, rows, axes=["height", "weight"], owner=model.assign(rows)))[
        0
    ]
    marks = np.array([line.get_xydata()[0] for line in ax.lines])
    assert np.allclose(np.sort(marks, 0), np.sort(model.centres_[:, :2].numpy(), 0))
    with pytest.raises(InvalidKind, match="assigns no clusters"):
        plots.clusters(pf.PCA(2).fit(rows), rows)


def test_a_scree_plot_adds_up(rows):
    pca = pf.PCA(1).fit(rows)
    ax = visible(plots.scree(pca))[0]
    assert [b.get_height() for b in ax.patches] == pytest.approx(
        (pca.spectrum_ / pca.spectrum_.sum()).tolist()
    )
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(1)
    assert ax.get_xlabel() == "principal component"
    with pytest.raises(InvalidKind, match="has no principal components"):
        plots.scree(pf.GMM(1).fit(rows))


def test_a_biplot_has_an_arrow_a_column_and_names_rows(rows):
    pca = pf.PCA(2).fit(rows)
    ax = visible(plots.biplot(pca, rows, named={"first": 0}))[0]
    words = [t.get_text() for t in ax.texts]
    assert words.count("") >= 3
    assert {"height", "weight", "age", "first"} <= set(words)
    assert "% of the variance" in ax.get_xlabel()
    assert ax.get_xlim()[0] <= pca.encode(rows)[:, 0].min()
    assert ax.get_xlim()[1] >= pca.encode(rows)[:, 0].max()
    with pytest.raises(InvalidValue, match="two different components out of 2"):
        plots.biplot(pca, rows, components=(0, 2))


def test_an_embedding_colours_classes_and_numbers(rows):
    z = torch.tensor(rows.to_numpy())
    kinds = np.array(["ab"[i % 2] for i in range(len(z))])
    figure = plots.embedding(z, kinds, quantity="kind")
    ax = visible(figure)[0]
    assert "component 1 of the codes" in ax.get_xlabel()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]
    scaled = plots.embedding(z[:, :2], z[:, 2], quantity="age (years)")
    assert scaled.axes[-1].get_ylabel() == "age (years)"
    with pytest.raises(InvalidValue, match="at least 2 coordinates, got 1"):
        plots.embedding(z[:, :1])
    with pytest.raises(InvalidValue, match="one entry for each of 200 codes"):
        plots.embedding(z, kinds[:3])


def test_a_choice_rings_the_lowest():
    ax = visible(plots.choice({"BIC": {1: 5.0, 2: 3.0, 3: 4.0}}))[0]
    assert ax.get_legend().get_texts()[0].get_text() == "BIC: 2"
    assert ax.lines[1].get_xydata().tolist() == [[2, 3]]
    with pytest.raises(InvalidValue, match="at least one point"):
        plots.choice({})


def test_criteria_and_elbow_find_two_clusters(rows):
    ax = visible(plots.criteria(rows, range(1, 4)))[0]
    assert "BIC: 2" in [t.get_text() for t in ax.get_legend().get_texts()]
    left, right = visible(plots.elbow_curve(rows, range(1, 6)))
    assert left.get_legend().get_texts()[0].get_text() == "inertia, knee at: 2"
    assert right.get_legend().get_texts()[0].get_text() == "silhouette, highest at: 2"


def test_a_profile_writes_every_number_and_a_dash_for_none():
    ax = visible(plots.profile([[0.5, -1.2], [float("nan"), 2.0]], ["one", "two"], ["a", "b"]))[0]
    assert [t.get_text() for t in ax.texts] == ["+0.5", "-1.2", "-", "+2.0"]
    with pytest.raises(InvalidValue, match=r"shape \(1, 2\)"):
        plots.profile([[1.0]], ["one"], ["a", "b"])


def test_names_do_not_cover_each_other():
    figure, ax = plots.new_page()
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    points = np.full((5, 2), 0.5) + np.linspace(0, 0.02, 5)[:, None]
    texts = name_points(ax, points, [f"a long name {i}" for i in range(5)])
    renderer = figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_files_are_replace_on_exit_and_small(tmp_path, mixture, rows):
    path = plots.write_figure(plots.density_map(mixture, rows), tmp_path / "new" / "a.png")
    assert path.stat().st_size < 200_000
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]
    assert (
        plots.write_figure(plots.scree(pf.PCA(1).fit(rows)), tmp_path / "a.svg")
        .read_text()
        .startswith("<?xml")
    )
    with pytest.raises(InvalidValue, match=r"expected \.png, \.pdf or \.svg"):
        plots.write_figure(plots.scree(pf.PCA(1).fit(rows)), tmp_path / "a.xyz")


def test_no_module_takes_the_place_of_a_function():
    files = {path.stem for path in Path(plots.__file__).parent.glob("*.py")}
    assert not files & set(plots.__all__)
    assert all(callable(getattr(plots, name)) for name in plots.__all__)


def test_pyplot_is_never_loaded():
    code = (
        "import sys, torch, pushforward as pf, pushforward.plots as plots;"
        " plots.density_map(pf.GMM(2).fit(torch.randn(60, 2)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('matplotlib.pyplot' in sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "False", done.stderr


def test_without_matplotlib_the_error_has_the_install_line(monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        "importlib.import_module",
        lambda name, *a: (
            (_ for _ in ()).throw(ImportError(name)) if "matplotlib" in name else real(name)
        ),
    )
    with pytest.raises(MissingExtra, match=r"run: pip install .*\[plots\]"):
        plots.new_page()
