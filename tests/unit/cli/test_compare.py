"""`pushforward compare`: two sources, a run, feature spaces by name, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pushforward.cli.main import main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arrays of one distribution and of another, labelled images,
    a table with categories, and runs on them.
    """
    root = tmp_path_factory.mktemp("compared")
    rng = np.random.default_rng(0)
    for name, shift in (("a", 0), ("b", 0), ("c", 2)):
        np.save(root / f"{name}.npy", rng.normal(shift, 1, (400, 3)))
    labels = np.arange(240) % 2
    images = (rng.integers(0, 100, (240, 1, 8, 8)) + 100 * labels[:, None, None, None]).astype(
        np.uint8
    )
    np.savez(root / "images.npz", x=images, y=labels)
    lines = [
        "height,age,team",
        *(
            f"{h:.3f},{a},{'rb'[i % 2]}"
            for i, (h, a) in enumerate(zip(rng.normal(1.7, 0.1, 90), range(90)))
        ),
    ]
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    for arguments in (
        ["fit", "pca", root / "a.npy", "--run", root / "run", "-q"],
        [
            "fit",
            "vae",
            root / "images.npz",
            "--label",
            "y",
            "--run",
            root / "cvae",
            "--latent",
            "2",
            "--hidden",
            "8",
            "--steps",
            "3",
            "-q",
        ],
    ):
        assert main([str(a) for a in arguments]) == 0
    return root


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_distribution_and_another(made: Path, cli) -> None:
    found = {
        r["quantity"]: r
        for r in records(cli("compare", made / "a.npy", made / "b.npy", "--json").out)
    }
    assert list(found) == ["fid", "kid", "precision", "recall", "density", "coverage", "c2st"]
    assert abs(found["kid"]["value"]) < 4 * found["kid"]["error"]
    assert found["c2st"]["details"]["p"] > 0.001
    assert found["fid"]["details"]["real"] == found["fid"]["n"] == 400
    assert found["fid"]["data"].startswith("a.npy (400 rows")
    shifted = {
        r["quantity"]: r
        for r in records(cli("compare", made / "a.npy", made / "c.npy", "--json").out)
    }
    assert shifted["fid"]["value"] == pytest.approx(12, abs=1.5)
    assert shifted["c2st"]["details"]["p"] < 1e-6


def test_the_table_has_a_column_for_each_set(made: Path, cli) -> None:
    done = cli(
        "compare",
        made / "a.npy",
        made / "b.npy",
        made / "c.npy",
        "--features",
        "raw,pca(2)",
        "--metrics",
        "fid,ks",
    )
    assert done.code == 0
    assert done.out.count("features:") == 2
    assert "b.npy (400)" in done.out.replace("\n", "")
    assert "ks x2" in done.out
    assert "(p " in done.out
    assert "compared with a.npy" in done.err


def test_the_same_seed_gives_the_same_numbers(made: Path, cli) -> None:
    asked = ("compare", made / "a.npy", made / "run", "--rows", "150", "--json")
    first = cli(*asked, "--seed", "3").out
    assert first == cli(*asked, "--seed", "3").out
    assert first != cli(*asked, "--seed", "4").out
    found = records(first)
    assert {r["n"] for r in found} == {150}
    assert "150 drawn by seed 3" in found[0]["data"]
    assert "150 draws of" in found[0]["details"]["compared"]


def test_known_modes_are_counted_and_drawn_names_are_drawn_afresh(made: Path, cli) -> None:
    done = cli("compare", "eight_gaussians:500", "eight_gaussians:500", "--json")
    found = {r["quantity"]: r for r in records(done.out)}
    assert found["modes"]["value"] == 8
    assert found["high_quality"]["details"]["ideal"] == pytest.approx(0.98889, abs=1e-5)
    assert found["reverse_kl"]["details"]["ideal"] == pytest.approx(7 / 1000)
    assert "same rows" not in done.err
    assert "same rows" in cli("compare", made / "a.npy", made / "a.npy", "--metrics", "kid").err


def test_a_conditional_run_is_drawn_under_the_labels_of_the_real_rows(made: Path, cli) -> None:
    done = cli(
        "compare",
        made / "images.npz",
        made / "cvae",
        "--label",
        "y",
        "--features",
        "classifier",
        "--metrics",
        "kid,diversity",
        "--json",
    )
    assert done.code == 0, done.err
    found = records(done.out)
    assert found[0]["n"] == 240
    assert found[0]["details"]["features"].startswith("classifier of 2 labels #")
    assert "accuracy" in done.err


def test_two_conditional_runs_are_drawn_under_labels_of_their_training_rows(
    made: Path, cli
) -> None:
    plain = ("--features", "raw", "--metrics", "kid", "--json")
    done = cli("compare", made / "cvae", made / "cvae", *plain)
    assert done.code == 0, done.err
    assert "under labels drawn as in its training rows" in done.out + done.err


def test_memorisation_against_the_rows_learnt_from(made: Path, cli) -> None:
    done = cli(
        "compare",
        made / "b.npy",
        made / "a.npy",
        "--train",
        made / "a.npy",
        "--metrics",
        "memorisation",
        "--json",
    )
    assert [r["value"] for r in records(done.out)] == [1.0, 1.0]


def test_categories_become_columns_with_names(made: Path, cli) -> None:
    done = cli(
        "compare",
        made / "people.csv",
        made / "people.csv",
        "--categorical",
        "team",
        "--metrics",
        "ks",
        "--json",
    )
    assert [r["quantity"] for r in records(done.out)] == [
        "ks height",
        "ks age",
        "ks team=b",
        "ks team=r",
    ]
    assert all(r["value"] == 0 for r in records(done.out))


def test_of_too_few_rows_fid_comes_with_a_warning(made: Path, cli) -> None:
    done = cli("compare", made / "images.npz", made / "images.npz", "--rows", "60", "--json")
    assert done.code == 0
    assert "warning: fid: 60 real and 60 generated rows" in done.err
    assert "pca(6)" in done.err
    found = next(r for r in records(done.out) if r["quantity"] == "fid")
    assert found["value"] is not None
    assert found["error"] is not None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--features", "pcaa"], "did you mean 'pca'"),
        (["--metrics", "fidd"], "did you mean 'fid'"),
        (["--metrics", "modes"], "eight_gaussians and grid"),
        (["--metrics", "parzen"], "--train"),
        (["--rows", "1"], "at least 2"),
        (["--features", ","], "expected names"),
        (["--features", "classifier"], "labels"),
    ],
)
def test_what_cannot_be_done_is_said(made: Path, cli, more: list[str], said: str) -> None:
    done = cli("compare", made / "a.npy", made / "b.npy", *more)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_tables_of_different_units_are_compared_standardised(tmp_path: Path, cli) -> None:
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        rows = [f"{a:.1f},{w:.0f}" for a, w in rng.normal([40, 3e4], [10, 1e4], (60, 2))]
        (tmp_path / f"{name}.csv").write_text("\n".join(["age,income", *rows]) + "\n")
    done = cli("compare", "one.csv", "two.csv", "--metrics", "kid,fid", "--json")
    for record in records(done.out):
        assert record["details"]["features"].startswith("scaled")
        assert record["value"] < 1
    assert "--features raw compares them as they are" in done.err
    raw = cli("compare", "one.csv", "two.csv", "--metrics", "fid", "--features", "raw", "--json")
    assert records(raw.out)[0]["details"]["features"].startswith("raw")
    assert "compares them as they are" not in raw.err
    alike = cli("compare", "ring:60", "moons:60", "--metrics", "fid", "--json")
    assert records(alike.out)[0]["details"]["features"].startswith("raw")
