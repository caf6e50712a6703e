"""A model, reader, metric, feature space and optimiser of the user's own, in one file: named,
listed, fitted, resumed, measured.

Divergences, games and the like are values as the optimiser is.
What is registered stays registered, so commands run in a child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

MINE = '''
from dataclasses import dataclass

import numpy as np
import torch

import pushforward as pf
from pushforward.core.records import Record
from pushforward.core.samplers import Ancestral
from pushforward.densities.likelihoods import GaussianLikelihood
from pushforward.metrics.features import Features


@pf.register("short-vae")
class ShortVAE(pf.VAE):
    """A VAE whose codes are one number wide.

    Arguments:
        hidden: units of the hidden layers.
        width: how wide a code is.
    """

    def __init__(self, hidden: tuple[int, ...] = (8,), width: int = 1) -> None:
        super().__init__(latent=width, hidden=hidden)
        self.width = width

    def hyperparameters(self):
        return {"hidden": self.hidden, "width": self.width}


@pf.register_reader(suffixes=(".spectrum",))
def spectrum(path, options):
    """Spectra, one a line."""
    return np.loadtxt(path, ndmin=2)


@pf.register_metric("mean-gap")
def mean_gap(real, generated, *, features, rng=0, data="", **rest):
    """The distance between the means."""
    gap = float((real.mean(0) - generated.mean(0)).norm())
    details = {"features": features.label}
    return Record("mean_gap", gap, 0.0, "feature units", "", "exact", data, len(generated), details)


@pf.register_features("first")
def first(real, *, labels=None, low=None, high=None, device="cpu", rng=0):
    """The first coordinate."""
    return Features("first", "first", lambda x: x.flatten(1)[:, :1])


@dataclass(frozen=True)
class Half(pf.adam, name="half"):
    """Adam at half the rate."""

    rate: float = 5e-4


@dataclass(frozen=True)
class Wide(GaussianLikelihood, name="wide"):
    """A normal distribution of standard deviation 2."""

    sigma: float | None = 2.0


@dataclass(frozen=True)
class Twice(Ancestral, name="twice"):
    """The samples of another call, doubled."""

    own = False

    def __call__(self, model, n, *, y=None, rng=None):
        return 2 * model.sample(n, y=y, rng=rng)
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    np.savetxt(tmp_path / "x.spectrum", np.random.default_rng(0).normal(size=(60, 3)))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 3)))
    return tmp_path


CHILD = """
import contextlib, io, json, sys
from pushforward.cli.main import main
results = []
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line)
    results.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
print(json.dumps(results))
"""


@dataclass
class Result:
    code: int
    out: str
    err: str


def run(place: Path, *lines: str, mine: bool = True, **environment: str) -> list[Result]:
    """Command lines, one after another in one new process."""
    words = [[*line.split(), *(["--import", "mine.py"] if mine else [])] for line in lines]
    call = [sys.executable, "-c", CHILD, json.dumps(words)]
    done = subprocess.run(
        call,
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return [Result(**result) for result in json.loads(done.stdout)]


FIT = "fit short-vae x.npy --epochs 1 --run run -q"


def test_a_model_of_ones_own_is_like_those_of_the_package(place: Path) -> None:
    listed, models, flags, fitted, resumed, measured, sampled = run(
        place,
        "fit --help",
        "models --json",
        "fit short-vae --help",
        "fit short-vae x.spectrum --width 2 --epochs 1 --optimizer half --run run -q",
        "resume run --epochs +1 -q",
        "evaluate run --draws 2 --json -q",
        "sample run -n 2",
    )
    assert "short-vae" in listed.out
    (entry,) = (
        row for row in map(json.loads, models.out.splitlines()) if row["model"] == "short-vae"
    )
    assert entry["summary"] == "A VAE whose codes are one number wide"
    assert "--width" in flags.out
    assert "how wide a code is" in flags.out
    for done in (fitted, resumed, measured, sampled):
        assert done.code == 0, done.err
    assert {json.loads(line)["details"]["model"] for line in measured.out.splitlines()} == {
        "short-vae"
    }


def test_help_lists_what_a_file_registers(place: Path) -> None:
    lines = ["fit vae", "compare", "evaluate", "sample"]
    helped = [" ".join(r.out.split()) for r in run(place, *(f"{line} --help" for line in lines))]
    for text, names in zip(
        helped, (["'wide'", "'half'"], ["mean-gap", "first"], ["first"], ["twice"])
    ):
        for name in names:
            assert f"; yours: {name}" in text, name
    (done,) = run(place, "compare --help", mine=False)
    assert "yours" not in done.out


def test_a_run_says_which_file_it_needs_and_does_not_import_it_itself(place: Path) -> None:
    (fitted,) = run(place, FIT)
    assert fitted.code == 0, fitted.err
    for refused in run(place, "evaluate run", "resume run --epochs +1", "sample run", mine=False):
        assert refused.code == 2
        assert f"--import {place.resolve()}/mine.py" in refused.err
        assert len(refused.err.strip().splitlines()) == 1


def test_a_run_read_by_a_reader_of_ones_own_says_which_file_it_needs(place: Path) -> None:
    (fitted,) = run(place, "fit pca x.spectrum --run run -q")
    assert fitted.code == 0, fitted.err
    for refused in run(place, "evaluate run", mine=False):
        assert refused.code == 2
        assert f"--import {place.resolve()}/mine.py" in refused.err
    (measured,) = run(place, "evaluate run -q")
    assert measured.code == 0, measured.err


BROKEN = """
import torch
import pushforward as pf


@pf.register("broken")
class Broken(pf.VAE):
    def prior(self, n=1):
        return torch.ones(3) @ torch.ones(4)
