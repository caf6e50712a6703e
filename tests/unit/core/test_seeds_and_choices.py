"""Seeds below 0 are refused everywhere in the same words, and lists of names are said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import suggest_listed
from pushforward.core.random import derive, generator
from pushforward.experiments.table_models import TableReading

REFUSED = "a seed must not be negative, got -1; pass 0, say"
X = torch.zeros(20, 2).normal_(generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "use",
    [
        lambda: generator(-1),
        lambda: generator(np.int64(-1)),
        lambda: derive(-1, "draws"),
        lambda: pf.GMM(1).fit(X, quiet=True).sample(3, rng=-1),
        lambda: pf.GMM(2).fit(X, seed=-1, quiet=True),
        lambda: pf.Trainer(seed=-1),
        lambda: pf.split(pf.read(X), seed=-1),
        lambda: pf.Experiment(pf.PCA(1), X, split_seed=-1),
        lambda: pf.synthesise(X, reading=TableReading(seed=-1)),
    ],
)
def test_negative_seeds_are_refused(use: Callable[[], object]) -> None:
    with pytest.raises(pf.InvalidValue, match=f"^{REFUSED}$"):
        use()


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "run"],
        ["compare", "ring:50", "run"],
        ["fit", "vae", "ring:50", "--run", "other"],
        ["fit", "gmm", "ring:50", "--run", "other"],
        ["odd", "x.csv"],
        ["latent", "run"],
        ["recipe", "ring", "--out", "other"],
    ],
)
def test_the_command_line_refuses_them(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pf.VAE(latent=1, hidden=(4,)).fit(X, steps=1, quiet=True).save("run")
    np.savetxt("x.csv", X.numpy(), delimiter=",", header="a,b", comments="")
    capsys.readouterr()
    assert main([*words, "--seed", "-1"]) == 2
    err = capsys.readouterr().err
    assert (REFUSED in err, err.count("\n")) == (True, 1)


def test_zero_and_large_seeds_are_accepted() -> None:
    assert generator(0).initial_seed() == 0
    assert isinstance(derive(2**80, "draws"), int)
    generator(2**80)


def test_listed_names_are_not_listed_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert suggest_listed("gausian", ["gaussian", "tophat"]) == "did you mean 'gaussian'?"
    assert suggest_listed("foo", ["gaussian", "tophat"]) == "pass one of these"
    assert main(["fit", "kde", "ring:50", "--kernel", "foo"]) == 2
    err = capsys.readouterr().err
    assert err.count("tophat") == 1
    assert err.endswith("got 'foo'; pass one of these\n")
    assert main(["evaluate", "nowhere", "--also", "foo"]) == 2
    assert capsys.readouterr().err.count("bdmc") == 1
