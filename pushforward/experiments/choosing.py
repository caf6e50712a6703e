"""The choice of a model for a table: candidates are compared, the best is fitted to all rows."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from pushforward.core.errors import (
    BadSource,
    InvalidValue,
    PushforwardError,
    require_positive,
)
from pushforward.core.events import Listener
from pushforward.core.fit_source import as_source
from pushforward.core.folders import check_place, write_text
from pushforward.core.json_values import finite
from pushforward.core.random import derive, generator, permutation
from pushforward.core.scalars import normalise_settings
from pushforward.core.scan import scan
from pushforward.core.source import Source, space_rows
from pushforward.core.source_views import Subset
from pushforward.data import read
from pushforward.experiments.candidates import Candidate, usual_candidates
from pushforward.experiments.card import write_card
from pushforward.experiments.experiment import Experiment, Outcome
from pushforward.experiments.measure import describe_data
from pushforward.experiments.selection import RULE, Trial, select
from pushforward.experiments.trials import dequantises, try_candidate

__all__ = [
    "RULE", "Choice", "Choosing", "choose", "choosing_line", "fit_auto", "fitting_share",
]  # fmt: skip

FEW, FOLDS = 1000, 5
"""Tables of fewer rows are compared in this many folds, so that every row is held out once."""
SHARE = 0.2
"""Share of the rows held out of larger tables."""
MEASURED = 10_000
"""Most held-out rows, and samples beside them."""
SPENT = "the budget was spent before it"
"""Why a candidate was not tried."""
LEAST_ROWS = 20
"""Rows below which nothing can be held out."""


@dataclass(frozen=True)
class Choosing:
    """How a model is chosen.

    Args:
        budget: seconds (of the clock on the wall) for all candidates together. Each gets an equal
            share of what is left, the simplest first, so that what they do not need is the others';
            the longest measurement so far is taken off it, the rest is for its fits. Those that
            could not be measured by the end are skipped, one whose folds are not done by then is
            given up; the first that takes the table always runs.
        candidates: names of models to try; by default those that suit tables.
        folds: parts of the rows that are held out in turn; 1 holds out a fifth once. By default 5
            below 1000 rows.
        seed: of folds, fits and samples.
    """

    budget: float = 60.0
    candidates: Sequence[str] = ()
    folds: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        normalise_settings(self)
        require_positive(budget=self.budget, folds=self.folds)


@dataclass(frozen=True)
class Choice:
    """A chosen model, and what it was chosen from.

    Args:
        trials: of all candidates, the simplest first.
        winner: the chosen one.
        rows: number of rows, and how they were held out.
        outcome: of the fit to all rows; None before it.
    """

    trials: Sequence[Trial]
    winner: Trial
    rows: str
    how: Choosing = field(default_factory=Choosing)
    outcome: Outcome | None = None

    headings = ("model", "log-likelihood", "told from rows (AUC)", "seconds", "")

    def lines(self) -> list[tuple[str, ...]]:
        """The comparison as a table with these headings, the simplest model first."""
        return [_line(trial, trial is self.winner) for trial in self.trials]

    @property
    def folder(self) -> Path:
        """The run folder of the winner."""
        return Path() if self.outcome is None else self.outcome.run.folder

    @property
    def model(self) -> Any:
        """The winner, fitted to all rows.

        Raises:
            InvalidValue: If it was only chosen.
        """
        if self.outcome is None:
            raise InvalidValue("the chosen model is not fitted yet; use fit_auto instead of choose")
        return self.outcome.run.model

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rule": RULE,
            "rows": self.rows,
            "budget_seconds": self.how.budget,
            "seed": self.how.seed,
            "winner": self.winner.label,
            "trials": [_plain(trial) for trial in self.trials],
        }


Told = Callable[[Candidate, Trial | None], None]
"""Called with a candidate before (None) and after its trial."""


def fit_auto(
    source: Any,
    folder: str | Path | None = None,
    how: Choosing | None = None,
    *,
    reading: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
    told: Told = lambda candidate, trial: None,
    command: str = "",
    **settings: Any,
) -> Choice:
    """Choose a model for a table, and fit it to all rows into a run folder.

    Args:
        source: a path, a data frame, rows in memory, or a source that `read` returned.
        folder: of the run; runs/MODEL-SOURCE-N by default.
        how: how the model is chosen; or its parts by name: fit_auto(x, budget=30).
        reading: further arguments of `read`; columns are typed by default.
        overwrite: replace the run there.
        listeners: called with the events of all fits.
        told: called with each candidate before and after its trial.
        command: the equivalent command line, for the record.

    Raises:
        BadSource: For what is no table, or if no candidate takes it.
    """
    how = how or Choosing(**settings)
    if folder is not None:
        check_place(folder, overwrite=overwrite)
    rows, arguments = _rows(source, reading or {})
    choice = choose(rows, how, listeners=listeners, told=told)
    candidate = choice.winner.candidate
    experiment = Experiment(
        candidate.build(),
        source if isinstance(source, (str, os.PathLike)) else rows,
        reading=arguments,
        held_out=0,
        dequantise=dequantises(candidate, rows),
        fitter=_final_fitter(choice),
        command=command,
    )
    outcome = experiment.run(folder, overwrite=overwrite, listeners=listeners, rows=rows)
    choice = replace(choice, outcome=outcome)
    _store(choice, rows)
    return choice


def choose(
    source: Source,
    how: Choosing | None = None,
    *,
    listeners: Sequence[Listener] = (),
    told: Told = lambda candidate, trial: None,
) -> Choice:
    """Compare candidates for a table on rows that they were not fitted to; see `fit_auto`."""
    how, space = how or Choosing(), source.space
    if space.kind != "points" or not space.shape:
        raise BadSource(f"a model is chosen for tables, got {space}; name one: fit vae, say")
    n = len(source)
    if n < LEAST_ROWS:
        raise BadSource(
            f"{n} rows are too few to hold some out; bring {LEAST_ROWS}, or name a model"
        )
    parts, rows = _parts(source, how)
    candidates = usual_candidates(space, len(parts[0][0]), how.candidates)
    if not how.candidates:
        candidates = _taking(candidates, source)
    end = time.monotonic() + how.budget
    trials: list[Trial] = []
    for place, candidate in enumerate(candidates):
        told(candidate, None)
        left, some = end - time.monotonic(), any(not trial.skipped for trial in trials)
        measuring = max((trial.measuring for trial in trials), default=0.0)
        if some and left <= measuring:
            trials.append(Trial(candidate, skipped=SPENT))
        else:
            share = fitting_share(left, measuring, len(candidates) - place)
            limit = end if some else math.inf
            trials.append(try_candidate(candidate, parts, share, how.seed, listeners, limit=limit))
        told(candidate, trials[-1])
    winner = select(trials)
    if winner is None:
        reasons = "; ".join(f"{t.label}: {t.skipped}" for t in trials)
        raise BadSource(f"no candidate takes this table: {reasons}")
    return Choice(trials, winner, rows, how)


def fitting_share(left: float, measuring: float, candidates: int) -> float:
    """Seconds for the fits of one of some candidates, of all that are left.

    If measuring takes more than half of an equal share, the share is that of fewer candidates, as
    fits of no time are worth nothing.
    """
    if left <= 0:
        return 0.0
    few = candidates if measuring <= 0 else max(1, int(left / (2 * measuring)))
    return max(0.0, left / min(candidates, few) - measuring)


def _taking(candidates: Sequence[Candidate], source: Source) -> list[Candidate]:
    """Those that take the table; all if none does, so that the reasons are said."""
    facts, able = scan(source, moments=False), []
    for candidate in candidates:
        try:
            candidate.build().refuse(source, facts)
        except PushforwardError:
            continue
        able.append(candidate)
    return able or list(candidates)


def _final_fitter(choice: Choice) -> dict[str, Any]:
    """The fitter's settings for all rows: as in the trial, and no longer than there."""
    winner, settings = choice.winner, dict(choice.winner.candidate.fitter)
    if not winner.candidate.learns:
        return settings
    if winner.note:
        settings.pop("epochs", None)
        settings["minutes"] = max(1.0, winner.seconds_per_fit) / 60
    return {**settings, "seed": choice.how.seed}


