"""The fitter of mergeable statistics: passes, events, cancelling,
and two processes giving the answer of one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.events import CancelToken, Event, Finished, Progress, Started
from pushforward.core.moments import Moments
from pushforward.fitting.packing import pack, unpack


def rows(n: int = 400, d: int = 3) -> Tensor:
    return (
        torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        + (torch.arange(n) % 3)[:, None] * 5
    )


# ------------------------------------------------------------------------------------------- events


def test_every_start_has_random_numbers_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    begin = pf.GMM.begin

    def watched(self: pf.GMM, source: Any, rng: torch.Generator) -> None:
        seen.append(float(torch.rand((), generator=rng.clone_state())))
        begin(self, source, rng)

    monkeypatch.setattr(pf.GMM, "begin", watched)
    for _ in range(2):
        pf.GMM(2, start="random", starts=3).fit(rows(), by=pf.EM(steps=2, seed=4))
    assert len(set(seen[:3])) == 3
    assert seen[:3] == seen[3:], "the seed decides"


def test_events_tell_the_whole_story() -> None:
    events: list[Event] = []
    pf.GMM(3).fit(rows(), by=pf.EM(steps=50, tolerance=1e-4, listeners=[events.append]))
    first, *middle, last = events
    assert isinstance(first, Started)
    assert (first.budget, first.model) == (50 * 400, "GMM")
    assert all(isinstance(e, Progress) for e in middle)
    assert [e.samples for e in middle] == [400 * (i + 1) for i in range(len(middle))]
    assert isinstance(last, Finished)
    assert last.reason == "converged"
    assert last.quality == middle[-1].terms["log_likelihood"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        (pf.PCA(1), 0),
        (pf.KMeans(2), 0),
        (pf.GMM(2), 0),
        (pf.KDE(), 0),
        (pf.Autoencoder(1, hidden=(2,)), (3 * 2 + 2 + 2 + 1) + (2 + 2 + 2 * 3 + 3)),
    ],
)
def test_weights_are_counted_and_nothing_else(model: pf.Model, weights: int) -> None:
    events: list[Event] = []
    model.fit(rows(), listeners=[events.append], steps=1, quiet=True)
    assert isinstance(events[0], Started)
    assert events[0].parameters == weights


def test_the_budget_ends_it() -> None:
    events: list[Event] = []
    pf.GMM(3, start="random").fit(rows(), by=pf.EM(steps=2, tolerance=0, listeners=[events.append]))
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "budget"


def test_one_pass_for_pca() -> None:
    events: list[Event] = []
    model = pf.PCA(1).fit(rows(), by=pf.EM(listeners=[events.append]))
    assert [type(e) for e in events] == [Started, Progress, Finished]
    assert events[1].terms["log_likelihood"] == pytest.approx(float(model.log_prob(rows()).mean()))  # type: ignore[attr-defined]


def test_cancelling_stops_after_the_pass() -> None:
    token, events = CancelToken(), []

    def listen(event: Event, model: Any) -> None:
        events.append(event)
        if isinstance(event, Progress) and len(events) == 4:
            token.cancel()

    model = pf.GMM(3, start="random", starts=5).fit(
        rows(), by=pf.EM(tolerance=0, callbacks=[listen], token=token)
    )
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "interrupted"
    assert len(events) <= 6
    assert bool(torch.isfinite(model.log_prob(rows())).all())


def test_a_model_of_ones_own_needs_two_methods() -> None:
    @dataclass
    class Sum:
        total: Tensor
        count: Tensor

        def merge(self, other: Sum) -> Sum:
            return Sum(self.total + other.total, self.count + other.count)

    class Mean(pf.Model):
        dtype = torch.float64

        def statistics(self, batch: Any) -> Sum:
            return Sum(batch.x.sum(0), torch.tensor(float(len(batch.x))))

        def update(self, statistics: Sum) -> bool:
            self.mean_ = self.to_user((statistics.total / statistics.count)[None])[0]
            return True

    torch.testing.assert_close(Mean().fit(rows(), by=pf.EM(block=7)).mean_, rows().mean(0))


def test_what_cannot_be_fitted_is_told() -> None:
    with pytest.raises(pf.InvalidValue, match="Trainer"):
        pf.VAE(2).fit(rows(), by=pf.EM())
    with pytest.raises(pf.InvalidValue, match="steps must be a whole number"):
        pf.EM(steps=0)
    with pytest.raises(pf.InvalidValue, match="tolerance"):
        pf.EM(tolerance=-1)


# ----------------------------------------------------------------------------------- many processes


def test_statistics_survive_the_journey() -> None:
    @dataclass
    class Inner:
        a: Tensor
        n: int

    @dataclass
    class Outer:
        inner: Inner
        moments: Moments
        b: Tensor

    sent = Outer(
        Inner(torch.arange(6.0).reshape(2, 3), 2**40 + 1),
        Moments.of(rows(), full=True),
        torch.tensor([True, False]),
    )
    back = unpack(pack(sent), sent)
    assert back.inner.n == sent.inner.n
    for one, two in (
        (back.inner.a, sent.inner.a),
        (back.b, sent.b),
        (back.moments.m2, sent.moments.m2),
        (back.moments.count, sent.moments.count),
    ):
        assert one.dtype == two.dtype
        assert torch.equal(one, two)


def fit_all(x: Any, holed: Any, few: Any) -> dict[str, Any]:
    """Every classical model on the same data; what must agree between worlds."""
    n = len(x)
    weights = np.arange(n) % 3
    start = x[:3].tolist()
    em = {"steps": 6, "tolerance": 0, "block": 64}
    models = {
        "pca": pf.PCA(2).fit(x, weights=weights),
        "pca heldout": pf.PCA("heldout").fit(x),
        "pca few": pf.PCA(2).fit(few),
        "gmm": pf.GMM(3).fit(x, by=pf.EM(**em)),
        "gmm missing": pf.GMM(2, "tied").fit(holed, by=pf.EM(**em)),
        "gmm starts": (
            pf.GMM(2, "diagonal", start="random", starts=3).fit(x, weights=weights, by=pf.EM(**em))
        ),
        "kmeans": pf.KMeans(3, start=start).fit(x, weights=weights),
        "kmeans batch": pf.KMeans(3, batch=50).fit(x, by=pf.EM(**em)),
        "one row": pf.PCA(1).fit(x[:1]),
    }
    return {
        name: {k: v.tolist() for k, v in m.tensors().items() if k.endswith("_")}
        for name, m in models.items()
    }


def data() -> tuple[Any, Any, Any]:
    x = rows(301).numpy()
    holed = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
    return x, holed, np.random.default_rng(1).standard_normal((5, 9))


WORKER = """
import json, os, sys, torch
torch.set_num_threads(1)
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from test_em import data, fit_all
json.dump(fit_all(*data()), open(sys.argv[2] + os.environ["RANK"], "w"))
torch.distributed.destroy_process_group()
"""


@pytest.mark.timeout(120)
def test_two_processes_give_the_answer_of_one(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--master_port=0",
        "--rdzv-backend=c10d",
    ]
    command += [
        "--rdzv-endpoint=localhost:0",
        str(tmp_path / "worker.py"),
        __file__,
        str(tmp_path / "rank"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{r}").read_text()) for r in (0, 1))
    assert first == second, "the processes do not end with the same bits"
    alone = fit_all(*data())
    for name, tensors in alone.items():
        for key, value in tensors.items():
            one, two = (
                torch.tensor(value, dtype=torch.float64),
                torch.tensor(first[name][key], dtype=torch.float64),
            )
            torch.testing.assert_close(
                two, one, rtol=1e-6, atol=1e-8, msg=lambda m, where=(name, key): f"{where}: {m}"
            )
