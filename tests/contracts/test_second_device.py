"""On a second device: `auto` finds it, the fit says so, and no tensor of the CPU meets one of it.

The device is `tests/fake_device.py`, which raises where a card would. Every model is fitted there,
asked there, stored, and gives the same numbers on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.devices import choose_accelerator, find_device
from pushforward.core.events import Event, Started
from pushforward.metrics.feature_spaces import pca
from pushforward.metrics.scores import scores
from pushforward.nets.critics import Closeness
from tests import small_models, tiny_learners
from tests.fake_device import FAKE, Fake, Mixed, fake_device
from tests.small_models import NAMES, VERBS, fitted, same, sampled


@pytest.fixture
def fake() -> Iterator[torch.device]:
    with fake_device() as device:
        yield device


# -------------------------------------------------------------------------------- the device itself


def test_tensors_of_two_devices_may_not_meet(fake: torch.device) -> None:
    x, y = torch.ones(2, 3, device=fake), torch.ones(2, 3)
    for meet in (
        lambda: x + y,
        lambda: torch.cat([x, y]),
        lambda: x @ y.T,
        lambda: y[x[:, 0] > 0],
        lambda: torch.stack([x.sum(), y.sum()]),
        lambda: torch.randn(3, generator=torch.Generator(), device=fake),
        lambda: torch.randn(3, generator=torch.Generator(fake)),
    ):
        with pytest.raises(Mixed):
            meet()
    assert torch.nn.Unflatten(0, (1, 2))(x).unsqueeze_(0).shape == (1, 1, 2, 3)
    with pytest.raises(TypeError, match="NumPy"):
        x.numpy()
    assert (x * torch.tensor(2.0))[torch.tensor([0])].tolist() == [[2.0, 2.0, 2.0]]


def test_gradients_and_optimisers_stay_on_the_device(fake: torch.device) -> None:
    network = torch.nn.Linear(3, 1).to(fake)
    before = network.weight.detach().clone()
    network(torch.ones(4, 3, device=fake)).square().sum().backward()
    torch.optim.Adam(network.parameters(), 0.1).step()
    assert isinstance(network.weight.grad, Fake)
    assert not torch.equal(network.weight, before)


def test_closeness_has_the_same_slope_on_every_device(fake: torch.device) -> None:
    rows = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    slopes = []
    for device in (torch.device("cpu"), fake):
        x = rows.clone().to(device).requires_grad_()
        Closeness.apply(x).square().sum().backward()
        slopes.append(x.grad.cpu())
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


def test_second_derivatives_that_are_zero_take_part_in_sums(fake: torch.device) -> None:
    x = torch.tensor([1.0, -2.0], device=fake).requires_grad_()
    (slope,) = torch.autograd.grad(x.abs().exp().sum(), x, create_graph=True)
    slope.square().sum().backward()
    expected = 2 * slope.cpu().detach() * x.cpu().detach().abs().exp()
    torch.testing.assert_close(x.grad.cpu(), expected)


# --------------------------------------------------------------------------------------- the choice


def test_auto_is_the_device_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_device():
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert choose_accelerator("auto") == "fake"
        assert find_device("auto").type == "fake"
        assert choose_accelerator("cpu") == "cpu"
    if not torch.cuda.device_count():
        assert choose_accelerator("auto") == "cpu"


@pytest.mark.skipif(torch.cuda.device_count() > 0, reason="there is a CUDA device")
@pytest.mark.parametrize("by", [pf.Trainer(steps=1, accelerator="cuda"), pf.EM(accelerator="gpu")])
def test_a_card_that_is_not_there_is_refused(by: Any) -> None:
    model = pf.VAE(2, hidden=(4,)) if isinstance(by, pf.Trainer) else pf.PCA(1)
    with pytest.raises(pf.InvalidValue, match="there is no CUDA device; pass 'auto' or 'cpu'"):
        model.fit(torch.randn(20, 3), by=by)


@pytest.mark.parametrize("kind", [pf.Trainer, pf.EM])
def test_a_card_beyond_the_last_is_refused(kind: Any, fake: torch.device) -> None:
    model = pf.VAE(2, hidden=(4,)) if kind is pf.Trainer else pf.PCA(1)
    with pytest.raises(pf.InvalidValue, match=r"there is 1 here, counted from fake:0"):
        model.fit(torch.randn(20, 3), by=kind(accelerator="fake:1", steps=1))


@pytest.mark.parametrize("model", [pf.VAE(2, hidden=(4,)), pf.PCA(1)])
def test_a_fit_says_its_device_once(model: Any, fake: torch.device) -> None:
    heard: list[Event] = []
    own = model.default_fitter()
    model.fit(torch.randn(40, 3), by=type(own)(steps=2, listeners=[heard.append]))
    assert [e.device for e in heard if isinstance(e, Started)] == [str(FAKE)]


def test_the_command_line_says_the_device_once(
    fake: torch.device, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    rows = torch.randn(40, 2).tolist()
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    run = tmp_path / "run"
    words = ["fit", "vae", str(tmp_path / "x.csv"), "--latent", "1", "--hidden", "4"]
    assert main([*words, "--steps", "2", "--run", str(run)]) == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count(str(FAKE)) == 1
    assert main(["sample", str(run), "-n", "2", "--device", "auto"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["evaluate", str(run), "--device", "auto"]) == 0


# ---------------------------------------------------------------------------------------- the sweep


@pytest.mark.parametrize("name", NAMES)
def test_models_live_on_the_device(name: str, tmp_path: Path, fake: torch.device) -> None:
    model, x = fitted(name), small_models.data(name)
    assert model.device == FAKE
    for tensor in model.state_dict().values():
        assert isinstance(tensor, Fake)
    here = {
        verb: getattr(model, verb)(x) for verb in VERBS if hasattr(model, verb) and verb != "elbo"
    }
    there = {verb: getattr(model, verb)(x.to(FAKE)) for verb in here}
    model.save(tmp_path / "run")
    again, back = pf.load(tmp_path / "run"), pf.load(tmp_path / "run", device="auto")
    assert again.device.type == "cpu"
    assert back.device == FAKE
    for verb, value in here.items():
        assert value.device == FAKE, verb
        assert torch.equal(value, there[verb]), verb
        torch.testing.assert_close(value.cpu(), getattr(again, verb)(x), rtol=1e-5, atol=1e-5)
    if hasattr(model, "sample"):
        drawn = sampled(model, 5, 3)
        assert drawn.device == FAKE
        torch.testing.assert_close(drawn.cpu(), sampled(again, 5, 3), rtol=1e-5, atol=1e-5)
    same(again, model.to("cpu"), x)


@pytest.mark.parametrize("name", tiny_learners.MODELS)
def test_learners_train_on_the_device(name: str, tmp_path: Path, fake: torch.device) -> None:
    x, y = tiny_learners.data(name), tiny_learners.conditions(name)
    by = pf.Trainer(
        steps=4, batch=16, held_out=0.25, evaluate_every=1, ema=0.9, clip=1.0, run=tmp_path / "run"
    )
    model = tiny_learners.MODELS[name]().fit(x, y, by=by)
    assert all(p.device == FAKE for p in model.parameters())


@pytest.mark.parametrize("first", ["cpu", "auto"])
@pytest.mark.parametrize("model", [lambda: pf.VAE(2, hidden=(8,)), lambda: pf.GMM(2)])
def test_runs_move_between_devices(model: Any, first: str, tmp_path: Path) -> None:
    """A run of one device resumes on the other; in double precision with the same result."""
    x, second = small_models.rows(), {"cpu": "auto", "auto": "cpu"}[first]
    made = model()
    more = {"batch": 32, "precision": "64-true"} if isinstance(made, pf.VAE) else {"tolerance": 0.0}
    kind = pf.Trainer if isinstance(made, pf.VAE) else pf.EM
    with fake_device():
        made.fit(x, by=kind(steps=4, accelerator=first, run=tmp_path / "run", **more))
        resumed = kind(resume=tmp_path / "run", steps=8, accelerator=second)
        made = model().fit(x, by=resumed)
        assert (made.device == FAKE) == (second == "auto")
        made = made.to("cpu")
    whole = model().fit(x, by=kind(steps=8, accelerator="cpu", **more))
    assert made.state_dict().keys() == whole.state_dict().keys()
    if isinstance(made, pf.GMM):  # the random numbers of a Trainer are those of its device
        same(made, whole, x)


# ---------------------------------------------------------------------- metrics, sums and adapters


@pytest.mark.parametrize("metric", ["fid", "kid", "prdc", "c2st", "mmd", "ks", "diversity"])
def test_metrics_take_tensors_of_both_devices(metric: str, fake: torch.device) -> None:
    x, y = small_models.rows(64), small_models.rows(64, seed=1)
    found = [
        [(r.quantity, r.value) for r in scores(a, b, metrics=[metric], rng=0)]
        for a, b in ((x, y), (x.to(FAKE), y), (x, y.to(FAKE)), (x.to(FAKE), y.to(FAKE)))
    ]
    assert found[0]
    assert all(other == found[0] for other in found[1:])


def test_components_as_features_stay_on_the_cpu(fake: torch.device) -> None:
    """They are fitted inside the metric, where `auto` would be the other device."""
    x = small_models.rows(64)
    there, here = pca(x.to(FAKE), 2), pca(x, 2)
    assert there.fingerprint == here.fingerprint
    assert torch.equal(there(x.to(FAKE)), here(x))


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "exponential"])
@pytest.mark.parametrize("method", ["auto", "direct", "tree"])
def test_kernel_sums_are_float64_on_the_device(
    kernel: str, method: str, fake: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pushforward.densities import device_sums

    monkeypatch.setattr(device_sums, "START_SECONDS", 0.0)
    monkeypatch.setattr(device_sums, "PAIRS", 1000)
    blocks: list[str] = []
    of_blocks = device_sums.log_sums

    def watched(bumps: Any, queries: Any, **more: Any) -> Any:
        blocks.append(queries.device.type)
        return of_blocks(bumps, queries, **more)

    monkeypatch.setattr(device_sums, "log_sums", watched)
    x, queries = small_models.rows(300), small_models.rows(200, seed=1) * 2
    sums = pf.densities.KernelSums(x.to(FAKE), 0.7, kernel=kernel, method=method)
    there, here = sums.log_density(queries.to(FAKE)), sums.log_density(queries)
    assert there.device == FAKE
    assert there.dtype == torch.float64
    torch.testing.assert_close(there.cpu(), here, rtol=1e-10, atol=1e-10)
    assert blocks == ([] if method == "tree" else ["fake"])


def test_adapters_of_scikit_learn_give_arrays(fake: torch.device) -> None:
    from pushforward.compat import sklearn as adapters

    x = small_models.rows(60).numpy()
    for name in ("PCA", "KMeans", "GaussianMixture", "KernelDensity"):
        adapter = getattr(adapters, name)().fit(x)
        for verb in ("transform", "score_samples", "predict", "score"):
            if hasattr(adapter, verb):
                getattr(adapter, verb)(x)
    auto = adapters.Estimator(pf.VAE(2, hidden=(4,)), steps=2).fit(x)
    assert auto.transform(x).shape == (60, 2)
    assert auto.model_.device.type == "cpu"
