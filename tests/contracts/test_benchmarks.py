"""Every benchmark can be run: its module imports, and it is listed by its name."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
HELPERS = {"__main__", "large_table", "timing"}
"""Modules without benchmarks of their own."""


def test_every_module_of_benchmarks_is_listed_and_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    main = importlib.import_module("benchmarks.__main__")
    modules = {m.name for m in pkgutil.iter_modules([str(ROOT / "benchmarks")])} - HELPERS
    assert set(main.MODULES) == modules
    names = [n for m in modules for n in importlib.import_module(f"benchmarks.{m}").BENCHMARKS]
    assert len(names) == len(set(names))


def test_every_study_imports_and_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "studies", raising=False)
    main = importlib.import_module("studies.__main__")
    modules = {m.name for m in pkgutil.iter_modules([str(ROOT / "studies")])} - {
        "__main__",
        "study",
        "table_sets",
        "real_tables",
        "reference_tables",
    }
    assert set(main.MODULES) == modules
    studies = [s.name for m in modules for s in importlib.import_module(f"studies.{m}").STUDIES]
    assert len(studies) == len(set(studies)) == len(main.load_studies())


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("vae", {"batch": 16, "steps": 40}),
        ("kde", {"n": 400, "m": 300}),
        ("gmm", {"n": 500, "d": 2, "k": 2}),
    ],
)
def test_benchmarks_of_a_card_run_anywhere(
    name: str, sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiny, on the CPU: both sides run and, where it is no matter of luck, agree."""
    monkeypatch.syspath_prepend(str(ROOT))
    gpu = importlib.import_module("benchmarks.gpu")
    (row,) = getattr(gpu, name)(torch.device("cpu"), **sizes)
    assert row["name"] == f"gpu-{name}"
    assert row["card"] == "CPU"
    assert row["ratio"]["median"] > 0
    assert name == "vae" or row["check"]["agree"], row["check"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_benchmarks_of_a_card_say_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    main = importlib.import_module("benchmarks.__main__")
    assert main.main(["gpu-vae"]) == 2
    assert "no CUDA device here" in capsys.readouterr().err


def test_speed_figures_show_every_setting_of_a_sweep() -> None:
    from docs.speed_figures import draw_bandwidths, draw_sizes

    sides = {"pushforward": 0.1, "scikit-learn": 1.0}
    bands = [{"factor": f, "data": "shots", "seconds": sides, "ratio": 10.0} for f in (0.1, 1.0)]
    figure = draw_bandwidths({"kde-sweep-2d": {"settings": bands}})
    axes = figure.axes[0]
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[0.1, 0.1], [1.0, 1.0]]
    assert axes.get_title() == "2-D, shots: at least 10 times"
    sizes = [
        {"setting": "1 x 2", "seconds": {"pushforward": 0.1, name: 0.2}}
        for name in ("scikit-learn full", "faiss")
    ]
    figure = draw_sizes({"pca-sweep": {"settings": sizes, "ratio": {"median": 2.0}}})
    drawn = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert drawn["faiss"] == [0.2]
    assert drawn["scikit-learn"] == [0.2]
    for draw in (draw_bandwidths, draw_sizes):
        with pytest.raises(ValueError, match="run python -m benchmarks"):
            draw({})


@pytest.mark.parametrize(
    ("name", "sizes", "opponents"),
    [
        ("vae", {"batches": (16,), "widths": (64,), "share": 0.02}, 3),
        ("gan", {"batches": (16, 128), "widths": (32,), "share": 0.05}, 2),
        ("dcgan", {"sizes": ((8, 16),), "share": 0.05}, 2),
    ],
)
def test_sweeps_of_training_report_the_worst_of_their_settings(
    name: str, sizes: dict[str, Any], opponents: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    sweep = importlib.import_module("benchmarks.network_sweep")

    def loop(data: torch.Tensor, epochs: int, **size: int) -> tuple[float, float]:
        result: tuple[float, float] = sweep.textbook_vae(data, **size)
        return result

    monkeypatch.setattr(sweep.spine, "_fit_pythae", loop)  # which the tests do not require
    (row,) = getattr(sweep, f"{name}_sweep")(rounds=1, **sizes)
    assert row["name"] == f"{name}-sweep"
    assert len(row["settings"]) == opponents * len(sizes.get("batches", (1,)))
    ratios = [record["ratio"]["median"] for record in row["settings"]]
    assert row["ratio"]["median"] == min(ratios)
    assert row["check"]["agree"] == all(record["agree"] for record in row["settings"])
    assert all(loss > 0 for record in row["settings"] for loss in record["losses"])
