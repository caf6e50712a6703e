"""Settings that suit data of a kind and size, where nobody has chosen any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Suited"]


@dataclass(frozen=True)
class Suited:
    """Settings that suit some data, instead of a model's textbook defaults.

    Args:
        settings: values by name, of `__init__` and of the fitter.
        reason: about the data, such as '300 images are few'.
        unless: settings that go with none of these: who chooses one keeps the defaults.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    unless: tuple[str, ...] = ()
