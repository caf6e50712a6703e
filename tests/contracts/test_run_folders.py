"""Run folders: what may be replaced, when, by whom;
what is left after a fault; equal runs are equal files.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core import folders, storage
from pushforward.fitting.em import EM

SMALL = ["--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "3", "-q"]
FITS = {"pca": ["fit", "pca", "x.csv", "-q"], "vae": ["fit", "vae", "x.csv", *SMALL]}
X = np.random.default_rng(0).normal(size=(40, 3))


def _from_python(folder: Path, overwrite: bool) -> int:
    try:
        pf.PCA(1).fit(X).save(folder, overwrite=overwrite)
    except pf.PushforwardError:
        return 2
    return 0


def _trained(folder: Path, overwrite: bool) -> int:
    try:
        pf.VAE(latent=1, hidden=(4,)).fit(
            X, by=pf.Trainer(steps=2, batch=8, run=folder, overwrite=overwrite)
        )
    except pf.PushforwardError:
        return 2
    return 0


def _typed(model: str) -> Callable[[Path, bool], int]:
    return lambda folder, overwrite: main(
        [*FITS[model], "--run", str(folder), *(["--overwrite"] if overwrite else [])]
    )


WRITERS: dict[str, Callable[[Path, bool], int]] = {
    "save": _from_python, "Trainer": _trained, "fit pca": _typed("pca"), "fit vae": _typed("vae"),
}  # fmt: skip
stays = pytest.mark.filterwarnings("ignore::pushforward.core.folders.ForeignFiles")
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each kind, made once."""
    root = tmp_path_factory.mktemp("runs")
    table(root)
    here = os.getcwd()
    os.chdir(root)
    try:
        for model, fit in FITS.items():
            assert main([*fit, "--run", model]) == 0
    finally:
        os.chdir(here)
    return root


