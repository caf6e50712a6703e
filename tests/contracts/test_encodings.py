"""Every command, its output redirected, in encodings that lack what we write:
≥, ±, ×, lines of tables, names with accents.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from pushforward.cli.main import COMMANDS, main
from pushforward.core.text_streams import encodable
from tests.small_models import write_photos

SMALL = ["--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "3"]
ENCODINGS = ("cp1252", "ascii")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("encodings")
    x = np.random.default_rng(0).normal(size=(60, 3))
    lines = [
        "größe,φ-λ,c,équipe",
        *(
            ",".join([*map(str, row), ["λ-Bären", "red"][i % 2]])
            for i, row in enumerate(x.tolist())
        ),
    ]
    (root / "x.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for model, flags in {
            "pca": [],
            "gmm": ["--components", "2"],
            "vae": [*SMALL, "--film", "4"],
        }.items():
            assert (
                main(["fit", model, "x.csv", "--drop", "équipe", *flags, "--run", model, "-q"]) == 0
            )
        write_photos(root / "photos")
        enlarging = [
            *("fit", "srresnet", "photos", "--label", "low_resolution(2)", "--width", "4"),
            *("--blocks", "1", "--steps", "2", "--batch", "4", "--run", "sr", "-q"),
        ]
        assert main(enlarging) == 0
        line = [
            *("fit", "pix2pix", "photos", "--label", "grey", "--width", "4"),
            *("--steps", "2", "--batch", "4", "--run", "pix", "-q"),
        ]
        assert main(line) == 0
    return root


LINES: dict[str, list[list[str]]] = {
    "demo": [["demo", "--epochs", "0"]],
    "fit": [
        ["fit", "pca", "x.csv", "--drop", "équipe", "--run", "new"],
        ["fit", "vae", "x.csv", "--drop", "équipe", *SMALL, "--run", "new"],
        ["fit", "auto", "x.csv", "--candidates", "gmm,ctgan", "--budget", "4", "--run", "new"],
    ],
    "sample": [["sample", "pca", "-n", "3"], ["sample", "pca", "-n", "3", "--json"]],
    "encode": [["encode", "pca", "x.csv"]],
    "reconstruct": [["reconstruct", "pca", "x.csv"]],
    "translate": [
        ["translate", "pix", "photos", "--derive-conditions", "--out", "größe/"],
        ["translate", "pix", "größe"],
    ],
    "enlarge": [["enlarge", "sr", "photos", "--out", "größe/"], ["enlarge", "sr", "größe"]],
    "project": [["project", "vae", "x.csv", "--steps", "1"]],
    "latent": [["latent", "vae", "--kind", "grid", "--out", "λ.png"]],
    "density": [["density", "pca", "x.csv"], ["density", "vae", "x.csv", "--draws", "2"]],
    "assign": [["assign", "gmm", "x.csv"]],
    "condition": [["condition", "gmm", "größe=0"], ["condition", "gmm", "größe=x"]],
    "synthesise": [["synthesise", "gmm", "-n", "3"], ["synthesise", "gmm", "--plot", "größe.x"]],
    "fill": [["fill", "gmm", "x.csv"], ["fill", "gmm", "größe.csv"]],
    "odd": [["odd", "gmm", "x.csv", "--top", "2"], ["odd", "gmm", "größe.csv"]],
    "describe": [["describe", "gmm"], ["describe", "größe.csv"]],
    "plot": [["plot", "gmm", "--kind", "density", "--out", "ä.png"]],
    "film": [["film", "vae", "--out", "ö"]],
    "evaluate": [
        ["evaluate", "pca", "vae", "--draws", "2"],
        ["evaluate", "pca", "vae", "--draws", "2", "--table", "latex"],
    ],
    "compare": [
        ["compare", "x.csv", "pca", "--drop", "équipe", "--metrics", "prdc", "--rows", "20"],
        ["compare", "x.csv", "x.csv", "--rows", "20"],
    ],
    "edit": [["edit", "pix", "--drag", "1,1:2,2"], ["edit", "größe"]],
    "export": [["export", "vae", "--out", "größe.html"], ["export", "größe"]],
    "studio": [["studio", "größe"], ["studio", "--port", "99999"]],
    "resume": [["resume", "vae", "--steps", "+1"]],
    "recipe": [["recipe"], ["recipe", "ñ"]],
    "lecture": [["lecture"], ["lecture", "ñ"], ["lecture", "ring", "--notebook", "--out", "größe"]],
    "models": [["models"], ["models", "--json"]],
    "hacks": [["hacks"], ["hacks", "--json"]],
    "data": [["data", "x.csv"], ["data", "größe.csv"]],
    "doctor": [["doctor"]],
}


def test_every_command_is_here() -> None:
    assert set(LINES) == set(COMMANDS)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_output_in_any_encoding(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, encoding: str
) -> None:
    import shutil

    for name in ("x.csv", "pca", "gmm", "vae", "pix", "sr", "photos"):
        (shutil.copytree if (runs / name).is_dir() else shutil.copy)(runs / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for line in [*LINES[command], [command, "--help"], [command, "--ü"]]:
        out, err = (
            io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)
        )
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        code = main(line)
        out.flush()
        err.flush()
        said = err.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert code in (0, 2), said
        assert "internal" not in said
        shutil.rmtree("new", ignore_errors=True)
        for image in Path().glob("*.png"):
            image.unlink()


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "≥ 3 ± 2 × 4…", ">= 3 +- 2 x 4..."),
        ("cp1252", "≥ 3 ± 2 × 4…", ">= 3 ± 2 × 4…"),
        ("ascii", "größe 度 ──│", "grosse ? --|"),
        ("utf-8", "≥ größe 度 ──│", "≥ größe 度 ──│"),
        ("utf-8", "broken \udcff name", "broken ? name"),
        ("ascii", "σ² ≤ λ → ∞", "sigma^2 <= lambda -> inf"),
    ],
)
def test_what_a_stream_lacks_is_spelt(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, written: str
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", out)
    with encodable():
        out.write(text)
        out.flush()
    assert out.buffer.getvalue().decode(encoding) == written  # type: ignore[attr-defined]
    assert out.errors == "strict"
