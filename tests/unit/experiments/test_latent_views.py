"""Views of codes from Python: the figures and tables that the command writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.argument_names import arguments_named, keyword
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.latent_views import LatentKind, latent_view
from pushforward.latent import infer_code_distribution

CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("pca", {}, []),
    (
        "pca",
        {"kind": "grid", "dims": [1, 0], "reach": 2.0, "steps": 5},
        ["--kind", "grid", "--dims", "1,0", "--reach", "2", "--steps", "5"],
    ),
    ("pca", {"kind": "traverse", "rows": [7]}, ["--kind", "traverse", "--rows", "7"]),
    (
        "pca",
        {"kind": "path", "rows": [3, 5], "along": "sphere"},
        ["--kind", "path", "--rows", "3,5", "--along", "sphere"],
    ),
    ("pca", {"kind": "direction", "label": "team"}, ["--kind", "direction", "--label", "team"]),
    (
        "vae",
        {"kind": "direction", "positive": "b", "seed": 1},
        ["--kind", "direction", "--class", "b", "--seed", "1"],
    ),
    ("faces", {"kind": "grid", "y": "b"}, ["--kind", "grid", "--y", "b"]),
    ("faces", {"kind": "path"}, ["--kind", "path"]),
    ("gan", {}, []),
]


@pytest.mark.parametrize(("name", "arguments", "flags"), CASES)
def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun],
    check_written: Callable[..., None],
    name: str,
    arguments: dict[str, Any],
    flags: list[str],
) -> None:
    run = opened(name)
    check_written(latent_view(run, **arguments), "latent", run.folder, *flags)


def test_rows_may_be_in_memory(opened: Callable[[str], OpenedRun], place: Path) -> None:
    run = opened("pca")
    x = pf.read(str(place / "people.csv"), drop="team", label=False).take(torch.arange(60)).x
    view = latent_view(run, "path", rows=[4, 9], steps=2, data=x)
    codes = torch.tensor(list(zip(view.codes["z0"], view.codes["z1"])), dtype=x.dtype)
    assert torch.allclose(codes, run.model.encode(x[[4, 9]]))


def test_a_curve_through_points_takes_more_codes_than_a_line_of_images(
    opened: Callable[[str], OpenedRun],
) -> None:
    assert len(latent_view(opened("gan"), "grid").codes["z0"]) == 60
    assert len(latent_view(opened("vae"), "grid", dims=[0]).codes["z0"]) == 20


def test_models_that_cannot_encode_walk_between_codes_of_seeds(
    opened: Callable[[str], OpenedRun],
) -> None:
    run = opened("gan")
    view = latent_view(run, "path", rows=[3, 5, 5, 3], steps=4)
    assert view.facts == {"seeds": [3, 5, 5, 3]}
    assert "drawn with seeds" in view.summary
    z = np.reshape(view.codes["z0"], (4, 2))
    draws = [infer_code_distribution(run.model).draw(1, rng=s).item() for s in (3, 5)]
    np.testing.assert_allclose(z[[0, -1]], [draws, draws[::-1]], rtol=1e-6)


def test_traversals_of_such_models_start_at_a_drawn_code(tmp_path: Path) -> None:
    model = pf.GAN(latent=3, hidden=(4,)).fit("moons:60", steps=2, batch=20, run=tmp_path / "run")
    run = pf.experiments.open_run(tmp_path / "run")
    codes = latent_view(run, "traverse", seed=4, steps=3).codes
    z = infer_code_distribution(model).draw(1, rng=4)[0]
    stays = [codes["z0"][3], codes["z1"][0], codes["z2"][0]]  # where another dimension moves
    np.testing.assert_allclose(stays, z, rtol=1e-6)


@pytest.mark.parametrize("kind", ["grid", "traverse", "path", "direction"])
def test_walks_through_images_are_films_where_a_gif_is_asked_for(
    opened: Callable[[str], OpenedRun], tmp_path: Path, kind: LatentKind
) -> None:
    more = {"positive": "b"} if kind == "direction" else {}
    view = latent_view(opened("vae"), kind, steps=4, **more)
    path, table = view.write(tmp_path / "walk.gif")
    assert table == tmp_path / "walk.csv"
    with Image.open(path) as film:
        assert film.n_frames == 6, "there and back"
        film.seek(2)
        middle = np.asarray(film.convert("L"))
        film.seek(0)
        assert (np.asarray(film.convert("L")) != middle).any()


@pytest.mark.parametrize("row", [-1, 60])
def test_a_row_that_is_not_there_is_named(opened: Callable[[str], OpenedRun], row: int) -> None:
    with pytest.raises(pf.InvalidValue, match=f"there is no row {row}: there are 60"):
        latent_view(opened("pca"), "path", rows=[0, row])


def test_errors_name_arguments_as_the_caller_knows_them(
    opened: Callable[[str], OpenedRun],
) -> None:
    with arguments_named(keyword), pytest.raises(pf.InvalidValue, match="positive='c' is none of"):
        latent_view(opened("vae"), "direction", positive="c")
    with arguments_named(keyword), pytest.raises(pf.InvalidValue, match=r"^rows gives the ends of"):
        latent_view(opened("pca"), "path", rows=[0, 1, 2])


def test_a_run_without_rows_is_shown_by_its_prior_with_a_note(tmp_path: Path) -> None:
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    pf.PCA(2).fit(x).save(tmp_path / "saved")
    run = pf.experiments.open_run(tmp_path / "saved")
    view = latent_view(run)
    assert view.kind == "grid"
    assert "without rows" in view.notes[0]
    kinds: tuple[LatentKind, ...] = ("path", "direction")
    for kind in kinds:
        with pytest.raises(pf.BadRun, match="cannot be found"):
            latent_view(run, kind)


def test_what_a_dimension_changes_is_said_column_by_column_where_units_differ(
    tmp_path: Path,
) -> None:
    table = pandas.DataFrame(
        {
            "age": [20.0 + i % 40 for i in range(80)],
            "income": [2e4 + 1e3 * (i % 40) for i in range(80)],
            "job": ["clerk" if i % 40 < 20 else "nurse" for i in range(80)],
        }
    )
    rows = pf.read(table, categorical=["job"])
    model = pf.VAE(2, likelihood="columns", hidden=[8]).fit(rows, steps=20, quiet=True)
    model.save(tmp_path / "run")
    view = latent_view(open_run(tmp_path / "run"), "traverse")
    assert view.summary.startswith("change per standard deviation: z")
    assert " income " in view.summary
    assert " job changes " in view.summary
    ranking = view.facts["ranking"]
    assert list(ranking[0]["columns"]) == ["age", "income", "job"]
    assert sum(entry["change"] for entry in ranking) < 1e3  # not in squared units of income
