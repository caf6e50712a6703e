"""Sets of samples against data from Python: the records that the command writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.core.random import derive, generator, permutation
from pushforward.experiments.compare import Comparison, by_feature_space, compare
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.metrics.image_quality import psnr


@pytest.fixture
def comparison(place: Path) -> Comparison:
    return Comparison(
        str(place / "people.csv"),
        [str(place / "pca"), str(place / "gmm")],
        spaces=["raw", "scaled"],
        metrics=["mmd", "c2st"],
        reading={"drop": ["team"]},
        seed=3,
    )


def test_the_command_writes_what_python_gets(
    comparison: Comparison, command: Callable[..., str], place: Path
) -> None:
    notes: list[str] = []
    measured, samples = compare(comparison, say=notes.append)
    lines = command(
        "compare", place / "people.csv", place / "pca", place / "gmm", "--drop", "team",
        "--features", "raw,scaled", "--metrics", "mmd,c2st", "--seed", 3, "--json",
    ).splitlines()  # fmt: skip
    expected = [record.as_dict() for records in measured for record in records]
    assert [json.loads(line) for line in lines] == json.loads(json.dumps(expected, default=str))
    for records, other in zip(measured, samples):
        assert {record.details["compared"] for record in records} == {other.description}


def test_records_are_gathered_by_feature_space(comparison: Comparison) -> None:
    measured, _ = compare(comparison)
    spaces = by_feature_space(measured)
    assert len(spaces) == 2
    for space, sets in spaces.items():
        assert len(sets) == 2
        for records in sets:
            assert [record.quantity for record in records] == ["mmd²", "c2st"]
            assert all(str(record.details["features"]).startswith(space) for record in records)


def test_the_same_rows_on_both_sides_are_warned_of() -> None:
    same = Comparison("digits", ["digits"], metrics=["mmd"], rows=50)
    with pytest.warns(UserWarning, match="are the same rows"):
        compare(same)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="rows must be at least 2, got 1"):
        compare(Comparison("ring:9", ["ring:9"], rows=1))


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with their halves as conditions, `pairs.npz`, and `run`: a VAE of the former given the
    latter.
    """
    root = tmp_path_factory.mktemp("translator")
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 16, 16), dtype=np.uint8)
    np.savez(root / "pairs.npz", x=x, y=x[:, :, ::2, ::2])
    model = pf.VAE(latent=2, hidden=(8,))
    settings = {"steps": 3, "batch": 16}
    pf.Experiment(model, str(root / "pairs.npz"), y="y", fitter=settings).run(root / "run")
    return root


def test_images_made_of_conditions_are_compared_with_their_originals(translator: Path) -> None:
    pairs, run = str(translator / "pairs.npz"), str(translator / "run")
    ((record,),), (rows,) = compare(Comparison(pairs, [run], metrics=["psnr"], rows=20))
    arrays = np.load(pairs)
    order = permutation(60, rng=derive(0, "compare"))[:20].sort().values.numpy()
    stream = generator(derive(0, "draws", 1))
    x = pf.load(run).sample(20, y=arrays["y"][order], rng=stream)
    assert torch.equal(rows.x, x.round().clamp(0, 255).double())
    expected = psnr(arrays["x"][order], rows.x.numpy(), low=0, high=255)
    assert record.value == pytest.approx(expected.value)
    with pytest.raises(InvalidValue, match=r"the draws of .*run have none"):
        compare(Comparison(run, [run], metrics=["psnr"]))


def test_evaluate_measures_images_made_of_conditions(translator: Path) -> None:
    (records,) = evaluate_runs([translator / "run"]).measured
    measured = {record.quantity: record for record in records}
    likeness = ["psnr", "ssim", "absolute_error", "gradient_energy"]
    spread = ["variation", "variation_sd", "variation_of_error"]
    assert list(measured) == ["elbo", "iwae", "squared_error", *likeness, *spread]
    held_out = pf.experiments.open_run(translator / "run").parts().held_out
    assert held_out is not None
    batch = held_out.all()
    x = pf.load(translator / "run").sample(12, y=batch.y, rng=generator(derive(0, "draws")))
    expected = psnr(batch.x, x.round().clamp(0, 255), low=0, high=255)
    assert measured["psnr"].value == pytest.approx(expected.value)
    assert measured["psnr"].n == 12


def test_runs_are_sampled_as_asked(translator: Path, command: Callable[..., str]) -> None:
    pairs, run = translator / "pairs.npz", translator / "run"
    values = [
        json.loads(command("compare", pairs, run, "--metrics", "psnr", *using, "--json"))["value"]
        for using in ([], ["--using", "mean"], ["--using", "ancestral"])
    ]
    assert values[0] == values[1]
    assert abs(values[0] - values[2]) > 0.1
    with pytest.raises(InvalidValue, match="using=mean is how runs are sampled, and none is"):
        compare(Comparison("ring:20", ["moons:20"], using="mean"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"spaces": ["raw", "foo"]}, "unknown features 'foo'"),
        ({"metrics": ["fid", "foo"]}, "unknown metric 'foo'"),
        ({"metrics": ["memorisation"]}, "memorisation compares with the training rows"),
        ({"using": "foo"}, "unknown sampler 'foo'"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_read_or_sampled(
    comparison: Comparison,
    asked: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_nothing(*arguments: object, **named: object) -> None:
        raise AssertionError("a name was checked only after rows were read or sampled")

    for late in ("read", "sample_run"):
        monkeypatch.setattr(f"pushforward.experiments.compare.{late}", read_nothing)
    with pytest.raises(InvalidValue, match=message):
        compare(replace(comparison, **asked))
