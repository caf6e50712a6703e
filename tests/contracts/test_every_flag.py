"""Every flag of every command, taken from the parser, with every kind of value:
a result, or one line and exit code 2.

The ordinary version tries a seeded sample of the values of each flag; the slow one tries them all.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pushforward.cli.fit import catalogue
from pushforward.cli.main import COMMANDS, application, main
from tests.small_models import write_photos

SECONDS = 40.0
"""What takes longer hangs: the slowest call takes ten on a machine that does more besides."""
VALUES = (
    "",
    " ",
    "-1",
    "0",
    "1",
    "2",
    "1.5",
    "-0.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e300",
    "1e-300",
    "99999999999999999999",
    "9" * 400,
    "nope",
    "ü€度",
    "none",
    "true",
    "a,b",
    ",",
    "x=1",
    "0,1",
    "-",
    ".",
    "/",
    "..",
    "*",
    "[",
    "'",
    '"',
    "%s",
    "{}",
    "\n",
    "x" * 3000,
    "(" * 300,
    "adam(rate=-1)",
    "adam(rate=nan)",
    "a.png",
    "out/",
    "x.csv",
    "pca",
    "/dev/null",
    "/dev/zero",
    "nowhere/x.csv",
    "+5",
    "+nan",
    "0x10",
    "1_0",
    "１",
)
SMALL = {"vae": ["--latent", "2", "--hidden", "4"], "gan": ["--latent", "2", "--hidden", "4"]}
BASE: dict[str, list[str]] = {
    "demo": ["--epochs", "0"],
    "sample": ["vae", "-n", "2"],
    "encode": ["pca", "x.csv"],
    "reconstruct": ["pca", "x.csv"],
    "translate": ["pix", "photos", "--derive-conditions"],
    "enlarge": ["sr", "photos"],
    "export": ["vae"],
    "project": ["vae", "x.csv", "--steps", "1", "--candidates", "2"],
    "edit": ["img", "--drag", "4,4:6,6", "--steps", "1", "--candidates", "2"],
    "latent": ["vae", "--kind", "grid", "--steps", "3"],
    "density": ["pca", "x.csv"],
    "assign": ["gmm", "x.csv"],
    "condition": ["gmm", "a=0"],
    "synthesise": ["gmm", "-n", "3"],
    "fill": ["gmm", "x.csv"],
    "odd": ["gmm", "x.csv", "--top", "2"],
    "describe": ["gmm"],
    "plot": ["gmm", "--kind", "marginals"],
    "film": ["vae"],
    "evaluate": ["pca", "--draws", "2"],
    "compare": ["x.csv", "pca", "--rows", "20", "--metrics", "ks"],
    "resume": ["vae"],
    "recipe": ["dirac", "--budget", "0.001"],
    "lecture": ["ring", "--notebook"],
    "studio": [".", "--no-browser"],
    "models": [],
    "hacks": [],
    "data": ["x.csv"],
    "doctor": [],
}
ENDLESS = {
    "--epochs",
    "--steps",
    "--samples",
    "--minutes",
    "--draws",
    "--temperatures",
    "--chains",
    "--candidates",
    "--starts",
    "--passes",
}
"""The more is asked of these, the longer it takes, rightly: only values up to 1000 are tried."""
LAUNCHES, SEVERAL = ("--devices", "--num-nodes"), ("2", "0,1", "1_0", "１", "+5", "0x10", "auto")
"""Processes would be started, copies of this one."""
UNTRIED = {
    ("demo", "--epochs"),
    ("recipe", "NAME"),
    ("recipe", "--budget"),
    ("demo", "--seed"),
    ("demo", "--run"),
    ("demo", "--json"),
}
"""Each call takes many seconds, whatever the value."""


@pytest.fixture(autouse=True)
def ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The studio would serve until it is interrupted, and open a browser."""
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
    monkeypatch.setattr("webbrowser.open", lambda _: True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    x = np.random.default_rng(0).normal(size=(30, 3))
    lines = ["a,b,team", *(f"{a},{b},{'rs'[i % 2]}" for i, (a, b, _) in enumerate(x.tolist()))]
    (root / "x.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for model, flags in {
            "pca": [],
            "gmm": ["--components", "2"],
            "vae": [*SMALL["vae"], "--steps", "2", "--batch", "8", "--film", "2"],
        }.items():
            assert (
                main(["fit", model, "x.csv", "--drop", "team", *flags, "--run", model, "-q"]) == 0
            )

        write_photos(root / "photos")
        enlarging = [
            *("fit", "srresnet", "photos", "--label", "low_resolution(2)", "--width", "4"),
            *("--blocks", "1", "--steps", "2", "--batch", "4", "--run", "sr", "-q"),
        ]
        assert main(enlarging) == 0
        assert main(["fit", "pca", "photos", "--size", "16", "--run", "img", "-q"]) == 0
        line = [
            *("fit", "pix2pix", "photos", "--label", "grey", "--width", "4"),
            *("--steps", "2", "--batch", "4", "--run", "pix", "-q"),
        ]
        assert main(line) == 0
    return root


def parameters(command: str, model: str = "") -> list[Any]:
    """What the parser takes."""
    app: Any = application(["fit", model] if model else [command])
    parser = app["fit"][model] if model else app[command]
    return [each for each in parser.assemble_argument_collection() if not each.children]


def name_of(parameter: Any) -> str:
    return str(parameter.name)


def calls(
    command: str, model: str, parameter: Any, values: Iterator[str] | tuple[str, ...]
) -> Iterator[list[str]]:
    """The parameter with each value, spelt --flag=value, as an argument, or missing."""
    if model:
        base = ["fit", model, "x.csv", "--drop", "team", *SMALL.get(model, []), *budget(model)]
    else:
        base = [command, *BASE[command]]
    if not name_of(parameter).startswith("-"):
        place = next(
            (i for i, a in enumerate(base) if i >= (2 if model else 1) and not a.startswith("-")),
            None,
        )
        for value in values:
            yield (
                [*base[:place], value, *base[place + 1 :]] if place is not None else [*base, value]
            )
        return
    name = name_of(parameter)
    if parameter.token_count()[0] == 0:
        yield [*base, name]
        yield [*base, f"{name}=1"]
        return
    yield [*base, name]
    for value in values:
        if (name in ENDLESS and _much(name, value)) or (name in LAUNCHES and value in SEVERAL):
            continue
        yield [*base, f"{name}={value}"] if name.startswith("--") else [*base, name, value]


def _much(name: str, value: str) -> bool:
    """Whether it would take long, rightly: a number above a thousand,
    or above a hundredth of a minute.
    """
    try:
        number = float(value)
    except ValueError:
        return False
    return (value.strip().isdigit() and number > 1000) or (
        0.01 if name == "--minutes" else 1000
    ) < number < float("inf")


def budget(model: str) -> list[str]:
    from pushforward.core.learner import Learner
    from pushforward.core.registry import model_class

    return ["--steps", "1", "--batch", "8"] if issubclass(model_class(model), Learner) else []


def check(made: Path, place: Path, line: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """'' where a call did as it should, else what is wrong."""
    work = place / "work"
    if work.exists():
        os.chdir(place)
        shutil.rmtree(work)
    work.mkdir()
    for name in ("pca", "gmm", "vae", "pix", "sr", "img", "photos"):
        if name in line or any(a.endswith(f"={name}") for a in line):
            shutil.copytree(made / name, work / name)
    shutil.copy(made / "x.csv", work)
    os.chdir(work)
    capfd.readouterr()
    began = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        code = main(line)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    err = capfd.readouterr().err
    said = [text for text in err.splitlines() if text.strip()]
    if time.perf_counter() - began > SECONDS:
        return f"took {time.perf_counter() - began:.0f} s"
    if code == 2 and (
        not said or not said[-1].startswith("error: ") or len(said[-1]) > 1300 or "Traceback" in err
    ):
        return f"exit 2 without its line: {said[-1:]}"
    if code not in (0, 2):
        return f"exit {code}: {said[-2:]}"
    leftovers = [str(p) for p in work.rglob(".*") if p.name.endswith((".part", ".tmp"))]
    return f"left behind: {leftovers}" if leftovers else ""


def _too_long(number: int, frame: Any) -> None:
    raise TimeoutError(f"still at it after {SECONDS} s")


def faults(
    made: Path, tmp_path: Path, capfd: Any, command: str, model: str, most: int | None
) -> tuple[list[str], int]:
    found, tried = [], 0
    here = os.getcwd()
    signal.signal(signal.SIGALRM, _too_long)
    try:
        for parameter in parameters(command, model):
            name = name_of(parameter)
            if (command, name) in UNTRIED:
                continue
            rng = random.Random(f"{command}{model}{name}")
            values = VALUES if most is None else tuple(rng.sample(VALUES, most))
            for line in calls(command, model, parameter, values):
                tried += 1
                fault = check(made, tmp_path, line, capfd)
                if fault:
                    found.append(f"{' '.join(line)[:300]!r}: {fault[:300]}")
    finally:
        os.chdir(here)
    return found, tried


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("fit", "demo")])
def test_what_the_flags_are_added_to_works(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.chdir(tmp_path / "made")
    assert main([command, *BASE[command]]) == 0


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "fit"])
def test_every_flag_of_a_command(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    found, tried = faults(made, tmp_path, capfd, command, "", 2)
    assert not found, "\n".join(found)
    assert tried >= len(parameters(command)) - len(UNTRIED)


@pytest.mark.parametrize("model", ["pca", "gmm", "kde", "vae", "gan"])
def test_every_flag_of_a_fit(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str
) -> None:
    found, tried = faults(made, tmp_path, capfd, "fit", model, 1)
    assert not found, "\n".join(found)
    assert tried > 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "model"),
    [*((c, "") for c in COMMANDS if c != "fit"), *(("fit", m) for m in catalogue())],
)
def test_every_value_of_every_flag(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, model: str
) -> None:
    found, _ = faults(made, tmp_path, capfd, command, model, None)
    assert not found, "\n".join(found)


