"""What measures of samples mean, in sentences: what is missing, what does not look real, what next.

Recall is the share of real rows among the samples, precision the share of samples among the real
rows (Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991). Both have no value that a perfect
model reaches, but below a half no model is a good one in a space where distances mean something.
"""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.core.argument_names import argument
from pushforward.core.records import Record
from pushforward.experiments.closing import closing, longer_fit
from pushforward.experiments.compare import is_run
from pushforward.experiments.opened import OpenedRun, open_run

__all__ = ["advise_next", "explain_samples", "sample_findings"]

POOR = 0.5
"""Recall and precision below which a sentence says what they mean."""


def sample_findings(name: str, records: Sequence[Record]) -> list[str]:
    """Sentences on poor recall and precision and missing modes of one set; none if all are good.

    Args:
        name: of the set.
        records: of one feature space.
    """
    values = {record.quantity: record.value for record in records}
    found = []
    recall, precision = values.get("recall", 1.0), values.get("precision", 1.0)
    if recall < POOR:
        found.append(
            f"{name}: recall is {recall:.2f}: {1 - recall:.0%} of the real rows are unlike anything"
            " that was sampled: much of the data is missing"
        )
    if precision < POOR:
        found.append(
            f"{name}: precision is {precision:.2f}: {1 - precision:.0%} of the samples are unlike"
            " any real row"
        )
    modes = next((record for record in records if record.quantity == "modes"), None)
    known = 0 if modes is None else round(modes.details.get("ideal", 0))
    if modes is not None and modes.value < known:
        found.append(f"{name}: {known - modes.value:g} of {known} modes have no sample")
    return found


def explain_samples(names: Sequence[str], measured: Sequence[Sequence[Record]]) -> list[str]:
    """Sentences on all sets of samples in one feature space, each with what to do about it.

    Args:
        names: of the sets; those that are folders of runs are advised on.
        measured: the records of each.
    """
    sentences = []
    for name, records in zip(names, measured):
        found = sample_findings(name, records)
        advice = advise_next(open_run(name), records) if found and is_run(name) else ""
        sentences += [*found, *([f"next: {advice}"] if advice else [])]
    return sentences


def advise_next(run: OpenedRun, records: Sequence[Record]) -> str:
    """What to do about poor samples of a run: a command, or a change of the fit; '' if unknown.

    Args:
        run: with its log.
        records: of its samples in one feature space.
    """
    values = {record.quantity: record.value for record in records}
    recall, precision = values.get("recall", 1.0), values.get("precision", 1.0)
    if min(recall, precision) >= POOR:
        return ""
    command = closing(run).command  # of a fit that was too short
    if not command and recall < POOR <= precision and getattr(run.model, "packing", None) == 1:
        return f"fit again with {argument('packing', '2')}, against samples that are all alike"
    command = command or longer_fit(run)
    return f"pushforward {command}" if command else ""