@pytest.fixture
def place(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a table."""
    shutil.copy(runs / "x.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(folder: Path) -> None:
    (folder / "x.csv").write_text(
        "a,b,c\n" + "\n".join(",".join(map(str, row)) for row in X.tolist()) + "\n"
    )


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


# --------------------------------------------------------------------------------- what is replaced


STRANGERS: dict[str, Any] = {
    "another program's model.json": {
        "model.json": '{"layers": [1, 2]}',
        "thesis.tex": "years of work",
    },
    "an empty model.json": {"model.json": "", "thesis.tex": "years of work"},
    "a list": {"model.json": "[]"},
    "brackets": {"model.json": "[" * 100_000},
    "no model.json": {"thesis.tex": "years of work"},
    "names like ours alone": {"log.jsonl": "mine", "README.md": "# mine"},
    "a config of somebody's": {"config.toml": "model = 'mine'"},
    "another program's trainer.json": {"trainer.json": "{}"},
    "another program's run.json": {"run.json": '{"model": "mine"}'},
}


@every_writer
@pytest.mark.parametrize("files", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_folder_that_is_no_run_is_never_touched(
    place: Path, write: Callable[[Path, bool], int], files: dict[str, str]
) -> None:
    (place / "run").mkdir()
    for name, text in files.items():
        (place / "run" / name).write_text(text)
    before = content(place)
    assert write(place / "run", True) == 2
    assert write(place / "run", False) == 2
    assert content(place) == before


@every_writer
@pytest.mark.filterwarnings("default")
def test_what_no_run_wrote_stays_when_a_run_is_replaced(
    place: Path,
    runs: Path,
    write: Callable[[Path, bool], int],
    recwarn: pytest.WarningsRecorder,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(runs / "vae", place / "run")
    mine = [
        "thesis.tex",
        "README.md",
        "state/notes.txt",
        "images/holiday.png",
        "deep/er/a.txt",
        ".git/config",
        "model.json.bak",
    ]
    for name in mine:
        (place / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "run" / name).write_text(f"mine: {name}")
    old = (place / "run/model.safetensors").stat().st_mtime_ns
    assert write(place / "run", False) == 2
    assert write(place / "run", True) == 0
    assert all((place / "run" / name).read_text() == f"mine: {name}" for name in mine)
    assert (place / "run/model.safetensors").stat().st_mtime_ns > old
    assert not [p for p in (place / "run").rglob(".*") if p.name.endswith((".part", ".tmp"))]
    pf.load(place / "run")
    said = capfd.readouterr().err + "".join(str(w.message) for w in recwarn)
    assert "thesis.tex" in said or "README.md" in said
    assert "do not belong to the run" in said


@every_writer
def test_the_old_run_is_there_until_the_new_one_is_ready(
    place: Path, runs: Path, write: Callable[[Path, bool], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs / "vae", place / "run")
    before = content(place)

    def full(*given: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folders.os, "fsync", full)
    assert write(place / "run", True) == 2
    monkeypatch.undo()
    assert content(place) == before
    assert sorted(p.name for p in place.iterdir()) == ["run", "x.csv"]


@every_writer
@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_start_that_fails_can_be_started_again(
    place: Path, write: Callable[[Path, bool], int], written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from the n-th file on."""
    place = Path(os.getcwd()) if not place.samefile(".") else place
    real, count = os.fsync, iter(range(100))

    def full(handle: int) -> None:
        if os.path.isfile(f"/proc/self/fd/{handle}") and next(count) >= written:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(folders.os, "fsync", full)
    code = write(place / "run", False)
    monkeypatch.setattr(folders.os, "fsync", real)
    assert code == 2 or (code == 0 and written >= 2), "so few files are no run"
    if code == 2 and (place / "run").exists():
        assert main(["resume", "run"]) == 0 or write(place / "run", True) == 0
    elif code == 2:
        assert write(place / "run", False) == 0
    assert not [p for p in place.rglob(".*") if p.name.endswith((".part", ".tmp"))]


@every_writer
def test_leftovers_of_dead_processes_go_and_those_of_the_living_stay(
    place: Path, write: Callable[[Path, bool], int]
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (place / "run").mkdir()
    gone = [
        place / f".run.{dead.pid}.part",
        place / "run" / f".run.json.{dead.pid}.tmp",
        place / "run" / f".run.{dead.pid}.part",
    ]
    stay = [
        place / f".run.{os.getppid()}.part",
        place / f".other.{dead.pid}.part",
        place / ".run.notes.part",
    ]
    for path in (*gone, *stay):
        if path.suffix == ".part":
            path.mkdir()
            (path / "model.json").write_text("half")
        else:
            path.write_text("half")
    assert write(place / "run", False) == 0, "what dead processes left makes no folder full"
    assert not any(p.exists() for p in gone)
    assert all(p.exists() for p in stay)


@pytest.mark.parametrize("name", [".1.2", "-x y", "ü", "a" * 200, "no.such/deep/er", "."])
@pytest.mark.parametrize("model", FITS)
def test_any_name_does_for_a_run(
    place: Path, model: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "cwd").mkdir()
    monkeypatch.chdir(place / "cwd")
    fit = [str(place / "x.csv") if part == "x.csv" else part for part in FITS[model]]
    assert main([*fit, f"--run={name}"]) == 0
    pf.load(place / "cwd" / name)
    assert main([*fit, f"--run={name}", "--overwrite"]) == 0
    pf.load(place / "cwd" / name)


# -------------------------------------------------------------------------------------------- links


@stays
@every_writer
@pytest.mark.parametrize("target", ["missing", "empty", "run"])
def test_a_linked_run_folder_is_written_through(
    place: Path, runs: Path, write: Callable[[Path, bool], int], target: str
) -> None:
    (place / "far").mkdir()
    if target == "empty":
        (place / "far/disk").mkdir()
    if target == "run":
        shutil.copytree(runs / "pca", place / "far/disk")
        (place / "far/disk/thesis.tex").write_text("mine")
    (place / "latest").symlink_to("far/disk")
    assert write(place / "latest", target == "run") == 0
    assert (place / "latest").is_symlink()
    pf.load(place / "far/disk")
    assert target != "run" or (place / "far/disk/thesis.tex").read_text() == "mine"


@stays
def test_a_linked_part_of_a_run_is_written_through(place: Path, runs: Path) -> None:
    shutil.copytree(runs / "vae", place / "run")
    shutil.move(place / "run/state", place / "far")
    (place / "far/notes.txt").write_text("mine")
    (place / "run/state").symlink_to(place / "far")
    assert _typed("vae")(place / "run", True) == 0
    assert (place / "run/state").is_symlink()
    assert (place / "far/notes.txt").read_text() == "mine"
    assert len(list((place / "far").glob("*.safetensors"))) == 1


@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_a_data_link_is_read_by_its_own_name(place: Path, suffix: str) -> None:
    """DVC and git-annex keep what a link leads to under a digest, without a suffix."""
    (place / "cache/ab").mkdir(parents=True)
    if suffix == "csv":
        shutil.copy(place / "x.csv", place / "cache/ab/cdef01")
    else:
        np.save(place / "cache/ab/y.npy", X)
        (place / "cache/ab/y.npy").rename(place / "cache/ab/cdef01")
    (place / "data").mkdir()
    (place / f"data/x.{suffix}").symlink_to("../cache/ab/cdef01")
    assert main(["fit", "pca", f"data/x.{suffix}", "--run", "run", "-q"]) == 0
    assert main(["evaluate", "run", "-q"]) == 0
    assert f'"source": "{place}/data/x.{suffix}"' in (place / "run/run.json").read_text()


# --------------------------------------------------------------------------------- during and after


@pytest.mark.parametrize("film", [False, True])
@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_run_folder_that_goes_during_the_fit_is_an_error(
    place: Path, how: str, film: bool
) -> None:
    run = place / "run"

    def take_away(event: Any, model: Any) -> None:
        if type(event).__name__ == "Started":
            shutil.rmtree(run) if how == "removed" else run.rename(place / "elsewhere")

    trainer = pf.Trainer(steps=3, batch=8, run=run, film=4 if film else None, callbacks=[take_away])
    with pytest.raises(pf.BadRun, match="removed or renamed"):
        pf.VAE(latent=1, hidden=(4,)).fit(X, by=trainer)
    assert not run.exists()


@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_run_folder_of_a_mixture_that_goes_during_the_fit_is_an_error(
    place: Path, how: str
) -> None:
    run = place / "run"

    def take_away(event: Any, model: Any) -> None:
        if type(event).__name__ == "Progress" and run.exists():
            shutil.rmtree(run) if how == "removed" else run.rename(place / "elsewhere")

    with pytest.raises(pf.BadRun, match="removed or renamed"):
        pf.GMM(2).fit(X, by=EM(run=run, callbacks=[take_away], save_every=1e-9))
    assert not run.exists()


def test_the_command_line_ends_with_an_error_too(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pushforward.fitting.loop import Loop

    real = Loop._evaluate
    monkeypatch.setattr(
        Loop,
        "_evaluate",
        lambda loop: (shutil.rmtree(place / "run", ignore_errors=True), real(loop))[1],
    )
    assert main([*FITS["vae"], "--run", "run"]) == 2
    assert len(capfd.readouterr().err.strip().splitlines()) == 1
    assert not (place / "run").exists()


@pytest.mark.parametrize("model", [*FITS, "film"])
def test_equal_runs_are_equal_files(place: Path, model: str) -> None:
    """To the byte, but for the log and the state, which know how long it took."""
    fit = FITS["vae" if model == "film" else model] + (["--film", "4"] if model == "film" else [])
    found = []
    for _ in range(4):
        assert main([*fit, "--run", "run"]) == 0
        found.append(
            {
                k: v
                for k, v in content(place / "run").items()
                if k != "log.jsonl" and not k.startswith("state/")
            }
        )
        shutil.rmtree("run")
    assert len(found[0]) >= 4
    for other in found[1:]:
        assert {k for k in other if other[k] != found[0].get(k)} == set()


def test_the_header_of_a_tensor_file_is_in_a_fixed_order(tmp_path: Path) -> None:
    found = set()
    for i in range(20):
        storage.write_tensors(
            tmp_path / f"{i}",
            {"b": torch.ones(3), "a": torch.zeros(2, 2)},
            {"z": "é\n", "tree": "[]", "k": "1"},
        )
        found.add((tmp_path / f"{i}").read_bytes())
    assert len(found) == 1
    back, header = storage.read_tensors(tmp_path / "0")
    assert header == {"format": "pt", "z": "é\n", "tree": "[]", "k": "1"}
    assert torch.equal(back["b"], torch.ones(3))


def _half(target: Path, end: Callable[[], Any]) -> None:
    with folders.replace_on_exit(target) as part:
        part.write_text("half")
        end()


@pytest.mark.parametrize("kind", ["error", "kill"])
def test_a_file_is_whole_or_not_there(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "x.png"
    target.write_text("old")
    if kind == "error":
        with pytest.raises(ZeroDivisionError):
            _half(target, lambda: 1 / 0)
    else:
        lines = [
            "import os, pathlib, sys",
            "from pushforward.core.folders import replace_on_exit",
            "with replace_on_exit(pathlib.Path(sys.argv[1])) as part:",
            "    part.write_text('half')",
            "    os._exit(9)",
        ]
        assert (
            subprocess.run(
                [sys.executable, "-c", "\n".join(lines), str(target)], check=False
            ).returncode
            == 9
        )
        assert len(list(tmp_path.iterdir())) == 2
    assert target.read_text() == "old"
    with folders.replace_on_exit(target) as part:
        part.write_text("new")
    assert content(tmp_path) == {"x.png": b"new"}


def test_a_description_is_json_that_others_read_too(runs: Path) -> None:
    json.loads((runs / "vae/model.json").read_text())


# ------------------------------------------------------------------------------------ two at a time

ENDLESS = {
    "vae": ["--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "1_000_000"],
    "gmm": ["--components", "2", "--tolerance", "0", "--steps", "1_000_000"],
}


@pytest.mark.parametrize("model", ENDLESS)
def test_a_second_fit_into_a_folder_is_refused(
    place: Path, model: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fit = ["fit", model, "x.csv", *ENDLESS[model], "--run", "run", "--save-every", "0.1", "-q"]
    first = subprocess.Popen([sys.executable, "-m", "pushforward", *fit])
    try:
        deadline = time.monotonic() + 120
        while not list(place.glob("run/state/*.safetensors")):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        before = [(place / "run" / name).read_bytes() for name in ("model.json", "run.json")]
        for second in (
            ["fit", "vae", "x.csv", *SMALL, "--run", "run", "--overwrite"],
            ["fit", "pca", "x.csv", "--run", "run", "--overwrite", "-q"],
            ["resume", "run", "-q"],
        ):
            assert main(second) == 2
            assert capfd.readouterr().err == (
                "error: another fit is writing to run; wait until it ends or stop it, or choose"
                " another folder\n"
            )
        with pytest.raises(pf.BadRun, match="another fit"):
            pf.VAE(latent=2).fit(X, run="run", overwrite=True, steps=2)
        with pytest.raises(pf.BadRun, match="another fit"):
            pf.PCA(1).fit(X).save("run", overwrite=True)
        assert before == [
            (place / "run" / name).read_bytes() for name in ("model.json", "run.json")
        ]
        assert first.poll() is None, "the first goes on"
    finally:
        first.kill()
        first.wait()
    assert main(["fit", "vae", "x.csv", *SMALL, "--run", "run", "--overwrite"]) == 0
    pf.load("run")
