"""Models trained by gradients with scikit-learn's API: codes by `transform`, draws by `sample`.

`score` is the mean over rows, higher being better, of the best available measure: the exact
log-density, a lower bound on it, minus the squared reconstruction error, or for a pure generator
minus the energy distance

    E(p, q) = 2 E|x - x'| - E|x - y| - E|x' - y'|

between the rows and as many draws (of every 2000 rows, averaged). Scores use one fixed random
stream, so that they can be compared.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from pushforward.compat.conventions import (
    Adapter,
    RandomState,
    check_number,
    check_whole,
    draw_seed,
    to_array,
    to_tensor,
)
from pushforward.core.array_source import Arrays
from pushforward.core.capabilities import Decodes, Encodes, HasBound, HasDensity, Samples
from pushforward.core.errors import InvalidKind, InvalidValue, PushforwardError
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch
from pushforward.core.random import generator
from pushforward.core.registry import model_class
from pushforward.fitting.settings import BATCH
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.reconstruction import reconstruct

__all__ = ["Estimator"]

BLOCK, PAIRED = 8192, 2000
"""Rows per block of a network, and per block of a score: more are no faster, and a score that
compares pairs of rows needs quadratic memory.
"""
BUDGETS = ("epochs", "steps", "minutes")
SETTINGS = (
    "batch",
    "optimizers",
    "schedule",
    "clip",
    "ema",
    "augment",
    "held_out",
    "keep_best",
    "patience",
    "accelerator",
    "precision",
)


def _require_capability(keeps: Mapping[str, Callable[[Any], bool]]) -> Callable[[type], type]:
    """Keep methods only on estimators whose model has the capability. Applied to the finished
    class, because scikit-learn has wrapped `transform` by then.
    """

    def restrict(cls: type) -> type:
        for name, has_capability in keeps.items():
            setattr(
                cls,
                name,
                available_if(
                    lambda self, has_capability=has_capability: has_capability(self._template())
                )(getattr(cls, name)),
            )
        return cls

    return restrict


@_require_capability(
    {
        "transform": lambda model: isinstance(model, Encodes),
        "fit_transform": lambda model: isinstance(model, Encodes),
        "get_feature_names_out": lambda model: isinstance(model, Encodes),
        "inverse_transform": lambda model: isinstance(model, Decodes),
        "score_samples": lambda model: isinstance(model, HasDensity),
        "sample": lambda model: isinstance(model, Samples),
    }
)
class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Adapter):
    """Any model trained by gradients (Autoencoder, VAE, GAN, your own) as an estimator of rows.

    A method exists if the model has the capability: `transform` if it encodes, `inverse_transform`
    if it decodes, `sample` if it samples, `score_samples` if it has an exact density; `score`
    always. y is ignored.

    Args:
        model: a model, or its name ('autoencoder', 'vae', 'gan', …). Its arguments are accessible
            as `model__latent` and so on, in `set_params` and searches.
        epochs, steps, minutes: the budget, at most one of them; by default the model's own.
        batch, optimizers, schedule, clip, ema, augment, held_out, keep_best, patience, accelerator,
            precision: as in `pushforward.Trainer`; None for the model's own. A batch larger than
            the data uses all rows.
        shape: shape of one observation if rows are flattened images or clips, e.g. (1, 8, 8).
        random_state: seed of the initialisation, the order of rows and the noise.

    Attributes:
        model_: the fitted model, in float64 (trained in `precision`).
        n_features_in_: number of columns.

    Example:
        >>> import numpy as np
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> x = np.random.default_rng(0).normal(size=(64, 3))
        >>> auto_encoder = Estimator("autoencoder", epochs=1).set_params(model__latent=2)
        >>> codes = make_pipeline(StandardScaler(), auto_encoder).fit_transform(x)
        >>> codes.shape
        (64, 2)
    """

    def __init__(
        self,
        model: str | Learner = "autoencoder",
        *,
        epochs: float | None = None,
        steps: int | None = None,
        minutes: float | None = None,
        batch: int | None = None,
        optimizers: object = None,
        schedule: object = None,
        clip: float | None = None,
        ema: float | None = None,
        augment: object = None,
        held_out: float | None = None,
        keep_best: bool | None = None,
        patience: int | None = None,
        accelerator: str | None = None,
        precision: str | None = None,
        shape: Sequence[int] | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.steps = steps
        self.minutes = minutes
        self.batch = batch
        self.optimizers = optimizers
        self.schedule = schedule
        self.clip = clip
        self.ema = ema
        self.augment = augment
        self.held_out = held_out
        self.keep_best = keep_best
        self.patience = patience
        self.accelerator = accelerator
        self.precision = precision
        self.shape = shape
        self.random_state = random_state

    # ------------------------------------------------------------------------------------ arguments

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments; `deep` adds those of the model as model__name."""
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            with suppress(PushforwardError):  # an invalid model is rejected by fit
                params |= {
                    f"model__{name}": value
                    for name, value in self._template().hyperparameters().items()
                }
        return params

    def set_params(self, **params: Any) -> Self:
        """Change arguments; model__name replaces the model by an
        unfitted one with that argument changed.
        """
        super().set_params(
            **{name: value for name, value in params.items() if not name.startswith("model__")}
        )
        changes = {
            name.removeprefix("model__"): value
            for name, value in params.items()
            if name.startswith("model__")
        }
        if changes:
            now = self._template()
            unknown = sorted(set(changes) - set(now.hyperparameters()))
            if unknown:
                raise InvalidValue(
                    f"{type(now).__name__} has no argument {unknown[0]!r}; it has"
                    f" {', '.join(now.hyperparameters())}"
                )
            self.model = type(now)(
                **{
                    **now.hyperparameters(),
                    **{name: _to_python(value) for name, value in changes.items()},
                }
            )
        return self

    def _template(self) -> Learner:
        """The unfitted model that `model` names or is."""
        model = model_class(self.model)() if isinstance(self.model, str) else self.model
        if not isinstance(model, Learner):
            raise InvalidKind(
                "model must be one trained by gradients, such as pushforward.VAE(), or its name,"
                f" got {self.model!r}"
            )
        return model

    def _trainer(self, model: Learner, n: int) -> Trainer:
        """The model's default trainer with the settings of this estimator."""
        settings: dict[str, Any] = {
            name: getattr(self, name) for name in SETTINGS if getattr(self, name) is not None
        }
        budget = {name: getattr(self, name) for name in BUDGETS if getattr(self, name) is not None}
        default = model.default_fitter()
        if not isinstance(default, Trainer):
            raise InvalidKind(
                f"{type(model).__name__} is not fitted by a Trainer, but by"
                f" {type(default).__name__}; fit it directly"
            )
        if budget:
            settings |= dict.fromkeys((*BUDGETS, "samples")) | budget
        rest = n - math.ceil(check_number("held_out", self.held_out or 0) * n)
        settings["batch"] = min(
            check_whole("batch", self.batch or default.batch or BATCH), max(1, rest)
        )
        return dataclasses.replace(
            default, seed=draw_seed(self.random_state), quiet=True, **settings
        )

    # -------------------------------------------------------------------------------------- fitting

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit to rows X (n, d)."""
        template = self._template()
        rows = self._rows(X, reset=True, least=2)
        model = copy.deepcopy(template)
        source = self._source(rows, shape=self.shape)
        assert isinstance(source, Arrays)  # rows are dense here
        model.fit(source, by=self._trainer(model, len(rows)))
        # In float64 a row's code does not depend on the other rows of its batch.
        self.model_: Any = model.to("cpu").double().eval()
        if isinstance(template, Encodes):
            self._n_features_out = self._encode(source.x[:1].to(torch.float64)).shape[1]
        return self

    # ----------------------------------------------------------------------------------- being used

    @torch.no_grad()
    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Codes (n, latent), float64."""
        return to_array(self._encode(self._check_rows(X)))

    @torch.no_grad()
    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Rows (n, d) for codes X (n, latent)."""
        check_is_fitted(self)
        codes = check_array(X, input_name="X", dtype=np.float64)
        return to_array(self.model_.decode(to_tensor(codes)).flatten(1))

    @torch.no_grad()
    def sample(self, n_samples: int = 1, random_state: RandomState = None) -> NDArray[Any]:
        """n_samples draws (n, d)."""
        check_is_fitted(self)
        return to_array(
            self.model_.sample(
                check_whole("n_samples", n_samples), rng=draw_seed(random_state)
            ).flatten(1)
        )

    @torch.no_grad()
    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Exact log-density of each row (n,), nats."""
        x = self._check_rows(X)
        return to_array(_map_blocks(self.model_.log_prob, x))

    @torch.no_grad()
    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Mean log-density or bound (nats), or minus the error or energy distance.

        See the module.
        """
        x = self._check_rows(X)
        model, stream = self.model_, generator(0)
        if isinstance(model, HasDensity):
            return float(_map_blocks(model.log_prob, x).mean())
        if isinstance(model, HasBound):
            return float(_map_blocks(lambda rows: model.elbo(rows, rng=stream), x).mean())
        if isinstance(model, Encodes) and isinstance(model, Decodes):
            return -float(
                _map_blocks(
                    lambda rows: (reconstruct(model, rows) - rows).square().flatten(1).sum(1), x
                ).mean()
            )
        parts = [
            model.quality(Batch(model.to_model(rows)), rng=stream).mean() * len(rows)
            for rows in x.split(PAIRED)
        ]
        return float(torch.stack(parts).sum() / len(x))

    @torch.no_grad()
    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        return _map_blocks(self.model_.encode, x).flatten(1)

    def _check_rows(self, X: ArrayLike) -> torch.Tensor:
        rows = to_tensor(self._rows(X, reset=False)).to(torch.float64)
        return rows if self.shape is None else rows.reshape(len(rows), *self.shape)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if not hasattr(self, "transform"):
            tags.transformer_tags = None
        return tags


def _map_blocks(verb: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """verb(x), in blocks of some thousand rows."""
    return torch.cat([verb(rows) for rows in x.split(BLOCK)])


def _to_python(value: object) -> object:
    """Convert numpy scalars, as passed by searches, to Python's."""
    if isinstance(value, np.generic):
        return value.item()
    return (
        tuple(_to_python(v) for v in value)
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )
