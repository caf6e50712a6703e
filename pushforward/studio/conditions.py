"""Conditions that a page chooses by number: the labels of a conditional model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.core.errors import InvalidKind
from pushforward.experiments.opened import OpenedRun
from pushforward.studio import contents

__all__ = ["chosen_condition", "condition_names"]


def condition_names(run: OpenedRun) -> list[str]:
    """The labels that a run's model takes; empty if it takes none."""
    space = run.model.condition_space
    return list(space.columns[0].categories) if space is not None and space.is_label else []


def chosen_condition(run: OpenedRun, content: Mapping[str, Any]) -> Any:
    """The condition of number 'y', the first if it is not given; None without conditions."""
    if not run.conditional:
        return None
    names = condition_names(run)
    if not names:
        raise InvalidKind("here models take labels, but this one has other conditions")
    return [names[contents.whole(content, "y", 0, len(names) - 1, 0)]]
