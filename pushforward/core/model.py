"""The contract of all models: `fit`, `save`, a space, a scaling and hyper-parameters.

A model describes a distribution or a map; a fitter estimates its parameters. Hyper-parameters are
exactly the arguments of `__init__`. All fitted state is a parameter or a buffer, visible to
devices, checkpoints and processes.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any, Self

from pushforward.core.assembled import Assembled
from pushforward.core.capabilities import HasDensity
from pushforward.core.data_types import Conditioning, Observations, PathText
from pushforward.core.errors import BadSource
from pushforward.core.events import Finished
from pushforward.core.fit_source import as_source
from pushforward.core.fitter import Fitter
from pushforward.core.fitter_settings import adjust_fitter
from pushforward.core.follows import follows
from pushforward.core.notebook import describe_in_html
from pushforward.core.preparation import Preparation, dequantise, has_integers, has_levels
from pushforward.core.provenance import find_provenance
from pushforward.core.scan import Facts
from pushforward.core.source import Sequential, Source
from pushforward.core.space import Space
from pushforward.core.storage import save
from pushforward.core.verbs import default_torch, wrap_methods

__all__ = ["Model"]


FIT_ARGUMENTS = ("x", "y", "weights", "by", "dequantise")
"""The arguments of `Model.fit` itself."""


class Model(Assembled):
    """The contract of every model.

    A subclass lists in `accepts` the data issues it tolerates ('missing', 'constant', 'single',
    'few', 'categorical'); data with any other issue are refused before fitting. `few` means fewer
    rows than dimensions or codes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fit_result: Finished | None = None
        """How the last fit ended: reason, samples, seconds and quality."""

    def __init_subclass__(cls, **rest: Any) -> None:
        """Wrap `sample`, `decode` and queries so that they treat arguments alike in every model."""
        super().__init_subclass__(**rest)
        wrap_methods(cls)

    def _repr_html_(self) -> str:
        """What a notebook shows: settings, the space, how the fit ended, and samples."""
        return describe_in_html(self)

    # -------------------------------------------------------------------------------- the two verbs

    def fit(
        self,
        x: Observations,
        y: Conditioning = None,
        *,
        weights: Observations | None = None,
        by: Fitter | None = None,
        dequantise: bool | None = None,
        **settings: Any,
    ) -> Self:
        """Fit the model to observations x from scratch; return self.

        Args:
            x: observations in your units, as `pushforward.read` takes them: an array, tensor, data
                frame, list, Dataset or iterable; a path, glob or built-in name; or a source that
                `read` returned.
            y: conditions, leading length n;
                True for labels that come with the data, or the name of a column or array.
            weights: non-negative weights (n,), or the name of a column.
            by: a fitter; the model's default if not given, with its own budget.
            dequantise: whether to add U(-½, ½) to integers, so that a density per unit makes sense.
                By default, for integer image levels if the model has such a density; not for
                integer points and table columns.
            settings: settings of the fitter, by name: epochs=3, run='runs/mine', quiet=True. Those
                of `Trainer` for models trained by gradients, and of `EM` for models fitted by
                passes. They override those of `by`, which stays as it is; a budget in another unit
                replaces its own: fit(x, by=Trainer(epochs=5, seed=1), steps=90) takes 90 steps.
        """
        fitter = adjust_fitter(
            self.default_fitter() if by is None else by,
            settings,
            FIT_ARGUMENTS,
            is_default=by is None,
        )
        with default_torch():
            source = as_source(x, y, weights)
            self.provenance = replace(
                find_provenance(source),
                rows=None if follows(source, Sequential) else len(source),
            )
            self.dequantise = dequantise
            self.preparation = Preparation(dequantise=self.dequantises(source.space))
            self.fit_result = fitter.fit(self, self.prepared_for_fit(source))
        return self.eval()

    def has_unit_density(self) -> bool:
        """Whether the model assigns a density per unit, for which integers must be dequantised."""
        return isinstance(self, HasDensity)

    def dequantises(self, space: Space) -> bool:
        """Whether integers of a space are dequantised.

        `fit` decides; by default, image levels are if the model has a density.
        """
        if self.dequantise is not None:
            return self.dequantise and has_integers(space)
        return has_levels(space) and self.has_unit_density()

    def prepared_for_fit(self, source: Source) -> Source:
        """The source for the fitter, dequantised if needed, with the same noise for every model."""
        return dequantise(source, self.preparation.seed) if self.preparation.dequantise else source

    def save(self, path: PathText, *, overwrite: bool = False) -> None:
        """Write the model to a new folder `path`: model.safetensors, model.json, model card."""
        save(self, path, overwrite=overwrite)

    def default_fitter(self) -> Fitter:
        """The fitter used if `fit` is given none: EM passes over the data, unless overridden."""
        fitter: Fitter = import_module("pushforward.fitting").EM()
        return fitter

    # ------------------------------------------------------------------------------- being prepared

    def prepare(self, source: Source, facts: Facts) -> None:
        """Discard fitted state, adopt the source's spaces, choose the scaling, build networks."""
        self.refuse(source, facts)
        self.assemble(source.space, source.condition_space, facts.moments)

    def refuse(self, source: Source, facts: Facts) -> None:
        """Raise BadSource for the first issue in the data that this model does not accept."""
        for issue in facts.issues(source.space):
            if issue.name not in self.accepts:
                raise BadSource(
                    f"{issue.text}; {type(self).__name__} does not accept this: {issue.remedy}"
                )
        least = self.least_rows(source.space)
        if facts.count < least and "few" not in self.accepts:
            raise BadSource(
                f"{type(self).__name__} needs at least {least} rows, got {facts.count}; provide"
                " more data, or use a smaller model"
            )

    def least_rows(self, space: Space) -> int:
        """The fewest rows this model can be fitted to."""
        return 1
