"""A misspelt keyword of any model or fitter is answered by the nearest known one."""

from __future__ import annotations

import inspect

import pytest

import pushforward as pf
from pushforward.core.errors import InvalidKind
from tests.small_models import MODELS


@pytest.mark.parametrize("kind", [*MODELS.values(), pf.Trainer, pf.EM], ids=lambda k: k.__name__)
def test_a_misspelt_argument_is_named_and_corrected(kind: type) -> None:
    name = next(iter(inspect.signature(kind).parameters), None)
    if name is None:
        pytest.skip("takes no arguments")
    with pytest.raises(InvalidKind, match=rf"{kind.__name__} has no argument '{name}_'") as error:
        kind(**{f"{name}_": 1})
    assert repr(name) in str(error.value)
    assert isinstance(error.value, TypeError)


def test_errors_within_are_not_mistaken_for_one() -> None:
    class Broken(pf.Gaussian):
        def __init__(self, width: int = 1) -> None:
            super().__init__()
            len(3)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="has no len"):
        Broken(width=2)


def test_any_keyword_is_left_to_a_model_that_takes_any() -> None:
    class Open(pf.Gaussian):
        def __init__(self, **settings: object) -> None:
            super().__init__()
            self.mine = settings

    assert Open(colour=3).mine == {"colour": 3}
