"""Settings that are a number or a word."""

from __future__ import annotations

import pytest

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.experiments.settings import settings_of


def test_a_number_beside_a_word() -> None:
    setting = next(s for s in settings_of(pf.MixedMixture) if s.name == "components")
    assert setting.metavar == "INT|auto"
    assert (setting.read("2"), setting.read("auto")) == (2, "auto")
    with pytest.raises(InvalidValue, match="a whole number or one of auto, got 'many'"):
        setting.read("many")
