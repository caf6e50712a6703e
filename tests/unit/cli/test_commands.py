"""What goes in comes out: fit, then every verb, on tables, images and labels;
resume; seeds; JSON.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.preparation import dequantise
from pushforward.core.source_views import Subset, without_labels
from pushforward.experiments import opened as runs
from pushforward.experiments.closing import STEPS

SMALL = ("--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "4", "-q")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with its runs, and small images with labels and their runs."""
    root = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    height, age = rng.normal(1.75, 0.1, 60).round(3), rng.integers(20, 60, 60)
    lines = [
        "height,age,team",
        *(f"{h},{a},{'rb'[i % 2]}" for i, (h, a) in enumerate(zip(height, age))),
    ]
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    for i in range(40):
        folder = root / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8)).save(folder / f"{i}.png")
    for arguments in (
        ["fit", "pca", root / "people.csv", "--drop", "team", "--run", root / "pca", "-q"],
        ["fit", "vae", root / "people.csv", "--drop", "team", "--run", root / "vae", *SMALL],
        ["fit", "vae", root / "photos", "--label", "auto", "--run", root / "faces", *SMALL],
        ["fit", "autoencoder", root / "photos", "--run", root / "plain", *SMALL],
    ):
        assert main([str(a) for a in arguments]) == 0
    return root


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_run_folder_describes_itself(made: Path) -> None:
    for name in ("pca", "vae", "faces", "plain"):
        have = {p.name for p in (made / name).iterdir()}
        assert have >= {"model.safetensors", "model.json", "log.jsonl", "README.md", "run.json"}
        assert json.loads((made / name / "model.json").read_text())["command"].startswith(
            "pushforward fit "
        )
    assert {p.name for p in (made / "faces/images").iterdir()} == {
        "samples.png",
        "reconstructions.png",
    }
    card = (made / "vae/README.md").read_text()
    assert all(
        word in card
        for word in (
            "height",
            "elbo",
            "48 training rows; 12 held out",
            "pushforward sample",
            "pf.load",
        )
    )
    assert json.loads((made / "pca/log.jsonl").read_text().splitlines()[-1])["event"] == "finished"
    assert isinstance(pf.load(made / "vae"), pf.VAE)


def test_samples_of_a_table_have_its_columns_and_units(made: Path, cli) -> None:
    first = cli("sample", made / "pca", "-n", "5", "--seed", "3")
    again = cli("sample", made / "pca", "-n", "5", "--seed", "3")
    assert first.out == again.out
    assert cli("sample", made / "pca", "-n", "5", "--seed", "4").out != first.out
    drawn = rows(first.out)
    assert list(drawn[0]) == ["height", "age"]
    assert len(drawn) == 5
    assert all(r["age"] == str(int(r["age"])) for r in drawn)
    as_json = [
        json.loads(line)
        for line in cli("sample", made / "pca", "-n", "5", "--seed", "3", "--json").out.splitlines()
    ]
    assert [str(r["age"]) for r in as_json] == [r["age"] for r in drawn]
    done = cli("sample", made / "pca", "-n", "5", "--seed", "3", "--out", "x.csv")
    assert done.out == "x.csv\n"
    assert Path("x.csv").read_text() == first.out


def test_samples_of_images_are_images(made: Path, cli) -> None:
    done = cli("sample", made / "faces", "--y", "a,b", "-n", "6", "--out", "drawn/")
    assert done.code == 0
    assert sorted(p.parent.name for p in Path("drawn").rglob("*.png")) == ["a"] * 3 + ["b"] * 3
    assert Image.open(next(Path("drawn").rglob("*.png"))).size == (6, 6)
    cli("sample", made / "faces", "--y", "a", "-n", "4", "--out", "x.npz")
    assert np.load("x.npz")["x"].dtype == np.uint8
    done = cli("sample", made / "faces", "--y", "b")
    assert Image.open(done.out.strip()).mode == "L"


def test_codes_and_reconstructions(made: Path, cli) -> None:
    table = made / "people.csv"
    codes = rows(cli("encode", made / "pca", table).out)
    assert list(codes[0]) == ["z0", "z1"]
    assert len(codes) == 60
    back = rows(cli("reconstruct", made / "pca", table).out)
    assert [r["age"] for r in back] == [r["age"] for r in rows(table.read_text())]
    assert "squared error" in cli("reconstruct", made / "vae", table).err
    done = cli("reconstruct", made / "plain", made / "photos")
    assert Image.open(done.out.strip()).size[0] > 6
    cli("reconstruct", made / "plain", made / "photos", "-o", "back/")
    assert len(list(Path("back").glob("*.png"))) == 40


