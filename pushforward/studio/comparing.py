"""Runs side by side by named features, as `pushforward evaluate` measures them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.core.errors import BadRun, InvalidValue
from pushforward.experiments.evaluation import Evaluation, evaluate_runs
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.sample import usual_features
from pushforward.experiments.standings import Standing, standings
from pushforward.metrics.feature_names import users_features

__all__ = ["compare_runs", "feature_choices"]

COMPONENTS = 20
"""Principal components of the feature space that is offered."""


def feature_choices(runs: Mapping[str, OpenedRun]) -> list[str]:
    """The feature spaces in which runs of one data set compare, the usual one first.

    Args:
        runs: by name, with or without their tensors.

    Raises:
        InvalidValue: If their observations are of different spaces.
    """
    require_one_space(runs)
    run = next(iter(runs.values()))
    space, conditions = run.model.fitted_space(), run.model.condition_space
    found = usual_features(space)
    if space.kind == "clips":
        return [*found, *users_features()]
    if space.size > 2:
        found.append(f"pca({min(COMPONENTS, space.size)})")
    if conditions is not None and conditions.is_label:
        found.append("classifier")
    return [*dict.fromkeys([*found, "raw", "scaled"]), *users_features()]


def require_one_space(runs: Mapping[str, OpenedRun]) -> None:
    """Raise InvalidValue, naming two runs, if they make different observations."""
    spaces = {name: str(run.model.fitted_space()) for name, run in runs.items()}
    first, *others = spaces
    for name in others:
        if spaces[name] != spaces[first]:
            raise InvalidValue(
                f"{first} makes {spaces[first]}, but {name} makes {spaces[name]}; only runs of the"
                " same data compare: leave one of them out"
            )


def compare_runs(runs: Mapping[str, OpenedRun], features: str, rows: int) -> dict[str, Any]:
    """A table of measures on rows that no run was fitted to, ready for JSON.

    Args:
        runs: by name.
        features: the feature space of samples.
        rows: the most rows, and samples of each run.

    Raises:
        InvalidValue: If the runs do not compare.
        BadRun: If a run held no rows out.
    """
    require_one_space(runs)
    names = {str(run.folder): name for name, run in runs.items()}
    evaluation = evaluate_runs([*runs.values()], draws=0, most=rows)
    notes = list(evaluation.notes)
    groups = evaluation.by_rows()
    if len(groups) > 1:
        raise InvalidValue(_unlike(groups, names))
    able = any(run.can("Samples") for run in runs.values())
    sampled = [evaluation.sample(features, notes.append)] if able else []
    found = standings(evaluation, sampled)
    if not found:
        raise BadRun("none of these runs can be measured: they have no density and no samples")
    return {
        "runs": [*runs],
        "data": evaluation.data,
        "lines": [_as_content(standing) for standing in found],
        "notes": [*dict.fromkeys(_named(note, names) for note in notes)],
    }


def _unlike(groups: list[Evaluation], names: Mapping[str, str]) -> str:
    parts = [
        f"{', '.join(names[str(run.folder)] for run in group.runs)} on {group.data}"
        for group in groups
    ]
    return (
        f"these runs held out different rows, and compare only on the same: {'; '.join(parts)};"
        " choose runs of one data set and split"
    )


def _named(text: str, names: Mapping[str, str]) -> str:
    """A text with the names of runs instead of their folders."""
    for folder, name in names.items():
        text = text.replace(folder, name)
    return text


def _as_content(standing: Standing) -> dict[str, Any]:
    values = [
        None
        if record is None
        else {
            "value": record.value,
            "error": record.error,
            "bound": record.bound,
            "n": record.n,
        }
        for record in standing.records
    ]
    units = {record.unit for record in standing.records if record is not None}
    return {
        "title": standing.title,
        "unit": next(iter(units), ""),
        "better": standing.better,
        "ideal": standing.ideal,
        "features": standing.features,
        "values": values,
        "best": standing.best,
        "level": [*standing.level],
    }
