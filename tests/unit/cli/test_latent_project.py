"""latent and project: images with their codes, codes with their errors, and errors in one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.latent import project

SMALL = ("--hidden", "8", "--batch", "16", "--steps", "4", "-q")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    lines = [
        "height,weight,team",
        *(
            f"{h:.3f},{w:.2f},{'rb'[int(h > 1.75)]}"
            for h, w in rng.normal([1.75, 70], [0.1, 9], (60, 2))
        ),
    ]
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    for i in range(24):
        folder = root / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8)).save(folder / f"{i}.png")
    people, photos = root / "people.csv", root / "photos"
    for arguments in (
        ["fit", "pca", people, "--drop", "team", "--components", "2", "--run", root / "pca", "-q"],
        ["fit", "vae", photos, "--latent", "3", "--run", root / "vae", *SMALL],
        ["fit", "vae", photos, "--latent", "2", "--label", "auto", "--run", root / "faces", *SMALL],
        ["fit", "autoencoder", photos, "--latent", "3", "--run", root / "plain", *SMALL],
        ["fit", "gan", people, "--drop", "team", "--latent", "1", "--run", root / "gan", *SMALL],
        ["fit", "gmm", people, "--drop", "team", "--run", root / "gmm", "-q"],
    ):
        assert main([str(a) for a in arguments]) == 0
    return root


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def large(path: Any) -> bool:
    with Image.open(path) as image:
        return image.width > 150 and len(image.convert("L").getcolors(1 << 16)) > 10


@pytest.mark.parametrize(
    ("run", "kind", "codes"),
    [
        ("pca", None, 400),
        ("pca", "grid", 400),
        ("pca", "traverse", 18),
        ("pca", "path", 44),
        ("vae", None, 27),
        ("vae", "grid", 400),
        ("vae", "path", 44),
        ("vae", "direction", 72),
        ("faces", "grid", 400),
        ("faces", "traverse", 18),
        ("faces", "path", 44),
        ("plain", None, 27),
        ("plain", "grid", 400),
        ("gan", None, 60),
        ("gan", "traverse", 9),
    ],
)
def test_every_kind_leaves_an_image_and_its_codes(cli, made, run, kind, codes) -> None:
    more = ["--class", "b"] if kind == "direction" else []
    done = cli(
        "latent", made / run, *(["--kind", kind] if kind else []), *more, "--out", "a/image.png"
    )
    assert (done.code, done.out) == (0, "a/image.png\n"), done.err
    assert large("a/image.png")
    table = rows(Path("a/image.csv").read_text())
    assert len(table) == codes
    width = 1 if run == "gan" else 3 if run in ("vae", "plain") else 2
    assert [c for c in table[0] if c[0] == "z"] == [f"z{i}" for i in range(width)]


def test_it_goes_into_the_run_s_images_in_the_place_of_an_older_one(cli, made) -> None:
    for steps in (5, 4):
        done = cli(
            "latent",
            made / "vae",
            "--kind",
            "grid",
            "--steps",
            steps,
            "--reach",
            3,
            "--dims",
            "2,0",
            "--json",
        )
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert found["path"] == str(made / "vae/images/latent-grid.png")
        assert found["dims"] == [2, 0]
        table = rows(Path(found["codes"]).read_text())
        assert len(table) == steps**2
    assert [float(r["z2"]) for r in table[:4]] == pytest.approx([-3, -1, 1, 3], abs=1e-6)
    assert {float(r["z1"]) for r in table} == {0.0}
    assert float(table[0]["z0"]) == pytest.approx(3)


def test_the_ranking_is_said_and_given_as_json(cli, made) -> None:
    ranking = json.loads(cli("latent", made / "pca", "--kind", "traverse", "--json").out)["ranking"]
    model = pf.load(made / "pca")
    assert [r["dimension"] for r in ranking] == [0, 1]
    assert [r["change"] for r in ranking] == pytest.approx(model.explained_variance_.tolist())
    assert f"z0 {ranking[0]['change']:.4g}" in cli("latent", made / "pca", "--kind", "traverse").err
    assert cli("latent", made / "pca", "-q").err == ""


def test_paths_join_the_codes_of_the_rows_asked_for(cli, made) -> None:
    done = cli(
        "latent",
        made / "pca",
        "--kind",
        "path",
        "--rows",
        "3,5",
        "--steps",
        3,
        "--out",
        "p.svg",
        "--data",
        made / "people.csv",
    )
    assert done.code == 0, done.err
    table = rows(Path("p.csv").read_text())
    codes = rows(cli("encode", made / "pca", made / "people.csv").out)
    for column in ("z0", "z1"):
        assert float(table[0][column]) == pytest.approx(float(codes[3][column]))
        assert float(table[2][column]) == pytest.approx(float(codes[5][column]))


def test_traversals_stand_at_a_row(cli, made) -> None:
    assert (
        cli("latent", made / "pca", "--kind", "traverse", "--rows", "7", "--out", "p.png").code == 0
    )
    table = rows(Path("p.csv").read_text())
    code = rows(cli("encode", made / "pca", made / "people.csv").out)[7]
    assert [float(r["z1"]) for r in table if r["dimension"] == "0"] == pytest.approx(
        [float(code["z1"])] * 9
    )


def test_a_direction_says_how_well_it_tells_the_classes(cli, made) -> None:
    done = cli(
        "latent", made / "pca", "--kind", "direction", "--label", "team", "--out", "d.png", "--json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["accuracy"]["quantity"] == "balanced accuracy"
    assert found["accuracy"]["n"] == 12
    assert np.linalg.norm(found["vector"]) == pytest.approx(1)
    assert "of held-out rows classified correctly by it (50% by chance)" in done.err
    table = rows(Path("d.csv").read_text())
    assert sorted({float(r["strength"]) for r in table}) == pytest.approx(
        [-0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
    )


def test_a_model_saved_from_python_is_drawn_by_its_prior(cli, made, tmp_path) -> None:
    pf.PCA(2).fit(torch.randn(50, 3, generator=torch.Generator().manual_seed(0))).save(
        tmp_path / "saved"
    )
    done = cli("latent", tmp_path / "saved")
    assert done.code == 0
    assert "drawn without rows" in done.err
    done = cli("latent", tmp_path / "saved", "--kind", "path")
    assert (done.code, done.out) == (2, "")
    assert "pass --data FILE" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pca", "--kind", "gird"], "did you mean 'grid'?"),
        (["gmm"], "the gmm model does not decode codes; models that do: "),
        (["pca", "--dims", "0,2", "--kind", "grid"], "no latent dimension 2: codes have 2"),
        (["pca", "--dims", "a,b", "--kind", "grid"], "--dims must be whole numbers from 0"),
        (["pca", "--kind", "path", "--rows", "0,1,2"], "ends of paths in pairs, got 3 rows"),
        (
            ["pca", "--kind", "path", "--rows", "0,1000"],
            "there is no row 1000: there are 60, counted from 0",
        ),
        (
            ["pca", "--kind", "path", "--along", "arc"],
            "--along must be 'line' or 'sphere', got 'arc'",
        ),
        (
            ["gan", "--kind", "direction", "--label", "team"],
            "the gan model cannot encode observations",
        ),
        (["gan", "--out", "a.gif"], "only walks through images can be a .gif"),
        (["pca", "--kind", "direction"], "needs labels"),
        (["vae", "--kind", "direction", "--class", "c"], "--class 'c' is none of the labels"),
        (["pca", "--steps", "0"], "steps must be above 0, got 0"),
        (["vae", "--y", "a"], "fitted without conditions; leave --y out"),
        (["faces", "--y", "c"], "--y 'c' is none of the labels"),
        (["pca", "--out", "a.xyz"], "expected .png, .pdf or .svg"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(cli, made, arguments, said) -> None:
    done = cli("latent", made / arguments[0], *arguments[1:])
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.splitlines()[-1].startswith("error: ")


# ------------------------------------------------------------------------------------------ project


def test_projection_gives_codes_and_errors(cli, made) -> None:
    done = cli("project", made / "gan", made / "people.csv", "--seed", 3)
    assert done.code == 0, done.err
    found = rows(done.out)
    assert list(found[0]) == ["z0", "error"]
    assert len(found) == 60
    x = pf.read(str(made / "people.csv"), drop="team", label=False).x
    expected = project(pf.load(made / "gan"), x, rng=3)
    assert [float(r["error"]) for r in found] == pytest.approx(expected.error.tolist(), rel=1e-4)
    assert "squared error per observation" in done.err
    assert done.out == cli("project", made / "gan", made / "people.csv", "--seed", 3).out
    first = json.loads(
        cli("project", made / "gan", made / "people.csv", "--seed", 3, "--json").out.splitlines()[0]
    )
    assert first["error"] == pytest.approx(float(found[0]["error"]))


def test_projections_of_images_are_written_beside_their_originals(cli, made) -> None:
    done = cli(
        "project",
        made / "vae",
        made / "photos",
        "--start",
        "hybrid",
        "-o",
        "codes.npz",
        "--restored",
        "back/",
    )
    assert (done.code, done.out) == (0, "codes.npz\n"), done.err
    content = np.load("codes.npz")
    assert content["x"].shape == (24, 3)
    assert content["error"].shape == (24,)
    assert len(list(Path("back").glob("*.png"))) == 24
    begun = cli("project", made / "vae", made / "photos", "--steps", "0")
    assert float(np.mean([float(r["error"]) for r in rows(begun.out)])) > content["error"].mean()
    assert list(rows(begun.out)[0]) == ["z0", "z1", "z2", "error", "file"]
    assert large(made / "vae/images/projections-photos.png")
    assert cli("project", made / "vae", made / "photos", "-o", "codes.npz").code == 2


def test_models_with_conditions_and_without_a_prior(cli, made) -> None:
    done = cli("project", made / "faces", made / "photos", "--start", "prior", "-q", "-o", "a.csv")
    assert (done.code, done.err) == (0, "")
    assert len(rows(Path("a.csv").read_text())) == 24
    assert (
        cli(
            "project",
            made / "plain",
            made / "photos",
            "--start",
            "hybrid",
            "--prior-weight",
            "1",
            "-o",
            "b.csv",
        ).code
        == 0
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gan", "--start", "encoder"], "GAN has no encoder to start from; pass --start prior"),
        (
            ["vae", "--start", "middle"],
            "--start must be 'encoder', 'prior' or 'hybrid', got 'middle'",
        ),
        (["gmm"], "the gmm model does not decode codes; models that do: "),
        (["pca", "--steps", "-1"], "must not be below 0"),
        (["pca", "--out", "a.npy"], "an .npy file holds no errors beside the codes"),
    ],
)
def test_what_cannot_be_projected_is_one_line(cli, made, arguments, said) -> None:
    file = made / ("photos" if arguments[0] == "vae" else "people.csv")
    done = cli("project", made / arguments[0], file, *arguments[1:])
    assert (done.code, done.out) == (2, "")
    assert said in done.err
