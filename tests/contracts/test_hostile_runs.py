"""Run folders that were damaged, edited or made to do harm: a working model or one clear error,
quickly, whatever was changed.

Whoever edits a file can also recompute its digest, so every change here does.
"""

from __future__ import annotations

import copy
import json
import os
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core import storage

X = np.random.default_rng(0).normal(size=(40, 3))
X[:, 2] = X[:, 2].round(1)
SMALL = ["--latent", "2", "--hidden", "8", "--batch", "16", "--steps", "3"]
FITS = {
    "gaussian": [],
    "pca": ["--components", "2"],
    "kde": [],
    "kmeans": ["--clusters", "3"],
    "gmm": ["--components", "2"],
    "vae": [*SMALL, "--label", "team"],
    "gan": SMALL,
}
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    3,
    10**9,
    10**12,
    10**30,
    1.5,
    -0.5,
    1e308,
    "",
    "x",
    "é" * 1000,
    [],
    [[]],
    [0],
    [-1],
    [10**9, 10**9],
    {},
    {"a": 1},
    {"family": "activation", "text": "relu"},
    {"family": "x", "text": "os.system('touch owned')"},
    ["a", None, 2.5],
)
SECONDS = 4.0
CHANGES = 40
"""Of each kind of file of each run."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("hostile")
    lines = [
        "a,b,c,team",
        *(",".join([*map(str, row), "rb"[i % 2]]) for i, row in enumerate(X.tolist())),
    ]
    (root / "x.csv").write_text("\n".join(lines) + "\n")
    here = os.getcwd()
    os.chdir(root)
    for model, flags in FITS.items():
        drop = [] if "--label" in flags else ["--drop", "team"]
        assert main(["fit", model, "x.csv", *drop, *flags, "--run", model, "-q"]) == 0
    yield root
    os.chdir(here)


@pytest.fixture
def small() -> Iterator[None]:
    """This process may take three gigabytes more than it has, and no more."""
    have = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (have + (3 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON tree."""
    yield path
    for key in (
        tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    ):
        yield from places(tree[key], (*path, key))


def changed(tree: Any, path: tuple[Any, ...], change: Any) -> Any:
    """The tree with one place replaced, or taken out."""
    tree = copy.deepcopy(tree)
    if not path:
        return None if change is GONE else change
    inside = tree
    for key in path[:-1]:
        inside = inside[key]
    if change is GONE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = change
    return tree


GONE = object()


def in_json(path: Path, rng: random.Random) -> None:
    """Another value in one place, or none; the digest is right."""
    tree = json.loads(path.read_text())
    tree.pop("digest", None)
    tree = changed(tree, rng.choice(list(places(tree))), rng.choice((*VALUES, GONE)))
    if isinstance(tree, dict) and path.name == "model.json":
        tree["digest"] = storage._digest_json(tree)
    path.write_text(json.dumps(tree))


def in_text(path: Path, rng: random.Random) -> None:
    """Bytes that are no such text, or hardly."""
    content = path.read_bytes()
    cut = rng.randrange(len(content))
    choices: list[bytes] = [
        b"",
        content[:cut],
        content[:cut] + b"\0" + content[cut:],
        content[:cut] + b"\xff\xfe" + content[cut:],
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"1" * 5001,
        b"NaN",
        b"null",
        b"[]",
        b'"text"',
        content.replace(b"1", b"NaN"),
        content.replace(b"1", b"1e999"),
        content.replace(b"0", b"1" * 5001),
        content * 2,
        content.replace(b":", b"=").replace(b"=", b"= ="),
        b"a = " + b"[" * 20_000,
        content.replace(b"2", b"-2"),
        content.replace(b"true", b"7"),
    ]
    path.write_bytes(rng.choice(choices))


def in_toml(path: Path, rng: random.Random) -> None:
    """Another value for one setting."""
    lines = path.read_text().splitlines()
    i = rng.choice([i for i, line in enumerate(lines) if " = " in line])
    value = rng.choice(
        [
            "nan",
            "inf",
            "-1",
            "0",
            "99999999999999999999",
            "1.5",
            '""',
            '"x"',
            "[]",
            "[1, 2]",
            "true",
            "{a = 1}",
            "1979-05-27",
            '"é"',
        ]
    )
    lines[i] = f"{lines[i].partition(' = ')[0]} = {value}"
    path.write_text("\n".join(lines) + "\n")