"""


def test_an_error_in_ones_own_file_is_not_called_a_defect_of_the_package(place: Path) -> None:
    (place / "mine.py").write_text(BROKEN)
    (failed,) = run(place, "fit broken x.npy --hidden 4 --epochs 1 -q")
    assert failed.code == 2
    line = BROKEN.splitlines().index("        return torch.ones(3) @ torch.ones(4)") + 1
    assert f"mine.py, line {line}: RuntimeError: " in failed.err
    assert "defect" not in failed.err
    assert len(failed.err.strip().splitlines()) == 1


FAULTY = """
import torch
import pushforward as pf
from pushforward.core.records import Record


class Flat(pf.VAE):
    def log_prob(self, x, y=None):
        return torch.zeros(len(x), 2)


@pf.register("no-default")
class NoDefault(Flat):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate


@pf.register("not-kept")
class NotKept(Flat):
    def __init__(self, hidden: tuple[int, ...] = (4,), width: int = 3):
        super().__init__(hidden=hidden)


@pf.register("two-numbers")
class TwoNumbers(Flat):
    def __init__(self, hidden: tuple[int, ...] = (4,)):
        super().__init__(hidden=hidden)


@pf.register("needs-y")
class NeedsY(TwoNumbers):
    def log_prob(self, x, y):
        return torch.zeros(len(x))


@pf.register("few")
class Few(pf.VAE):
    def sample(self, n, y=None, rng=None, using=None):
        return super().sample(n, y=y, rng=rng, using=using)[:1]


@pf.register_metric("a-number")
def a_number(real, generated, *, features, rng=0, data=""):
    return 0.5


@pf.register_metric("no-features")
def no_features(real, generated):
    return Record("r", 0.5, 0.0, "", "", "exact", "", 1, {})


@pf.register_metric("bare")
def bare(real, generated, *, features, rng=0, data=""):
    return Record("bare", 0.5, 0.0, "", "", "exact", data, len(generated), {})
"""


def test_what_does_not_fit_in_ones_own_file_is_said_in_one_line(place: Path) -> None:
    (place / "mine.py").write_text(FAULTY)
    budget = "x.npy --epochs 1 -q"
    lines = {
        f"fit no-default {budget}": "every argument of NoDefault needs a default",
        f"fit not-kept {budget}": "its argument width is not kept; set self.width",
        f"fit two-numbers {budget}": "must give one number for each row, (n,); got (",
        f"fit needs-y {budget}": "mine.py, NeedsY: TypeError: NeedsY.log_prob() missing 1",
        "compare x.npy x.npy --metrics a-number": "'a-number' must give a Record or a list of them",
        "compare x.npy x.npy --metrics no-features": "mine.py, no_features: TypeError:",
    }
    for done, message in zip(run(place, *lines), lines.values()):
        assert done.code == 2, done.err
        assert message in done.err
        assert len([x for x in done.err.splitlines() if x.startswith("error: ")]) == 1
    fitted, sampled = run(place, f"fit few {budget} --run few", "sample few -n 3")
    assert fitted.code == 0, fitted.err
    assert sampled.code == 2
    assert "sample of Few must give 3 rows, got (1, 3)" in sampled.err
    (compared,) = run(place, "compare x.npy x.npy --metrics bare --json -q")
    assert compared.code == 0, compared.err
    assert json.loads(compared.out)["value"] == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(7)\n", "mine.py cannot be imported (SystemExit: 7)"),
        (
            "import pushforward as pf\n@pf.register('vae')\nclass Mine(pf.PCA): ...\n",
            "'vae' is the name of a model of this package; choose another name",
        ),
        (
            "import pushforward as pf\nclass Mine(pf.adam, name='adam'): ...\n",
            "the optimizer 'adam' belongs to this package; choose another name",
        ),
    ],
)
def test_a_file_that_ends_the_program_or_takes_a_name_is_refused(
    place: Path, text: str, message: str
) -> None:
    (place / "mine.py").write_text(text)
    (refused,) = run(place, "models")
    assert refused.code == 2
    assert message in refused.err


def test_a_metric_and_a_feature_space_of_ones_own_compare(place: Path) -> None:
    np.save(place / "y.npy", np.random.default_rng(1).normal(size=(60, 3)) + 1)
    command = "compare x.npy y.npy --metrics mean-gap --features first --json -q"
    (compared,) = run(place, command)
    assert compared.code == 0, compared.err
    record = json.loads(compared.out)
    gap = abs(np.load(place / "x.npy")[:, 0].mean() - np.load(place / "y.npy")[:, 0].mean())
    assert record["quantity"] == "mean_gap"
    assert record["value"] == pytest.approx(gap, rel=1e-6)
    (refused,) = run(place, command, mine=False)
    assert refused.code == 2
    assert "unknown features 'first'" in refused.err


def test_an_installed_package_offers_the_same_through_an_entry_point(place: Path) -> None:
    """As pip leaves it: a module on the path, and the names of its entry points beside it."""
    about = place / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[pushforward.plugins]\ntheirs = mine\nbroken = nothing_of_that_name\n"
    )
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    compare = "compare x.npy run --metrics mean-gap --features first"
    lines = (
        "models --json",
        FIT,
        "evaluate run --draws 0 -q",
        "resume run --epochs +1 -q",
        compare,
    )
    results = run(place, *lines, mine=False, PYTHONPATH=path)
    assert "short-vae" in results[0].out
    assert "the plugin nothing_of_that_name cannot be loaded" in results[0].err
    assert all(done.code == 0 for done in results), [done.err for done in results]