def _rows(source: Any, reading: Mapping[str, Any]) -> tuple[Source, dict[str, Any]]:
    """The rows without conditions, and the arguments that they were read by."""
    if isinstance(source, Source):
        return source, {}
    arguments = {"types": "auto", **reading}
    return as_source(read(source, **arguments)), arguments


def _parts(source: Source, how: Choosing) -> tuple[list[tuple[Subset, Subset]], str]:
    """Training and held-out rows, fold by fold, and a description."""
    n = len(source)
    folds = how.folds or (FOLDS if n < FEW else 1)
    if folds > n // 2:
        raise InvalidValue(f"folds must be at most half the rows, got {folds} for {n} rows")
    order = permutation(n, rng=generator(derive(how.seed, "folds")))
    tests = list(order.tensor_split(folds)) if folds > 1 else [order[: round(SHARE * n)]]
    parts = []
    for test in tests:
        train = torch.ones(n, dtype=torch.bool)
        train[test] = False
        kept = test.sort().values[space_rows(len(test), MEASURED // folds)]
        parts.append((Subset(source, train.nonzero()[:, 0]), Subset(source, kept)))
    held = f"{folds} folds" if folds > 1 else f"{SHARE:.0%} held out once"
    return parts, f"{describe_data(source)}, {held}"


def choosing_line(candidate: Candidate, trial: Trial | None) -> str:
    """What is said of a candidate before (None) and after its trial."""
    if trial is None:
        return f"trying {candidate.label} …"
    measures = ", ".join(text for text in _line(trial, False)[1:3] if text)
    return f"  {trial.skipped or measures} ({trial.seconds:.1f} s)"


def _line(trial: Trial, won: bool) -> tuple[str, ...]:
    """One row of the comparison's table."""
    scores = (trial.likelihood, trial.detection)
    signs = [{"lower bound": "≥ "}.get(r.bound, "") if r is not None else "" for r in scores]
    numbers = [
        "" if r is None else f"{sign}{r.value:.3f} ± {r.error:.3f}"
        for r, sign in zip(scores, signs)
    ]
    words = [w for w in ("chosen" * won, trial.note, trial.skipped) if w]
    return (trial.label, *numbers, f"{trial.seconds:.1f}", "; ".join(words))


def _plain(trial: Trial) -> dict[str, Any]:
    return {
        "model": trial.label,
        "likelihood": None if trial.likelihood is None else trial.likelihood.as_dict(),
        "detection": None if trial.detection is None else trial.detection.as_dict(),
        "seconds": round(trial.seconds, 3),
        "skipped": trial.skipped,
        "note": trial.note,
    }


def _store(choice: Choice, rows: Source) -> None:
    """Write choice.json to the run, and its numbers to the card."""
    import json

    outcome = choice.outcome
    if outcome is None or outcome.interrupted:
        return
    text = json.dumps(finite(choice.as_dict()), indent=2, default=str, ensure_ascii=False)
    write_text(outcome.run.folder / "choice.json", text + "\n")
    winner = choice.winner
    records = [
        replace(r, data=f"{choice.rows}, before the fit to all rows")
        for r in (winner.likelihood, winner.detection)
        if r is not None and math.isfinite(r.value)
    ]
    write_card(outcome.run, outcome.run.folder, outcome.parts, records)
