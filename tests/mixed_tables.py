"""Generated tables of numbers and categories that belong together, with gaps if wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import pushforward as pf


def table(n: int = 400, seed: int = 0, gaps: float = 0.0) -> pd.DataFrame:
    """Two numbers and two categories that belong together."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n) + 3 * group,
            "b": rng.normal(size=n) * (1 + group),
            "c": np.array(["x", "y", "z"])[np.where(rng.random(n) < 0.8, group, 2)],
            "d": np.where(rng.random(n) < 0.2 + 0.6 * group, "yes", "no"),
        }
    )
    for name in frame.columns if gaps else ():
        frame.loc[rng.random(n) < gaps, name] = None
    return frame


def read(frame: pd.DataFrame) -> Any:
    types = {"c": "categorical", "d": "boolean"}
    return pf.read(frame, types={k: v for k, v in types.items() if k in frame.columns})