def test_density_finds_the_odd_one_out(made: Path, cli) -> None:
    text = (made / "people.csv").read_text().replace("\n", "\n1.75,900,r\n", 1)
    Path("odd.csv").write_text(text)
    for run, quantity in (("pca", "log_density"), ("vae", "log_density_bound")):
        found = rows(cli("density", made / run, "odd.csv", "--draws", "5").out)
        assert len(found) == 61
        assert [r["row"] for r in found if r["rank"] == "1"] == ["0"]
        assert sorted(int(r["rank"]) for r in found) == list(range(1, 62))
        values = [float(r[quantity]) for r in found]
        assert values[0] == min(values)
        top = rows(cli("density", made / run, "odd.csv", "--draws", "5", "--top", "2").out)
        assert [r["rank"] for r in top] == ["1", "2"]
    done = cli("density", made / "plain", made / "photos")
    assert done.code == 2
    assert "models that do: " in done.err
    assert "pca" in done.err


def test_density_is_that_of_the_model_on_the_rows_themselves(made: Path, cli) -> None:
    found = rows(cli("density", made / "pca", made / "people.csv").out)
    source = pf.read(str(made / "people.csv"), drop="team", label=False)
    expected = pf.load(made / "pca").log_prob(source.x)
    assert np.allclose(
        [float(r["log_density"]) for r in found], expected.numpy(), rtol=0, atol=1e-9
    )


def test_evaluate_puts_like_beside_like_on_rows_that_were_set_aside(made: Path, cli) -> None:
    done = cli("evaluate", made / "pca", made / "vae", "--draws", "5", "--json")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert {r["quantity"] for r in records} == {"log_prob", "elbo", "iwae", "squared_error"}
    assert {r["n"] for r in records} == {12}
    assert len({r["data"] for r in records}) == 1
    source = pf.read(str(made / "people.csv"), drop="team", label=False)
    _, held_out = pf.split(source, held_out=0.2, seed=0)
    exact = float(pf.load(made / "pca").log_prob(held_out.all().x).mean())
    assert abs(next(r for r in records if r["quantity"] == "log_prob")["value"] - exact) < 1e-9
    table = cli("evaluate", made / "pca", made / "vae", "--draws", "5")
    assert "log-density" in table.out
    assert "density per unit" in table.err


