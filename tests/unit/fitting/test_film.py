"""Films: frames of the same codes, few enough, evenly spread,
the same however often the fit was interrupted.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.events import CancelToken, Event, Finished, Progress, Started
from pushforward.core.random import derive
from pushforward.fitting.film import Film, film_folder, frame_times, read_frame, read_frames


def data() -> torch.Tensor:
    return torch.randn(256, 2, generator=torch.Generator().manual_seed(0))


def fitted(steps: int = 60, **how: Any) -> pf.GAN:
    by = pf.Trainer(steps=steps, batch=32, seed=3, ema=0.9, **how)
    return pf.GAN(latent=2, hidden=(8,)).fit(data(), by=by)


def shown(film: Film, times: list[int]) -> list[int]:
    """The frames' times after a fit that reports at these."""
    model = pf.GAN(latent=2, hidden=(8,))
    for event in [Started(0, 0.0), *(Progress(t, 0.0) for t in times), Finished(times[-1], 0.0)]:
        if film.wants(event):
            film.take(event, model)
    return film.times


def still(_: Any) -> dict[str, torch.Tensor]:
    return {"x": torch.zeros(1)}


def test_the_last_frame_is_what_the_fitted_model_draws_and_the_first_what_it_drew_before(
    tmp_path: Path,
) -> None:
    model = fitted(run=tmp_path / "run", film=10)
    frames = read_frames(film_folder(tmp_path / "run"))
    assert torch.equal(frames[-1].tensors["x"], model.sample(10, rng=derive(3, "film")))
    assert (frames[0].samples, frames[-1].samples) == (0, 60 * 32)
    assert not torch.equal(frames[0].tensors["x"], frames[-1].tensors["x"])
    assert [f.samples for f in frames] == [64 * i for i in range(31)]  # of 60 reports


def test_being_filmed_changes_nothing(tmp_path: Path) -> None:
    for how in ({}, {"hacks": ["dropout", "batch_norm"]}):
        models = []
        for film in (None, Film(lambda m: {"x": m.sample(5, rng=1)})):  # type: ignore[attr-defined]
            by = pf.Trainer(steps=20, batch=32, ema=0.9, film=film)
            models.append(pf.GAN(latent=2, hidden=(8,), **how).fit(data(), by=by))  # type: ignore[arg-type]
        one, two = (m.state_dict() for m in models)
        assert all(torch.equal(one[k], two[k]) for k in one)


def test_an_interrupted_fit_has_the_film_of_an_uninterrupted_one(tmp_path: Path) -> None:
    fitted(run=tmp_path / "whole", film=4)
    token = CancelToken()

    def stop(event: Event, model: Any) -> None:
        if event.samples >= 25 * 32:
            token.cancel()

    fitted(run=tmp_path / "parts", film=4, callbacks=[stop], token=token)
    half = read_frames(film_folder(tmp_path / "parts"))[-1].samples
    assert half < 60 * 32
    model = pf.GAN(latent=2, hidden=(8,))
    model.fit(data(), by=pf.Trainer(resume=tmp_path / "parts"))  # the film is a setting of the run
    whole, parts = (read_frames(film_folder(tmp_path / name)) for name in ("whole", "parts"))
    assert [f.samples for f in whole] == [f.samples for f in parts]
    assert all(torch.equal(a.tensors["x"], b.tensors["x"]) for a, b in zip(whole, parts))


@pytest.mark.parametrize("count", [3, 10, 11, 25, 100, 1000])
def test_frames_are_few_evenly_spread_and_include_both_ends(count: int) -> None:
    times = shown(Film(still, most=10), [7 * i for i in range(1, count + 1)])
    assert len(times) <= 11
    assert len(times) >= min(5, count)
    assert (times[0], times[-1]) == (0, 7 * count)
    apart = {b - a for a, b in pairwise(times[:-1])}
    assert len(apart) == 1
    assert times[-1] - times[-2] <= apart.pop()


def test_what_lies_behind_a_fit_that_went_back_is_dropped() -> None:
    film = Film(still)
    shown(film, [10, 20, 30, 40])
    assert film.wants(Progress(30, 0.0)) is False  # it is there
    assert film.times == [0, 10, 20, 30]
    film.wants(Started(0, 0.0))
    assert film.times == []


def test_conditions_are_those_of_the_first_rows(tmp_path: Path) -> None:
    y = torch.arange(256) % 3
    model = pf.GAN(latent=2, hidden=(8,))
    model.fit(data(), y, by=pf.Trainer(steps=3, batch=32, run=tmp_path / "run", film=6))
    last = read_frames(film_folder(tmp_path / "run"))[-1].tensors["x"]
    assert torch.equal(last, model.sample(6, y=y[:6], rng=derive(0, "film")))


def test_images_are_kept_as_levels(tmp_path: Path) -> None:
    digits = pf.read("digits", label=False)
    by = pf.Trainer(steps=2, batch=16, run=tmp_path / "run", film=3)
    model = pf.VAE(latent=2, hidden=(8,)).fit(digits, by=by)
    last = read_frames(film_folder(tmp_path / "run"))[-1].tensors["x"]
    assert (last.dtype, tuple(last.shape)) == (torch.uint8, (3, 1, 8, 8))
    wanted = model.sample(3, rng=derive(0, "film"), using="mean").clamp(0, 16) / 16
    assert float((last / 255 - wanted).abs().max()) < 0.003


def test_what_cannot_be_filmed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        pf.InvalidValue, match="film stores its frames in the run's folder; pass run="
    ):
        pf.Trainer(film=3)
    with pytest.raises(pf.InvalidValue, match="film must be above 0, got 0"):
        pf.Trainer(film=0, run=tmp_path)
    with pytest.raises(pf.InvalidValue, match="at least 4 frames, got most=2"):
        Film(still, most=2)
    with pytest.raises(pf.BadRun, match="holds no frames"):
        read_frames(tmp_path)
    with pytest.raises(pf.InvalidKind, match="Autoencoder cannot draw; leave film out"):
        pf.Autoencoder(2, hidden=(4,)).fit(
            data(), by=pf.Trainer(steps=2, batch=16, run=tmp_path / "a", film=3)
        )


def test_one_frame_of_a_run_is_read_by_its_time(tmp_path: Path) -> None:
    fitted(run=tmp_path / "run", film=5)
    folder = film_folder(tmp_path / "run")
    frames = read_frames(folder)
    assert frame_times(folder) == [frame.samples for frame in frames]
    assert frame_times(tmp_path) == []
    some = frames[1]
    assert torch.equal(read_frame(folder, some.samples).tensors["x"], some.tensors["x"])
    with pytest.raises(pf.BadRun, match="has no frame of 7 samples"):
        read_frame(folder, 7)
