r"""Bandwidths as linear maps: a number, one per axis, or a full matrix, all reduced to h = 1.

    H = h^2 I,   H = diag(h_1^2, ..., h_d^2),
        H any symmetric positive definite matrix, in squared units,

so that a Gaussian bump with bandwidth matrix H has covariance H. With H = L L^T and u = L^-1 x,

    K_H(x) = K(L^-1 x) / |L|,      log f(x) = log f_u(u) - log |L|,

and a radial kernel depends only on |u|^2 = x^T H^-1 x, whichever root L is used. A product kernel
is a product over the user's own axes, so it takes a number or one per axis, not a matrix. Per-point
factors s_i scale all of this: bump i has bandwidth matrix s_i^2 H.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """The map from the user's coordinates to coordinates with unit bandwidth.

    Args:
        root: float64, L above: (d, d), lower triangular with positive diagonal, or just its
            diagonal (d,), which saves memory with many columns.
        kind: the form of the given bandwidth, 'number', 'axes' or 'matrix'.

    Example:
        >>> round(Scale.of(2.0, 3).log_determinant, 4)  # 3 log 2
        2.0794
    """

    root: Tensor
    kind: str

    def __post_init__(self) -> None:
        if self.kind != "matrix" and self.root.ndim == 2:
            object.__setattr__(self, "root", self.root.diagonal())

    @classmethod
    def of(cls, bandwidth: "float | Tensor | Scale", dimension: int) -> "Scale":
        """From a number, (d,) or (d, d).

        Raises:
            ValueError: If not positive (definite).
        """
        if isinstance(bandwidth, Scale):
            return bandwidth
        h = torch.as_tensor(bandwidth, dtype=torch.float64, device="cpu").detach()
        if h.shape not in ((), (dimension,), (dimension, dimension)):
            raise InvalidValue(
                f"bandwidth must be a number, or have shape ({dimension},) or ({dimension},"
                f" {dimension}), got {tuple(h.shape)}; pass per-point bandwidths as local="
            )
        if h.ndim == 2:
            return cls(_root(h), "matrix")
        if not bool(((h > 0) & h.isfinite()).all()):
            raise InvalidValue(
                f"bandwidth must be positive and finite, got {h.tolist()}; pass positive numbers"
            )
        return cls(h.expand(dimension).clone(), "axes" if h.ndim else "number")

    @property
    def dimension(self) -> int:
        return self.root.shape[0]

    @property
    def factor(self) -> Tensor:
        """(d, d) L itself."""
        return self.root if self.root.ndim == 2 else torch.diag(self.root)

    @property
    def covariance(self) -> Tensor:
        """(d, d) the bandwidth matrix H = L L^T."""
        return self.factor @ self.factor.T

    @property
    def log_determinant(self) -> float:
        """log |L|, to subtract from a log-density in whitened coordinates."""
        return float((self.root.diagonal() if self.root.ndim == 2 else self.root).log().sum())

    @property
    def diagonal(self) -> Tensor | None:
        """(d,) bandwidths of the axes, or None for a full matrix."""
        return None if self.kind == "matrix" else self.root

    def whiten(self, x: Tensor) -> Tensor:
        """(n, d) to L^-1 x, (n, d)."""
        if self.diagonal is not None:
            return x / self.diagonal
        columns: Tensor = torch.linalg.solve_triangular(self.root, x.T, upper=False)
        return columns.T.contiguous()

    def colour(self, u: Tensor) -> Tensor:
        """(n, d) to L u: the inverse of `whiten`."""
        return u * self.diagonal if self.diagonal is not None else u @ self.root.T

    def select(self, axes: list[int]) -> "Scale":
        """The scale of the marginal over `axes`: the rows and columns of H there."""
        if self.kind == "matrix":
            return Scale(_root(self.covariance[axes][:, axes]), "matrix")
        return Scale(self.root[axes], self.kind)

    def times(self, factor: float) -> "Scale":
        """The same map with all bandwidths multiplied by `factor`."""
        return Scale(self.root * factor, self.kind)


def _root(matrix: Tensor) -> Tensor:
    if not torch.allclose(matrix, matrix.T, rtol=1e-8, atol=0):
        raise InvalidValue("bandwidth matrix must be symmetric; pass (H + H.T) / 2")
    factor: Tensor
    failed: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if int(failed) or not bool(factor.isfinite().all()):
        raise InvalidValue(
            "bandwidth matrix must be positive definite; add a small multiple of the identity"
        )
    return factor
