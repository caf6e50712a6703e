"""`pushforward film`: a strip and a GIF of a run that kept frames."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pushforward.cli.main import main


@pytest.mark.parametrize(
    "fit",
    [
        ["gan", "ring:200", "--hidden", "8"],
        ["vae", "digits", "--hidden", "8", "--label", "auto"],
    ],
    ids=["points", "images"],
)
def test_a_run_s_film_is_drawn(
    fit: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert (
        main(
            ["fit", *fit, "--steps", "12", "--batch", "32", "--film", "20", "--run", str(run), "-q"]
        )
        == 0
    )
    capfd.readouterr()
    assert main(["film", str(run), "--frames", "4", "--codes", "5", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["frames"] == 13
    with Image.open(said["strip"]) as strip, Image.open(said["film"]) as film:
        assert min(*strip.size, *film.size) > 150
        assert film.n_frames > 1  # type: ignore[attr-defined]
    assert Path(said["film"]) == run / "images" / "film.gif"
    gif = tmp_path / "new" / "learning.gif"
    assert main(["film", str(run), "--frames", "4", "-o", str(gif)]) == 0
    assert sorted(path.name for path in gif.parent.iterdir()) == ["learning.gif", "learning.png"]


def test_what_cannot_be_drawn_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert (
        main(
            [
                "fit",
                "gan",
                "ring:100",
                "--hidden",
                "4",
                "--steps",
                "3",
                "--batch",
                "16",
                "--run",
                str(run),
                "-q",
            ]
        )
        == 0
    )
    assert main(["film", str(run)]) == 2
    assert "holds no frames; record them during a fit" in capfd.readouterr().err
    assert main(["resume", str(run), "--steps", "+2", "-q"]) == 0
    assert main(["film", str(run), "--frames", "0"]) == 2
    assert "frames must be above 0" in capfd.readouterr().err


def test_axes_are_chosen_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,b,c\n" + "\n".join(f"{i},{i * i},{-i}.5" for i in range(40)) + "\n")
    run = tmp_path / "run"
    assert (
        main(
            [
                "fit",
                "gan",
                str(table),
                "--hidden",
                "4",
                "--steps",
                "4",
                "--batch",
                "8",
                "--film",
                "6",
                "--run",
                str(run),
                "-q",
            ]
        )
        == 0
    )
    assert main(["film", str(run), "--axes", "c,a", "--out", str(tmp_path / "o")]) == 0
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["film.gif", "film.png"]
    assert main(["film", str(run), "--axes", "c"]) == 2
    assert "--axes names two different columns, got 'c'" in capfd.readouterr().err
