"""The Learn room: fits that are watched, steered, changed, and what they are fitted to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio

RING: dict[str, Any] = {"kind": "built-in", "name": "ring"}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def ask(studio: Studio, verb: str, attached: bytes = b"", **content: Any) -> Answer:
    with torch.no_grad():
        return find_verb(verb)(studio, Request(1, verb, content, "", attached))


def until(found: Any, seconds: float = 30.0) -> Any:
    """The first true answer of a function."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def stepped(studio: Studio, fit: str, steps: int, **more: Any) -> Answer:
    """A look at a fit after so many more steps have been played."""
    before = studio.fit(fit).steps
    ask(studio, "learn.control", fit=fit, action="step", steps=steps, **more)

    def done() -> Answer | None:
        seen = ask(studio, "learn.look", fit=fit, layers=["samples"])
        facts = seen.content
        over = facts["ended"] or (facts["steps"] == before + steps and facts["paused"])
        return seen if over else None

    until(done)
    return ask(studio, "learn.look", fit=fit, layers=["samples"])  # the last step is over now


def started(studio: Studio, model: str, **settings: str) -> Answer:
    data = {"kind": "built-in", "name": "moons"}  # on which no mixture converges at once
    return ask(studio, "learn.start", model=model, settings=settings, data=data, paused=True)


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        ("gan", {"samples", "critic", "manifold", "gradients"}),
        ("vae", {"samples", "rebuilt", "manifold", "codes", "posterior"}),
        ("autoencoder", {"rebuilt", "manifold", "codes"}),
        ("gmm", {"samples", "density", "clusters", "components"}),
        ("kmeans", {"clusters", "centres"}),
    ],
)
def test_a_fit_is_watched_layer_by_layer(studio: Studio, model: str, layers: set[str]) -> None:
    width = {"latent": "2"} if model in ("gan", "vae", "autoencoder") else {}
    begun = started(studio, model, **width).content
    assert set(begun["layers"]) == layers
    assert begun["paused"]
    fit = begun["fit"]
    ask(studio, "learn.control", fit=fit, action="step", steps=2)

    def stepped() -> Answer | None:
        seen = ask(studio, "learn.look", fit=fit, layers=[*layers])
        facts = seen.content
        return seen if facts["steps"] == 2 and facts["paused"] and facts["reports"] else None

    seen = until(stepped)
    shapes = {name: tuple(array.shape) for name, array in seen.arrays.items()}
    expected = {
        "samples": (600, 2), "critic": (48, 48), "density": (48, 48), "clusters": (48, 48),
        "manifold": (21, 21, 2), "gradients": (120, 4), "posterior": (118, 4),
        "rebuilt": (500, 2), "codes": (500, 2), "components": (8, 7), "centres": (8, 2),
    }  # fmt: skip
    assert shapes == {name: expected[name] for name in layers}
    ask(studio, "learn.stop", fit=fit)
    with pytest.raises(PushforwardError, match="this fit is gone"):
        ask(studio, "learn.look", fit=fit)


def test_settings_change_and_checkpoints_are_returned_to(studio: Studio) -> None:
    fit = started(studio, "gan", latent="2").content["fit"]
    ask(studio, "learn.control", fit=fit, action="step", steps=3)
    until(lambda: ask(studio, "learn.look", fit=fit).content["samples"] == 3 * 128)
    changed = ask(
        studio, "learn.change", fit=fit, model="gan", data=RING,
        settings={"latent": "2", "game": "wasserstein", "batch": "16"},
    ).content  # fmt: skip
    assert changed["samples"] == 3 * 128
    assert changed["checkpoints"] == [3 * 128]
    live = studio.fit(changed["fit"])
    assert str(live.model.game) == "wasserstein"  # type: ignore[attr-defined]
    kept = live.checkpoints[0].model.state_dict()
    now = live.visit(lambda model: {name: t.clone() for name, t in model.state_dict().items()})
    assert all(torch.equal(now[name], kept[name]) for name in now if "generator" in name)
    ask(studio, "learn.control", fit=changed["fit"], action="step", steps=2)
    until(lambda: ask(studio, "learn.look", fit=changed["fit"]).content["steps"] == 3 + 2)
    back = ask(studio, "learn.back", fit=changed["fit"], number=0).content
    assert (back["samples"], back["steps"]) == (3 * 128, 3)
    ask(studio, "learn.stop", fit=back["fit"])


