"""Films of a fit from Python: the strip and the GIF that the command writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pushforward as pf
from pushforward.experiments import OpenedRun
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
