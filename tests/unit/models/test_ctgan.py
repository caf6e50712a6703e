"""CTGAN: conditional vectors, training by sampling, packs, and what samples keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.core.source import Source
from pushforward.models.tabular.category_conditions import CategoryConditions
from pushforward.models.tabular.mode_encoding import Block

SMALL: dict[str, Any] = {"latent": 4, "hidden": (16,), "critic_hidden": (16,), "packing": 4}


def rows(n: int = 300) -> Source:
    """A number that depends on a category, another category with gaps."""
    rng = np.random.default_rng(0)
    kind = rng.choice(list("abc"), n, p=[0.7, 0.27, 0.03])
    x = np.array([{"a": 0, "b": 5, "c": -5}[k] for k in kind]) + rng.normal(size=n)
    frame = pd.DataFrame({"kind": kind, "x": x, "side": rng.choice(["l", "r"], n)})
    frame.loc[rng.random(n) < 0.2, "side"] = None
    frame.loc[rng.random(n) < 0.3, "x"] = np.nan
    return pf.read(frame, types="auto")


def fitted(source: Source | None = None, **settings: Any) -> Any:
    source = rows() if source is None else source
    return pf.CTGAN(**{**SMALL, **settings}).fit(source, steps=4, batch=40, quiet=True)


@pytest.fixture(scope="module")
def model() -> Any:
    return fitted()


def step(seed: int = 0) -> Step:
    return Step(rng=torch.Generator().manual_seed(seed))


def test_the_published_settings_are_the_defaults() -> None:
    model = pf.CTGAN()
    assert (model.latent, model.hidden, model.critic_hidden) == (128, (256, 256), (256, 256))
    assert (model.modes, model.packing, model.temperature, model.dropout) == (10, 10, 0.2, 0.5)
    assert [str(p) for p in (model.game, *model.penalties)] == ["wasserstein", "gradient_penalty"]
    assert model.penalties[0].weight == 10.0
    assert str(model.optimizer) == "adam(rate=0.0002, beta1=0.5, beta2=0.9, decay=1e-06)"
    assert (model.default_fitter().epochs, model.usual_batch(10_000)) == (300, 500)
    assert [model.usual_batch(n) for n in (30, 1000, None)] == [20, 50, 500]


def test_few_rows_are_fitted_in_one_batch() -> None:
    model = pf.CTGAN(**SMALL).fit(rows(15), epochs=2, quiet=True)
    assert model.fit_result.samples == 30


def conditions() -> CategoryConditions:
    """Two columns: of 90, 9 and 1 rows, and of 60 and 40, 40 of them missing."""
    made = CategoryConditions([Block(0, False, 3, False), Block(3, False, 1, True)])
    made.counts = torch.tensor([90.0, 9, 1, 60, 40], dtype=torch.float64)
    return made


def test_conditions_are_drawn_by_the_logarithm_of_frequencies() -> None:
    drawn = conditions().draw(60_000, 0, logarithmic=True)
    assert torch.equal(drawn.sum(1), torch.ones(60_000))
    logs = [np.log1p(np.array(c)) for c in ([90, 9, 1], [60, 40])]
    wanted = np.concatenate([0.5 * part / part.sum() for part in logs])
    assert drawn.mean(0).tolist() == pytest.approx(wanted.tolist(), abs=0.01)


def test_samples_are_asked_for_categories_as_often_as_they_occur() -> None:
    drawn = conditions().draw(60_000, 0)
    assert drawn.mean(0).tolist() == pytest.approx([0.45, 0.045, 0.005, 0.3, 0.2], abs=0.01)
    without = conditions().draw(60_000, 0, gaps=False)
    assert without.mean(0).tolist() == pytest.approx([0.45, 0.045, 0.005, 0.5, 0.0], abs=0.01)


def test_training_by_sampling_gives_rows_and_conditions_together(model: Any) -> None:
    """Weighted rows, then one of their columns, are as a column, a category, then its rows."""
    source = rows()
    weights = model.row_weights(source)
    assert weights.shape == (len(source),)
    drawn = torch.multinomial(weights, 40_000, True, generator=torch.Generator().manual_seed(0))
    x = source.take(drawn).x
    asked = model.asked.of_rows(model.to_model(x), 1)
    assert torch.equal(asked.sum(1), torch.ones(len(x)))
    wanted = 0.5 * model.asked.shares(logarithmic=True)
    assert asked.mean(0).tolist() == pytest.approx(wanted.tolist(), abs=0.01)
    rare = asked[:, 2] == 1
    assert bool((x[rare, 0] == 2).all()), "a row has the category that it was drawn for"
    assert len(drawn[rare].unique()) == int((source.all().x[:, 0] == 2).sum()), "any of them"


def test_the_cross_entropy_is_that_of_the_column_asked_for(model: Any) -> None:
    raw = torch.randn(5, *model.event_shape(), generator=torch.Generator().manual_seed(0))
    asked = model.asked.one(0, 2, 5)
    logits = raw[:, model.scaling.blocks[0].choices]
    wanted = torch.nn.functional.cross_entropy(logits, torch.full((5,), 2), reduction="none")
    assert torch.allclose(model.asked.surprise(raw, asked), wanted)


def test_the_generator_pays_for_what_it_was_not_asked_for(model: Any) -> None:
    batch = Batch(model.to_model(rows().all().x[:40]))
    terms = model.generator_loss(batch, step())
    assert set(terms) == {"generator", "condition"}
    terms["condition"].mean().backward()
    reached = model.generator.last.weight.grad.abs().sum(1) > 0
    wanted = torch.zeros_like(reached)
    for block in model.scaling.categories:
        wanted[block.choices] = True
    model.zero_grad()
    assert torch.equal(reached, wanted), "categories only, not numbers"


def test_the_critic_sees_packs_of_rows_with_their_conditions(model: Any) -> None:
    (width,) = model.event_shape()
    first = model.critic.layers[0]
    assert first.in_features == 4 * (width + model.asked.width)
    seen: list[torch.Tensor] = []
    handle = first.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    model.critic_loss(Batch(model.to_model(rows().all().x[:40])), step())
    handle.remove()
    assert [len(x) for x in seen] == [20, 10], "10 real and 10 generated packs, then the penalty's"
    pack = seen[0][0].reshape(4, width + model.asked.width)
    rates = pack[:, width:].sum(1)
    assert torch.equal(rates, torch.ones(4))


@pytest.mark.parametrize("count", [1, 3, 37, 40])
def test_a_batch_that_does_not_fill_its_packs_is_completed(model: Any, count: int) -> None:
    batch = Batch(model.to_model(rows().all().x[:count]))
    for loss in (model.critic_loss, model.generator_loss):
        assert all(term.shape == (count,) for term in loss(batch, step()).values())


def test_samples_are_of_the_kinds_of_the_data(model: Any) -> None:
    x = model.sample(500, rng=0)
    assert not bool(x.isnan().any())
    assert set(x[:, 0].tolist()) <= {0.0, 1.0, 2.0}
    assert set(x[:, 2].tolist()) <= {0.0, 1.0}
    assert model.space.export(x)["kind"].isin(list("abc")).all()


def test_samples_with_gaps_have_them_where_the_data_do(model: Any) -> None:
    gaps = model.sample(500, rng=0, using="gaps").isnan().double().mean(0)
    assert float(gaps[0]) == 0
    assert float(gaps[1]) > 0.02
    assert float(gaps[2]) > 0.02


def test_a_category_may_be_asked_for(model: Any) -> None:
    x = model.sample(50, rng=0, using="given(column='kind', value='c')")
    assert set(model.space.export(x)["kind"]) == {"c"}
    assert len(x[:, 1].unique()) > 40


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("x", "a", "'x' is no categorical column"),
        ("kind", "z", "'kind' is never 'z'"),
        ("kin", "a", "did you mean 'kind'"),
    ],
)
def test_other_categories_are_refused(model: Any, column: str, value: str, message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        model.sample(5, using=f"given(column={column!r}, value={value!r})")


def test_other_models_cannot_be_asked() -> None:
    other = pf.GMM(1).fit(torch.randn(50, 2))
    for using in ("gaps", "given(column='x0', value='a')"):
        with pytest.raises(pf.InvalidKind, match="GMM"):
            other.sample(3, using=using)


def test_a_table_of_numbers_has_no_conditions() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    model = pf.CTGAN(**SMALL).fit(x, steps=3, batch=20, quiet=True)
    assert model.row_weights(pf.read(x)) is None
    assert model.asked.width == 0
    assert model.sample(7, rng=0).shape == (7, 2)


def test_symptoms_name_what_is_wrong(model: Any) -> None:
    vitals = {"diversity": 0.01, "nearest_row": 1.0, "nearest_sample": 1.0, "obeyed": 0.2}
    found = [symptom.name for symptom in model.symptoms(vitals)]
    assert found == ["collapse", "conditions are not learnt"]
    assert not model.symptoms({"diversity": 1.0, "obeyed": 0.9})


def test_a_saved_model_draws_the_same(model: Any, tmp_path: Any) -> None:
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert again.scaling.kind == model.scaling.kind
    for using in (None, "gaps"):
        one, two = (m.sample(20, rng=1, using=using) for m in (model, again))
        assert torch.equal(one.nan_to_num(-99.0), two.nan_to_num(-99.0))
    again.fit(rows(), steps=2, batch=40, quiet=True)  # after loading, from scratch


def test_a_fit_in_two_sittings_is_one_fit(tmp_path: Any) -> None:
    source = rows()
    whole = pf.CTGAN(**SMALL).fit(source, steps=8, batch=40, quiet=True, run=tmp_path / "a")
    pf.CTGAN(**SMALL).fit(source, steps=5, batch=40, quiet=True, run=tmp_path / "b")
    parts = pf.CTGAN(**SMALL).fit(source, by=pf.Trainer(resume=tmp_path / "b", steps=8, quiet=True))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
