"""Figures of fitted models from Python: those that the command writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.argument_names import arguments_named, keyword
from pushforward.experiments import OpenedRun
from pushforward.experiments.view import heading
from pushforward.experiments.views import model_view, suitable_kind

CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("gmm", {}, []),
    (
        "gmm",
        {"kind": "density", "axes": ["weight", "height"]},
        ["--kind", "density", "--axes", "weight,height"],
    ),
    ("gmm", {"kind": "density", "with_rows": False}, ["--kind", "density", "--data", "none"]),
    ("kmeans", {"kind": "choice", "most": 3}, ["--kind", "choice", "--most", "3"]),
    ("pca", {"axes": [1, 0]}, ["--axes", "1,0"]),
    ("codes", {"kind": "embedding", "label": "team"}, ["--label", "team", "--kind", "embedding"]),
    ("faces", {"title": "Faces"}, ["--title", "Faces"]),
]


@pytest.mark.parametrize(("name", "arguments", "flags"), CASES)
def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun],
    check_written: Callable[..., None],
    name: str,
    arguments: dict[str, Any],
    flags: list[str],
) -> None:
    run = opened(name)
    check_written(model_view(run, **arguments), "plot", run.folder, *flags)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gmm", "clusters"),
        ("kmeans", "clusters"),
        ("pca", "biplot"),
        ("codes", "embedding"),
        ("gan", "density"),
        ("vae", "embedding"),
    ],
)
def test_the_kind_suits_the_model(opened: Callable[[str], OpenedRun], name: str, kind: str) -> None:
    assert suitable_kind(opened(name).model) == kind


def test_rows_in_memory_are_shown(opened: Callable[[str], OpenedRun], tmp_path: Path) -> None:
    x = torch.tensor([[1.6, 60.0], [1.9, 80.0], [1.7, 75.0]])
    some, others = (
        model_view(opened("gmm"), data=rows).write(tmp_path / f"{len(rows)}.png")[0].read_bytes()
        for rows in (x, x[:2])
    )
    assert some != others


def test_labels_colour_an_embedding(opened: Callable[[str], OpenedRun], tmp_path: Path) -> None:
    images = []
    for label in (None, "auto"):
        view = model_view(opened("vae"), "embedding", label=label)
        images.append(view.write(tmp_path / "a.png")[0].read_bytes())
    assert images[0] != images[1]


def test_what_cannot_be_shown_is_said(opened: Callable[[str], OpenedRun], tmp_path: Path) -> None:
    with arguments_named(keyword):
        with pytest.raises(pf.InvalidValue, match=r"^most must be at least 2, got 1; pass most=10"):
            model_view(opened("gmm"), most=1)
        with pytest.raises(pf.InvalidValue, match="title has 121 characters, expected at most 120"):
            heading(opened("gmm"), "x" * 121)
        with pytest.raises(pf.InvalidKind, match="no codes to draw; try kind=clusters"):
            model_view(opened("gmm"), "embedding")
    pf.GMM(2).fit(torch.randn(50, 2, generator=torch.Generator().manual_seed(0))).save(
        tmp_path / "saved"
    )
    run = pf.experiments.open_run(tmp_path / "saved")
    assert "without rows" in model_view(run, "density").notes[0]
    with pytest.raises(pf.BadRun, match="clusters needs rows"):
        model_view(run)
