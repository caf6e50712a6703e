"""Fits to streams: the same answers as arrays give, bounded memory, and exact resume."""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.events import CancelToken, Event
from pushforward.fitting import gradient_fit
from pushforward.fitting.stream_batches import StreamBatches

ROWS = np.random.default_rng(0).normal(size=(1000, 3)) + (np.arange(1000) % 3)[:, None] * 4


def blocks(size: int = 70, rows: Any = ROWS) -> Iterator[Any]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def endless() -> Iterator[Any]:
    for seed in range(10**9):
        yield np.random.default_rng(seed).normal(size=(64, 3))


def equal(one: Any, two: Any) -> bool:
    a, b = one.state_dict(), two.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


# ---------------------------------------------------------------------------------------- by passes


@pytest.mark.parametrize(
    "make",
    [
        lambda: pf.Gaussian(),
        lambda: pf.PCA(2),
        lambda: pf.GMM(3),
        lambda: pf.KMeans(3),
        lambda: pf.KMeans(3, batch=100),
    ],
    ids=["gaussian", "pca", "gmm", "kmeans", "kmeans batch"],
)
def test_passes_over_a_stream_are_those_over_its_rows(make: Callable[[], Any]) -> None:
    more = {"block": 128, "steps": 20}
    streamed = make().fit(pf.Stream(blocks), **more)
    whole = make().fit(ROWS, **more)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(streamed.state_dict()[key], value, rtol=1e-9, atol=1e-9, msg=key)


def test_rows_of_a_stream_are_read_anew_at_every_pass() -> None:
    """They are not kept, as resident rows would be."""
    begun = [0]

    def counted() -> Iterator[Any]:
        begun[0] += 1
        yield from blocks()

    model = pf.GMM(3, start="random").fit(pf.Stream(counted, length=1000), steps=9, tolerance=0.0)
    assert model.fit_result is not None
    assert begun[0] >= 9


@pytest.mark.parametrize("at", [1, 3])
def test_passes_over_a_stream_are_resumed_to_the_bit(at: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"block": 128, "steps": 6, "tolerance": 0.0, "seed": 2}
    token, passes = CancelToken(), [0]

    def stop(event: Event, model: Any) -> None:
        passes[0] += type(event).__name__ == "Progress"
        if passes[0] == at:
            token.cancel()

    pf.GMM(3).fit(
        pf.Stream(blocks), **settings, run=tmp_path / "run", callbacks=[stop], token=token
    )
    again = pf.GMM(3).fit(pf.Stream(blocks), resume=tmp_path / "run")
    assert equal(again, pf.GMM(3).fit(pf.Stream(blocks), **settings))


# ------------------------------------------------------------------------------------- by gradients


def vae(source: Any, **settings: Any) -> Any:
    return pf.VAE(latent=2, hidden=(8,)).fit(source, **{"seed": 3, **settings})


def stream(**more: Any) -> pf.Stream:
    return pf.Stream(blocks, **{"shuffle": 200, **more})


STREAMS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "counted": (stream, {"epochs": 2.5, "batch": 64}),
    "of unknown length": (stream, {"steps": 40, "batch": 64}),
    "in order": (lambda: stream(shuffle=1), {"samples": 2000, "batch": 50}),
    "endless": (lambda: pf.Stream(endless, endless=True, shuffle=300), {"steps": 40, "batch": 32}),
    "with a divergence": (
        stream,
        {"steps": 40, "batch": 64, "on_divergence": "rollback", "ema": 0.9},
    ),
}


@pytest.mark.parametrize("name", list(STREAMS))
def test_a_fit_to_a_stream_is_resumed_to_the_bit(name: str, tmp_path: Path) -> None:
    """Stopped again and again, within epochs and at their ends,
    each time in a process that knows nothing of the last.
    """
    make, settings = STREAMS[name]
    whole = vae(make(), **settings)
    rng = random.Random(0)

    def sitting(**more: Any) -> Any:
        token, left = CancelToken(), [rng.randint(1, 9)]

        def stop(event: Event, model: Any) -> None:
            left[0] -= type(event).__name__ == "Progress"
            if left[0] == 0:
                token.cancel()

        return pf.VAE(latent=2, hidden=(8,)).fit(make(), **more, callbacks=[stop], token=token)

    model, sittings = sitting(seed=3, **settings, run=tmp_path / "run"), 1
    while model.fit_result.reason == "interrupted":
        model, sittings = sitting(resume=tmp_path / "run"), sittings + 1
    assert sittings > 3
    assert equal(model, whole)


