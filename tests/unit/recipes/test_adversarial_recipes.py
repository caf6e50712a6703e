"""Recipes of two players on tiny budgets: what is exact, what is drawn, what is written."""

from __future__ import annotations

import json
import math
import warnings
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from pushforward.cli.main import main
from pushforward.fitting.film import Frame
from pushforward.recipes import dirac, modes, one_dimension
from pushforward.recipes.registry import run
from tests.looks import seen

# ------------------------------------------------------------------------------------ one dimension


def test_the_line_is_learnt_watched_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_dimension, "ROWS", 500)
    monkeypatch.setattr(one_dimension, "CODES", 200)
    found, paths = run("one-dimension", out=tmp_path, budget=0.005, seed=1)
    seen(paths, "one-dimension.png", "one-dimension.gif")
    assert found.records["KS distance, untrained"].value > 0.3
    assert found.records["KS distance, untrained"].n == one_dimension.DRAWS
    assert [row[0] for row in found.rows] == ["KS distance", "mean", "standard deviation"]
    stored = json.loads((tmp_path / "records.json").read_text())
    assert len(stored["records"]) == 9


def test_samples_of_the_distribution_itself_have_its_numbers() -> None:
    torch.manual_seed(0)
    x = one_dimension.draw(3)
    found = one_dimension.measured(x, 3)
    assert found["KS distance"].value < 1.63 / math.sqrt(len(x))
    assert found["mean"].value == pytest.approx(-1, abs=4 * found["mean"].error)
    assert found["standard deviation"].value == pytest.approx(
        1, abs=4 * found["standard deviation"].error
    )
    assert one_dimension.measured(x + 0.2, 3)["KS distance"].value > 0.06


def test_the_best_critic_is_a_half_where_samples_are_as_dense_as_data() -> None:
    at = one_dimension.places()[:, 0]
    x = torch.special.ndtri((torch.arange(4000, dtype=torch.float64) + 0.5) / 4000)[:, None] - 1
    drawn = one_dimension.curves(Frame(0, {"x": x, "critic": torch.zeros(len(at))}))
    middle = (at - one_dimension.MEAN).abs() < 1.5
    assert float((drawn["best critic"][middle] - 0.5).abs().max()) < 0.02
    assert drawn["critic"].unique().tolist() == [0.5]
    assert float(drawn["data"].sum() * (at[1] - at[0])) == pytest.approx(1, abs=1e-4)
    apart = one_dimension.curves(Frame(0, {"x": x + 10, "critic": torch.zeros(len(at))}))
    assert float(apart["best critic"][middle].min()) > 0.999


# -------------------------------------------------------------------------------------------- modes


def test_both_players_are_counted_on_both_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ROWS": 1000, "DRAWS": 300, "CODES": 50}.items():
        monkeypatch.setattr(modes, name, value)
    found, paths = run("modes", out=tmp_path, budget=0.002, seed=1)
    seen(paths, "modes.png", "modes-strip.png", "modes.gif")
    assert [row[:2] for row in found.rows] == [[s, p] for s in modes.SETS for p in modes.PLAYERS[s]]
    assert len(found.records) == 12
    floor = found.records["grid, vanilla: reverse_kl"]
    assert (floor.details["ideal"], floor.n) == (24 / 600, 300)
    for name, task in modes.SETS.items():
        said = [note for note in found.notes if note.startswith(f"{name}, ")]
        assert len(said) == 2
        assert all(f"{round(0.002 * task.steps)} steps, {task.network}, " in note for note in said)


def test_an_untrained_network_has_one_mode_and_its_exact_divergence() -> None:
    """All samples at the middle centre:
    KL of one share of 1 from 25 equal ones is ln 25, and most are near enough to be 'good'.
    """
    x = 0.001 * modes.learn("grid", modes.BEST, seed=1, budget=1e-9).sample(200, rng=0)
    found, good, divergence = modes.measured(x, "grid", 1)
    assert (found.value, good.value) == (1, 1)
    assert divergence.value == pytest.approx(math.log(25))


def test_frames_are_matched_by_the_share_of_the_fit() -> None:
    short, long = [Frame(t, {}) for t in range(11)], [Frame(t, {}) for t in range(0, 91, 3)]
    shares = [frame.samples / 10 for frame in short]
    assert [frame.samples for frame in modes.at(long, shares)] == list(range(0, 91, 9))
    assert modes.at(short, shares) == short


def test_an_ideal_sampler_passes() -> None:
    for name, count in (("ring", 8), ("grid", 25)):
        found, good, divergence = modes.measured(modes.data(name, 0)[: modes.DRAWS], name, 0)
        assert found.value == count
        assert good.value == pytest.approx(0.9889, abs=0.01)
        assert 0 <= divergence.value < 4 * divergence.details["ideal"]


# -------------------------------------------------------------------------------------------- Dirac


@pytest.mark.parametrize("name", ["Wasserstein", "minimax"])
def test_at_once_the_modulus_grows_by_the_exact_factor(name: str) -> None:
    case = dirac.CASES[name]
    record = dirac.measured(case, dirac.play(case, steps=30), 0)
    assert record.details["off"] < 1e-12
    assert record.value > 1


def test_a_generator_of_one_sample_is_not_warned_of_its_spread() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dirac.play(dirac.CASES["Wasserstein"], steps=250)


@pytest.mark.parametrize("name", [n for n, case in dirac.CASES.items() if case.growth is not None])
def test_near_the_solution_growth_is_the_determinant(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The area spanned by two paths changes by the determinant of
    the linear map, whatever the eigenvalues are.
    """
    case, ends = dirac.CASES[name], []
    for start in ((1e-4, 0.0), (0.0, 1e-4)):
        monkeypatch.setattr(dirac, "START", start)
        ends.append(dirac.play(case, steps=4)[-1])
    area = (ends[0][0] * ends[1][1] - ends[0][1] * ends[1][0]) / 1e-8
    assert case.growth is not None
    # parameters are single numbers before they are doubled: 1e-7
    assert area == pytest.approx(case.growth**4, rel=1e-5)


def test_every_case_ends_where_theory_says(tmp_path: Path) -> None:
    found, paths = run("dirac", out=tmp_path)
    seen(paths, "dirac.png")
    end = {name: r.details["end"] / r.details["start"] for name, r in found.records.items()}
    assert min(end["Wasserstein"], end["minimax"], end["minimax, critic 4 times as fast"]) > 1.2
    assert all(share < 0.05 for name, share in end.items() if "R1" in name or "R2" in name)
    assert end["minimax, noise on what the critic sees"] < 0.5
    assert end["Wasserstein, in turns"] == pytest.approx(1, abs=0.15)
    bounded = dirac.play(dirac.CASES[next(n for n in dirac.CASES if "≤" in n)])
    assert max(abs(psi) for _, psi in bounded[1:]) <= dirac.LIMIT
    moduli = [t * t + p * p for t, p in bounded]
    assert any(b > a for a, b in pairwise(moduli[-50:]))  # round and round, not in
    assert "1 + h² f'(θψ)²" in found.notes[1]


def test_recipes_take_a_budget_from_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipe", "dirac", "--budget", "0.01", "--out", str(tmp_path / "d")]) == 0
    done = capfd.readouterr()
    assert "4 steps of size 0.1" in done.err + done.out
