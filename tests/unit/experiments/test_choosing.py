"""The choice of a model for a table: the rule on made-up trials, and on small tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.events import CancelToken, Progress
from pushforward.core.records import Record
from pushforward.core.source_views import Subset
from pushforward.experiments import choosing
from pushforward.experiments.candidates import Candidate, usual_candidates
from pushforward.experiments.choosing import Choosing, choose, fit_auto, fitting_share
from pushforward.experiments.selection import Trial, difference, select
from pushforward.experiments.table_detection import detect, with_gaps_of
from pushforward.experiments.trials import Deadline, try_candidate


def trial(name: str, values: Any = None, auc: float | None = None, error: float = 0.02) -> Trial:
    likely = None if values is None else Record.of("log_prob", torch.as_tensor(values), unit="nats")
    told = None if auc is None else Record("detection", auc, error)
    return Trial(Candidate(name), likely, told)


NOISE = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_likeliest_is_chosen() -> None:
    trials = [trial("a", NOISE), trial("b", NOISE + 1), trial("c", NOISE + 0.5)]
    chosen = select(trials)
    assert chosen is trials[1]


def test_a_simpler_model_within_one_standard_error_is_taken() -> None:
    """The error is that of the difference row by row, far below that of either mean."""
    wobble = 0.2 * NOISE.flip(0)
    near = NOISE + 0.5 * float(wobble.std()) / 20 + wobble - wobble.mean()
    simple = trial("a", NOISE)
    assert select([simple, trial("b", near)]) is simple
    gap, error = difference(trial("b", near), simple)
    assert gap == pytest.approx(error / 2)
    far = trial("b", near + 2 * error)
    assert select([simple, far]) is far


def test_a_density_of_minus_infinity_is_never_chosen() -> None:
    values = NOISE.clone()
    values[3] = -torch.inf
    assert select([trial("a", values), trial("b", NOISE - 9)]).label == "b"  # type: ignore[union-attr]
    assert select([trial("a", values)]) is None


def test_a_model_without_a_density_must_be_told_less_from_rows() -> None:
    likely = trial("a", NOISE, 0.70)
    assert select([likely, trial("b", auc=0.68)]) is likely
    better = trial("b", auc=0.60)
    assert select([likely, better]) is better
    alone = trial("b", auc=0.9)
    assert select([alone]) is alone
    assert select([trial("a", NOISE), better]).label == "a"  # type: ignore[union-attr]


def test_small_tables_get_small_models() -> None:
    space = pf.read(torch.randn(10, 3)).space
    sizes = {}
    for rows in (200, 5000, 50_000):
        sizes[rows] = {c.model: c for c in usual_candidates(space, rows)}
    assert sizes[200]["tvae"].settings["hidden"] == (32, 32)
    assert sizes[50_000]["tvae"].settings == {"latent": 128, "hidden": (128, 128)}
    assert sizes[50_000]["ctgan"].settings["hidden"] == (256, 256)
    assert "likelihood" not in sizes[200]["vae"].settings
    components = [
        [c.settings["components"] for c in usual_candidates(space, rows, ["gmm"])]
        for rows in (40, 100, 5000)
    ]
    assert components == [[1], [1, 2], [1, 2, 4, 8, 16]]
    with pytest.raises(pf.InvalidValue, match="unknown model 'gnm'; did you mean 'gmm'"):
        usual_candidates(space, 100, ["gnm"])


def test_a_fit_ends_at_the_first_event_after_its_time() -> None:
    late, early = Deadline(-1.0), Deadline(1e6)
    for deadline in (late, early):
        deadline(Progress(0, 0.0, 0.0, None, {}))
    assert (late.token.cancelled, early.token.cancelled) == (True, False)
    assert isinstance(late.token, CancelToken)


def test_a_fit_that_converged_was_not_stopped_by_the_budget() -> None:
    rows = pf.read(clusters(60))
    parts = [(Subset(rows, torch.arange(0, 40)), Subset(rows, torch.arange(40, 60)))]
    notes = {
        name: try_candidate(Candidate(name), parts, 0.0, 0, ()).note for name in ("copula", "mixed")
    }
    assert notes == {"copula": "", "mixed": "stopped by the budget"}


def test_candidates_after_the_end_of_the_budget_are_skipped() -> None:
    """The first that takes the table is measured whatever the budget."""
    table = clusters(60).assign(side=["l", "r"] * 30)
    names = ("gmm", "independent", "copula", "ctgan")
    choice = choose(pf.read(table, types="auto"), Choosing(1e-9, names, folds=1))
    skipped = {t.candidate.model: t.skipped for t in choice.trials}
    spent = "the budget was spent before it"
    assert skipped == {"independent": "", "gmm": spent, "copula": spent, "ctgan": spent}
    assert choice.winner.label == "independent"
    assert spent in choice.lines()[-1][-1]


def test_the_reason_of_a_skipped_model_is_a_whole_sentence() -> None:
    table = clusters(60).assign(side=["l", "r"] * 30)
    table.loc[::5, ["a", "b"]] = None
    choice = choose(pf.read(table, types="auto"), Choosing(60, ("independent", "vae"), folds=1))
    reason = choice.trials[1].skipped
    assert reason.startswith("column 'a' holds missing values (NaN, in ")
    assert reason.count("(") == reason.count(")") == 1


def clusters(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, n)
    return pd.DataFrame(rng.normal(size=(n, 2)) * 0.5 + side[:, None] * 6, columns=["a", "b"])


def test_two_clusters_are_found_by_the_mixture_of_two(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    choice = fit_auto(
        clusters(),
        tmp_path / "run",
        Choosing(budget=30, candidates=("gmm",), folds=3),
        told=lambda candidate, trial: told.append((candidate.label, trial is None)),
    )
    assert choice.winner.label == "gmm(components=2)"
    assert choice.model.components == 2
    assert choice.model.provenance.rows == 300, "fitted to all rows"
    assert told[:2] == [("gmm(components=1)", True), ("gmm(components=1)", False)]
    kept = json.loads((tmp_path / "run" / "choice.json").read_text())
    assert kept["winner"] == choice.winner.label
    assert len(kept["trials"]) == len(choice.trials) == 4
    assert kept["trials"][1]["likelihood"]["n"] == 300, "every row was held out once"
    assert "before the fit to all rows" in (tmp_path / "run" / "README.md").read_text()
    again = fit_auto(clusters(), tmp_path / "run", budget=30, candidates=("gmm",), overwrite=True)
    assert again.folder == tmp_path / "run"


def test_models_that_cannot_take_the_table_are_skipped_with_the_reason() -> None:
    table = clusters(60).assign(side=["l", "r"] * 30)
    how = Choosing(budget=10, candidates=("gmm", "tvae", "ctgan"), folds=1)
    choice = choose(pf.read(table, types="auto"), how)
    reasons = {t.label: t.skipped for t in choice.trials}
    assert reasons["gmm(components=1)"] == "column 'side' is categorical"
    by_name = {t.candidate.model: t for t in choice.trials}
    assert by_name["tvae"].likelihood is not None
    assert by_name["tvae"].likelihood.bound == "lower bound"
    assert by_name["ctgan"].likelihood is None
    lines = choice.lines()
    assert sum("chosen" in line[-1] for line in lines) == 1
    assert "column 'side' is categorical" in lines[0][-1]


def test_whole_numbers_are_cells_to_all_models_alike() -> None:
    """Otherwise a mixture of narrow spikes would win on counts."""
    counts = np.random.default_rng(0).poisson(2, (300, 2))
    how = Choosing(budget=20, candidates=("gmm",), folds=1)
    choice = choose(pf.read(pd.DataFrame(counts, columns=["a", "b"])), how)
    means = [t.mean for t in choice.trials]
    p = np.bincount(counts[:, 0]) / len(counts)
    entropy = -2 * float((p[p > 0] * np.log(p[p > 0])).sum())
    assert max(means) < -entropy + 0.3, "a density of cells is at most the mass of the levels"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(10, 2), "10 rows are too few"),
        (torch.rand(40, 1, 8, 8), "a model is chosen for tables"),
    ],
)
def test_what_cannot_be_chosen_for_is_refused(x: torch.Tensor, message: str) -> None:
    with pytest.raises(pf.BadSource, match=message):
        fit_auto(x)


def test_no_candidate_at_all_is_an_error_with_the_reasons() -> None:
    table = clusters(60).assign(side=["l", "r"] * 30)
    with pytest.raises(pf.BadSource, match=r"no candidate.*gmm\(components=1\): column 'side'"):
        choose(pf.read(table, types="auto"), Choosing(budget=5, candidates=("gmm",), folds=1))


def test_trees_tell_other_samples_from_rows_and_not_the_same() -> None:
    x = torch.randn(1200, 3, generator=torch.Generator().manual_seed(0))
    space = pf.read(x).space
    same = detect(x[:600], x[600:], space, seed=0, data="")
    other = detect(x[:600], x[600:] * torch.tensor([1.0, 3.0, 1.0]), space, seed=0, data="")
    assert same is not None
    assert other is not None
    assert 0.5 <= same.value < 0.56
    assert other.value > 0.65
    assert detect(x[:20], x[20:40], space, seed=0, data="") is None


def test_samples_get_as_many_gaps_as_the_rows() -> None:
    x = torch.ones(500, 2)
    x[:100, 0] = torch.nan
    made = with_gaps_of(torch.zeros(500, 2), x, seed=0)
    assert made.isnan().sum(0).tolist() == [100, 0]
    assert torch.equal(with_gaps_of(x[200:], x[200:], 0), x[200:])


def test_the_share_of_a_candidate_leaves_time_to_measure_it() -> None:
    assert fitting_share(20.0, 0.0, 4) == 5
    assert fitting_share(20.0, 1.0, 4) == 4
    assert fitting_share(20.0, 4.0, 4) == 6  # for two of them: the others would get one second
    assert fitting_share(5.0, 4.0, 4) == 1
    assert fitting_share(3.0, 4.0, 4) == fitting_share(-1.0, 0.0, 4) == 0


def test_a_candidate_that_could_not_be_measured_in_time_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def slow(candidate: Candidate, parts: Any, seconds: float, *more: Any, limit: float) -> Trial:
        tried.append(candidate.model)
        assert (limit < np.inf) == (len(tried) > 1), "the simplest runs to its end"
        assert seconds <= 100
        return Trial(candidate, Record.of("log_prob", NOISE, unit="nats"), measuring=1e6)

    monkeypatch.setattr(choosing, "try_candidate", slow)
    choice = choose(pf.read(clusters(60)), Choosing(100, ("independent", "copula"), folds=1))
    assert tried == ["independent"]
    assert choice.trials[1].skipped == "the budget was spent before it"


def test_a_candidate_whose_folds_are_not_done_in_time_is_given_up() -> None:
    rows = pf.read(clusters(60))
    one, two = torch.arange(0, 40), torch.arange(40, 60)
    parts = [(Subset(rows, one), Subset(rows, two)), (Subset(rows, two), Subset(rows, one))]
    trial = try_candidate(Candidate("independent"), parts, 5.0, 0, (), limit=0.0)
    assert trial.skipped == "given up: the budget ended after 0 of 2 folds"
    assert trial.likelihood is None
    whole = try_candidate(Candidate("independent"), parts, 5.0, 0, ())
    assert whole.likelihood is not None
    assert 0 < whole.measuring <= whole.seconds
    assert whole.measuring + 2 * whole.seconds_per_fit == pytest.approx(whole.seconds)


def test_models_that_cannot_take_the_table_are_not_among_the_usual() -> None:
    table = clusters(60).assign(side=["l", "r"] * 30)
    choice = choose(pf.read(table, types="auto"), Choosing(1e-9, folds=1))
    models = {t.candidate.model for t in choice.trials}
    assert {"independent", "mixed", "tvae", "ctgan"} <= models
    assert "gmm" not in models