@pytest.mark.parametrize("shuffle", [1, 64, 200, 5000])
def test_an_epoch_gives_every_row_once_and_another_epoch_another_order(shuffle: int) -> None:
    numbered = np.arange(1000.0)[:, None]
    source = pf.Stream(lambda: blocks(rows=numbered), shuffle=shuffle)
    batches = StreamBatches(source, 50, seed=1).from_step(0)
    first, second = (torch.cat([next(batches).x for _ in range(20)])[:, 0] for _ in range(2))
    for epoch in (first, second):
        assert epoch.sort().values.tolist() == numbered[:, 0].tolist()
    assert not torch.equal(first, second)
    # how late a row can be is not bounded, how early is
    farthest = int((torch.arange(1000) - first).max())
    assert int((first - torch.arange(1000)).max()) <= max(shuffle, 50)
    assert farthest > 0


def test_processes_share_the_batch_of_one() -> None:
    whole = StreamBatches(stream(), 60, seed=1).from_step(3)
    shares = [
        StreamBatches(stream(), 60, seed=1, rank=rank, world=3).from_step(3) for rank in range(3)
    ]
    for _ in range(20):
        own = [next(share).x for share in shares]
        merged = torch.stack(own, 1).flatten(0, 1)
        assert torch.equal(next(whole).x, merged)


def test_no_more_is_read_than_the_buffer_needs() -> None:
    taken = [0]

    def many() -> Iterator[Any]:
        for _ in range(400):
            taken[0] += 256
            yield np.zeros((256, 3))

    source = pf.Stream(many, shuffle=100)
    source.head(1)
    before, read = taken[0], StreamBatches(source, 10, seed=0).from_step(0)
    for step in range(500):
        next(read)
        assert taken[0] - before <= 100 + (step + 1) * 10 + 256


def test_a_fit_holds_a_few_blocks_whatever_goes_by() -> None:
    alive, most, made = [0], [0], [0]

    def many() -> Iterator[Any]:
        while True:
            block = np.random.default_rng(made[0]).normal(size=(500, 3))
            alive[0] += 1
            made[0] += 1
            weakref.finalize(block, lambda: alive.__setitem__(0, alive[0] - 1))
            most[0] = max(most[0], alive[0])
            yield block

    vae(pf.Stream(many, endless=True, shuffle=100), steps=400, batch=100)
    assert made[0] > 80
    assert most[0] <= 4


def test_what_a_stream_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        pf.InvalidValue,
        match=r"held_out=0.1 is a share of rows, which a stream cannot be split into",
    ):
        vae(stream(), steps=3, held_out=0.1)
    with pytest.raises(
        pf.BadSource,
        match="is endless and has no length; give a budget in steps, samples or minutes",
    ):
        vae(pf.Stream(endless, endless=True), epochs=1)
    with pytest.raises(pf.BadSource, match=r"fewer rows than a batch \(2000\)"):
        vae(stream(), steps=3, batch=2000)
    late = np.concatenate([ROWS, ROWS])
    late[1990] = np.nan
    monkeypatch.setattr(gradient_fit, "STREAMED_ROWS", 1000)
    with pytest.raises(
        pf.BadSource, match=r"row \d+ of the batch of step (39|40) of the data holds NaN"
    ):
        vae(pf.Stream(lambda: blocks(rows=late), shuffle=50, length=2000), steps=500, batch=50)
    held = vae(stream(), steps=30, batch=64, held_out=pf.read(ROWS[:100]), keep_best=True)
    assert held.fit_result.quality is not None


def test_other_data_or_another_buffer_are_refused_on_resuming(tmp_path: Path) -> None:
    vae(stream(), steps=10, batch=64, run=tmp_path / "run")
    for other in (stream(shuffle=300), pf.Stream(lambda: blocks(rows=ROWS + 1), shuffle=200)):
        with pytest.raises(pf.BadRun, match="the data differ"):
            pf.VAE(latent=2, hidden=(8,)).fit(other, resume=tmp_path / "run", steps=20)


def test_labels_and_weights_of_a_stream_are_trained_on() -> None:
    y, w = np.arange(1000) % 3, np.arange(1000) % 4 + 0.5

    def rows() -> Iterator[Any]:
        for start in range(0, 1000, 70):
            stop = start + 70
            yield ROWS[start:stop], y[start:stop], w[start:stop]

    model = vae(pf.Stream(rows, shuffle=1), steps=20, batch=50)
    assert model.condition_space is not None
    assert model.sample(3, y=[0, 1, 2], rng=0).shape == (3, 3)
    assert not equal(
        model, vae(pf.Stream(lambda: ((a, b) for a, b, _ in rows()), shuffle=1), steps=20, batch=50)
    )
