"""Commands beside Pydantic, which Weights & Biases imports: then cyclopts checks each flag's value
against its annotation, so converters must return what the annotation says.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pushforward.cli.main import main


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("pydantic", reason="Pydantic is not installed")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i * i % 7}.5\n" for i in range(40)))
    return path


def test_settings_of_a_fit_are_read(table: Path) -> None:
    flags = ["--latent", "1", "--hidden", "4,5", "--steps", "2", "--no-keep-best"]
    assert main(["fit", "vae", "x.csv", *flags, "--latent", "2", "--quiet", "--run", "run"]) == 0
    settings = json.loads((table.parent / "run" / "model.json").read_text())["hyperparameters"]
    assert settings["latent"] == 2  # the last counts
    assert settings["hidden"] == [4, 5]


def test_flags_of_other_commands_are_read(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "gmm", "x.csv", "--components", "1", "--quiet", "--run", "gmm"]) == 0
    assert main(["sample", "gmm", "-n", "3", "--seed", "1"]) == 0
    assert main(["evaluate", "gmm", "--table", "csv", "--rows", "10"]) == 0
    assert main(["data", "x.csv", "--drop", "a", "--json"]) == 0
    assert "error" not in capsys.readouterr().err
