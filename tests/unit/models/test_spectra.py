"""Eigenvalues all, eigenvectors only of the largest: those of a complete decomposition."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.models.classical import spectra
from pushforward.models.classical.spectra import Spectrum

D = 150


def matrix(kind: str) -> Tensor:
    """A covariance (D, D)."""
    stream = torch.Generator().manual_seed(1)
    scales = torch.linspace(3, 0.1, D, dtype=torch.float64)
    if kind == "repeated":
        scales = scales.round()
    if kind == "graded":
        scales = 10 ** torch.linspace(0, -12, D, dtype=torch.float64)
    if kind == "one":
        scales = (torch.arange(D) == 0).to(torch.float64)
    axes = torch.linalg.qr(torch.randn(D, D, generator=stream, dtype=torch.float64))[0]
    size = {"tiny": 1e-60, "huge": 1e60}.get(kind, 1.0)
    return (axes * scales.square()) @ axes.T * size


@pytest.mark.parametrize("kind", ["plain", "repeated", "graded", "one", "tiny", "huge"])
@pytest.mark.parametrize("k", [1, 7, 20, 100, D])
def test_the_first_axes_are_those_of_a_complete_decomposition(kind: str, k: int) -> None:
    covariance = matrix(kind)
    values, axes = torch.linalg.eigh(covariance)
    values, axes = values.flip(0).clamp_min(0), axes.T.flip(0)
    found = Spectrum(covariance, min(k, 20))  # reduced, whatever is asked for then
    top = float(values[0])
    assert torch.allclose(found.values, values, rtol=0, atol=1e-13 * top)
    few = found.axes(k)
    assert few.shape == (k, D)
    assert torch.allclose(few @ few.T, torch.eye(k, dtype=few.dtype), atol=1e-12)
    assert torch.allclose(few @ covariance, values[:k, None] * few, rtol=0, atol=1e-12 * top)
    if kind == "plain":
        assert (found._all is None) == (k < spectra.SHARE * D), "decomposed completely"
        assert float((few - few @ axes[:k].T @ axes[:k]).abs().max()) < 1e-10


def test_wrong_axes_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Axes that do not solve the problem are replaced by those of a complete decomposition."""
    covariance, original = matrix("plain"), spectra._Reduced.vectors

    def wrong(self: spectra._Reduced, k: int) -> object:
        vectors = original(self, k)
        assert vectors is not None
        vectors[0] += 1e-9
        return vectors

    monkeypatch.setattr(spectra._Reduced, "vectors", wrong)
    few = Spectrum(covariance, 5).axes(5)
    assert torch.allclose(few @ few.T, torch.eye(5, dtype=few.dtype), atol=1e-13)


@pytest.mark.parametrize("shape", [(2000, D), (120, 600)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_pca_is_the_same_by_either(
    shape: tuple[int, int], offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of fewer rows than columns, and far from 0."""
    stream = torch.Generator().manual_seed(0)
    scales = torch.linspace(3, 0.5, shape[1], dtype=torch.float64)
    x = torch.randn(*shape, generator=stream, dtype=torch.float64) * scales + offset
    one = pf.PCA(5).fit(x)
    monkeypatch.setattr(spectra, "COLUMNS", 1 << 30)
    two = pf.PCA(5).fit(x)
    assert torch.allclose(one.components_, two.components_, atol=1e-9)
    assert torch.allclose(one.spectrum_, two.spectrum_, rtol=0, atol=1e-12 * one.spectrum_[0])
    assert torch.allclose(one.log_prob(x[:50]), two.log_prob(x[:50]), rtol=1e-9)