@pytest.mark.parametrize("settings", [{"latent": "3"}, {"hidden": "7"}, {"game": "chess"}])
@pytest.mark.parametrize("name", ["moons", "digits"])
def test_a_change_that_cannot_be_made_leaves_the_fit_as_it_is(
    studio: Studio, settings: dict[str, str], name: str
) -> None:
    data = {"kind": "built-in", "name": name}
    begun = {"model": "gan", "data": data, "settings": {"latent": "2"}}
    fit = ask(studio, "learn.start", **begun, paused=True).content["fit"]
    with pytest.raises(PushforwardError):
        ask(studio, "learn.change", fit=fit, **{**begun, "settings": settings})
    assert not studio.fit(fit).ended
    ask(studio, "learn.control", fit=fit, action="step", steps=2)
    until(lambda: ask(studio, "learn.look", fit=fit).content["steps"] == 2)
    ask(studio, "learn.stop", fit=fit)


def test_drawn_points_and_images_are_fitted(studio: Studio) -> None:
    points = torch.randn(50, 2).tolist()
    drawn = {"kind": "drawn", "points": points}
    begun = ask(studio, "learn.start", model="gmm", settings={"components": "2"}, data=drawn)
    assert begun.content["rows"] == 50
    digits = {"kind": "built-in", "name": "digits"}
    images = ask(studio, "learn.start", model="vae", settings={}, data=digits, paused=True)
    assert images.arrays["data"].shape == (25, 8, 8, 4)
    seen = ask(studio, "learn.look", fit=images.content["fit"])
    assert seen.arrays["images"].shape == (25, 8, 8, 4)
    studio.close()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"model": "none", "data": RING}, "none"),
        ({"model": "gan", "data": {}}, "data are built-in or drawn"),
        ({"model": "gan", "data": {"kind": "built-in", "name": "/etc/passwd"}}, "name must be one"),
        ({"model": "gan", "data": RING, "settings": {"run": "x"}}, "there is no setting 'run'"),
        ({"model": "gan", "data": RING, "settings": {"latent": "0"}}, "latent"),
        ({"model": "gan", "data": RING, "settings": {"game": "chess"}}, "chess"),
        ({"model": "gan", "data": {"kind": "drawn", "points": [[1, 2, 3]]}}, "rows of 2 numbers"),
    ],
)
def test_fits_that_cannot_begin(studio: Studio, content: dict[str, Any], text: str) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, "learn.start", **{"settings": {}, **content})


def test_fits_end_with_the_last_page(studio: Studio) -> None:
    fit = studio.fit(started(studio, "gan").content["fit"])
    studio.enter()
    studio.enter()
    studio.leave(grace=0.05)
    time.sleep(0.2)
    assert not fit.ended
    studio.leave(grace=0.05)
    until(lambda: fit.ended)


def test_fits_outlive_a_reload(studio: Studio) -> None:
    fit = studio.fit(started(studio, "gan").content["fit"])
    studio.enter()
    studio.leave(grace=0.2)
    studio.enter()
    time.sleep(0.4)
    assert not fit.ended
    assert ask(studio, "learn.rejoin", fit=fit.name).content["fit"] == fit.name
    studio.close()


# --------------------------------------------------------------------------------- while it runs


def test_reports_are_told_from_a_number_on_and_measures_go_with_the_samples(
    studio: Studio,
) -> None:
    fit = started(studio, "gan", latent="2").content["fit"]
    for _ in range(3):
        stepped(studio, fit, 2)
    live = studio.fit(fit)
    everything = ask(studio, "learn.look", fit=fit).content["reports"]
    assert {256, 512, 768} <= {r["samples"] for r in everything}
    some = ask(studio, "learn.look", fit=fit, since=2).content
    assert some["reports"] == everything[2:]
    assert some["since"] == 2
    assert ask(studio, "learn.look", fit=fit, since=len(everything)).content["reports"] == []
    assert [m["samples"] for m in live.measured] == sorted({m["samples"] for m in live.measured})
    assert live.measured[-1]["samples"] == 768
    assert ask(studio, "learn.rejoin", fit=fit).content["measured"] == live.measured
    studio.close()


