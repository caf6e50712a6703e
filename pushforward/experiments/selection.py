r"""Which of several fitted models of a table is chosen: a rule, and what it decides from.

1. Of the models with a log-density or a bound on it, the best mean on the held-out rows; but a
   simpler one whose mean is within one standard error of it is taken instead. The error is that of
   the difference row by row, since all see the same rows (Breiman et al. 1984, Classification and
   regression trees, §3.4.3, https://doi.org/10.1201/9781315139470).
2. A model with neither takes its place if a classifier tells its samples from the held-out rows
   less well (AUC), by more than one standard error of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pushforward.core.records import Record
from pushforward.experiments.candidates import Candidate

__all__ = ["RULE", "Trial", "difference", "select"]

RULE = (
    "the highest log-density (or bound) on held-out rows, or a simpler model within one standard"
    " error of it; a model without either, if a classifier tells its samples from the rows less"
    " well by more than one standard error"
)


@dataclass(frozen=True)
class Trial:
    """What came of a candidate.

    Args:
        candidate: the model.
        likelihood: log-density or bound of the held-out rows, with its `values`; None if it has
            neither.
        detection: AUC of a classifier of samples and held-out rows; None if not measured.
        seconds: of fitting and measuring.
        seconds_per_fit: of one fit, in the mean.
        measuring: seconds that were not spent in fits.
        skipped: why it was not fitted; '' if it was.
        note: '', or that the time was not enough.
    """

    candidate: Candidate
    likelihood: Record | None = None
    detection: Record | None = None
    seconds: float = 0.0
    seconds_per_fit: float = 0.0
    measuring: float = 0.0
    skipped: str = ""
    note: str = ""

    @property
    def label(self) -> str:
        """The candidate's."""
        return self.candidate.label

    @property
    def mean(self) -> float:
        """Mean log-density or bound; -inf without, or if it is not a number."""
        value = -math.inf if self.likelihood is None else self.likelihood.value
        return -math.inf if math.isnan(value) else value


def difference(better: Trial, other: Trial) -> tuple[float, float]:
    """Mean difference of log-likelihoods row by row, and its standard error."""
    one, two = better.likelihood, other.likelihood
    assert one is not None
    assert two is not None
    if one.values is None or two.values is None:
        return one.value - two.value, math.hypot(one.error, two.error)
    gaps = one.values - two.values
    if not bool(gaps.isfinite().all()):
        return math.inf, 0.0
    return float(gaps.mean()), float(gaps.std(correction=1)) / math.sqrt(len(gaps))


def select(trials: Sequence[Trial]) -> Trial | None:
    """The chosen one of trials in order of complexity; None if none was fitted."""
    likely = [t for t in trials if t.mean > -math.inf]
    winner = _likeliest(likely) if likely else None
    others = [t for t in trials if t.likelihood is None and t.detection is not None]
    challenger = min(others, key=_told, default=None)
    if winner is None or challenger is None:
        return winner or challenger
    return challenger if _is_told_less(challenger, winner) else winner


def _likeliest(trials: Sequence[Trial]) -> Trial:
    best = max(trials, key=lambda t: t.mean)
    for trial in trials:
        gap, error = difference(best, trial)
        if trial is best or gap <= error:
            return trial
    return best


def _told(trial: Trial) -> float:
    return math.inf if trial.detection is None else trial.detection.value


def _is_told_less(one: Trial, two: Trial) -> bool:
    if one.detection is None or two.detection is None:
        return False
    error = math.hypot(one.detection.error, two.detection.error)
    return two.detection.value - one.detection.value > error
