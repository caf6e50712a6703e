"""Fitters. They know phases, statistics and sources, but no models.

Names load on first use; `__init__.pyi` lists them.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "controls": ["Controls"],
        "em": ["EM"],
        "trackers": ["TensorBoard", "WandB"],
        "trainer": ["Trainer"],
    },
)
