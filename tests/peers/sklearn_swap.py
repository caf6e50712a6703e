"""A pytest plugin: scikit-learn's own tests, from the installed wheel,
meet our classes under scikit-learn's names.

The names are replaced before any test module is imported.
`sklearn_expected.toml` lists what may fail, by reason:

* private: the test calls a private function, method or attribute,
  or asserts which private function was called;
* wording: the test matches scikit-learn's text. It is run twice: with the texts it must fail (or
  the entry is out of date), and without them it must pass, so that the error or the warning itself
  is there;
* ours: the test asserts the absence of something that we have,
  or a number that is wrong; the entry says which.

An entry is a test's name, with its parameters or with * in their place. An entry that matches no
test, or a test that passes though an entry names it, fails the run: the list can only become
shorter.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from threadpoolctl import threadpool_limits

from pushforward.compat import sklearn as ours

SWAPPED = {
    "neighbors": ("KernelDensity", "test_kde"),
    "mixture": ("GaussianMixture", "test_gaussian_mixture"),
    "decomposition": ("PCA", "test_pca"),
    "cluster": ("KMeans", "test_k_means"),
}
REASONS = ("private", "wording", "ours")
LISTED = tomllib.loads(
    Path(__file__).with_name("sklearn_expected.toml").read_text(encoding="utf-8")
)
WORDING = pytest.StashKey[bool]()

# Modules that use the classes inside scikit-learn keep scikit-learn's own.
for package in ("manifold", "utils.estimator_checks", *SWAPPED):
    import_module(f"sklearn.{package}")
for package, (name, _) in SWAPPED.items():
    setattr(import_module(f"sklearn.{package}"), name, getattr(ours, name))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what never meets our classes; mark what is listed. One thread: scikit-learn's
    conftest asks for all there are.
    """
    threadpool_limits(1)
    kept = [item for item in items if not re.search("minibatch|kmeans_plusplus", item.name.lower())]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
    seen = {Path(str(item.path)).stem for item in items}
    unused = []
    for module, by_reason in LISTED.items():
        for reason, entries in by_reason.items():
            assert reason in REASONS, (
                f"{module}: unknown reason {reason!r}; known are {', '.join(REASONS)}"
            )
            for entry, why in entries.items():
                found = [
                    item
                    for item in items
                    if Path(str(item.path)).stem == module and _matches(entry, item.name)
                ]
                if module in seen and not found:
                    unused.append(f"{module}::{entry}")
                for item in found:
                    if reason == "wording":
                        item.stash[WORDING] = True
                    else:
                        item.add_marker(pytest.mark.xfail(reason=f"{reason}: {why}", strict=True))
    if unused and not config.option.keyword and not any("::" in arg for arg in config.args):
        raise pytest.UsageError(
            f"sklearn_expected.toml names tests that are not there: {', '.join(unused)}; remove"
            " these entries"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test of scikit-learn's wording: it must fail as it stands,
    and pass once its texts are not compared.
    """
    if WORDING not in pyfuncitem.stash:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    try:
        pyfuncitem.obj(**arguments)
    except (Exception, pytest.fail.Exception):
        with any_wording():
            pyfuncitem.obj(**arguments)
        return True
    pytest.fail(f"{pyfuncitem.name} passes as it stands; remove it from sklearn_expected.toml")


@contextmanager
def any_wording() -> Iterator[None]:
    """pytest.raises and pytest.warns that compare classes alone."""

    def deaf(verb: Callable[..., Any], *args: Any, match: Any = None, **kwargs: Any) -> Any:
        return verb(*args, **kwargs)

    with (
        mock.patch("pytest.raises", partial(deaf, pytest.raises)),
        mock.patch("pytest.warns", partial(deaf, pytest.warns)),
    ):
        yield


def _matches(entry: str, name: str) -> bool:
    return re.fullmatch(re.escape(entry).replace(r"\*", ".*"), name) is not None
