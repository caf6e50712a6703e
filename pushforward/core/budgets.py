"""The units of a budget, in a module without imports so that help does not load PyTorch."""

from __future__ import annotations

__all__ = ["BUDGETS"]

BUDGETS = ("epochs", "steps", "samples", "minutes")
