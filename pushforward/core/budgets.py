"""The units of a budget: their names alone, which help needs without PyTorch."""

from __future__ import annotations

__all__ = ["BUDGETS"]

BUDGETS = ("epochs", "steps", "samples", "minutes")
