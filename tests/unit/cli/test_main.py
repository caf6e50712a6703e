"""The entry point: help without heavy imports, welcome, suggestions, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pushforward.cli import main as entry
from pushforward.core.docstrings import drop_full_stop
from pushforward.core.errors import InvalidValue
from pushforward.core.install_line import install_line

HEAVY = ("torch", "pandas", "sklearn", "numpy", "lightning_fabric", "matplotlib")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", ["", *entry.COMMANDS])
def test_help_imports_nothing_heavy(command: str) -> None:
    asked = [command, "--help"] if command else ["--help"]
    code = (
        f"import sys; from pushforward.cli.main import main; code = main({asked}); print([m for m"
        f" in {HEAVY} if m in sys.modules], code)"
    )
    began = time.perf_counter()
    done = python(code)
    print(f"{command or 'root'} --help: {time.perf_counter() - began:.2f} s")
    assert done.stdout.splitlines()[-1] == "[] 0", done.stdout + done.stderr


def test_every_command_explains_itself(cli) -> None:
    listed = cli("--help").out
    for command in entry.COMMANDS:
        assert command in listed
        done = cli(command, "--help")
        assert done.code == 0
        assert done.out.startswith(f"Usage: pushforward {command}")
        assert done.err == ""


def test_alone_it_welcomes_with_examples(cli) -> None:
    done = cli()
    assert done.code == 0
    assert "pushforward fit vae digits" in done.out
    assert done.err == ""


def test_version(cli) -> None:
    import pushforward

    assert cli("--version").out == f"pushforward {pushforward.__version__}\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["fti"], "unknown command 'fti'; did you mean 'fit'?"),
        (["vae", "digits"], "(vae is a model: pushforward fit vae SOURCE)"),
        (["sample"], "expected RUN, got nothing"),
        (["sample", "--sed", "3"], "Did you mean --seed?"),
        (["fit"], "expected a model and a source"),
        (["fit", "gna", "digits"], "did you mean 'gan'?"),
        (["fit", "digits", "vae"], "did you mean: pushforward fit vae digits?"),
        (["fit", "vae", "digits", "--latnet", "3"], "Did you mean --latent?"),
        (["fit", "vae", "digits", "--epoch", "3"], "Did you mean --epochs?"),
        (["sample", "run", "-n", "few"], "-n must be a whole number"),
    ],
)
def test_a_typo_suggests(cli, typed: list[str], said: str) -> None:
    done = cli(*typed)
    assert done.code == 2
    assert done.out == ""
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_exit_codes_of_errors(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(error: BaseException) -> None:
        def fail(*a: object, **k: object) -> None:
            raise error

        monkeypatch.setattr("pushforward.core.installation.list_versions", fail)

    failing(InvalidValue("x must be 1, got 2;\n pass 1"))
    assert cli("doctor").err == "error: x must be 1, got 2; pass 1\n"
    failing(KeyboardInterrupt())
    assert cli("doctor").code == 130
    failing(OSError(28, "No space left on device"))
    done = cli("doctor")
    assert (done.code, "No space left on device" in done.err) == (2, True)
    failing(BrokenPipeError())
    monkeypatch.setattr(entry, "_discard_stdout", lambda: None)
    assert cli("doctor").code == 0
    failing(RuntimeError("broken"))
    done = cli("doctor")
    assert done.code == 1
    assert "broken" in done.err
    assert "Traceback" not in done.err
    kept = next(word for word in done.err.split() if word.endswith(".traceback;")).rstrip(";")
    with open(kept) as file:
        assert "RuntimeError: broken" in file.read()
    os.unlink(kept)
    assert "Traceback" in cli("--debug", "doctor").err
    monkeypatch.setenv("PUSHFORWARD_DEBUG", "1")
    assert "Traceback" in cli("doctor").err


def test_a_reader_that_stops_is_not_an_error() -> None:
    line = (
        f"{sys.executable} -m pushforward.cli.main models --json | head -n 1; echo"
        " ${PIPESTATUS[0]}"
    )
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_models_doctor_and_data_as_text_and_json(cli) -> None:
    import json

    from pushforward.core.registry import catalogue

    lines = [json.loads(line) for line in cli("models", "--json").out.splitlines()]
    assert {line["model"] for line in lines} >= set(catalogue)
    assert "density" in next(line for line in lines if line["model"] == "pca")["verbs"]
    assert "pca" in cli("models").out
    facts = json.loads(cli("doctor", "--json").out)
    assert facts["versions"]["torch"]
    assert "cpu" in facts["devices"]
    assert json.loads(cli("data", "ring:50", "--json").out)["count"] == 50
    assert "50 observations" in cli("data", "ring:50").out


@pytest.mark.parametrize("words", [[], ["fit"], ["fit", "pca"], ["sample"]])
def test_help_may_be_a_word(words: list[str], cli) -> None:
    said, flagged = cli("help", *words), cli(*words, "--help")
    assert said.code == 0
    assert said.out == flagged.out
    assert "Usage: pushforward" in said.out


def test_dots_that_say_and_so_on_stay(cli) -> None:
    out = " ".join(cli("fit", "vae", "--help").out.split())
    assert "crop(padding=2), affine, ...; none" in out
    assert drop_full_stop("flip, affine, ...") == "flip, affine, ..."
    assert drop_full_stop("one of few.") == "one of few"


def test_formats_are_listed_with_their_endings(cli) -> None:
    lines = cli("data", "--formats").out.splitlines()
    for line in lines:
        assert line.count("(") == line.count(")"), line
    images = next(line for line in lines if line.startswith("images "))
    assert "a zip (or a folder in it: photos.zip:train) or a glob" in images


def test_an_empty_name_is_refused(cli) -> None:
    done = cli("data", "ring", "--drop", "a,,b")
    assert done.code == 2
    assert "expected names separated by commas, got 'a,,b'" in done.err


def test_doctor_names_the_install_line_of_what_is_missing(
    cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pushforward.core import installation as doctor

    known = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda package: "missing" if package == "pyarrow" else known(package)
    )
    done = cli("doctor")
    assert done.code == 0
    assert f"missing pyarrow; run: {install_line('tables')}" in done.out
    monkeypatch.setattr(
        doctor, "_version", lambda package: "missing" if package == "finufft" else known(package)
    )
    again = cli("doctor")
    assert again.code == 2
    assert f"finufft missing; run: {install_line()}" in again.err


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "pip install 'pushforward[plots]'"),
        ('{"url": "file:///a/clone", "dir_info": {}}', "pip install '/a/clone[plots]'"),
        (
            '{"url": "file:///a%20b", "dir_info": {"editable": true}}',
            "pip install -e '/a b[plots]'",
        ),
        (
            '{"url": "https://a.b/c.git", "vcs_info": {"vcs": "git"}}',
            "pip install 'pushforward[plots] @ git+https://a.b/c.git'",
        ),
    ],
)
def test_an_extra_is_installed_from_where_the_package_came_from(
    origin: str | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = SimpleNamespace(read_text=lambda name: origin)
    monkeypatch.setattr("pushforward.core.install_line.distribution", lambda name: installed)
    assert install_line("plots") == line


def test_the_package_is_run_by_its_name() -> None:
    call = [sys.executable, "-m", "pushforward", "density", "--help"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: pushforward density")
    call = [sys.executable, "-m", "pushforward", "nothing"]
    assert subprocess.run(call, capture_output=True, check=False).returncode == 2


def test_what_is_refused_has_no_settings(cli, tmp_path: Path) -> None:
    rows = [f"{i},{'ab'[i % 2]}" for i in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["x,k", *rows]) + "\n")
    done = cli("fit", "gmm", "t.csv", "--categorical", "k", "--run", "run")
    assert done.code == 2
    assert done.err.startswith("error: column 'k' is categorical")
    done = cli("fit", "gmm", "t.csv", "--drop", "k", "--components", "2", "--run", "run")
    assert done.err.index("hyperparameters ") < done.err.index("fitting gmm")


@pytest.mark.parametrize(("model", "repeats"), [("pca", 0), ("kde", 0), ("gmm", 1), ("kmeans", 1)])
def test_models_of_one_pass_have_no_settings_of_several(model: str, repeats: int, cli) -> None:
    assert ("--steps" in cli("fit", model, "--help").out) == repeats
