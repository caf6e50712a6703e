"""Fits by passes (EM): what is killed or stopped and gone on with
ends with the bits of what was not, over every such model.

`save_every=0` saves at every block and pass. Iterative models are stopped within and between
passes, those of one pass in its middle, and during the scan before it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import Interrupted
from pushforward.core.events import CancelToken, Event
from pushforward.core.registry import catalogue
from pushforward.core.source_views import Subset
from pushforward.fitting.checkpoint import Checkpoints
from pushforward.fitting.log import read_log
from pushforward.fitting.trees import as_tree, from_tree

PASSES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "gmm": (lambda: pf.GMM(3), {"steps": 8, "tolerance": 0.0}),
    "gmm tied": (
        lambda: pf.GMM(3, covariance="tied", start="random", precision="float32"),
        {"steps": 8, "tolerance": 0.0},
    ),
    "gmm starts": (lambda: pf.GMM(3, starts=3), {"steps": 4, "tolerance": 0.0}),
    "gmm gaps": (lambda: pf.GMM(2, covariance="diagonal"), {"steps": 5, "tolerance": 0.0}),
    "kmeans": (lambda: pf.KMeans(9, tolerance=0.0), {"steps": 40, "tolerance": 0.0}),
    "kmeans budget": (lambda: pf.KMeans(9, tolerance=0.0), {"steps": 4, "tolerance": 0.0}),
    "kmeans starts": (
        lambda: pf.KMeans(5, starts=2, precision="float64"),
        {"steps": 5, "tolerance": 0.0},
    ),
    "kmeans batch": (lambda: pf.KMeans(5, batch=64), {"steps": 8, "tolerance": 0.0}),
    "pca": (lambda: pf.PCA(2), {}),
    "pca heldout": (lambda: pf.PCA("heldout"), {}),
    "gaussian": (pf.Gaussian, {}),
    "independent": (pf.IndependentColumns, {}),
    "copula": (pf.GaussianCopula, {"steps": 5, "tolerance": 0.0}),
    "copula gaps": (pf.GaussianCopula, {"steps": 5, "tolerance": 0.0}),
    "mixed": (lambda: pf.MixedMixture(3), {"steps": 5, "tolerance": 0.0}),
    "mixed gaps": (
        lambda: pf.MixedMixture(2, covariance="diagonal"),
        {"steps": 5, "tolerance": 0.0},
    ),
    "kde": (lambda: pf.KDE(bandwidth=0.3), {}),
    "fourier_kde": (lambda: pf.FourierKDE(bandwidth=0.5), {}),
}
STREAMED = ("gmm", "kmeans", "pca", "gaussian")


def rows(name: str = "") -> Tensor:
    """(1003, 3): three clusters; some values missing where the model takes that."""
    x = torch.randn(1003, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    x[::3] += 3
    x[1::3, 0] -= 5
    if name.endswith(" gaps"):
        x[::5, 1] = torch.nan
    return x[:, :1] if name == "fourier_kde" else x


class Streamed(Subset):
    """Rows that are read anew at every pass."""

    resident = False


def source(name: str, streamed: bool = False) -> Any:
    given = pf.read(rows(name))
    return Streamed(given, torch.arange(1003)) if streamed else given


def fitted(name: str, *, streamed: bool = False, **more: Any) -> Any:
    make, settings = PASSES[name]
    em = pf.EM(**more) if "resume" in more else pf.EM(**{"block": 200, **settings, **more})
    model = make()
    try:
        model.fit(source(name, streamed), by=em)
    except Interrupted as stopped:
        model.reason = "interrupted" if stopped.saved else "lost"
    else:
        model.reason = model.fit_result.reason
    return model


def equal(one: Any, two: Any) -> None:
    a, b = one.state_dict(), two.state_dict()
    assert list(a) == list(b)
    for key in a:
        assert torch.equal(a[key].nan_to_num(), b[key].nan_to_num()), key


class StopAt:
    """Cancels at the n-th event of a name."""

    def __init__(self, n: int, token: CancelToken, name: str = "Saved") -> None:
        self.left, self.token, self.name = n, token, name

    def __call__(self, event: Event, model: Any) -> None:
        if type(event).__name__ == self.name:
            self.left -= 1
            if self.left == 0:
                self.token.cancel()


def story(run: Path) -> list[dict[str, Any]]:
    """The log, without times and without what later sittings began with."""
    told = [
        {k: v for k, v in e.items() if k not in ("seconds", "rate", "remaining")}
        for e in read_log(run)
    ]
    return [e for e in told if e["event"] != "started" or e["samples"] == 0]


def test_every_model_that_is_learnt_by_passes_is_here() -> None:
    by_passes = {
        n
        for n, cls in pf.registered_models()
        if n in catalogue and isinstance(_default_fitter(cls), pf.EM)
    }
    assert by_passes <= {name.split()[0] for name in PASSES}


def _default_fitter(cls: type) -> Any:
    try:
        return cls().default_fitter()
    except pf.InvalidValue:
        return None


@pytest.mark.parametrize("at", [1, 5])
@pytest.mark.parametrize(
    ("name", "streamed"), [*((n, False) for n in PASSES), *((n, True) for n in STREAMED)]
)
def test_stopped_and_gone_on_with(name: str, streamed: bool, at: int, folder: Path) -> None:
    whole = fitted(name, streamed=streamed)
    watched = fitted(name, streamed=streamed, run=folder / "whole", save_every=0)
    equal(whole, watched)
    token = CancelToken()
    model = fitted(
        name,
        streamed=streamed,
        run=folder / "run",
        save_every=0,
        token=token,
        callbacks=[StopAt(at, token)],
    )
    for _ in range(30):
        if model.reason != "interrupted":
            break
        token = CancelToken()
        model = fitted(
            name,
            streamed=streamed,
            resume=folder / "run",
            token=token,
            callbacks=[StopAt(at, token)],
        )
    assert model.reason == watched.reason
    equal(whole, model)
    equal(whole, pf.load(folder / "run"))
    assert story(folder / "run")[-1] == story(folder / "whole")[-1]


def test_stopped_during_the_scan_before_the_pass(folder: Path) -> None:
    token = CancelToken()
    token.cancel()
    x = torch.randn(300_000, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(KeyboardInterrupt):
        pf.Gaussian().fit(x, by=pf.EM(run=folder / "run", save_every=0, token=token))
    state = Checkpoints(folder / "run").newest()
    assert 0 < state["scanned"] < 300_000
    equal(pf.Gaussian().fit(x), pf.Gaussian().fit(x, by=pf.EM(resume=folder / "run")))


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (0, 2, 1)])
def test_tensors_come_back_in_the_order_in_which_they_lay_in_memory(
    axes: tuple[int, ...], folder: Path
) -> None:
    x = torch.randn(3, 4, 5, dtype=torch.float64).permute(axes)
    Checkpoints(folder).save({"x": as_tree({"x": x, "more": (x, [x[..., None]], None)})}, 0)
    back = from_tree(Checkpoints(folder).newest()["x"], {}, torch.device("cpu"))
    for one, two in ((x, back["x"]), (x, back["more"][0]), (x[..., None], back["more"][1][0])):
        assert torch.equal(one, two)
        assert one.squeeze().stride() == two.squeeze().stride()


@pytest.mark.parametrize("damage", ["model", "passes", "total", "mine", "origin", "seconds"])
def test_a_damaged_state_is_refused_in_one_line(damage: str, folder: Path) -> None:
    fitted("kmeans budget", run=folder / "run")
    checkpoints = Checkpoints(folder / "run")
    state = dict(checkpoints.newest())
    state[damage] = "spoilt"
    checkpoints.save(state, 10**6)
    with pytest.raises(pf.BadRun):
        fitted("kmeans budget", resume=folder / "run")


@pytest.mark.parametrize("name", ["gmm", "kmeans budget", "kmeans batch"])
def test_more_passes_equal_one_long_fit(name: str, folder: Path) -> None:
    long = fitted(name, steps=11)
    short = fitted(name, run=folder / "run", steps=4)
    assert short.reason == "budget"
    equal(long, fitted(name, resume=folder / "run", steps=11))
    equal(long, pf.load(folder / "run"))


@pytest.mark.parametrize("name", ["gmm", "kmeans budget", "kmeans batch"])
def test_a_budget_that_is_spent_already_is_refused_and_nothing_is_changed(
    name: str, folder: Path
) -> None:
    fitted(name, run=folder / "run", steps=4)
    before = {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()}
    with pytest.raises(
        pf.InvalidValue,
        match=r"is at step 4, already past 3 steps; pass steps=7 to go on for 3 more",
    ):
        fitted(name, resume=folder / "run", steps=3)
    assert {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("begun", "given", "message"),
    [
        (
            "vae rows.npy --hidden 4 --batch 100 --steps 9",
            "--steps 4",
            "already past 4 steps; pass --steps +4 to go on for 4 more",
        ),
        (
            "vae rows.npy --hidden 4 --batch 100 --epochs 2",
            "--epochs 1",
            "; pass --epochs +1 to go",
        ),
        (
            "vae rows.npy --hidden 4 --batch 100 --epochs 2",
            "--samples 300",
            "already past 300 samples",
        ),
        (
            "gmm rows.npy --components 3 --steps 4 --tolerance 0",
            "--steps 3",
            "; pass --steps 7 to go",
        ),
    ],
)
def test_the_command_line_refuses_a_spent_budget_in_one_line(
    begun: str,
    given: str,
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    np.save("rows.npy", rows().numpy())
    assert main(["fit", *begun.split(), "--run", "run", "-q"]) == 0
    before = {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main(["resume", "run", *given.split(), "-q"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()} == before


def test_a_fit_that_has_ended_leaves_no_checkpoint_and_is_not_resumed(folder: Path) -> None:
    fitted("kmeans", run=folder / "run")
    assert not (folder / "run" / "state").exists()
    with pytest.raises(pf.BadRun, match="has ended"):
        fitted("kmeans", resume=folder / "run")


def test_a_fit_that_fails_at_once_leaves_nothing_and_an_older_run_in_place(folder: Path) -> None:
    fitted("gaussian", run=folder / "run")
    before = sorted(p.name for p in (folder / "run").iterdir())
    with pytest.raises(pf.BadSource):
        pf.Gaussian().fit(
            [[1.0, float("nan")], [2.0, 3.0]], by=pf.EM(run=folder / "run", overwrite=True)
        )
    with pytest.raises(pf.InvalidValue, match="not empty"):
        fitted("gaussian", run=folder / "run")
    assert sorted(p.name for p in (folder / "run").iterdir()) == before
    with pytest.raises(pf.BadSource):
        pf.Gaussian().fit([[1.0, float("nan")], [2.0, 3.0]], by=pf.EM(run=folder / "new"))
    assert not (folder / "new").exists()


OTHERS: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "seed": ("kmeans budget", {"seed": 5}, 1003, "seed differs"),
    "data": ("kmeans budget", {}, 1002, "the data differ"),
    "model": ("gmm", {}, 1003, "model differs"),
    "arguments": ("kmeans starts", {}, 1003, "the model's (clusters|starts) differs"),
}


@pytest.mark.parametrize("what", list(OTHERS))
def test_another_runs_state_is_refused_by_name(what: str, folder: Path) -> None:
    name, settings, n, message = OTHERS[what]
    fitted("kmeans budget", run=folder / "run")
    token = CancelToken()
    em = pf.EM(
        **{"block": 200, **PASSES[name][1], **settings},
        run=folder / "other",
        token=token,
        callbacks=[StopAt(2, token, "Progress")],
    )
    PASSES[name][0]().fit(rows()[:n], by=em)
    shutil.rmtree(folder / "run" / "state")
    shutil.copytree(folder / "other" / "state", folder / "run" / "state")
    with pytest.raises(pf.BadRun, match=message):
        fitted("kmeans budget", resume=folder / "run")


@pytest.mark.parametrize(
    ("given", "message"),
    [({"seed": 7}, "seed=0, not 7"), ({"block": 99}, "block=200"), ({"run": "elsewhere"}, "run")],
)
def test_other_settings_are_refused_by_name(
    given: dict[str, Any], message: str, folder: Path
) -> None:
    fitted("kmeans budget", run=folder / "run")
    with pytest.raises(pf.InvalidValue, match=message):
        pf.EM(resume=folder / "run", **given)


def test_each_fitter_names_the_other(folder: Path) -> None:
    fitted("kmeans budget", run=folder / "run")
    pf.VAE(latent=1, hidden=(2,)).fit(rows(), by=pf.Trainer(steps=1, run=folder / "vae"))
    with pytest.raises(pf.BadRun, match="started by EM"):
        pf.Trainer(resume=folder / "run")
    with pytest.raises(pf.BadRun, match="started by a Trainer"):
        pf.EM(resume=folder / "vae")


# --------------------------------------------------------------------------------- the command line

CHILD = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from pushforward.cli.main import main
from pushforward.fitting import pass_folder

save, saved, number = pass_folder.PassFolder.save, [], int(sys.argv[1])

def counted(self, *args, **named):
    path = save(self, *args, **named)
    saved.append(path)
    if len(saved) == 3:
        os.kill(os.getpid(), number)
    return path

pass_folder.PassFolder.save = counted
for i, words in enumerate(sys.argv[2].split(";")):
    child = os.fork()
    if child == 0:
        os._exit(main(words.split()))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
COMMANDS = {
    "gmm": "fit gmm rows.npy --components 3 --steps 9 --tolerance 0 --save-every 0 -q",
    "kmeans": "fit kmeans rows.npy --clusters 9 --steps 9 --tolerance 0 --save-every 0 -q",
    "gaussian": "fit gaussian rows.npy --block 100 --save-every 0 -q",
}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_from_outside_and_resumed_by_the_command_line(
    number: signal.Signals, folder: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(folder)
    np.save("rows.npy", rows().numpy())
    orders = ";".join(f"{words} --run {name}-stopped" for name, words in COMMANDS.items())
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, str(int(number)), orders],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout.split() == [str(-number if number == signal.SIGKILL else 130)] * len(
        COMMANDS
    ), ended.stderr
    for name, words in COMMANDS.items():
        assert main([*words.split(), "--run", name]) == 0
        assert (folder / f"{name}-stopped" / "state").is_dir()
        assert main(["resume", f"{name}-stopped", "-q"]) == 0
        equal(pf.load(name), pf.load(f"{name}-stopped"))
        assert {p.name for p in Path(name).iterdir()} == {
            p.name for p in Path(f"{name}-stopped").iterdir()
        }
        assert main([*words.split(), "--run", f"{name}-stopped", "--overwrite"]) == 0