def in_tensors(path: Path, rng: random.Random) -> None:
    """Another tensor, in a file that is well-formed."""
    tensors, header = storage.read_tensors(path)
    name = rng.choice(list(tensors))
    old = tensors[name]
    number = old.double()
    choices: list[Any] = [
        None,
        old[:0] if old.ndim else old[None][:0],
        old[:-1] if old.ndim else old,
        number * torch.nan,
        number + torch.inf,
        -number,
        number * 0,
        number * 1e300,
        old[None],
        old.flatten(),
        torch.zeros(5, 7, 2),
        number.to(torch.complex64),
        number.nan_to_num(0).to(torch.int64),
        number.to(torch.float16),
        torch.cat([old, old]) if old.ndim else old,
        number.to(torch.bfloat16),
        number > 0,
        torch.ones(()),
        old.mT.contiguous() if old.ndim > 1 else old,
        number + 1e3,
    ]
    change = rng.choice(choices)
    if change is None:
        del tensors[name]
    else:
        tensors[name] = change.contiguous()
    if rng.random() < 0.1:
        tensors["more"] = torch.zeros(3)
    storage.write_tensors(path, tensors, {k: v for k, v in header.items() if k != "format"})


def in_skeleton(path: Path, rng: random.Random) -> None:
    """Another value in the tree of a checkpoint."""
    tensors, header = storage.read_tensors(path)
    tree = json.loads(header["tree"])
    tree = changed(tree, rng.choice(list(places(tree))), rng.choice((*VALUES, GONE)))
    text = rng.choice([json.dumps(tree)] * 8 + ["[" * 100_000, "NaN", "1" * 5001])
    storage.write_tensors(path, tensors, {"tree": text})


def used(run: Path) -> None:
    """Load a model and do with it what it can."""
    model = pf.load(run)
    y = 0 if model.condition_space is not None else None
    x = model.sample(4, y=y, rng=0) if hasattr(model, "sample") else torch.zeros(4, 3)
    for verb in ("log_prob", "encode", "assign", "elbo"):
        if hasattr(model, verb):
            given = (
                (x, torch.zeros(4, dtype=torch.int64))
                if y is not None and verb in ("elbo", "encode")
                else (x,)
            )
            getattr(model, verb)(*given)


def works_or_says_why(work: Callable[[], Any]) -> str:
    began = time.perf_counter()
    try:
        work()
        said = ""
    except pf.PushforwardError as error:
        said = str(error)
        assert len(said) <= 700, said
    assert time.perf_counter() - began < SECONDS
    return said


LOADED: list[tuple[str, Callable[[Path, random.Random], None]]] = [
    ("model.json", in_json),
    ("model.json", in_text),
    ("model.safetensors", in_tensors),
]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("name", "change"), LOADED, ids=lambda p: getattr(p, "__name__", p))
@pytest.mark.parametrize("model", FITS)
def test_a_changed_model_works_or_is_refused(
    tmp_path: Path, runs: Path, model: str, name: str, change: Callable[..., None]
) -> None:
    refused = 0
    for seed in range(CHANGES):
        rng = random.Random(f"{model}{name}{seed}")
        run = tmp_path / f"{seed}"
        shutil.copytree(runs / model, run)
        change(run / name, rng)
        try:
            refused += bool(works_or_says_why(lambda run=run: used(run)))
        except Exception as error:
            raise AssertionError(f"change {seed}: {type(error).__name__}: {error}") from error
    assert refused > CHANGES // 4
    assert not Path("owned").exists()


