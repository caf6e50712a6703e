"""The demo: a table, images, one page of them, and three next commands that work when pasted."""

from __future__ import annotations

import base64
import json
import re
import shlex
from pathlib import Path

import pytest

from pushforward.cli.main import main


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A short demo in a folder of its own: where, what it printed and what it said."""
    import contextlib
    import io

    place = tmp_path_factory.mktemp("demo")
    out, said = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(said),
    ):
        patch.chdir(place)
        patch.setenv("COLUMNS", "160")
        assert main(["demo", "--epochs", "2"]) == 0
    return place, out.getvalue(), said.getvalue()


def test_it_leaves_runs_records_and_images(shown: tuple[Path, str, str]) -> None:
    place, _, _ = shown
    folder = place / "runs" / "demo-1"
    assert {p.name for p in folder.iterdir()} == {
        "pca-16",
        "pca",
        "vae-2",
        "vae",
        "digits",
        "ring",
        "shots",
        "gan",
        "images",
        "records.json",
        "index.html",
    }
    assert {p.name for p in (folder / "images").iterdir()} >= {
        "digits.png",
        "ring.png",
        "shots.png",
        "gan-film.gif",
    }
    assert {p.stem for p in (folder / "images").iterdir()} >= {
        "samples",
        "reconstructions",
        "plane",
        "interpolations",
    }
    records = json.loads((folder / "records.json").read_text())["records"]
    measured = {(r["data"], r["n"]) for row in records.values() for r in row.values()}
    assert len(measured) == 1, "every model is measured on the same rows"
    assert next(iter(measured))[1] == 359


def test_every_model_stands_in_the_table(shown: tuple[Path, str, str]) -> None:
    _, out, _ = shown
    assert "runs/demo-1" not in out, "stdout holds the table alone"
    for name in ("PCA, 16 codes", "VAE, 2 codes", "VAE, 16 codes", "importance-weighted bound"):
        assert name in out


def test_the_next_commands_work_when_pasted(
    shown: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _, said = shown
    lines = [line.strip() for line in said.splitlines()]
    commands = lines[lines.index("Next:") + 1 :]
    assert [shlex.split(c)[1] for c in commands] == ["sample", "resume", "studio"]
    monkeypatch.chdir(place)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)  # would serve for ever
    monkeypatch.setattr("webbrowser.open", lambda _: True)
    for command in commands:
        program, *arguments = shlex.split(command)
        assert Path(program).name == "pushforward"
        assert main([a.replace("+100", "+1") for a in arguments]) == 0, command
    assert (place / "new-digits.png").stat().st_size > 1000


def test_the_page_is_one_file_with_four_images_and_the_table(
    shown: tuple[Path, str, str],
) -> None:
    place, _, said = shown
    page = place / "runs" / "demo-1" / "index.html"
    assert str(page.relative_to(place)) in said, "its path is printed"
    text = page.read_text()
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/(?:png|gif);base64,', text)) == 4
    assert not re.findall(r'(?:src|href)="(?!data:)', text), "nothing is fetched"
    assert "<script" not in text
    assert "VAE, 16 codes" in text
    images = {p.read_bytes() for p in (page.parent / "images").iterdir()}
    inside = re.findall(r'base64,([^"]+)">', text)
    assert {base64.b64decode(code) for code in inside} <= images


def test_the_page_is_opened_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pushforward.recipes import first_look

    opened: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(first_look, "EXHIBITS", (first_look.shots_on_a_court,))
    assert main(["demo", "--epochs", "1", "--open", "--run", "first"]) == 0
    assert opened == [(tmp_path / "first" / "index.html").as_uri()]
    assert "first/index.html" in capsys.readouterr().err


def test_its_models_are_what_fit_would_make(shown: tuple[Path, str, str]) -> None:
    """Each line it shows is a command that `fit` understands, and the model card holds it."""
    place, _, said = shown
    lines = [line.partition("] ")[2] for line in said.splitlines() if line.startswith("[")]
    assert len(lines) == 4
    for line in lines:
        folder = shlex.split(line)[-1]
        assert line in (place / folder / "README.md").read_text()