NONSENSE = [
    ["resume", "vae", "--steps", "nan"],
    ["resume", "vae", "--steps", "1.5"],
    ["resume", "vae", "--minutes", "1e400"],
    ["resume", "vae", "--samples", "+inf"],
    ["resume", "vae", "--save-every", "nan"],
    ["film", "vae", "--seconds", "1000"],
    ["film", "vae", "--seconds", "nan"],
    ["fit", "vae", "x.csv", "--drop", "team", "--devices", "99999999999999999999"],
    ["compare", "x.csv", "pca", "--label", "nope"],
    ["compare", "x.csv", "pca", "--drop", "nope"],
    ["compare", "x.csv", "pca", "--categorical", "nope"],
    ["fit", "pca", "x.csv", "--drop", "team", "--strategy", "abc"],
    ["fit", "pca", "x.csv", "--drop", "nope"],
    ["fit", "pca", "x.csv", "--drop", "team", "--accelerator", "abc"],
    ["density", "pca", "x.csv", "--y", "team"],
    ["encode", "pca", "x.csv", "--y", "team"],
    ["reconstruct", "pca", "x.csv", "--y", "team"],
    ["project", "vae", "x.csv", "--y", "team"],
    ["sample", "pca", "-n", "99999999999999999999"],
    ["data", "x.csv", "--label="],
    ["fit", "pca", "x.csv", "--drop", "team", "--held-out", "nan"],
]