def test_what_was_told_after_a_checkpoint_is_forgotten_on_the_way_back(studio: Studio) -> None:
    fit = started(studio, "gan", latent="2").content["fit"]
    stepped(studio, fit, 2)
    ask(studio, "learn.keep", fit=fit)
    kept = studio.fit(fit).visit(lambda model: model.sample(4, rng=0))
    stepped(studio, fit, 3)
    back = ask(studio, "learn.back", fit=fit, number=0).content
    assert back["samples"] == 256
    assert [m["samples"] for m in back["measured"]][-1] == 256
    seen = ask(studio, "learn.look", fit=back["fit"]).content
    assert seen["reports"][-1]["samples"] == 256
    assert torch.equal(studio.fit(back["fit"]).visit(lambda m: m.sample(4, rng=0)), kept)
    later = stepped(studio, back["fit"], 2).content
    assert later["samples"] == 512
    assert later["reports"][-1]["samples"] == 512
    with pytest.raises(PushforwardError, match="this fit is gone"):
        ask(studio, "learn.look", fit=fit)
    with pytest.raises(PushforwardError, match="there are 1 checkpoints, got 7"):
        ask(studio, "learn.back", fit=back["fit"], number=7)
    studio.close()


def test_one_player_alone_is_stepped(studio: Studio) -> None:
    fit = started(studio, "gan", ema="none").content["fit"]
    live = studio.fit(fit)

    def weights() -> dict[str, torch.Tensor]:
        copied: dict[str, torch.Tensor] = live.visit(
            lambda model: {name: t.clone() for name, t in model.state_dict().items()}
        )
        return copied

    for phase, other in (("critic", "generator"), ("generator", "critic")):
        before = weights()
        stepped(studio, fit, 1, phases=[phase])
        after = weights()
        moved = {n.split(".")[0] for n in after if not torch.equal(after[n], before[n])}
        assert phase in moved
        assert other not in moved
    with pytest.raises(PushforwardError, match="phases of this model are critic, generator"):
        ask(studio, "learn.control", fit=fit, action="step", phases=["judge"])
    studio.close()


def test_a_slow_pace_is_kept_by_the_fits_that_follow(studio: Studio) -> None:
    begun = ask(studio, "learn.start", model="gan", settings={}, data=RING, pace=2.0).content
    assert begun["pace"] == 2.0
    fit = begun["fit"]
    time.sleep(0.3)
    assert ask(studio, "learn.look", fit=fit).content["steps"] == 0  # the first waits two seconds
    changed = ask(studio, "learn.change", fit=fit, model="gan", settings={"batch": "16"}).content
    assert changed["pace"] == 2.0
    fit = changed["fit"]
    assert ask(studio, "learn.control", fit=fit, action="slow", seconds=0).content["pace"] == 0
    until(lambda: ask(studio, "learn.look", fit=fit).content["steps"] > 3)
    assert ask(studio, "learn.control", fit=fit, action="slow", seconds=60).content["pace"] == 5
    with pytest.raises(PushforwardError, match="must not be negative"):
        ask(studio, "learn.control", fit=fit, action="slow", seconds=-1)
    studio.close()


@pytest.mark.parametrize("model", ["gan", "vae"])
def test_learning_rates_change_while_it_runs(studio: Studio, model: str) -> None:
    begun = started(studio, model).content
    phase = begun["phases"][0]
    stepped(studio, begun["fit"], 1)
    changed = ask(
        studio, "learn.change", fit=begun["fit"], model=model, settings={}, rates={phase: 0.0}
    ).content
    assert changed["rates"] == {**begun["rates"], phase: 0.0}
    assert changed["samples"] == 128
    live = studio.fit(changed["fit"])
    before = live.visit(lambda m: {n: p.clone() for n, p in m.named_parameters()})
    stepped(studio, changed["fit"], 2)
    after = live.visit(lambda m: {n: p.clone() for n, p in m.named_parameters()})
    still = {n for n in after if torch.equal(before[n], after[n])}
    names = {n for n in after if model == "vae" or n.startswith("critic")}
    assert still == names
    studio.close()


