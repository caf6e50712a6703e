"""Labels 1, 2, 3: codes 0, 1, 2 of the data must reach the model
as the labels that they stand for, in every command.
"""

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.data import read


def run(*arguments):
    try:
        return main(list(map(str, arguments))) or 0
    except SystemExit as end:
        return end.code or 0


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A run on 30 rows whose label, 1 to 3, says where they lie;
    its folder, its table and its model.
    """
    folder = tmp_path_factory.mktemp("numbered")
    kinds = np.arange(30) % 3 + 1
    rows = np.random.default_rng(0).normal(size=(30, 2)) + 10 * kinds[:, None]
    table = folder / "t.csv"
    pandas.DataFrame({"a": rows[:, 0], "b": rows[:, 1], "kind": kinds}).to_csv(table, index=False)
    told = (
        "--label",
        "kind",
        "--latent",
        1,
        "--hidden",
        8,
        "--steps",
        40,
        "--batch",
        15,
        "--held-out",
        0,
        "--film",
        6,
        "-q",
    )
    assert run("fit", "vae", table, "--run", folder / "run", *told) == 0
    return folder / "run", table, pf.load(folder / "run")


def given(table):
    return read(table, label="kind").all().x, pandas.read_csv(table)["kind"].tolist()


def test_encode_and_reconstruct(numbered, tmp_path):
    folder, table, model = numbered
    x, labels = given(table)
    assert run("encode", folder, table, "--out", tmp_path / "z.npy", "-q") == 0
    assert torch.allclose(
        torch.from_numpy(np.load(tmp_path / "z.npy")).float(),
        model.encode(x, labels).float(),
        atol=1e-5,
    )
    assert run("reconstruct", folder, table, "--out", tmp_path / "x.npy", "-q") == 0
    back = model.decode(model.encode(x, labels), labels).detach()
    assert np.allclose(np.load(tmp_path / "x.npy"), back, atol=1e-4)


def test_density(numbered, tmp_path):
    folder, table, model = numbered
    x, labels = given(table)
    assert run("density", folder, table, "--draws", 1, "--out", tmp_path / "d.csv", "-q") == 0
    assert np.allclose(
        pandas.read_csv(tmp_path / "d.csv").iloc[:, 1],
        model.elbo(x, labels, rng=0).detach(),
        rtol=1e-4,
        atol=1e-4,
    )


def test_sample(numbered, tmp_path):
    folder, _, model = numbered
    assert (
        run("sample", folder, "-n", 4, "--y", "3", "--seed", 5, "--out", tmp_path / "s.csv", "-q")
        == 0
    )
    drawn = pandas.read_csv(tmp_path / "s.csv")
    assert drawn.iloc[:, 2].tolist() == [3] * 4
    assert np.allclose(drawn[["a", "b"]], model.sample(4, y=3, rng=5), rtol=1e-5)


def test_project(numbered):
    _, table, model = numbered
    x, labels = given(table)
    how = {"steps": 2, "start": "encoder", "rng": 0}
    named = pf.latent.project(model, x[:6], [str(v) for v in labels[:6]], **how)
    assert torch.equal(pf.latent.project(model, x[:6], labels[:6], **how).codes, named.codes)
