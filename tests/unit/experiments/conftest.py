"""Small runs fitted once for these tests, and the command line beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.view import View

SMALL = {"hidden": (8,)}
BUDGET = {"steps": 4, "batch": 16}


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of people, a folder of photographs in two classes, and runs fitted to them."""
    root = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    lines = [
        f"{h:.3f},{w:.2f},{'rb'[int(h > 1.75)]}"
        for h, w in rng.normal([1.75, 70], [0.1, 9], (60, 2))
    ]
    (root / "people.csv").write_text("\n".join(["height,weight,team", *lines]) + "\n")
    for i in range(24):
        folder = root / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8)).save(folder / f"{i}.png")
    people, photos = str(root / "people.csv"), str(root / "photos")
    table = {"drop": ["team"]}
    film = {**BUDGET, "film": 20}
    experiments = {
        "pca": pf.Experiment(pf.PCA(2), people, reading=table),
        "gmm": pf.Experiment(pf.GMM(2), people, reading=table),
        "kmeans": pf.Experiment(pf.KMeans(2), people, reading=table),
        "gan": pf.Experiment(pf.GAN(latent=1, **SMALL), people, reading=table, fitter=film),
        "codes": pf.Experiment(
            pf.Autoencoder(latent=2, **SMALL), people, reading=table, fitter=BUDGET
        ),
        "vae": pf.Experiment(pf.VAE(latent=3, **SMALL), photos, fitter=film),
        "faces": pf.Experiment(pf.VAE(latent=2, **SMALL), photos, y=True, fitter=BUDGET),
    }
    for name, experiment in experiments.items():
        experiment.run(root / name)
    return root


@pytest.fixture
def opened(place: Path) -> Callable[[str], OpenedRun]:
    """A run by its name."""
    return lambda name: open_run(place / name)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a command line writes to stdout, run in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        assert code == 0, err
        return out

    return run


@pytest.fixture
def check_written(command: Callable[..., str], tmp_path: Path) -> Callable[..., None]:
    """Fails if a figure, or the table beside it, is not the one that a command line writes."""

    def check(view: View, *line: object) -> None:
        image, table = view.write(tmp_path / "python.png")
        command(*line, "--out", "command.png")
        assert image.read_bytes() == (tmp_path / "command.png").read_bytes()
        written = tmp_path / "command.csv"
        assert written.exists() is (table is not None)
        assert table is None or table.read_text() == written.read_text()

    return check
