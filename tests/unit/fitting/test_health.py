"""Nothing that is not finite is kept: neither by a save whose time has come,
nor by an evaluation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.core.errors import Diverged
from pushforward.core.storage import load
from pushforward.fitting.checkpoint import Checkpoints


@pf.register("test_spoilt")
class Spoilt(pf.Learner):
    """A linear map whose weights become NaN after its third step,
    which no loss shows before the fourth.
    """

    def __init__(self, at: int = 3) -> None:
        super().__init__()
        self.at, self.steps = at, 0

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        self.map, self.steps = nn.Linear(2, 2), 0

    def phases(self) -> list[pf.Phase]:
        return [pf.Phase("map", ("map",), self.error, pf.sgd(1e-3), after=self.spoil)]

    def error(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        return pf.Terms(error=(self.map(batch.x) - batch.x).square().sum(1))

    def quality(self, batch: pf.Batch, *, rng: Any = None) -> torch.Tensor:
        return -self.error(batch, pf.Step())["error"]

    def spoil(self, batch: pf.Batch, step: pf.Step) -> None:
        self.steps += 1
        if self.steps == self.at:
            self.map.weight.fill_(torch.nan)


def rows() -> torch.Tensor:
    return torch.randn(64, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "settings",
    [{"save_every": 1e-9, "evaluate_every": 100}, {"evaluate_every": 0.25, "held_out": 0.25}],
    ids=["timed save", "evaluation"],
)
def test_a_state_with_nan_is_never_kept(tmp_path: Path, settings: dict[str, Any]) -> None:
    run, seen = tmp_path / "run", []
    with pytest.raises(Diverged, match="after 48 samples"):
        Spoilt().fit(
            rows(),
            steps=8,
            batch=16,
            run=run,
            callbacks=[lambda event, model: seen.append(event)],
            **settings,
        )
    if "save_every" in settings:
        state = Checkpoints(run).newest()
        assert state["step"] == 2
        assert all(bool(value.isfinite().all()) for value in state["networks"].values())
        assert all(bool(value.isfinite().all()) for value in load(run).state_dict().values())
    assert not any(
        type(event).__name__ == "Evaluated" and event.quality != event.quality for event in seen
    )
