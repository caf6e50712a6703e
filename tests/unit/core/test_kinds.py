"""Which plain values are of the kind that an annotation asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest

from pushforward.core.kinds import fits
from pushforward.core.model_validation import check_hyperparameters
from pushforward.core.phase import Optimizer
from pushforward.models.deep.vae import VAE

CASES = [
    (int, [0, -3, 10**30], [True, 1.0, "1", None, [1]]),
    (float, [0, 1.5, float("inf")], [True, "1", None, [1.0]]),
    (str, ["", "é"], [1, None, ["a"]]),
    (bool, [True, False], [0, 1, "true", None]),
    (int | None, [None, 3], [True, "none", 2.5]),
    (Literal["a", "b"], ["a"], ["c", None, 1]),
    (Literal[1, 3], [1, 3], [True, 1.0, 2]),
    (Sequence[int], [[], [1, 2], (1,)], ["12", 1, [1.5], [[1]], [True], None]),
    (tuple[int, ...], [[], [1, 2, 3]], [["a"], 1]),
    (tuple[int, float], [[1, 2.5]], [[1], [1, 2, 3], ["a", 1]]),
    (tuple[int | None, ...], [[None, 3]], [["a"]]),
    (Mapping[str, float], [{}, {"a": 1}], [[], "a", None]),
    (Optimizer | str, ["adam"], [0, [], None, {"a": 1}]),
    (Any, [None, 1, "a", [object()]], []),
]


@pytest.mark.parametrize(("hint", "good", "bad"), CASES, ids=[str(c[0]) for c in CASES])
def test_values_fit_their_annotations(hint: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent", "2"),
        ("latent", 2.0),
        ("latent", None),
        ("hidden", 8),
        ("hidden", ["8"]),
        ("prior", 3),
    ],
)
def test_hyperparameters_of_the_wrong_kind_are_named(name: str, value: Any) -> None:
    check_hyperparameters(VAE, {"latent": 2, "hidden": (8,), "prior": "normal"})
    with pytest.raises(ValueError, match=f"{name} has the wrong type"):
        check_hyperparameters(VAE, {name: value})
