"""Moments, facts, values, records, sources and random streams."""

from __future__ import annotations

import dataclasses
import inspect
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pushforward as pf
from pushforward.core.fit_source import as_source
from pushforward.core.moments import Moments
from pushforward.core.preparation import dequantise
from pushforward.core.random import derive, generator, normal
from pushforward.core.records import require_comparable
from pushforward.core.registry import read
from pushforward.core.scan import scan
from pushforward.core.source import fingerprint, iterate_blocks, space_rows
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty, r1


def points(n: int = 100, d: int = 3, offset: float = 0.0) -> torch.Tensor:
    return (
        torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + offset
    )


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 99), offset=st.sampled_from([0.0, 1e4, 1e8]), full=st.booleans())
def test_moments_merge_to_the_two_pass_answer(cut: int, offset: float, full: bool) -> None:
    x = points(offset=offset)
    merged = Moments.of(x[:cut], full=full).merge(Moments.of(x[cut:], full=full))
    exact = x.T.cov(correction=0)
    assert torch.allclose(merged.mean, x.mean(0), rtol=1e-14)
    assert torch.allclose(
        merged.covariance, exact if full else exact.diagonal(), rtol=1e-6, atol=1e-9
    )


def test_integer_weights_are_repetition_in_moments() -> None:
    x, w = points(20), torch.arange(20) % 4
    assert torch.allclose(
        Moments.of(x, w, full=True).covariance,
        Moments.of(x.repeat_interleave(w, 0), full=True).covariance,
    )


def test_facts_count_missing_and_infinite_values_by_column() -> None:
    x = points()
    x[3, 1], x[4, 1], x[5, 2] = float("nan"), float("nan"), float("inf")
    facts = scan(as_source(x), block=7)
    assert facts.missing.tolist() == [0, 2, 0]
    assert facts.infinite.tolist() == [0, 0, 1]
    assert [t.name for t in facts.issues(pf.Space.infer(x))] == ["infinite", "missing"]
    clean = x[:, 1][torch.isfinite(x[:, 1])]
    assert float(facts.moments.mean[1]) == pytest.approx(float(clean.mean()))


