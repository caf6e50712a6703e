"""Python and the command line fit the same experiments: equal weights, measures and samples, and
runs that either goes on with.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.folders import write_text
from pushforward.core.manifest import Manifest
from pushforward.experiments.sections import sections

RNG = np.random.default_rng(0)
LABELS = np.arange(80) % 3
POINTS = RNG.normal(size=(80, 2)) + LABELS[:, None]
IMAGES = RNG.integers(0, 17, size=(80, 1, 6, 6)).astype(np.uint8)
SMALL = {"latent": 2, "hidden": (8,)}
FIT = {"epochs": 2, "batch": 16, "seed": 3}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "pca": ("pca", {"components": 2}, {}),
    "gmm": ("gmm", {"components": 2}, {}),
    "kde": ("kde", {}, {}),
    "vae": ("vae", SMALL, FIT),
    "gan": ("gan", SMALL, FIT),
}
"""Model, hyper-parameters, settings of the fit."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with points and images, with and without labels."""
    for kind, x in (("points", POINTS), ("images", IMAGES)):
        np.save(tmp_path / f"{kind}.npy", x)
        np.savez(tmp_path / f"{kind}-labelled.npz", x=x, y=LABELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flags(values: Mapping[str, Any]) -> list[str]:
    """Settings as they are typed."""
    text = {
        name: ",".join(map(str, v)) if isinstance(v, tuple) else str(v)
        for name, v in values.items()
    }
    return [part for name, value in text.items() for part in (f"--{name.replace('_', '-')}", value)]


def fit_in_shell(case: str, file: str, run: str, *more: str) -> None:
    model, hyperparameters, settings = CASES[case]
    assert (
        main(
            ["fit", model, file, *flags({**hyperparameters, **settings}), *more, "--run", run, "-q"]
        )
        == 0
    )


def fit_in_python(case: str, source: Any, run: str, **more: Any) -> pf.Model:
    """By `Model.fit`, with the split that the command makes."""
    from pushforward.core.registry import model_class

    name, hyperparameters, settings = CASES[case]
    model = model_class(name)(**hyperparameters)
    train, test = pf.split(source, held_out=0.2, seed=0)
    if settings:
        fitter: Any = pf.Trainer(**{**_own(model), **settings}, held_out=test, run=run, **more)
    else:
        fitter = _replace(model.default_fitter(), run=run)
    return model.fit(train, by=fitter)


def _own(model: pf.Model) -> dict[str, Any]:
    """What the model's own trainer sets besides its budget."""
    import dataclasses

    own, usual = model.default_fitter(), pf.Trainer()
    names = [
        f.name
        for f in dataclasses.fields(own)
        if f.init and f.name not in ("epochs", "steps", "samples", "minutes")
    ]
    return {
        name: getattr(own, name) for name in names if getattr(own, name) != getattr(usual, name)
    }


def _replace(fitter: Any, **changes: Any) -> Any:
    import dataclasses

    return dataclasses.replace(fitter, **changes)


def weights(run: str) -> dict[str, torch.Tensor]:
    return dict(pf.load(run).state_dict())


def same(one: str, two: str) -> bool:
    first, second = weights(one), weights(two)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def numbers(capfd: pytest.CaptureFixture[str], *command: str) -> list[dict[str, Any]]:
    """The records that a command measures."""
    capfd.readouterr()
    assert main([*command, "--json", "-q"]) == 0, capfd.readouterr().err
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return [{k: r[k] for k in ("quantity", "value", "error", "data", "n")} for r in lines]


EVERY = [
    *((case, f"{kind}.npy", False) for case in CASES for kind in ("points", "images")),
    *(
        (case, f"{kind}-labelled.npz", True)
        for case in ("vae", "gan")
        for kind in ("points", "images")
    ),
]
every = pytest.mark.parametrize(
    ("case", "file", "labelled"), EVERY, ids=[f"{c} {f}" for c, f, _ in EVERY]
)


@every
def test_python_and_the_command_line_give_the_same_numbers(
    place: Path, capfd: pytest.CaptureFixture[str], case: str, file: str, labelled: bool
) -> None:
    fit_in_shell(case, file, "shell", *(["--label", "auto"] if labelled else []))
    fit_in_python(case, pf.read(file, label=labelled), "python")
    name, hyperparameters, settings = CASES[case]
    from pushforward.core.registry import model_class

    model = model_class(name)(**hyperparameters)
    outcome = pf.Experiment(model, file, y=labelled or None, fitter=settings).run("experiment")
    assert same("shell", "python")
    assert same("shell", "experiment")
    how = ["--features", "raw"] if case == "gan" else ["--draws", "3"]
    measured = [numbers(capfd, "evaluate", run, *how) for run in ("shell", "python", "experiment")]
    assert measured[0]
    assert measured[0] == measured[1] == measured[2]
    assert [(r.quantity, r.value) for r in outcome.records] == [
        (m["quantity"], m["value"])
        for m in measured[0]
        if m["quantity"] in {r.quantity for r in outcome.records}
    ]
    y = ["--y", "1"] if labelled else []
    for run in ("shell", "python"):
        assert main(["sample", run, "-n", "5", "--seed", "2", *y, "--out", f"{run}.npy", "-q"]) == 0
    assert np.array_equal(np.load("shell.npy"), np.load("python.npy"))


@every
def test_a_manifest_does_not_tell_who_began_the_run(
    place: Path, case: str, file: str, labelled: bool
) -> None:
    fit_in_shell(case, file, "shell", *(["--label", "auto"] if labelled else []))
    fit_in_python(case, pf.read(file, label=labelled), "python")
    shell, python = (json.loads(Path(f"{run}/run.json").read_text()) for run in ("shell", "python"))
    assert (shell.pop("command") != "", python.pop("command")) == (True, "")
    assert shell == python


@pytest.mark.parametrize("case", ["vae", "gan"])
def test_a_run_from_python_is_resumed_by_the_command(place: Path, case: str) -> None:
    fit_in_shell(case, "points.npy", "shell")
    fit_in_python(case, pf.read("points.npy"), "python")
    for run in ("shell", "python"):
        assert main(["resume", run, "--epochs", "+1", "-q"]) == 0
    assert same("shell", "python")
    assert Manifest.read(Path("python")).settings["epochs"] == 3  # type: ignore[union-attr]


def test_a_share_held_out_by_a_trainer_is_found_again(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pf.VAE(**SMALL).fit("points.npy", by=pf.Trainer(**FIT, held_out=0.25, run="python"))
    assert {r["n"] for r in numbers(capfd, "evaluate", "python", "--draws", "2")} == {20}
    assert main(["resume", "python", "--epochs", "+1", "-q"]) == 0
    pf.VAE(**SMALL).fit(
        "points.npy", by=pf.Trainer(**{**FIT, "epochs": 3}, held_out=0.25, run="long")
    )
    assert same("python", "long")


@pytest.mark.parametrize("case", ["gmm", "vae"])
def test_a_run_from_python_is_plotted_over_its_rows(
    place: Path, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    fit_in_python(case, pf.read("points.npy"), "python")
    capfd.readouterr()
    assert main(["plot", "python"]) == 0
    assert "drawn without rows" not in capfd.readouterr().err
    assert len(list(Path("python/images").glob("*.png"))) == 1


def test_a_saved_model_is_evaluated_like_a_run(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train, test = pf.split(pf.read("points.npy"), held_out=10, seed=4)
    model = pf.GMM(2).fit(train)
    model.save("saved")
    pf.load("saved").save("again")
    for run in ("saved", "again"):
        (record,) = numbers(capfd, "evaluate", run)
        assert record["value"] == pytest.approx(float(model.log_prob(test.all().x).mean()))
        assert record["n"] == 10


def test_rows_in_memory_are_found_in_the_file_that_holds_them(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_in_python("vae", pf.read(POINTS), "memory")
    fit_in_shell("vae", "points.npy", "shell")
    assert same("memory", "shell")
    for command in (["evaluate", "memory"], ["resume", "memory", "--epochs", "+1"]):
        capfd.readouterr()
        assert main(command) == 2
        assert "in memory" in (said := capfd.readouterr().err)
        assert "--source FILE" in said
    np.save("other.npy", POINTS + 1)
    for command in (["evaluate", "memory"], ["resume", "memory", "--epochs", "+1"]):
        assert main([*command, "--source", "other.npy"]) == 2
    measured = numbers(capfd, "evaluate", "memory", "--source", "points.npy", "--draws", "2")
    assert measured == numbers(capfd, "evaluate", "shell", "--draws", "2")
    for run, more in (("memory", ["--source", "points.npy"]), ("shell", [])):
        assert main(["resume", run, "--epochs", "+1", *more, "-q"]) == 0
    assert same("memory", "shell")
    assert numbers(capfd, "evaluate", "memory", "--draws", "2"), (
        "from now on the run knows where its rows lie"
    )


def test_a_run_moves_to_another_machine(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit_in_shell("vae", "points.npy", "stays")
    fit_in_shell("vae", "points.npy", "moves")
    Path("elsewhere").mkdir()
    shutil.move("moves", "elsewhere/moves")
    shutil.copy("points.npy", "elsewhere/points.npy")
    assert main(["resume", "stays", "--epochs", "+1", "-q"]) == 0
    Path("points.npy").rename("gone.npy")
    assert main(["resume", "elsewhere/moves", "--epochs", "+1", "-q"]) == 2
    assert main(["evaluate", "elsewhere/moves"]) == 2
    assert numbers(
        capfd, "evaluate", "elsewhere/moves", "--source", "elsewhere/points.npy", "--draws", "2"
    )
    np.save("elsewhere/few.npy", POINTS[:5])
    np.save("elsewhere/others.npy", POINTS + 1)
    for others in ("few", "others"):
        capfd.readouterr()
        command = ["resume", "elsewhere/moves", "--epochs", "+1"]
        assert main([*command, "--source", f"elsewhere/{others}.npy"]) == 2
        said = capfd.readouterr().err
        assert "the data differ from those the run was started with" in said
        assert "--start RUN" in said
    assert (
        main(
            [
                "resume",
                "elsewhere/moves",
                "--epochs",
                "+1",
                "--source",
                "elsewhere/points.npy",
            ]
        )
        == 0
    )
    heading = [line.split() for line in capfd.readouterr().err.splitlines()]
    assert ["source", str(Path("elsewhere/points.npy").resolve())] in heading
    assert same("stays", "elsewhere/moves")


def test_rows_that_changed_since_the_fit_are_not_measured_on(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_in_shell("gmm", "points.npy", "run")
    np.save("points.npy", POINTS[::-1])
    assert main(["evaluate", "run"]) == 2
    assert "not those that run was fitted to" in capfd.readouterr().err


def test_a_configuration_of_a_python_run_repeats_it(place: Path) -> None:
    fit_in_python("gan", pf.read("images-labelled.npz", label=True), "python")
    for source in ("python/run.json", "python"):
        assert main(["fit", "--config", source, "--run", "again", "--overwrite", "-q"]) == 0
        assert same("python", "again")


# ----------------------------------------------------------------------------------------- format 1


def as_format_one(run: Path) -> None:
    """Write what a run of format 1 held in the place of run.json:
    config.toml by the command line, trainer.json by the fitter.
    """
    manifest = Manifest.read(run)
    assert manifest is not None
    assert manifest.data is not None
    settings = dict(manifest.settings)
    if manifest.fitter == "EM":
        settings = {
            "fitter": "em",
            **{name: settings[name] for name in ("steps", "tolerance", "block", "seed", "batch")},
        }
    write_text(run / "trainer.json", json.dumps(settings))
    hyperparameters = sections(manifest)["hyperparameters"]
    label = manifest.data.reading.get("label")
    data = {
        "held_out": manifest.data.held_out,
        "split_seed": manifest.data.split_seed,
        "categorical": [],
        "dequantise": manifest.dequantise,
    }
    data |= {"label": "auto"} if label is True else {}
    lines = [
        f"# {manifest.command}",
        f'model = "{manifest.model}"',
        f"source = {json.dumps(manifest.data.source)}",
    ]
    for section, values in (
        ("hyperparameters", hyperparameters),
        ("fitting", {"batch": 16}),
        ("data", data),
    ):
        lines += ["", f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
    write_text(run / "config.toml", "\n".join(lines) + "\n")
    (run / "run.json").unlink()


@pytest.mark.parametrize(
    ("case", "file", "labelled"),
    [
        ("vae", "points.npy", False),
        ("vae", "images-labelled.npz", True),
        ("gan", "images.npy", False),
    ],
)
def test_a_run_of_format_one_is_evaluated_and_goes_on(
    place: Path, capfd: pytest.CaptureFixture[str], case: str, file: str, labelled: bool
) -> None:
    more = ["--label", "auto"] if labelled else []
    fit_in_shell(case, file, "old", *more)
    shutil.copytree("old", "new")
    as_format_one(Path("old"))
    how = ["--features", "raw"] if case == "gan" else ["--draws", "2"]
    assert numbers(capfd, "evaluate", "old", *how) == numbers(capfd, "evaluate", "new", *how)
    assert numbers(capfd, "evaluate", "old", "--source", file, *how) == numbers(
        capfd, "evaluate", "new", *how
    )
    for run in ("old", "new"):
        assert main(["resume", run, "--epochs", "+1", "-q"]) == 0
    assert same("old", "new")
    held = {p.name for p in Path("old").iterdir()}
    assert "run.json" in held
    assert not held & {"config.toml", "trainer.json"}
    old, new = (json.loads(Path(f"{run}/run.json").read_text()) for run in ("old", "new"))
    assert old["fitter"] == new["fitter"]
    assert old["model"] == new["model"]
    assert {k: v for k, v in old["data"].items() if k != "reading"} == {
        k: v for k, v in new["data"].items() if k != "reading"
    }
    assert old["command"] == new["command"]


def test_an_em_run_of_format_one_is_evaluated_and_goes_on(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "fit",
                "gmm",
                "points.npy",
                "--components",
                "3",
                "--steps",
                "2",
                "--tolerance",
                "0",
                "--run",
                "old",
                "-q",
            ]
        )
        == 0
    )
    shutil.copytree("old", "new")
    as_format_one(Path("old"))
    assert numbers(capfd, "evaluate", "old") == numbers(capfd, "evaluate", "new")
    for run in ("old", "new"):
        assert main(["resume", run, "--steps", "+3", "-q"]) == 0
    assert same("old", "new")


def test_a_format_one_run_from_python_goes_on(place: Path) -> None:
    """Without config.toml nothing says where the rows came from."""
    fit_in_python("vae", pf.read(POINTS), "old")
    shutil.copytree("old", "new")
    as_format_one(Path("old"))
    Path("old/config.toml").unlink()
    train, test = pf.split(pf.read(POINTS), held_out=0.2, seed=0)
    for run in ("old", "new"):
        pf.VAE(**SMALL).fit(train, by=pf.Trainer(resume=run, epochs=3, held_out=test))
    assert same("old", "new")


def damaged(name: str) -> Callable[[Path], None]:
    return {
        "no model": lambda run: _edit(run, lambda c: c.pop("model")),
        "no data of its kind": lambda run: _edit(run, lambda c: c.update(data=3)),
        "a list": lambda run: write_text(run / "run.json", "[]"),
        "a fingerprint of another kind": lambda run: _edit(
            run, lambda c: c["data"].update(fingerprint=3)
        ),
        "a source of another kind": lambda run: _edit(run, lambda c: c["data"].update(source=3)),
        "settings of another kind": lambda run: _edit(
            run, lambda c: c["fitter"]["settings"].update(batch="x")
        ),
        "hyper-parameters of another kind": lambda run: _edit(
            run, lambda c: c["model"]["hyperparameters"].update(latent="x")
        ),
    }[name]


def _edit(run: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((run / "run.json").read_text())
    change(content)
    write_text(run / "run.json", json.dumps(content))


@pytest.mark.parametrize(
    "name",
    [
        "no model",
        "no data of its kind",
        "a list",
        "a fingerprint of another kind",
        "a source of another kind",
        "settings of another kind",
        "hyper-parameters of another kind",
    ],
)
def test_a_damaged_manifest_is_named_and_the_model_loads(
    place: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    fit_in_shell("vae", "points.npy", "run")
    capfd.readouterr()
    damaged(name)(Path("run"))
    assert main(["resume", "run", "--epochs", "+1", "-q"]) == 2
    said = capfd.readouterr().err.strip()
    assert "run.json is damaged" in said
    assert len(said.splitlines()) == 1
    assert pf.load("run").fitted
