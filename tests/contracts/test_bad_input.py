"""Bad input: every row of the promise. Exit code 2, one line that says what was expected, what came
and what to do; no traceback; and nothing that was there before is lost or half-written.
"""

# ruff: noqa: E501 - the table is read by its rows

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pushforward.cli.main import main

SMALL = ("--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "2", "--quiet")


# ----------------------------------------------------------------------------------------- material


def table(path: Path, rows: int = 60, columns: str = "a,b,c", **replaced: object) -> Path:
    """A CSV of normal numbers; `replaced` gives the first value of a column, or all of them."""
    names = columns.split(",")
    values = np.random.default_rng(0).normal(size=(rows, len(names))).round(4).astype(object)
    for name, value in replaced.items():
        place = names.index(name)
        if callable(value):
            values[:, place] = [value(i) for i in range(rows)]
        else:
            values[:1, place] = value
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in values)]) + "\n")
    return path


def image(path: Path, size: tuple[int, int] = (8, 8), mode: str = "L") -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    Image.fromarray(
        np.random.default_rng(len(path.name)).integers(0, 255, shape, dtype=np.uint8)
    ).save(path)
    return path


def images(folder: Path, count: int = 40) -> Path:
    for i in range(count):
        image(folder / f"{i:03}.png")
    return folder


def levels(path: Path, kind: str) -> Path:
    x = np.random.default_rng(1).integers(0, 256, (40, 1, 4, 4))
    np.save(path, x.astype(np.uint8) if kind == "uint8" else (x / 255).astype(np.float32))
    return path


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that were fitted well, once: pca, vae and labelled vae on a table,
    and pca on bytes and on fractions.
    """
    root = tmp_path_factory.mktemp("made")
    data = table(root / "good.csv")
    labelled = table(root / "labelled.csv", columns="a,b,c,kind", kind=lambda i: "xy"[i % 2])
    fits = [
        ["fit", "pca", data, "--quiet", "--run", root / "pca"],
        ["fit", "vae", data, *SMALL, "--run", root / "vae"],
        ["fit", "vae", labelled, *SMALL, "--label", "kind", "--run", root / "labelled"],
        ["fit", "pca", levels(root / "bytes.npy", "uint8"), "--quiet", "--run", root / "bytes"],
        [
            "fit",
            "pca",
            levels(root / "fractions.npy", "float"),
            "--quiet",
            "--run",
            root / "fractions",
        ],
    ]
    for arguments in fits:
        assert main([str(a) for a in arguments]) == 0
    return root


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was made, to work in and to break."""
    shutil.copytree(made, tmp_path / "w")
    for config in (tmp_path / "w").glob("*/run.json"):
        config.write_text(config.read_text().replace(str(made), str(tmp_path / "w")))
    monkeypatch.chdir(tmp_path / "w")
    return tmp_path / "w"


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and its digest."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def refused(
    place: Path, capfd: pytest.CaptureFixture[str], arguments: list[object], words: list[str]
) -> None:
    """The command is refused as promised, and leaves everything as it was."""
    before = snapshot(place)
    capfd.readouterr()
    code = main([str(a) for a in arguments])
    out, err = capfd.readouterr()
    assert code == 2, (code, out, err)
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: "), err
    assert "Traceback" not in err + out
    missing = [w for w in words if w.lower() not in last.lower()]
    assert not missing, f"{missing} not in: {last}"
    assert snapshot(place) == before, "something was written, changed or lost"


# ---------------------------------------------------------------------------------------- the table

Case = tuple[str, Callable[[Path], list[object]], list[str]]


def _vae(source: object, *more: object) -> list[object]:
    return ["fit", "vae", source, *SMALL, "--run", "new", *more]


def _truncated_image(w: Path) -> Path:
    folder = images(w / "photos", 3)
    path = image(folder / "torn.png", (64, 64))
    path.write_bytes(path.read_bytes()[:900])
    return folder