@pytest.mark.parametrize("block", [None, 7])
def test_extremes_alone_are_those_of_the_whole_scan(
    block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushforward.core.scan.BLOCK_NUMBERS", 1)  # each block is merged
    x = points()
    x[3, 1], x[5, 2] = float("nan"), float("inf")
    whole, quick = (scan(as_source(x), block=block, moments=m) for m in (True, False))
    assert quick.count == whole.count == len(x)
    for name in ("low", "high", "missing", "infinite"):
        assert torch.equal(getattr(quick, name), getattr(whole, name))
    finite = torch.isfinite(x)
    assert torch.equal(quick.low, torch.where(finite, x, torch.inf).amin(0).to(torch.float64))
    assert torch.equal(quick.high, torch.where(finite, x, -torch.inf).amax(0).to(torch.float64))


@pytest.mark.parametrize("text", ["non_saturating", "hinge", "relativistic"])
def test_values_are_their_text(text: str) -> None:
    assert str(read(Game, text)) == text


def test_values_read_back_from_their_text() -> None:
    assert read(Penalty, "r1(gamma=3)") == r1(3)
    assert str(r1(3.0)) == "r1(gamma=3.0)"
    assert read(Penalty, str(r1(3.0))) == r1(3.0)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (lambda x: x, pf.InvalidKind, "a function cannot be stored"),
        ("r3", pf.InvalidValue, "did you mean 'r"),
        ("r1(alpha=3)", pf.InvalidValue, "gamma"),
        ("r1(gamma=", pf.InvalidValue, "cannot be read"),
        ("__import__('os').system('x')", pf.InvalidValue, "cannot be read"),
        ("r1(gamma=-1)", pf.InvalidValue, "above 0"),
    ],
)
def test_what_is_no_value_is_refused(given: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        inspect.unwrap(read)(Penalty, given)  # past the tests' own checker


def test_unlike_records_do_not_compare() -> None:
    one = pf.Record.of(
        "log_prob", torch.tensor([1.0, 3.0]), unit="nats", measure="density per unit", data="a"
    )
    require_comparable(one, dataclasses.replace(one, quantity="elbo", bound="lower bound"))
    for change in (
        {"measure": "binary mass"},
        {"unit": "bits/dim"},
        {"data": "b"},
        {"n": 3},
        {"details": {"features": "x"}},
    ):
        with pytest.raises(
            pf.InvalidValue, match=next(iter(change)) if "details" not in change else "features"
        ):
            require_comparable(one, dataclasses.replace(one, **change))


def test_a_record_has_the_standard_error_of_its_mean_and_is_strict_json() -> None:
    record = pf.Record.of("log_prob", torch.tensor([1.0, 3.0]), unit="nats")
    assert (record.value, record.error, record.n) == (2.0, pytest.approx(1.0), 2)
    assert json.loads(pf.Record.of("log_prob", torch.tensor([1.0])).to_json())["error"] is None


def test_streams_are_named_and_unrelated() -> None:
    assert derive(0, "a") != derive(0, "b") != derive(1, "b")
    assert torch.equal(normal(3, rng=generator(5)), normal(3, rng=5))
    with pytest.raises(pf.InvalidKind, match="rng"):
        inspect.unwrap(generator)("five")  # type: ignore[arg-type]  # past the tests' own checker


def test_none_follows_torchs_own_seed() -> None:
    torch.manual_seed(1)
    one = normal(3)
    torch.manual_seed(1)
    assert torch.equal(one, normal(3))


def test_a_memory_map_stays_on_disk_and_gives_the_same_rows(tmp_path: object) -> None:
    path = f"{tmp_path}/rows.npy"
    x = np.random.default_rng(0).normal(size=(1000, 4))
    np.save(path, x)
    mapped = as_source(np.load(path, mmap_mode="r"))
    assert not mapped.resident
    assert torch.equal(torch.cat([b.x for b in iterate_blocks(mapped, 77)]), torch.as_tensor(x))
    assert fingerprint(mapped) == fingerprint(as_source(x))


def test_fingerprints_tell_data_apart() -> None:
    x = points()
    assert (
        fingerprint(as_source(x)) != fingerprint(as_source(x[:-1])) != fingerprint(as_source(x + 1))
    )


def test_fingerprints_tell_weights_apart_also_from_conditions() -> None:
    x = points()
    numbers = torch.arange(1.0, len(x) + 1, dtype=torch.float64)
    sources = [
        as_source(x),
        as_source(x, None, numbers),
        as_source(x, None, numbers.flip(0)),
        as_source(x, numbers),
    ]
    assert len({fingerprint(source) for source in sources}) == 4


@pytest.mark.parametrize("n", [1, 256, 257, 50_000, (1 << 24) + 4, 10**12])
def test_spread_rows_lie_in_range_from_the_first_to_the_last(n: int) -> None:
    rows = space_rows(n, 256)
    assert len(rows) == min(n, 256)
    assert (int(rows[0]), int(rows[-1])) == (0, n - 1)
    assert len(rows) == 1 or int(rows.diff().min()) >= 1


def test_dequantised_levels_round_back_and_continuous_columns_are_left_alone() -> None:
    x = torch.arange(12).reshape(6, 2)
    noisy = dequantise(pf.Arrays(x), 3)
    assert torch.equal(noisy.x.round().to(torch.int64), x)
    assert torch.equal(noisy.x, dequantise(pf.Arrays(x), 3).x)
    assert not torch.equal(noisy.x, dequantise(pf.Arrays(x), 4).x)
    continuous = points()
    assert torch.equal(dequantise(pf.Arrays(continuous), 3).x, continuous)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": points(), "weights": -torch.ones(100)}, "not negative"),
        ({"x": points(), "weights": torch.ones(99)}, "one entry per observation"),
        ({"x": points(), "y": torch.ones(99, dtype=torch.int64)}, "one entry per observation"),
        ({"x": points()[:0]}, "no rows"),
        ({"x": [["a", "b"]]}, "numbers"),
    ],
)
def test_bad_arrays_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(pf.PushforwardError, match=message):
        as_source(**arguments)
