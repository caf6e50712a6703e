"""What InfoGAN's code means, on tiny budgets: held-out rows,
labels unseen and matched, images with labels and without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import BadSource
from pushforward.core.phase import Batch
from pushforward.recipes import codes
from pushforward.recipes.images import album
from pushforward.recipes.registry import run
from tests.looks import seen


def test_the_category_is_measured_against_labels_that_nobody_learnt_from(tmp_path: Path) -> None:
    found, paths = run("codes", file="digits", out=tmp_path, seed=1, budget=0.003)
    seen(paths, "codes.png", "codes-numbers.png")
    assert list(found.records) == ["error, best matching", "purity", "L_I"]
    error = found.records["error, best matching"]
    assert error.n == 359
    assert error.data == "359 images of digits, held out (seed 1)"
    assert 0 <= 1 - error.value <= found.records["purity"].value + 1e-9 <= 1 + 1e-9
    assert found.records["L_I"].value <= 2.303


def test_categories_that_are_the_labels_make_no_errors() -> None:
    held = album("digits", 0, codes.TEST)
    model = codes.learn(codes.with_views, held.train, 0, 0.0)
    assert held.test_labels is not None
    renamed = (held.test_labels.long() + 3) % 10
    assert codes.measured(model, held, renamed)["error, best matching"].value == 0
    merged = torch.where(renamed == 1, 2, renamed)
    lost = float((renamed == 1).double().mean()), float((renamed == 2).double().mean())
    assert codes.measured(model, held, merged)["error, best matching"].value == pytest.approx(
        min(lost)
    )
    assert codes.named(4, renamed, held.test_labels) == "4: 100% are 1"
    assert codes.named(4, renamed, None) == "4"


@pytest.mark.parametrize("best", range(codes.STARTS))
def test_the_start_whose_views_share_most_goes_on(
    best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Start:
        view_weight = 1.0

        def __init__(self, worth: float) -> None:
            self.worth = worth

        def to_model(self, x: torch.Tensor) -> torch.Tensor:
            return x

        def vitals(self, batch: Batch, rng: int) -> dict[str, float]:
            return {"information_views": self.worth}

    def fitted(
        model: Any, x: Any, seed: int, shown: float, start: Any = None, folder: Any = None
    ) -> Any:
        made.append((seed, shown, start, folder))
        return Start(float(len(made) - 1 == best))

    monkeypatch.setattr(codes, "fitted", fitted)
    codes.learn(lambda: Start(0.0), torch.zeros(5, 1, 8, 8), seed=3, budget=0.5, folder=Path("run"))  # type: ignore[arg-type, return-value]
    assert len({seed for seed, *_ in made}) == len(made) == codes.STARTS + 1
    assert sum(shown for _, shown, *_ in made) == codes.shown(0.5)
    assert [start is None for _, _, start, _ in made] == [True] * codes.STARTS + [False]
    assert made[-1][2].worth == 1.0
    assert [folder for *_, folder in made] == [None] * codes.STARTS + [Path("run")]


def test_without_views_one_model_sees_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []
    monkeypatch.setattr(codes, "fitted", lambda model, x, seed, shown, **_: made.append(shown))
    codes.learn(codes.plain, torch.zeros(5, 1, 8, 8), seed=3)
    assert made == [codes.shown()]


def test_no_image_is_in_both_parts_and_no_label_reaches_the_model() -> None:
    held = album("digits", 0, codes.TEST)
    train = held.train.take(torch.arange(len(held.train)))
    assert len(train.x) + len(held.test) == 1797
    assert train.y is None
    own = {bytes(row.numpy().tobytes()) for row in train.x.float()}
    # no two digits are alike but by chance
    assert sum(row.numpy().tobytes() in own for row in held.test.float()) <= 2
    source, labels = pf.read("digits"), {}
    for row, label in zip(source.x.float(), source.y.flatten().tolist()):
        labels[row.numpy().tobytes()] = label
    assert held.test_labels is not None
    assert [labels[row.numpy().tobytes()] for row in held.test.float()] == held.test_labels.tolist()


def test_images_without_labels_have_categories_that_nothing_judges(tmp_path: Path) -> None:
    levels = torch.randint(
        0, 256, (40, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    for i, level in enumerate(levels):
        Image.fromarray(level.numpy()).save(tmp_path / f"{i}.png")
    found, paths = run("codes", file=tmp_path, out=tmp_path / "out", budget=0.001)
    assert list(found.records) == ["L_I"]
    assert any("no labels" in note for note in found.notes)
    assert len(paths) == 2


def test_points_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1.5,2\n3,4.5\n5,6\n")
    with pytest.raises(BadSource, match="expected images, got 2 columns"):
        run("codes", file=tmp_path / "x.csv", out=tmp_path / "out")


def test_few_images_are_brought_to_a_size(tmp_path: Path) -> None:
    levels = torch.randint(
        0, 256, (9, 30, 20, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    for i, level in enumerate(levels):
        Image.fromarray(level.numpy()).save(tmp_path / f"{i}.png")
    _, paths = run("codes", file=f"{tmp_path}@8", out=tmp_path / "out", budget=0.0001)
    assert len(paths) == 2