def _unreadable_image(w: Path) -> Path:
    folder = images(w / "photos", 3)
    (folder / "note.png").write_text("not an image")
    return folder


def _huge_image(w: Path) -> Path:
    folder = w / "photos"
    folder.mkdir()
    Image.new("1", (20_000, 10_000)).save(folder / "huge.png")
    return folder


def _mixed(w: Path, **second: object) -> Path:
    folder = w / "photos"
    image(folder / "a.png")
    image(folder / "b.png", **second)  # type: ignore[arg-type]
    return folder


def _empty(w: Path) -> Path:
    (w / "empty").mkdir()
    return w / "empty"


def _array(path: Path, x: object) -> Path:
    np.save(path, x, allow_pickle=True)  # type: ignore[arg-type]
    return path


def _edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


class Hostile:
    """A pickle that would leave a trace if it were ever opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch opened",)


def _pickle(path: Path) -> Path:
    path.write_bytes(pickle.dumps(Hostile()))
    return path


def _flip_byte(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    return path


def _after(done: object, arguments: list[object]) -> list[object]:
    return arguments


CASES: list[Case] = [
    # the source
    ("missing path", lambda w: _vae("absent.zip"), ["absent.zip", "no such file", "expected"]),
    ("missing path, near", lambda w: _vae("god.csv"), ["god.csv", "did you mean", "good.csv"]),
    ("missing path, built-in", lambda w: _vae("digit"), ["did you mean", "digits"]),
    ("missing path to data", lambda w: ["data", "nope.csv"], ["nope.csv", "no such file"]),
    ("missing path to density", lambda w: ["density", "pca", "nope.csv"], ["nope.csv", "no such file"]),
    ("missing run", lambda w: ["sample", "nope"], ["nope", "does not exist", "expected a run folder"]),
    ("folder that is not a run", lambda w: ["sample", _empty(w)], ["not a run folder", "model.json"]),
    ("empty folder", lambda w: _vae(_empty(w)), ["empty", "image"]),
    ("empty folder to data", lambda w: ["data", _empty(w)], ["empty", "image"]),
    ("unreadable image", lambda w: _vae(_unreadable_image(w)), ["note.png"]),
    ("truncated image", lambda w: _vae(_truncated_image(w)), ["torn.png"]),
    ("200-megapixel image", lambda w: _vae(_huge_image(w)), ["huge.png", "pixel"]),
    ("mixed sizes", lambda w: _vae(_mixed(w, size=(9, 7))), ["8×8", "7×9", "--size 64"]),
    ("mixed channels", lambda w: _vae(_mixed(w, mode="RGB")), ["1 (grey)", "3 (colour)", "--channels"]),
    ("infinity in a table", lambda w: _vae(table(w / "x.csv", b="inf")), ["'b'", "infinity", "row", "replace"]),
    ("infinity in an array", lambda w: _vae(_array(w / "x.npy", np.array([[1.0, 2], [np.inf, 3]] * 30))), ["infinity", "replace"]),
    ("text column", lambda w: _vae(table(w / "x.csv", b=lambda i: "pq"[i % 2])), ["'b'", "text", "categorical", "drop"]),
    ("zero rows in a table", lambda w: _vae(table(w / "x.csv", rows=0)), ["no rows", "at least one"]),
    ("zero rows in an array", lambda w: _vae(_array(w / "x.npy", np.zeros((0, 3)))), ["no rows", "at least one"]),
    ("empty file", lambda w: _vae(_array(w / "x.npy", np.zeros(3)).write_bytes(b"") or w / "x.npy"), ["x.npy"]),
    ("missing values", lambda w: _vae(table(w / "x.csv", b="")), ["'b'", "missing", "VAE", "drop"]),
    ("missing values: who takes them", lambda w: _vae(table(w / "x.csv", b="")), ["use a model that takes missing values (", "gmm"]),
    (
        "categories: who takes them",
        lambda w: ["fit", "gmm", table(w / "x.csv", b=lambda i: "pq"[i % 2]), "--categorical", "b", "--run", "new"],
        ["'b' is categorical", "GMM", "drop", "use a model that takes categories (independent, copula, mixed, autoencoder, vae with --likelihood columns, gan, infogan, ebgan, ctgan, tvae)"],
    ),
    (
        "more components than rows",
        lambda w: ["fit", "gmm", "good.csv", "--components", "999999", "--run", "new"],
        ["GMM", "more components (999999) than there are rows", "fewer"],
    ),
    (
        "more clusters than rows",
        lambda w: ["fit", "kmeans", "good.csv", "--clusters", "999999", "--run", "new"],
        ["KMeans", "more clusters (999999) than there are rows", "fewer"],
    ),
    ("missing values, pca", lambda w: ["fit", "pca", table(w / "x.csv", b=lambda i: "" if i % 2 else i), "--run", "new"], ["missing", "PCA"]),
    ("constant column", lambda w: _vae(table(w / "x.csv", b=lambda i: 3)), ["'b'", "constant", "3", "VAE", "drop"]),
    ("one row", lambda w: _vae(table(w / "x.csv", rows=1), "--held-out", "0", "--batch", "1"), ["one row", "more data"]),
    ("one row to split", lambda w: _vae(table(w / "x.csv", rows=1)), ["1 row", "more data"]),
    ("fewer rows than a batch", lambda w: _vae(table(w / "x.csv", rows=10)), ["fewer rows (8)", "batch", "16", "pass --batch 8, or"]),
    ("fewer rows than codes", lambda w: _vae(table(w / "x.csv"), "--latent", "100"), ["at least 100 rows", "48", "more data"]),
    ("more components than columns", lambda w: ["fit", "pca", "good.csv", "--components", "9", "--run", "new"], ["components", "3", "9"]),
    # what does not fit the model
    ("fractions for levels", lambda w: ["density", "bytes", "fractions.npy"], ["levels 0..255", "0..1", "multiply"]),
    ("levels for fractions", lambda w: ["encode", "fractions", "bytes.npy"], ["0..1", "255", "divide"]),
    ("levels for fractions, reconstruct", lambda w: ["reconstruct", "fractions", "bytes.npy", "-o", "x.npz"], ["0..1", "divide"]),
    ("wrong columns, encode", lambda w: ["encode", "pca", table(w / "x.csv", columns="a,b")], ["'c'", "missing", "expected a, b, c"]),
    ("wrong columns, density", lambda w: ["density", "vae", _array(w / "x.npy", np.zeros((5, 2)))], ["expected 3 columns", "2"]),
    ("wrong condition, sample", lambda w: ["sample", "labelled", "--y", "z"], ["'z'", "labels", "x"]),
    ("no condition, sample", lambda w: ["sample", "labelled"], ["conditions", "--y", "x, y"]),
    ("condition unasked for", lambda w: ["sample", "vae", "--y", "x"], ["without conditions", "leave"]),
    ("wrong columns, resume", lambda w: _after(table(w / "good.csv", columns="a,b"), ["resume", "vae", "--steps", "+2"]), ["columns", "3", "2"]),
    ("other rows, resume", lambda w: _after(table(w / "good.csv", a=7), ["resume", "vae", "--steps", "+2"]), ["data differ", "same data"]),
    ("resume of pca", lambda w: ["resume", "pca"], ["pca", "one go", "fit"]),
    ("resume in another unit", lambda w: ["resume", "vae", "--epochs", "+2"], ["steps", "epochs", "extend"]),
    ("gan has no density", lambda w: ["density", "labelled", "good.csv", "--draws", "0"], ["--draws", "at least 1"]),
    # settings
    ("negative latent", lambda w: _vae("good.csv", "--latent", "-3"), ["latent", "above 0", "-3"]),
    ("zero latent", lambda w: _vae("good.csv", "--latent", "0"), ["latent", "above 0", "0"]),
    ("negative hidden", lambda w: _vae("good.csv", "--hidden", "8,-1"), ["hidden[1]", "above 0", "-1"]),
    ("zero components", lambda w: ["fit", "pca", "good.csv", "--components", "0", "--run", "new"], ["components", "at least 1", "0"]),
    ("zero epochs", lambda w: ["fit", "vae", "good.csv", "--epochs", "0", "--run", "new"], ["epochs", "above 0"]),
    ("negative batch", lambda w: _vae("good.csv", "--batch", "-4"), ["batch", "above 0", "-4"]),
    ("negative clip", lambda w: _vae("good.csv", "--clip", "-1"), ["clip", "above 0"]),
    ("ema of 2", lambda w: _vae("good.csv", "--ema", "2"), ["ema", "between 0 and 1", "2"]),
    ("held out 1.5", lambda w: _vae("good.csv", "--held-out", "1.5"), ["held_out", "between 0 and 1", "1.5"]),
    ("two budgets", lambda w: _vae("good.csv", "--epochs", "3"), ["one budget", "epochs", "steps"]),
    ("zero samples", lambda w: ["sample", "pca", "-n", "0"], ["-n", "at least 1", "0"]),
    ("text for a number", lambda w: _vae("good.csv", "--latent", "many"), ["--latent", "whole number", "'many'", "--latent 20"]),
    ("fraction for a whole number", lambda w: _vae("good.csv", "--latent", "2.5"), ["--latent", "whole number", "2.5"]),
    ("choice", lambda w: _vae("good.csv", "--on-divergence", "stopp"), ["stop, rollback", "'stopp'", "did you mean 'stop'"]),
    ("unknown likelihood", lambda w: _vae("good.csv", "--likelihood", "gausian"), ["likelihood", "gausian", "did you mean 'gaussian'"]),
    ("unknown phase", lambda w: _vae("good.csv", "--optimizer", "critic=adam"), ["no phase 'critic'", "vae"]),
    ("unknown optimiser", lambda w: _vae("good.csv", "--optimizer", "adm"), ["adm", "did you mean 'adam'"]),
    ("unknown setting", lambda w: _vae("good.csv", "--set", "latnt=3"), ["latnt", "did you mean 'latent'"]),
    ("unknown command", lambda w: ["smaple", "pca"], ["smaple", "did you mean 'sample'"]),
    ("unknown model", lambda w: ["fit", "vea", "good.csv"], ["vea", "did you mean 'vae'"]),
    ("model and source swapped", lambda w: ["fit", "good.csv", "vae"], ["did you mean", "fit vae good.csv"]),
    ("unknown flag", lambda w: _vae("good.csv", "--latnet", "3"), ["--latnet", "did you mean --latent"]),
    ("flag of another model", lambda w: ["fit", "pca", "good.csv", "--latent", "3"], ["--latent", "pca"]),
    ("missing source", lambda w: ["fit", "vae"], ["source", "got none", "fit vae"]),
    ("unknown device", lambda w: _vae("good.csv", "--device", "quantum"), ["quantum", "not available on this machine, which has cpu", "auto"]),
    ("unknown device, sample", lambda w: ["sample", "pca", "--device", "quantum"], ["quantum", "this machine has", "cpu"]),
    ("device index", lambda w: ["sample", "pca", "--device", "cuda:99"], ["cuda:99", "this machine has"]),
    ("config file missing", lambda w: ["fit", "vae", "--config", "nope.toml"], ["nope.toml", "no such config"]),
    ("config file damaged", lambda w: _after((w / "c.toml").write_text("a = = 1"), ["fit", "vae", "--config", "c.toml"]), ["c.toml", "TOML"]),
    ("config of another model", lambda w: ["fit", "pca", "--config", "vae/run.json", "--run", "new"], ["vae", "pca"]),
    ("config file, unknown", lambda w: _after((w / "c.toml").write_text("latnt = 1"), ["fit", "vae", "good.csv", "--config", "c.toml"]), ["latnt", "latent"]),
    # places
    ("run folder exists", lambda w: ["fit", "pca", "good.csv", "--run", "vae"], ["exists", "choose another", "--overwrite"]),
    ("overwriting what is no run", lambda w: _after((w / "mine").mkdir() or (w / "mine/a.txt").write_text("x"), ["fit", "pca", "good.csv", "--run", "mine", "--overwrite"]), ["not a run folder", "not overwritten"]),
    ("overwriting, but the data are bad", lambda w: ["fit", "vae", table(w / "x.csv", b="inf"), *SMALL, "--run", "vae", "--overwrite"], ["infinity"]),
    ("overwriting, but too few rows", lambda w: ["fit", "vae", table(w / "x.csv", rows=9), *SMALL, "--run", "vae", "--overwrite"], ["fewer rows"]),
    ("run folder is a file", lambda w: ["fit", "pca", "good.csv", "--run", "good.csv"], ["is a file", "choose another"]),
    ("output exists", lambda w: ["sample", "pca", "--out", "good.csv"], ["good.csv exists", "another name"]),
    ("output of the wrong kind", lambda w: ["sample", "pca", "--out", "x.png"], ["x.png", "columns", ".csv"]),
    ("no place to write", lambda w: ["fit", "pca", "good.csv", "--run", "/proc/nowhere/run"], ["/proc/nowhere", "write"]),
    ("no place to write, vae", lambda w: ["fit", "vae", "good.csv", *SMALL, "--run", "/proc/nowhere/run"], ["/proc/nowhere", "write"]),
    ("full disk", lambda w: ["sample", "pca", "--out", "/dev/full/x.csv"], ["/dev/full"]),
    # runs that are damaged
    ("truncated weights", lambda w: _after(_cut(w / "vae/model.safetensors"), ["sample", "vae"]), ["model.safetensors", "damaged", "restore"]),
    ("edited weights", lambda w: _after(_flip_byte(w / "vae/model.safetensors"), ["sample", "vae"]), ["changed", "digest", "restore"]),
    ("missing weights", lambda w: _after((w / "vae/model.safetensors").unlink(), ["sample", "vae"]), ["model.safetensors", "missing"]),
    ("hostile pickle for weights", lambda w: _after(_pickle(w / "vae/model.safetensors"), ["sample", "vae"]), ["pickle", "safetensors"]),
    ("hostile pickle for data", lambda w: _vae(_array(w / "x.npy", np.array([Hostile()], dtype=object))), ["pickle", "never opened"]),
    ("truncated description", lambda w: _after(_cut(w / "vae/model.json"), ["sample", "vae"]), ["model.json", "damaged", "restore"]),
    ("edited description", lambda w: _after(_edit(w / "vae/model.json", '"latent": 2', '"latent": 3'), ["sample", "vae"]), ["changed", "restore"]),
    ("newer format", lambda w: _after(_edit(w / "vae/model.json", '"format": 2', '"format": 99'), ["sample", "vae"]), ["format 99", "newer", "upgrade"]),
    ("damaged run.json", lambda w: _after(_cut(w / "vae/run.json"), ["resume", "vae", "--steps", "+2"]), ["run.json", "damaged"]),
    ("newer run.json", lambda w: _after(_edit(w / "vae/run.json", '"format": 2', '"format": 99'), ["resume", "vae"]), ["format 99", "newer"]),
    ("no run.json", lambda w: _after((w / "pca/run.json").unlink(), ["evaluate", "pca"]), ["holds no run.json", "--source", "--data"]),
]  # fmt: skip


@pytest.mark.parametrize(("arrange", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bad_input_is_refused_in_one_clear_line(
    place: Path,
    capfd: pytest.CaptureFixture[str],
    arrange: Callable[[Path], list[object]],
    words: list[str],
) -> None:
    refused(place, capfd, arrange(place), words)
    assert not (place / "opened").exists(), "a pickle was opened"
    assert not (place / "new").exists(), "a run folder was left behind"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda w: table(w / "x.csv", b=""), ["missing"]),
        (lambda w: table(w / "x.csv", b=lambda i: 3), ["constant"]),
        (lambda w: table(w / "x.csv", b="inf"), ["infinity"]),
        (lambda w: table(w / "x.csv", rows=1), ["only one row"]),
        (lambda w: table(w / "x.csv", rows=2), ["fewer rows than dimensions"]),
        (lambda w: table(w / "x.csv", b=lambda i: "pq"[i % 2]), ["text", "categorical"]),
        (_unreadable_image, ["note.png"]),
        (_truncated_image, ["torn.png"]),
        (_huge_image, ["huge.png"]),
        (lambda w: _mixed(w, size=(9, 7)), ["sizes"]),
        (lambda w: _mixed(w, mode="RGB"), ["channels"]),
    ],
    ids=[
        "missing",
        "constant",
        "infinity",
        "one row",
        "few rows",
        "text",
        "unreadable",
        "truncated",
        "huge",
        "sizes",
        "channels",
    ],
)
def test_data_reports_what_fit_refuses(
    place: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], words: list[str]
) -> None:
    source = make(place)
    capfd.readouterr()
    assert main(["data", str(source)]) == 0
    out, _ = capfd.readouterr()
    assert all(w.lower() in out.lower() for w in words), out


def test_models_that_declare_issues_take_them(place: Path) -> None:
    assert (
        main(
            [
                "fit",
                "pca",
                str(table(place / "x.csv", b=lambda i: 3)),
                "--quiet",
                "--run",
                "constant",
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "fit",
                "pca",
                str(table(place / "y.csv", rows=2)),
                "--quiet",
                "--held-out",
                "0",
                "--run",
                "few",
            ]
        )
        == 0
    )


# -------------------------------------------------------------------------------------------- disks


def limited(place: Path, limit: int, *arguments: object, output: str | None = None) -> Result:
    """A command in a process whose files may not grow beyond `limit` bytes:
    a full disk, as the program sees it.
    """
    code = f"import resource,sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); from pushforward.cli.main import main; sys.exit(main())"
    with open(output or os.devnull, "w") as out:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=place,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return Result(done.returncode, "", done.stderr)


def test_a_disk_that_fills_up_while_fitting(place: Path) -> None:
    before = snapshot(place)
    done = limited(place, 3000, "fit", "vae", "good.csv", *SMALL, "--hidden", "200", "--run", "new")
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert "new" in done.err.strip().splitlines()[-1]
    after = snapshot(place)
    assert {k: v for k, v in after.items() if not k.startswith("new/")} == before
    assert not any(k.endswith(".tmp") or ".part" in k for k in after)


def test_a_disk_that_fills_up_while_resuming_keeps_the_last_good_state(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weights = (place / "vae/model.safetensors").read_bytes()
    done = limited(place, 3000, "resume", "vae", "--steps", "+3", "--quiet")
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert (place / "vae/model.safetensors").read_bytes() == weights
    assert main(["resume", "vae", "--steps", "5", "--quiet"]) == 0
    assert json.loads((place / "vae/run.json").read_text())["fitter"]["settings"]["steps"] == 5


def test_a_disk_that_fills_up_while_saving_pca(place: Path) -> None:
    before = snapshot(place)
    done = limited(place, 300, "fit", "pca", "good.csv", "--run", "new", "--quiet")
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert snapshot(place) == before
    assert not (place / "new").exists()
    assert not list(place.glob(".new*"))


def test_a_full_disk_behind_stdout(place: Path) -> None:
    done = limited(place, 1 << 30, "sample", "pca", "-n", "4000", output="/dev/full")
    assert done.code == 2, done.err
    assert "No space left" in done.err
    assert "Traceback" not in done.err