@pytest.mark.parametrize("line", NONSENSE, ids=lambda line: " ".join(line)[-40:])
def test_nonsense_does_not_pass(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], line: list[str]
) -> None:
    here = os.getcwd()
    try:
        assert check(made, tmp_path, line, capfd) == ""
        assert main(line) == 2
        said = capfd.readouterr().err.strip().splitlines()
        assert [text.startswith("error: ") for text in said] == [False] * (len(said) - 1) + [True]
    finally:
        os.chdir(here)


@pytest.mark.parametrize("cell", ["", "inf", "-inf"])
@pytest.mark.parametrize("kind", ["marginals", "density", "corner"])
def test_an_image_over_rows_without_a_value(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    cell: str,
) -> None:
    (tmp_path / "y.csv").write_text("a,b\n" + f"{cell},0.5\n" * 4)
    shutil.copytree(made / "gmm", tmp_path / "gmm")
    monkeypatch.chdir(tmp_path)
    assert main(["plot", "gmm", "--kind", kind, "--data", "y.csv", "-q"]) in (0, 2)
    assert "defect" not in capfd.readouterr().err


def test_a_run_in_this_folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "pca", str(made / "x.csv"), "--drop", "team", "--run", ".", "-q"]) == 0
    assert (tmp_path / "model.json").is_file()