CONTINUED: list[tuple[str, Callable[[Path, random.Random], None]]] = [
    ("run.json", in_json),
    ("run.json", in_text),
    ("model.json", in_json),
    ("state/000000000000048.safetensors", in_tensors),
    ("state/000000000000048.safetensors", in_skeleton),
    ("log.jsonl", in_text),
]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("name", "change"), CONTINUED, ids=lambda p: getattr(p, "__name__", p))
def test_a_changed_run_goes_on_or_is_refused(
    tmp_path: Path,
    runs: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    change: Callable[..., None],
) -> None:
    for seed in range(CHANGES // 2):
        rng = random.Random(f"{name}{seed}")
        run = tmp_path / f"{seed}"
        shutil.copytree(runs / rng.choice(("vae", "gan")), run)
        change(run / name, rng)
        capfd.readouterr()
        began = time.perf_counter()
        code = main(["resume", str(run), "--steps", "4", "-q"])
        said = capfd.readouterr().err.strip()
        assert code in (0, 2), f"change {seed}: {said}"
        assert code == 0 or (
            said.splitlines()[-1].startswith("error: ") and len(said.splitlines()[-1]) <= 900
        ), said
        assert time.perf_counter() - began < SECONDS, f"change {seed}"


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "run.json"])
@pytest.mark.parametrize("kind", ["pipe", "zeros", "folder", "link to itself"])
@pytest.mark.parametrize(
    "command",
    [["sample"], ["resume"], ["fit", "vae", "x.csv", "--overwrite", "--run"]],
    ids=lambda c: c[0],
)
def test_pipes_and_devices_are_refused_at_once(
    tmp_path: Path,
    runs: Path,
    capfd: pytest.CaptureFixture[str],
    command: list[str],
    kind: str,
    name: str,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "vae", run)
    (run / name).unlink()
    make: dict[str, Callable[[Path], Any]] = {
        "pipe": os.mkfifo,
        "folder": os.mkdir,
        "zeros": lambda p: p.symlink_to("/dev/zero"),
        "link to itself": lambda p: p.symlink_to(p.name),
    }
    make[kind](run / name)
    began = time.perf_counter()
    code = main([*command, str(run), "-q", *([] if command[0] == "sample" else ["--steps", "4"])])
    said = capfd.readouterr().err.strip().splitlines()
    assert time.perf_counter() - began < SECONDS
    assert code in (0, 2), said
    needed = {"sample": ("model.json", "model.safetensors"), "resume": ("run.json",), "fit": ()}[
        command[0]
    ]
    assert code == 2 or name not in needed
    assert code == 0 or said[-1].startswith("error: ")


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/null", "pipe", "folder", "large"])
def test_config_files_that_are_none(
    tmp_path: Path, runs: Path, capfd: pytest.CaptureFixture[str], file: str
) -> None:
    if file == "pipe":
        os.mkfifo(tmp_path / file)
    elif file == "folder":
        (tmp_path / file).mkdir()
    elif file == "large":
        with open(tmp_path / file, "wb") as f:
            f.truncate(1 << 36)
    began = time.perf_counter()
    assert (
        main(
            [
                "fit",
                "pca",
                "x.csv",
                "--config",
                str(tmp_path / file),
                "--run",
                str(tmp_path / "run"),
                "-q",
            ]
        )
        == 2
    )
    assert time.perf_counter() - began < 1
    assert len(capfd.readouterr().err.strip().splitlines()) == 1


CLAIMS = [
    ("vae", ("hyperparameters", "latent"), 10**9),
    ("vae", ("hyperparameters", "latent"), 10**12),
    ("vae", ("hyperparameters", "hidden"), [10**9]),
    ("vae", ("hyperparameters", "hidden"), [8] * 100_000),
    ("vae", ("space", "shape"), [10**12]),
    ("gan", ("hyperparameters", "hidden"), [10**6, 10**6]),
    ("gan", ("space", "shape"), [10**9, 10**9]),
    ("gmm", ("hyperparameters", "components"), 10**12),
    ("kmeans", ("hyperparameters", "clusters"), 10**9),
    ("pca", ("space", "shape"), [10**12]),
]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("model", "place", "claim"), CLAIMS, ids=lambda p: str(p)[:40])
def test_claims_are_held_against_the_tensors_before_anything_is_built(
    tmp_path: Path, runs: Path, model: str, place: tuple[str, ...], claim: Any
) -> None:
    shutil.copytree(runs / model, tmp_path / "run")
    path = tmp_path / "run/model.json"
    tree = changed(json.loads(path.read_text()), place, claim)
    if place[0] == "space":
        tree["space"]["columns"] = []
    tree.pop("digest")
    tree["digest"] = storage._digest_json(tree)
    path.write_text(json.dumps(tree))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(pf.BadRun):
        pf.load(tmp_path / "run")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"


LONG = "x" * 5000


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "pca", "x.csv", "--components", LONG],
        ["fit", LONG, "x.csv"],
        ["fit", "pca", LONG],
        [LONG],
        ["sample", LONG],
        ["fit", "vae", "x.csv", "--likelihood", LONG],
        ["fit", "vae", "x.csv", "--optimizer", f"adam(rate={LONG})"],
        ["fit", "vae", "x.csv", "--set", f"{LONG}=1"],
        ["fit", "vae", "x.csv", f"--{LONG}"],
        ["sample", "pca", "-n", LONG],
        ["condition", "gmm", f"{LONG}=1"],
        ["condition", "gmm", f"a={LONG}"],
        ["sample", "vae", "--y", LONG],
        ["sample", "pca", "--out", f"x.{LONG}"],
        ["sample", "pca", "--device", LONG],
        ["recipe", LONG],
        ["plot", "pca", "--kind", LONG],
        ["fit", "pca", "x.csv", "--label", "a b " * 2000],
        ["fit", "pca", "x.csv", "--label", "a. b " * 2000],
        ["plot", "gmm", "--axes", "a b " * 2000],
        ["fit", "pca", "x.csv", "--columns", "a b " * 2000],
        ["resume", "vae", "--steps", LONG],
    ],
    ids=lambda c: "-".join(p[:12] for p in c),
)
def test_no_message_repeats_more_than_200_characters(
    runs: Path, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(command) == 2
    said = capfd.readouterr().err
    assert "x" * 201 not in said
    assert "a b " * 51 not in said
    assert len(said) < 900
