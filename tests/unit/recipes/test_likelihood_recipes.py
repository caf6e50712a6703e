"""The lecture's recipes on tiny budgets:
exact distributions against quadrature and draws, records, images, and what is refused.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.cli.main import main
from pushforward.metrics.likelihood import iwae
from pushforward.recipes import mnist, quiz, ring, sharpness
from pushforward.recipes.registry import run
from tests.looks import seen

# ----------------------------------------------------------------------------------------- the ring


def radial(sigma: float) -> tuple[Tensor, Tensor, float]:
    width = 2.2 / 4000
    radius = (torch.arange(4000, dtype=torch.float64) + 0.5) * width
    return radius, ring.log_density(radius, sigma), width


def test_v2_the_noisy_ring_has_mass_one_and_its_published_entropy() -> None:
    radius, log_p, width = radial(ring.SIGMA)
    mass = 2 * math.pi * radius * log_p.exp() * width
    assert float(mass.sum()) == pytest.approx(1, abs=1e-5)
    assert float((mass * log_p).sum()) == pytest.approx(-0.867672, abs=1e-5)
    x = ring.draw(200_000, rng=0)
    assert float(ring.log_density(x[:20_000].norm(dim=1)).mean()) == pytest.approx(
        -0.8677, abs=0.02
    )
    assert float((x.norm(dim=1) < ring.INSIDE).double().mean()) == pytest.approx(
        ring.radial_share(ring.INSIDE), abs=0.0008
    )


def test_v1_without_noise_the_radius_is_rayleigh_s_beyond_one() -> None:
    radius = ring.draw(100_000, rng=1, sigma=0.0).norm(dim=1)
    assert float(radius.min()) > 1
    assert (float(radius.mean()), float(radius.std())) == (
        pytest.approx(1.1253314, abs=0.001),
        pytest.approx(0.0655136, abs=0.001),
    )
    # with next to no noise the density is that of the map itself
    at = torch.tensor([1.1, 1.2], dtype=torch.float64)
    exact = (50 / (math.pi * at) * (at - 1)).log() - 50 * (at - 1).square()
    assert torch.allclose(ring.log_density(at, 0.005), exact, atol=0.01)


def test_shares_rise_to_one_and_a_distribution_has_a_small_distance_from_itself() -> None:
    shares = ring.shares_below(torch.linspace(0, 2.2, 50, dtype=torch.float64))
    assert bool((shares.diff() >= 0).all())
    assert (float(shares[0]), float(shares[-1])) == (0.0, pytest.approx(1, abs=1e-4))
    n = 20_000
    assert ring.distance(ring.draw(n, rng=3).norm(dim=1)) < 1.63 / math.sqrt(n)
    for far in (0.0, 2.2):  # all of the distribution beyond it, or before it
        assert ring.distance(torch.tensor([far], dtype=torch.float64)) == pytest.approx(1, abs=1e-4)
    assert ring.distance(1.02 * ring.draw(n, rng=3).norm(dim=1)) > 0.05


def test_the_ring_is_learnt_measured_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "ROWS": 2000,
        "TEST": 300,
        "DRAWS": 1000,
        "K": 50,
        "CODES": 500,
        "CELLS": 24,
    }.items():
        monkeypatch.setattr(ring, name, value)
    found, paths = run("ring", out=tmp_path, budget=0.02, seed=1)
    seen(paths, "ring.png")
    learnt, exact, gap = (found.records[key] for key in ("fitted", "exact", "exact minus fitted"))
    assert gap.value == pytest.approx(exact.value - learnt.value)
    assert 0 < gap.value < 2
    assert (learnt.bound, exact.bound, learnt.data) == ("lower bound", "exact", exact.data)
    assert found.records["inside, fitted"].details["exact"] == pytest.approx(0.00804, abs=1e-5)
    assert json.loads((tmp_path / "records.json").read_text())["tables"] == []


# ----------------------------------------------------------------------------------------- the quiz


def test_draws_needed_are_those_of_the_reference() -> None:
    """1e2, 3.2e10 and 1.6e53 draws (medians;
    here within what the choice of observations leaves open).
    """
    for k, log10 in ((2, 2.0), (10, 10.5), (50, 53.2)):
        needed = quiz.draws_needed(quiz.decoder(k).sample(20_000, rng=0), k)
        assert math.log10(float(needed.median())) == pytest.approx(log10, abs=0.1)


def test_draws_needed_are_the_relative_variance_of_one_draw() -> None:
    model = quiz.decoder(1, sigma=0.5)
    x = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    weights = model.likelihood(model.prior(100_000).rsample(rng=0)).log_prob(x).exp()
    relative = float(weights.var() / weights.mean().square())
    assert float(quiz.draws_needed(x, 1, 0.5)) == pytest.approx(relative, rel=0.02)


def test_a_posterior_off_by_a_factor_of_one_is_exact_and_others_are_not() -> None:
    model = quiz.decoder(3)
    x = model.sample(10, rng=0)
    assert (
        float((iwae(quiz.Widened(model, 1.0), x, k=4).values - model.log_prob(x)).abs().max())
        < 1e-10
    )  # type: ignore[operator]
    assert (
        float((iwae(quiz.Widened(model, 1.5), x, k=4).values - model.log_prob(x)).abs().max())
        > 1e-3
    )  # type: ignore[operator]


def test_work_rises_to_its_budget() -> None:
    assert quiz.work_of(1.0)[0] == quiz.LEAST
    assert quiz.work_of(1.0)[-1] == round(quiz.MOST)
    assert quiz.work_of(1e-9) == [10, 32]


def test_the_quiz_has_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiz, "ROWS", 6)
    monkeypatch.setattr(quiz, "REPEATS", 2)
    found, paths = run("quiz", out=tmp_path, budget=0.03)
    seen(paths, "quiz.png")
    final = {key: record.value for key, record in found.records.items()}
    naive_, weighted, annealed = (f"{method}, 50" for method in quiz.METHODS)
    assert final[naive_] > 1000 > final[annealed] > final[weighted]
    assert final[f"{quiz.METHODS[0]}, 2"] < 2
    assert found.records[naive_].n == 12
    assert [row[0] for row in found.rows] == ["2", "10", "50"]


# ------------------------------------------------------------------------------------------- digits


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "TEST", 60)
    monkeypatch.setattr(mnist, "K", 5)
    monkeypatch.setattr(sharpness, "K", 5)


@pytest.mark.usefixtures("small")
def test_digits_stand_in_for_mnist(tmp_path: Path) -> None:
    found, paths = run("mnist", file="digits", out=tmp_path, budget=0.01)
    seen(paths, "mnist-plane.png", "mnist-samples.png", "mnist-reconstructions.png")
    for codes in mnist.LATENTS:
        bound = found.records[f"importance-weighted, {codes}"]
        assert (bound.measure, bound.n, bound.bound) == ("binary mass", 60, "lower bound")
        assert bound.value >= found.records[f"ELBO, {codes}"].value - 0.5
        assert -64 * math.log(2) < bound.value < 0
    assert found.records["ELBO, 2"].data == "60 images of digits, held out (seed 0), binarised"


def test_what_is_measured_is_black_and_white_and_was_not_learnt_from() -> None:
    held = mnist.parts("digits", 0)
    assert set(mnist.coins(held, 0).unique().tolist()) == {0.0, 16.0}
    assert torch.equal(mnist.coins(held, 0), mnist.coins(held, 0))
    assert not torch.equal(mnist.coins(held, 0), mnist.coins(held, 1))
    assert len(held.train) + len(held.test) == 1797
    learnt = {row.numpy().tobytes() for row in held.train.all().x.float()}
    assert not learnt & {row.numpy().tobytes() for row in held.test.float()}


def test_without_mnist_the_cure_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(
        pf.BadSource,
        match=(
            r"MNIST was not found; `pushforward data mnist --download` fetches it, .*; --file"
            r" digits does without"
        ),
    ):
        run("mnist", out=tmp_path)
    with pytest.raises(pf.BadSource, match="expected images, got points"):
        run("mnist", file="moons", out=tmp_path)
    with pytest.raises(pf.BadSource, match=r"none\.npz"):
        run("sharpness", file=tmp_path / "none.npz", out=tmp_path)


@pytest.mark.usefixtures("small")
def test_small_sigmas_restore_more_sharply_and_pay_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharpness, "SIGMAS", (1.6, 0.2))
    found, paths = run("sharpness", out=tmp_path, budget=0.06)
    seen(paths, "sharpness.png", "sharpness-curves.png")
    large, little, learnt = (row[0] for row in found.rows)
    assert learnt.endswith("(fitted)")
    value = {key: record.value for key, record in found.records.items()}
    for kind in ("sharpness of reconstructions", "rate"):
        assert value[f"{kind}, sigma {little}"] > 1.5 * value[f"{kind}, sigma {large}"]
    assert value[f"error, sigma {little}"] < value[f"error, sigma {large}"]
    assert float(large) == pytest.approx(8 * float(little), rel=0.01)
    assert found.records[f"ELBO, sigma {large}"].measure == "density per unit"


def test_gradient_energy_counts_both_directions() -> None:
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 1, 1] = 2.0
    assert sharpness.energy(x).tolist() == [4 * 4.0]
    assert sharpness.energy(torch.ones(2, 1, 4, 4)).tolist() == [0.0, 0.0]


# -------------------------------------------------------------------------------------- being asked


@pytest.mark.parametrize(
    ("name", "how", "error", "words"),
    [
        (
            "ring",
            {"file": "x.csv"},
            pf.InvalidValue,
            "ring generates its own data; leave --file out",
        ),
        ("quiz", {"players": ["x"]}, pf.InvalidValue, "quiz has no use for a player's name"),
        ("quiz", {"budget": 0.0}, pf.InvalidValue, "budget must be above 0, got 0.0"),
        (
            "curry",
            {"budget": 0.5},
            pf.InvalidValue,
            "curry always takes the same time; leave --budget out",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(
    name: str, how: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        run(name, out=tmp_path, **how)


def test_the_command_line_passes_the_budget_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quiz, "KS", (2,))
    monkeypatch.setattr(quiz, "ROWS", 3)
    assert (
        main(["recipe", "quiz", "--budget", "0.001", "--out", str(tmp_path / "q"), "--seed", "2"])
        == 0
    )
    done = capfd.readouterr()
    assert "at 32 evaluations per observation" in done.err + done.out
    assert main(["recipe", "ring", "--budget", "-1", "--out", str(tmp_path / "r")]) == 2
    assert "budget must be above 0" in capfd.readouterr().err


# ------------------------------------------------------------------------------------------ figures


def test_panels_hold_what_they_are_given() -> None:
    from pushforward.plots.comparisons import compare_densities, compare_errors, compare_settings

    figure = compare_densities(
        {"data": np.zeros((5, 2))}, {"a": np.ones((4, 4)), "b": 2 * np.ones((4, 4))}, limit=2.0
    )
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert [image.get_clim() for image in images[:2]] == [(0.0, 2.0)] * 2
    assert len({ax.get_xlim() for ax in figure.axes[:3]}) == 1
    with pytest.raises(pf.InvalidValue, match="at least one density"):
        compare_densities({"data": np.zeros((5, 2))}, {}, limit=2.0)
    errors = torch.tensor([[-4.0, 2.0, 3.0], [1.0, -1.0, 1.0]])
    figure = compare_errors(
        {"p": {"m": (torch.tensor([1, 10]), errors)}},
        x="work",
        y="nats",
        line=1.0,
        line_name="1 nat",
    )
    (line,) = [
        made
        for made in figure.axes[0].lines
        if len(made.get_xdata()) == 2 and made.get_label() == "m"
    ]
    assert list(line.get_ydata()) == [3.0, 1.0]
    figure = compare_settings(
        [1.0, 0.1],
        [("y", {"a": ([1.0, 2.0], [0.0, 0.1])})],
        x="s",
        mark=0.5,
        marked=[{"a": 1.5}],
        mark_name="fitted",
    )
    assert figure.axes[0].get_ylim()[0] == 0
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1", "0.1"]