def test_rates_keep_the_rest_of_an_optimiser(studio: Studio) -> None:
    begun = ask(
        studio, "learn.start", model="gan", data=RING, paused=True, rates={"critic": 0.01},
        settings={"optimizer": "generator=sgd(rate=0.5)"},
    ).content  # fmt: skip
    assert begun["rates"] == {"critic": 0.01, "generator": 0.5}
    fitter = studio.fit(begun["fit"]).experiment.fitter
    assert fitter["optimizers"]["critic"] == "adam(rate=0.01, beta1=0.5)"  # type: ignore[index]
    studio.close()


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        ({"judge": 0.1}, "phases of this model are critic, generator, got 'judge'"),
        ({"critic": "fast"}, "critic must be a finite number"),
        ({"critic": -1}, "must be finite and not negative"),
        ([0.1], "rates must be numbers by phase"),
    ],
)
def test_rates_that_make_no_sense(studio: Studio, rates: Any, text: str) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, "learn.start", model="gan", settings={}, data=RING, rates=rates)


def test_passes_have_no_weights_to_go_back_to(studio: Studio) -> None:
    fit = started(studio, "gmm").content["fit"]
    for verb in ("keep", "change"):
        with pytest.raises(PushforwardError, match="start again"):
            ask(studio, f"learn.{verb}", fit=fit, model="gmm", settings={})
    assert not studio.fit(fit).ended
    studio.close()


# ----------------------------------------------------------------------------------------- own data


def sent(studio: Studio, *files: tuple[str, bytes], **more: Any) -> Answer:
    facts = [{"name": name, "bytes": len(data)} for name, data in files]
    return ask(studio, "learn.data", b"".join(data for _, data in files), files=facts, **more)


def test_two_columns_of_a_table_are_fitted(studio: Studio) -> None:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    lines = [f"{a:.3f},{b:.3f},{'' if i < 4 else f'{c:.3f}'},t" for i, (a, b, c) in enumerate(x)]
    table = "\n".join(["a,b,c,team", *lines]).encode()
    facts = sent(studio, ("mine.csv", table)).content
    assert facts["chosen"] == ["a", "b"]
    assert facts["left_out"] == ""
    recalled = ask(studio, "learn.recall", upload=facts["upload"], columns=["c", "a"]).content
    assert recalled["left_out"].startswith("4 of 60 rows have no value in 'c' or 'a'")
    chosen = {"kind": "upload", "upload": facts["upload"], "columns": ["c", "a"]}
    settings = {"components": "2"}
    begun = ask(studio, "learn.start", model="gmm", settings=settings, data=chosen).content
    assert begun["rows"] == 56
    assert begun["names"] == ["c", "a"]
    rows = studio.fit(begun["fit"]).source.take(torch.arange(56)).x
    assert torch.allclose(rows.float(), x[4:, [2, 0]], atol=1e-3)
    studio.close()
    with pytest.raises(PushforwardError, match=r"these data are gone: .* choose the file again"):
        ask(studio, "learn.start", model="gmm", settings={}, data=chosen)


def test_a_fit_keeps_its_rows_when_the_upload_is_gone(studio: Studio) -> None:
    table = "a,b\n" + "\n".join(f"{i},{i * i % 7}" for i in range(40))
    upload = sent(studio, ("mine.csv", table.encode())).content["upload"]
    data = {"kind": "upload", "upload": upload, "columns": ["a", "b"]}
    fit = ask(studio, "learn.start", model="gan", settings={}, data=data, paused=True).content[
        "fit"
    ]
    for _ in range(4):
        sent(studio, ("other.csv", table.encode()))
    with pytest.raises(PushforwardError, match="these data are gone"):
        ask(studio, "learn.recall", upload=upload)
    changed = ask(studio, "learn.change", fit=fit, model="gan", settings={"batch": "8"}).content
    back = ask(studio, "learn.back", fit=changed["fit"], number=0).content
    assert back["rows"] == 40
    studio.close()
