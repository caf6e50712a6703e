"""Recipes and studies fit their models by experiments: their runs open like any other, and give the
numbers that the recipe or study reports.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import torch

import pushforward as pf
import studies
from pushforward import recipes
from pushforward.core.random import derive
from pushforward.experiments import open_run
from pushforward.recipes import ring
from pushforward.recipes.basketball import trajectories
from pushforward.recipes.registry import run
from pushforward.recipes.runs import run_folder
from studies import divergences

FILES = [
    path
    for room in (recipes, studies)
    for path in sorted(Path(room.__path__[0]).rglob("*.py"))
    if path.name != "reference_tables.py"  # models of other libraries
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_models_are_fitted_by_experiments_alone(path: Path) -> None:
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "fit"
    ]
    assert calls == []


def test_a_recipes_run_opens_and_gives_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in {"ROWS": 600, "TEST": 50, "DRAWS": 200, "K": 10, "CODES": 20}.items():
        monkeypatch.setattr(ring, name, size)
    found, _ = run("ring", out=tmp_path, seed=3, budget=0.0013)
    opened = open_run(tmp_path / "runs" / "vae")
    test = ring.draw(ring.TEST, rng=derive(3, "test"))
    samples = opened.model.sample(ring.DRAWS, rng=derive(3, "samples")).double()
    again = ring.measured(opened.model, test, samples, 3)
    assert {key: record.value for key, record in again.items()} == {
        key: record.value for key, record in found.records.items()
    }
    stored = json.loads((tmp_path / "records.json").read_text())["records"]
    assert stored["fitted"]["value"] == again["fitted"].value

    train = ring.draw(ring.ROWS, rng=derive(3, "train"))
    settings = {
        "samples": round(0.0013 * ring.SAMPLES),
        "batch": ring.BATCH,
        "schedule": "cosine",
        "optimizers": {"vae": "adam(rate=0.003)"},
    }
    direct = pf.VAE(**opened.model.hyperparameters()).fit(
        train.float(), by=pf.Trainer(seed=3, **settings)
    )
    assert opened.manifest is not None
    assert opened.manifest.fitter == "Trainer"
    assert all(
        torch.equal(one, other)
        for one, other in zip(direct.parameters(), opened.model.parameters(), strict=True)
    )


def test_the_run_of_a_model_fitted_in_one_go_gives_the_recipes_numbers(
    tracking: Path, tmp_path: Path
) -> None:
    found, _ = run("trajectories", file=tracking, out=tmp_path)
    pca = open_run(tmp_path / "runs" / "pca-on-the-court").model
    paths = trajectories.paths_of(tracking)
    held = paths[round((1 - trajectories.HELD_OUT) * len(paths)) :]
    codes = pca.encode(held.flatten(1))
    for k in trajectories.COUNTS:
        restored = (pca.mean_ + codes[:, :k] @ pca.components_[:k]).reshape(held.shape)
        miss = (restored - held).square().sum(2).mean(1).sqrt()
        assert found.records[f"miss, {k}"].value == pytest.approx(float(miss.mean()), rel=1e-12)


def test_a_studys_run_opens_and_gives_its_numbers(tmp_path: Path) -> None:
    numbers = divergences.learn("kl", 0, steps=20, folder=tmp_path / "kl")
    model = open_run(tmp_path / "kl").model
    with torch.no_grad():
        low, high = model.decode(torch.tensor([[0.0], [1.0]])).flatten().tolist()
    assert numbers == (low, abs(high - low))
    assert numbers == divergences.learn("kl", 0, steps=20)


def test_runs_are_named_after_what_the_recipe_calls_its_models() -> None:
    assert run_folder(None, "VAE") is None
    assert run_folder(Path("a"), "ring: GAN, 2 codes") == Path("a/ring-gan-2-codes")
    assert run_folder(Path("a"), "vae-sigma-0.25") == Path("a/vae-sigma-0.25")
