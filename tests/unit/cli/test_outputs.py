"""An output that exists, or cannot be written, is refused before the work and not after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pushforward as pf
from pushforward.cli.main import main

COMMANDS = {
    "sample": ("sample", "run"),
    "encode": ("encode", "run", "ring:20"),
    "reconstruct": ("reconstruct", "run", "ring:20"),
    "density": ("density", "run", "ring:20"),
    "project": ("project", "run", "ring:20"),
    "restored": ("project", "run", "ring:20"),
    "assign": ("assign", "groups", "ring:20"),
    "condition": ("condition", "run", "x0=0.5"),
    "conditional samples": ("condition", "run", "x0=0.5", "-n", "5"),
}
FLAGS = {"restored": "--restored"}


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verb that takes time fails the test."""

    def worked(*arguments: Any, **keywords: Any) -> Any:
        raise AssertionError("the work was begun before the output was looked at")

    for cls, verbs in ((pf.PCA, ("sample", "encode", "decode", "log_prob")), (pf.GMM, ("assign",))):
        for verb in verbs:
            monkeypatch.setattr(cls, verb, worked)
    monkeypatch.setattr("pushforward.experiments.opened.read", worked)
    monkeypatch.setattr("pushforward.models.classical.gaussian.Gaussian.sample", worked)


@pytest.mark.parametrize(("name", "suffix"), [(n, s) for n in COMMANDS for s in (".csv", ".exe")])
def test_a_bad_output_is_refused_before_the_work(
    name: str, suffix: str, cli: Any, request: pytest.FixtureRequest
) -> None:
    pf.PCA(1).fit("ring:50").save("run")
    pf.GMM(2).fit("ring:50").save("groups")
    taken = Path(f"taken{suffix}")
    if suffix == ".csv":
        taken.write_text("mine\n")
    request.getfixturevalue("no_work")
    done = cli(*COMMANDS[name], FLAGS.get(name, "--out"), taken)
    assert done.code == 2
    assert "exists" in done.err if suffix == ".csv" else "cannot write" in done.err
    assert not taken.exists() or taken.read_text() == "mine\n"


@pytest.mark.parametrize("name", ["ring.png", "here/ring.GIF", "ring.ipynb"])
def test_figures_of_the_lecture_go_to_a_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lecture", "ring", "--out", name]) == 2
    assert f"must be a folder, got '{name}'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
