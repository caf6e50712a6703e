"""Shared by all tests: one thread each (tests run side by side),
run-time checks of annotations, a browser, and where real data are.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

# for this process and those it starts: tests run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The checks look at a random item of each list. They must not draw from Python's own stream, which
# is part of what exact resume puts back: a fit in two sittings is checked more often than one in a
# single sitting.
_of_python, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import BeartypeConf, FrozenDict  # noqa: E402
from beartype.claw import beartype_packages  # noqa: E402
from beartype.roar import BeartypeCallHintViolation  # noqa: E402
from beartype.vale import Is  # noqa: E402

random.getrandbits = _of_python

CHECKED = (
    "core",
    "data",
    "densities",
    "nets",
    "objectives",
    "fitting",
    "models",
    "metrics",
    "latent",
    "experiments",
)
# these hide their module's names from the checker
NAMED_TUPLES = ("core.phase", "densities.codes", "densities.trees")
# these refuse wrong kinds in words of their own, which is tested
REFUSING = (
    "core.stream",
    "data.reading",
    "experiments.compare",
    "experiments.experiment",
    "experiments.latent_views",
    "experiments.measure",
    "experiments.projections",
    "experiments.views",
    "fitting.em",
    "fitting.film",
    "fitting.trainer",
    "models.deep.observed",
)
PACKAGE = Path(__file__).parents[1] / "pushforward"
# compiled loops call each other without the checker's wrappers
LOOPS = tuple(
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
    for file in sorted(PACKAGE.rglob("*_loops.py"))
)
UNCHECKED = tuple(f"pushforward.{module}" for module in (*NAMED_TUPLES, *REFUSING, *LOOPS))


class WrongKind(BeartypeCallHintViolation, TypeError):
    """What a value of the wrong kind raises: a TypeError, as it mostly would without the checks, so
    that what is damaged on disk is found damaged.
    """


def is_plain(value: object) -> bool:
    """Whether JSON can hold a value."""
    from pushforward.core.plain import is_plain  # imported by the time that something is checked

    return is_plain(value)


# equal to `core.plain.Plain`, which contains itself and can therefore not be checked as it is
PLAIN = None | bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"]  # noqa: F821
# Functions refuse anything else in words of their own, which is tested.
REFUSED = (
    Literal["radial", "product"],
    Literal["auto", "direct", "tree", "fourier"],
    Literal["number", "axes", "matrix"],
    Literal["line", "sphere"],
    Literal["none", "group"],
    Literal["means", "discriminant"],
    Literal["encoder", "prior", "hybrid"],
    Literal["all", "y"],
)
beartype_packages(
    [f"pushforward.{room}" for room in CHECKED],
    conf=BeartypeConf(
        is_pep484_tower=True,
        violation_type=WrongKind,
        claw_is_pep526=False,
        claw_skip_package_names=UNCHECKED,
        hint_overrides=FrozenDict(
            {PLAIN: Annotated[object, Is[is_plain]], **dict.fromkeys(REFUSED, object)}
        ),
    ),
)

import pytest  # noqa: E402 - the hook comes before anything that imports the package
import torch  # noqa: E402

from tests.long_tests import is_long  # noqa: E402

torch.set_num_threads(1)


def real_data() -> Path | None:
    """The folder of real data sets, where there is one."""
    given = os.environ.get("PUSHFORWARD_DATA")
    folder = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture
def data_folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real data sets; the test is skipped, with the reason, where there is none."""
    folder = real_data()
    if folder is None:
        pytest.skip("needs the real data sets: set PUSHFORWARD_DATA to their folder")
    monkeypatch.setenv("PUSHFORWARD_DATA", str(folder))
    return folder


CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window: one for all tests, since a process can drive it only once."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that took long when last recorded."""
    for item in items:
        if is_long(item.nodeid):
            item.add_marker(pytest.mark.long)