def test_evaluate_puts_runs_on_other_rows_in_tables_of_their_own(
    made: Path, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # names of runs are not divided, however long
    done = cli("evaluate", made / "pca", made / "faces", made / "vae", "--draws", "0")
    assert done.code == 0
    first, second = done.out.split("measured on ")[1:]
    assert first.startswith("people.csv test (12 rows")
    assert [Path(made / name).name in first for name in ("pca", "vae", "faces")] == [1, 1, 0]
    assert second.startswith("photos")
    assert "faces" in second


def test_the_numbers_in_the_card_are_those_of_evaluate(made: Path, cli) -> None:
    value = next(json.loads(x) for x in cli("evaluate", made / "pca", "--json").out.splitlines())[
        "value"
    ]
    assert f"| log_prob | {value:.6g} |" in (made / "pca/README.md").read_text()


def test_resume_extends_a_run_as_if_it_had_been_longer(made: Path, cli) -> None:
    shutil.copytree(made / "vae", "run")
    done = cli("resume", "run", "--steps", "+3")
    assert done.code == 0
    assert done.out == "run\n"
    longer = [*SMALL[:-2], "7", "-q"]
    assert (
        cli("fit", "vae", made / "people.csv", "--drop", "team", "--run", "long", *longer).code == 0
    )
    one, two = pf.load("run").state_dict(), pf.load("long").state_dict()
    assert all(bool((one[k] == two[k]).all()) for k in two)
    assert json.loads(Path("run/run.json").read_text())["fitter"]["settings"]["steps"] == 7


def test_json_gives_every_event_and_the_result(made: Path, cli) -> None:
    done = cli("fit", "vae", "ring:100", *SMALL, "--json", "--run", "r")
    events = [json.loads(line) for line in done.out.splitlines()]
    names = [e["event"] for e in events]
    assert names[0] == "started"
    assert names[-2:] == ["finished", "result"]
    assert events[-1]["run"] == "r"
    assert done.err == ""


def test_plain_lines_tell_samples_terms_and_quality(made: Path, cli) -> None:
    done = cli("fit", "vae", "ring:100", *SMALL[:-1])
    assert done.out == "runs/vae-ring-100-1\n"
    assert all(
        word in done.err
        for word in (
            "distortion",
            "rate",
            "held-out quality",
            "64 samples of 64",
            "latent=2",
            "pushforward sample",
        )
    )
    assert cli("fit", "vae", "ring:100", *SMALL).out == "runs/vae-ring-100-2\n"
    assert "\x1b" not in done.err


def test_a_config_file_repeats_a_fit(made: Path, cli) -> None:
    cli(
        "fit",
        "vae",
        "ring:100",
        *SMALL,
        "--likelihood",
        "gaussian(sigma=0.3)",
        "--optimizer",
        "adam(rate=0.01)",
        "--run",
        "one",
    )
    assert cli("fit", "--config", "one/run.json", "--run", "two", "-q").code == 0
    one, two = pf.load("one").state_dict(), pf.load("two").state_dict()
    assert all(bool((one[k] == two[k]).all()) for k in two)
    assert (
        cli(
            "fit",
            "vae",
            "--config",
            "one/run.json",
            "--no-keep-best",
            "--run",
            "one",
            "--overwrite",
            "-q",
        ).code
        == 0
    )


def test_start_fine_tunes(made: Path, cli) -> None:
    cli("fit", "vae", "ring:100", *SMALL, "--run", "one")
    assert cli("fit", "vae", "ring:100", *SMALL, "--start", "one", "--run", "two").code == 0
    assert json.loads(Path("two/run.json").read_text())["model"]["start"] is not None


def test_integer_columns_are_dequantised_on_request_only(made: Path, cli) -> None:
    assert json.loads((made / "pca/run.json").read_text())["data"]["dequantise"] is False
    done = cli(
        "fit",
        "pca",
        made / "people.csv",
        "--columns",
        "height,age",
        "--dequantise",
        "--run",
        "noisy",
    )
    assert done.code == 0, done.err
    assert json.loads(Path("noisy/run.json").read_text())["data"]["dequantise"] is True
    source = dequantise(pf.read(str(made / "people.csv"), columns="height,age", label=False), 0)
    train, held_out = pf.split(source, held_out=0.2, seed=0)
    expected = pf.PCA().fit(train)
    assert torch.equal(pf.load("noisy").mean_, expected.mean_)
    record = json.loads(cli("evaluate", "noisy", "--json").out.splitlines()[0])
    assert abs(record["value"] - float(expected.log_prob(held_out.all().x).mean())) < 1e-9


def test_keep_best_chooses_by_rows_other_than_those_set_aside(made: Path, cli) -> None:
    assert cli("fit", "vae", "ring:200", *SMALL, "--keep-best", "--run", "r").code == 0
    assert json.loads(Path("r/run.json").read_text())["fitter"]["settings"]["held_out"] == 0.1


def test_overwrite_replaces_a_run(made: Path, cli) -> None:
    for model, more in (("pca", ()), ("vae", SMALL)):
        shutil.copytree(made / "pca", "run", dirs_exist_ok=True)
        assert (
            cli("fit", model, "ring:100", "--run", "run", "--overwrite", *(more or ["-q"])).code
            == 0
        )
        assert pf.load("run").registered_name == model
        shutil.rmtree("run")


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    fit = [
        "fit",
        "vae",
        "ring:200",
        "--latent",
        "2",
        "--hidden",
        "8",
        "--steps",
        "1000000",
        "--run",
        "run",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "pushforward.cli.main", *fit], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    log = tmp_path / "run/log.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and '"progress"' in log.read_text()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Continue with: pushforward resume run" in err
    assert "Traceback" not in err
    assert out == ""
    reached = max(int(path.stem) for path in (tmp_path / "run/state").glob("*.safetensors"))
    assert main(["resume", str(tmp_path / "run"), "--samples", str(reached), "-q"]) == 0


@pytest.mark.parametrize("memory", [1 << 30, 1], ids=["in memory", "from disk"])
def test_rows_of_images_carry_the_names_of_their_files(made: Path, memory: int) -> None:
    photos = made / "photos"
    whole = pf.read(photos, memory=memory)
    sources = {
        "whole": (whole, slice(None)),
        "subset": (Subset(whole, torch.tensor([3, 1, 30])), [3, 1, 30]),
        "without labels": (without_labels(whole), slice(None)),
        "subset without labels": (without_labels(Subset(whole, torch.tensor([2, 0]))), [2, 0]),
        "dequantised": (dequantise(whole), slice(None)),
    }
    assert whole.condition_space is not None
    names = np.array(runs.file_names(whole))
    assert sorted(Path(n).name for n in names) == sorted(p.name for p in photos.rglob("*.png"))
    pixels = {n: np.asarray(Image.open(next(photos.rglob(Path(n).name)))) for n in names}
    for what, (source, places) in sources.items():
        found = runs.file_names(source)
        assert found == names[places].tolist(), what
        x = source.take(torch.arange(len(source))).x[:, 0].round().numpy()
        if what != "dequantised":
            assert all(np.array_equal(row, pixels[name]) for row, name in zip(x, found)), what
    assert runs.file_names(pf.read(made / "people.csv", drop=["team"])) is None


@pytest.mark.parametrize(
    ("command", "run"), [("density", "faces"), ("encode", "faces"), ("encode", "plain")]
)
def test_what_is_told_of_images_names_their_files(cli, made: Path, command: str, run: str) -> None:
    done = cli(
        command, made / run, made / "photos", *(["--draws", 2] if command == "density" else [])
    )
    assert done.code == 0, done.err
    found = [Path(row["file"]).name for row in rows(done.out)]
    assert sorted(found) == sorted(p.name for p in (made / "photos").rglob("*.png"))


@pytest.mark.parametrize(
    ("command", "fit", "more"),
    [
        ("assign", ["kmeans", "--clusters", 2], []),
        ("density", ["gaussian"], ["--top", 5]),
        ("density", ["gaussian"], ["--json"]),
    ],
)
def test_clusters_and_densities_of_pictures_name_the_file_of_each_row(
    cli, made: Path, command: str, fit: list, more: list
) -> None:
    assert cli("fit", fit[0], made / "photos", "--run", "run", *fit[1:], "-q").code == 0
    done = cli(command, "run", made / "photos", *more)
    assert done.code == 0, done.err
    found = (
        [json.loads(line) for line in done.out.splitlines()] if "--json" in more else rows(done.out)
    )
    names = runs.file_names(pf.read(made / "photos"))
    assert names is not None
    assert len(found) == (5 if "--top" in more else 40)
    assert [row["file"] for row in found] == [names[int(row["row"])] for row in found]


@pytest.mark.parametrize(
    ("title", "code"), [("日本 ☃", 0), ("x" * 120, 0), ("x" * 121, 2), ("x" * 3000, 2)]
)
def test_titles_that_a_font_lacks_or_that_do_not_fit(tmp_path, capfd, title, code):
    """Glyphs that a font lacks are a warning;
    a title too long for any image is refused in one line.
    """
    from pushforward.cli.main import main as run_command

    folder = tmp_path / "run"
    assert run_command(["fit", "gmm", "moons", "--run", str(folder), "-q"]) == 0
    capfd.readouterr()
    assert (
        run_command(["plot", str(folder), "--title", title, "--out", str(tmp_path / "x.png"), "-q"])
        == code
    )
    said = capfd.readouterr().err
    if code:
        assert (
            said.strip()
            == f"error: --title has {len(title)} characters, expected at most 120; shorten it"
        )
    assert (tmp_path / "x.png").exists() == (code == 0)
    assert ("Glyph" in said) == (title == "日本 ☃")


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ("pca", []), ("kde", []), ("gaussian", []), ("gmm", ["--components", "2"]),
        ("kmeans", ["--clusters", "2"]), ("kmeans", ["--clusters", "2", "--held-out", "0"]),
        ("autoencoder", ["--steps", "2"]), ("autoencoder", ["--steps", "2", "--held-out", "0"]),
        ("vae", ["--steps", "2"]), ("gan", ["--steps", "2"]), ("infogan", ["--steps", "2"]),
        ("ebgan", ["--steps", "2"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["ring:80", "digits"])
def test_what_a_fit_says_comes_next_works(model: str, flags: list[str], source: str, cli) -> None:
    done = cli("fit", model, source, *flags, "--run", "run")
    assert done.code == 0, done.err
    lines = done.err[done.err.index("next:") :].splitlines()
    commands = [line.split("pushforward ")[1] for line in lines]
    assert commands
    for command in commands:
        long = {str(steps): "3" for steps, _ in STEPS.values()}  # a GAN is told to go on
        instead = {"FILE": source, **long}
        words = [instead.get(word, word) for word in command.split()]
        assert cli(*words).code == 0, command
