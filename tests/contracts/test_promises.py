"""What `capabilities` and `isinstance` promise of an instance,
its methods keep; and what was saved loads in a new process.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core import capabilities as protocols
from pushforward.core.capabilities import capabilities
from pushforward.core.registry import catalogue, unlisted
from tests.small_models import MODELS, NAMES, conditions, data, fitted, rows, sampled

X = rows(60, 2)
CASES: dict[str, Any] = {
    **dict.fromkeys(NAMES),
    "PCA()": lambda: pf.PCA().fit(X),
    "PCA(1)": lambda: pf.PCA(1).fit(X),
    "PCA(2)": lambda: pf.PCA(2).fit(X),
    "PCA(.999999)": lambda: pf.PCA(0.999999).fit(X),
    "PCA() of fewer rows than columns": lambda: pf.PCA().fit(rows(3, 5)),
    "KDE(epanechnikov)": lambda: pf.KDE(kernel="epanechnikov").fit(X),
    "KDE(epanechnikov, product)": lambda: pf.KDE(
        kernel="epanechnikov", shape="product", bandwidth=3.0
    ).fit(X),
    "KDE(matrix)": lambda: pf.KDE(form="matrix").fit(X),
    "KDE(matrix, bounded)": lambda: pf.KDE(
        form="matrix", boundary="reflect", bounds=[(0, -99, 99)]
    ).fit(X),
    "KDE(axes, bounded)": lambda: pf.KDE(boundary="reflect", bounds=[(0, -99, 99)]).fit(X),
    "FourierKDE": lambda: pf.FourierKDE().fit(X),
}


def keep(model: Any, x: torch.Tensor, protocol: str) -> None:
    """Call every method of a protocol as its signature says."""
    codes = (
        model.encode(x[:2])
        if hasattr(model, "encode")
        else torch.zeros(2, getattr(model, "code_width", 1))
    )
    u = model.to_model(x[:2])
    y = conditions(type(model).__name__.lower(), x[:2])
    calls: dict[str, Any] = {
        "Samples": lambda: sampled(model, 2),
        "HasDensity": lambda: model.log_prob(x[:2]),
        "LatentModel": lambda: (model.prior(), model.likelihood(codes)),
        "HasBound": lambda: (model.elbo(x[:2], rng=0), model.posterior(u)),
        "Encodes": lambda: model.encode(x[:2]),
        "Decodes": lambda: model.decode(codes),
        "Assigns": lambda: (model.assign(x[:2]), model.responsibilities(x[:2])),
        "Completes": lambda: model.complete(x, rng=0),
        "Conditions": lambda: model.condition({0: float(x[0, 0])}),
        "Translates": lambda: model.translate(codes if y is None else y),
        "Composes": lambda: model.scenes(2, y=y, rng=0),
        "Criticises": lambda: model.criticise(x[:2], y),
    }
    calls[protocol]()


@pytest.mark.parametrize("case", CASES)
def test_promises_are_kept_and_nothing_else_is_promised(case: str) -> None:
    model = fitted(case) if CASES[case] is None else CASES[case]()
    x = data(case) if CASES[case] is None else X if model.space.size == 2 else rows(3, 5)
    promised = capabilities(model)
    for protocol in promised:
        keep(model, x, protocol)
    for protocol in capabilities(type(model)):
        assert isinstance(model, getattr(protocols, protocol)) == (protocol in promised), protocol
        if protocol not in promised:
            with pytest.raises(pf.PushforwardError):
                keep(model, x, protocol)


@pytest.mark.parametrize(
    ("model", "promised", "denied"),
    [
        (pf.PCA(), set(), {"LatentModel"}),
        (pf.PCA(2), {"LatentModel"}, set()),
        (pf.KDE(), {"Conditions"}, set()),
        (pf.KDE(kernel="epanechnikov"), set(), {"Conditions"}),
        (pf.KDE(kernel="epanechnikov", shape="product"), {"Conditions"}, set()),
    ],
)
def test_what_the_arguments_decide_is_known_before_the_fit(
    model: Any, promised: set[str], denied: set[str]
) -> None:
    assert promised <= set(capabilities(model))
    assert not denied & set(capabilities(model))


def test_every_class_of_the_package_is_found_by_its_name() -> None:
    folder = Path(pf.__file__).parent
    names = {
        n
        for file in folder.rglob("*.py")
        for n in re.findall(r'^@register\("(\w+)"\)', file.read_text(), re.MULTILINE)
    }
    assert "fourier_kde" in names
    assert names == {*catalogue, *unlisted}


@pytest.mark.parametrize("name", ["fourier_kde", "kde"])
def test_what_was_saved_loads_in_a_new_process(name: str, tmp_path: Path) -> None:
    model = {"fourier_kde": pf.FourierKDE, "kde": pf.KDE}[name]().fit(X)
    model.save(tmp_path / "run")
    code = "import sys, pushforward as pf; print(type(pf.load(sys.argv[1])).__name__)"
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == type(model).__name__, found.stderr
    assert set(MODELS) == set(catalogue)
