"""What PyTorch's own threads do while compiled loops work."""

from __future__ import annotations

import threading

import pytest
import torch

import pushforward as pf
from pushforward.core.threads import in_threads, loops_only, thread_count
from pushforward.fitting.passes import Passes


@pytest.fixture(autouse=True)
def two_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_loops_keep_the_threads_that_pytorch_gives_up() -> None:
    with loops_only():
        assert torch.get_num_threads() == 1
        assert thread_count() == 2
        with loops_only():
            assert thread_count() == 2
        assert thread_count() == 2
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == thread_count() == 2
    with loops_only(when=False):
        assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(KeyError), loops_only():
        raise KeyError
    assert torch.get_num_threads() == thread_count() == 2


def test_rows_are_shared_out_within_it() -> None:
    waiting, seen = threading.Barrier(2, timeout=20), set()

    def work(start: int, stop: int) -> None:
        waiting.wait()  # breaks unless both threads are here
        seen.add((start, stop))

    with loops_only():
        in_threads(work, 2000, least=1000)
    assert seen == {(0, 1000), (1000, 2000)}


@pytest.mark.parametrize(
    ("model", "rows", "inside"),
    [
        (pf.KMeans(2), 200_000, 1),
        (pf.GMM(2), 200_000, 1),
        (pf.PCA(1), 200_000, 2),  # products of matrices are PyTorch's
        (pf.PCA(1), 100, 1),
    ],
)
def test_fits_by_loops_and_small_fits_use_no_threads_of_pytorch(
    model: pf.Model, rows: int, inside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, play = [], Passes.play

    def counted(fit: Passes) -> object:
        counts.append((torch.get_num_threads(), thread_count()))
        return play(fit)

    monkeypatch.setattr(Passes, "play", counted)
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))
    model.fit(x, by=pf.EM(steps=1, quiet=True))
    assert counts == [(inside, 2)]
    assert torch.get_num_threads() == thread_count() == 2


def test_gaps_are_filled_by_pytorchs_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, play = [], Passes.play

    def counted(fit: Passes) -> object:
        counts.append(torch.get_num_threads())
        return play(fit)

    monkeypatch.setattr(Passes, "play", counted)
    x = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0))
    x[::7, 1] = torch.nan
    pf.GMM(2).fit(x, by=pf.EM(steps=1, quiet=True))
    assert counts == [2]
