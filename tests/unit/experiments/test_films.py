"""Films of a fit from Python: the strip and the GIF that the command writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.films import run_film


@pytest.mark.parametrize(
    ("name", "arguments", "flags"),
    [
        ("gan", {"axes": ["weight", 0]}, ["--axes", "weight,0"]),
        ("vae", {"frames": 3, "codes": 5}, ["--frames", 3, "--codes", 5]),
    ],
)
def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun],
    command: Callable[..., str],
    tmp_path: Path,
    name: str,
    arguments: dict[str, Any],
    flags: list[object],
) -> None:
    film = run_film(opened(name), **arguments)
    assert film.samples[0] == 0
    assert list(film.samples) == sorted(set(film.samples))
    assert len(list(film.frames())) == len(film.samples)
    film.write(tmp_path / "python")
    command("film", opened(name).folder, *flags, "--out", "command")
    for file in ("film.png", "film.gif"):
        assert (tmp_path / "python" / file).read_bytes() == (
            tmp_path / "command" / file
        ).read_bytes()


def test_a_strip_shows_so_many_codes(opened: Callable[[str], OpenedRun], tmp_path: Path) -> None:
    strips = [
        run_film(opened("vae"), frames=2, codes=codes).write(tmp_path / str(codes))[0].read_bytes()
        for codes in (3, 5)
    ]
    assert strips[0] != strips[1]


def test_what_cannot_be_filmed_is_said(opened: Callable[[str], OpenedRun]) -> None:
    with pytest.raises(pf.InvalidValue, match="names two different columns, got '0,height'"):
        run_film(opened("gan"), axes=[0, "height"])
    with pytest.raises(pf.BadRun, match="holds no frames"):
        run_film(opened("pca"))
    with pytest.raises(pf.InvalidValue, match="seconds must be above 0"):
        run_film(opened("gan"), seconds=0)


@pytest.mark.parametrize("conditional", [True, False])
def test_the_strip_of_a_conditional_model_names_the_conditions(
    conditional: bool, tmp_path: Path
) -> None:
    rows = pf.read("digits")
    model = pf.GAN(latent=1, hidden=(4,))
    fitter = {"steps": 1, "film": 4, "batch": 8}
    pf.Experiment(model, "digits", y=conditional or None, fitter=fitter, held_out=0).run(
        tmp_path / "run"
    )
    (ax,) = run_film(open_run(tmp_path / "run"), frames=2, codes=3).strip.axes
    names = [str(int(code)) for code in rows.take(torch.arange(3)).y]
    assert [t.get_text() for t in ax.get_xticklabels()] == (names if conditional else [])
    assert ax.get_xlabel() == ("condition" if conditional else "")
