"""A run that was fitted to `ring` when that was eight dots says what its data are called now."""

from __future__ import annotations

from pathlib import Path

import pytest

import pushforward as pf
from pushforward.core.errors import BadRun
from pushforward.experiments import open_run


def test_an_old_run_of_ring_is_told_the_new_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    pf.VAE(1, hidden=(2,)).fit("eight_gaussians:50", steps=1, batch=8, run=run, quiet=True)
    assert len(open_run(run).parts().train) == 50
    for path in run.glob("*.json"):
        path.write_text(path.read_text().replace("eight_gaussians", "ring"))
    with pytest.raises(BadRun, match=r"not those that .* was fitted to \(.*eight_gaussians\)"):
        open_run(run).parts()
    assert len(open_run(run).parts("eight_gaussians:50").train) == 50
