"""A model says what it is; a fitter says how it is learnt.

`Model` is the contract all share: `fit`, `save`, a space, a scaling, hyper-parameters that are exactly the arguments of
`__init__`. `Learner` is a model that learns by gradients: named networks and phases. Everything learnt is a parameter
or a buffer of the module, so that devices, checkpoints and processes see all of it.
"""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from types import FunctionType
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.core.blocks import in_blocks
from pushforward.core.capabilities import HasDensity
from pushforward.core.conditions import Conditions
from pushforward.core.errors import BadSource, NotFitted, ShapeMismatch
from pushforward.core.events import Finished
from pushforward.core.fitter_settings import adjusted
from pushforward.core.moments import Moments
from pushforward.core.numbers import Settled
from pushforward.core.phase import Batch, Phase, Step, Terms
from pushforward.core.preparation import Preparation, dequantised, has_integers, has_levels
from pushforward.core.random import Rng
from pushforward.core.registry import Value, model_name
from pushforward.core.scaling import Scaling
from pushforward.core.scan import Facts
from pushforward.core.source import Source, as_source
from pushforward.core.space import Space
from pushforward.core.verbs import settle_verbs, signed_as, usual_torch

__all__ = ["Fitter", "Model", "Learner", "Symptom", "evaluating"]


@runtime_checkable
class Fitter(Protocol):
    """How a model is learnt."""

    def fit(self, model: Any, source: Source) -> Finished | None:
        """Fit `model` to `source`, afresh; returns how the fit ended, if that can be said."""
        ...


@dataclass(frozen=True)
class Symptom:
    """Something wrong with a fit: its name, what was seen, and what to try."""

    name: str
    seen: str
    advice: str


FIT_ARGUMENTS = ("x", "y", "weights", "by", "dequantise")
"""What `Model.fit` takes itself."""


class Model(nn.Module, metaclass=Settled):
    """The contract of every model.

    A subclass sets `accepts` to the troubles it can live with ('missing', 'constant', 'single', 'few', 'categorical');
    data with any other are refused before fitting. `few` means fewer rows than dimensions or codes.
    """

    accepts: ClassVar[frozenset[str]] = frozenset()
    scaling_kind: str = "standardised"
    dtype: ClassVar[torch.dtype | None] = None
    """The floating type data are conformed to; None keeps the parameters' own."""

    scaling: Scaling
    condition_scaling: Scaling

    def __init__(self) -> None:
        super().__init__()
        self.space: Space | None = None
        self.condition_space: Space | None = None
        self.command: str = ""
        self.dequantise: bool | None = None
        self.preparation = Preparation()
        self.fit_result: Finished | None = None
        """How the last fit ended: why, after how many samples and seconds, with which quality."""

    def __init_subclass__(cls, **rest: Any) -> None:
        """Whatever the model, `sample` and `decode` take their arguments alike, and queries know torch's default device."""
        super().__init_subclass__(**rest)
        settle_verbs(cls)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As in torch; but a model that computes in a type of its own keeps it (`float()`, `half()` and `double()` change nothing)."""
        if self.dtype is None:
            return super()._apply(fn, recurse)

        def moved(tensor: Tensor) -> Tensor:
            found = fn(tensor)
            return found if found.dtype == tensor.dtype else tensor.to(found.device)

        return super()._apply(moved, recurse)

    # ---------------------------------------------------------------------------------------------- the two verbs

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        weights: Any = None,
        by: Fitter | None = None,
        dequantise: bool | None = None,
        **settings: Any,
    ) -> Self:
        """Fit the model to observations x, afresh; returns self.

        Arguments:
            x: observations in your units, as `pushforward.read` takes them: an array, tensor, data frame, list, Dataset or
                iterable; a path, glob or built-in name; or a source that `read` returned.
            y: conditions, leading length n; True for labels that come with the data, or the name of a column or array.
            weights: non-negative weights (n,), or the name of a column.
            by: a fitter; the model's own default otherwise.
            dequantise: whether U(-½, ½) is added to integers, so that a density per unit makes sense. None: integer levels
                of images are, if the model has such a density; integer points and table columns are not.
            settings: the fitter's, by name, in place of its own: epochs=3, run='runs/mine', quiet=True. They are those of
                `Trainer` for models trained by gradients, and of `EM` for models fitted by passes.
        """
        own = by is None
        fitter = adjusted(self.default_fitter() if own else by, settings, FIT_ARGUMENTS, own=own)
        with usual_torch():
            source = as_source(x, y, weights)
            self.dequantise = dequantise
            self.preparation = Preparation(dequantise=self.dequantises(source.space))
            self.fit_result = fitter.fit(self, self.prepared_for_fit(source))
        return self.eval()

    def has_unit_density(self) -> bool:
        """Whether the model gives observations a density per unit, which integers must be dequantised for."""
        return isinstance(self, HasDensity)

    def dequantises(self, space: Space) -> bool:
        """Whether integers of a space are dequantised: as `fit` was asked, otherwise levels of images under a density per unit."""
        if self.dequantise is not None:
            return self.dequantise and has_integers(space)
        return has_levels(space) and self.has_unit_density()

    def prepared_for_fit(self, source: Source) -> Source:
        """The source the fitter reads: dequantised, with the same noise for every model."""
        return dequantised(source, self.preparation.seed) if self.preparation.dequantise else source

    def save(self, path: Any, *, overwrite: bool = False) -> None:
        """Write the model to a new folder `path`: model.safetensors, model.json and a model card."""
        from pushforward.core.storage import save

        save(self, path, overwrite=overwrite)

    def default_fitter(self) -> Fitter:
        """The fitter used when `fit` is given none: passes over the data, unless a model brings its own."""
        fitter: Fitter = import_module("pushforward.fitting").EM()
        return fitter

    # ---------------------------------------------------------------------------------------------- being prepared

    def prepare(self, source: Source, facts: Facts) -> None:
        """Forget what was learnt, take on the spaces of `source`, choose the scaling and build the networks."""
        self.refuse(source, facts)
        self.assemble(source.space, source.condition_space, facts.moments)

    def assemble(self, space: Space, condition_space: Space | None, moments: Moments | None = None) -> None:
        """Take on the spaces, choose the scalings and build; `moments` where a scaling is standardised."""
        self.space, self.condition_space = space, condition_space
        self.scaling = Scaling.choose(self.scaling_kind, space, moments or _unit_moments(space))
        if condition_space is not None:
            kind = "signed" if condition_space.kind != "points" else "unit"
            self.condition_scaling = Scaling.choose(kind, condition_space)
        self.build(space, condition_space)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Create everything whose size depends on the spaces. Models without networks need nothing."""

    def refuse(self, source: Source, facts: Facts) -> None:
        """Raise BadSource for the first trouble in the data that this model does not accept."""
        for trouble in facts.troubles(source.space):
            if trouble.name not in self.accepts:
                raise BadSource(f"{trouble.text}; {type(self).__name__} does not take this: {trouble.cure}")
        least = self.least_rows(source.space)
        if facts.count < least and "few" not in self.accepts:
            raise BadSource(
                f"{type(self).__name__} needs at least {least} rows here, got {facts.count}; bring more data, or a smaller model"
            )

    def least_rows(self, space: Space) -> int:
        """The fewest rows this model can be learnt from."""
        return 1

    # ---------------------------------------------------------------------------------------------- units

    @property
    def conditions(self) -> Conditions:
        """Converts the user's conditions to what networks see, and says in which shape; false without conditions."""
        if self.condition_space is None:
            return Conditions(None, owner=type(self).__name__)
        return Conditions(self.condition_space, self.condition_scaling, self.floating(), type(self).__name__)

    @property
    def fitted(self) -> bool:
        """Whether `fit` or `load` has been through."""
        return self.space is not None

    @property
    def device(self) -> torch.device:
        """Where the model lives; NotFitted before `fit`."""
        self.fitted_space()
        return self.scaling.shift.device

    def fitted_space(self) -> Space:
        """The space; NotFitted before `fit`."""
        if self.space is None:
            raise NotFitted(f"this {type(self).__name__} is not fitted yet; call fit(x) first")
        return self.space

    def floating(self) -> torch.dtype:
        """The floating type the model computes in."""
        if self.dtype is not None:
            return self.dtype
        first = next(self.parameters(), None)
        return torch.get_default_dtype() if first is None else first.dtype

    def user_dtype(self) -> torch.dtype:
        """The floating type of observations in the user's units: the networks', or float64 where that would cost digits."""
        if self.dtype is not None or self.scaling.wide:
            return torch.float64
        return torch.promote_types(self.floating(), torch.float32)

    def conform(self, x: Any, *, what: str = "x") -> Tensor:
        """The user's data as a floating tensor (n, *shape) in the user's units, as they came or float64, on the model's device.

        ShapeMismatch if they do not fit its space; BadSource naming row and column where a value is missing, unless the
        model `accepts` 'missing'.
        """
        space = self.fitted_space()
        rows = space.conform(x, what=what, missing="missing" in self.accepts)
        space.refuse_infinite(rows, what)
        return rows.to(self.device)

    def to_model(self, x: Any, *, what: str = "x") -> Tensor:
        """The user's data in the model's coordinates, on its device; raises as `conform` does."""
        rows = self.conform(x, what=what)
        u = self.scaling(rows).to(self.floating())
        if what == "x" and "missing" not in self.accepts and not bool(u.isfinite().all()):
            row = int((~u.flatten(1).isfinite().all(1)).nonzero()[0])
            kind = str(u.dtype).removeprefix("torch.")
            raise BadSource(f"row {row} of x lies too far from the data it was fitted on for {kind}; leave it out, or mend its values")
        return u

    def to_user(self, u: Tensor) -> Tensor:
        """Model coordinates back to the user's units."""
        return self.scaling.inverse(u)

    def to_condition(self, y: Any, n: int) -> Tensor | None:
        """Conditions for n rows in model coordinates (labels one-hot); y has length n, or 1 for all.

        None where the model has no condition; InvalidValue if y is missing, unasked for or of another length.
        """
        return self.conditions(y, n)

    # ---------------------------------------------------------------------------------------------- being stored

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments of `__init__` with their present values."""
        names = [n for n in inspect.signature(type(self).__init__).parameters if n != "self"]
        return {n: getattr(self, n) for n in names}

    def tensors(self) -> dict[str, Tensor]:
        """Everything that `save` writes."""
        return {k: v.detach().to("cpu").contiguous() for k, v in self.state_dict().items()}

    def learnt(self) -> Mapping[str, str]:
        """What stored buffers must be like, by name: their axes and a rule, e.g. {'covariance_': 'd d covariance'}.

        Axes of the same name must agree; 'd' is the size of the space, and the name of a hyper-parameter is its value. The
        rules are 'positive', 'weights' (not negative), 'shares' (summing to one), 'covariance' and 'definite'.
        """
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave; buffers whose size is learnt (estimates) take the stored size."""
        own, parts = dict(self.named_buffers(remove_duplicate=False)), dict(self.named_modules())
        for key, value in tensors.items():
            holder, _, leaf = key.rpartition(".")
            module = parts.get(holder)
            if module is not None and leaf in module._buffers and (own.get(key) is None or own[key].shape != value.shape):
                module._buffers[leaf] = value.clone()
        self.load_state_dict(dict(tensors))

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v if isinstance(v, Value) else repr(v)}" for k, v in self.hyperparameters().items())
        where = f" on {self.space}" if self.space is not None else ", not fitted"
        return f"{type(self).__name__}({given}){where}"

    @property
    def registered_name(self) -> str:
        """The name the model is saved and loaded under."""
        return model_name(type(self))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within: a module and all its parts in evaluation mode; after: each in the mode it was in."""
    learning = _in_training(module, [])
    for part in learning:
        part.training = False
    try:
        yield
    finally:
        for part in learning:
            part.training = True


def _in_training(module: nn.Module, found: list[nn.Module]) -> list[nn.Module]:
    if module.training:
        found.append(module)
    for part in module._modules.values():
        if part is not None:
            _in_training(part, found)
    return found


LOOKING = frozenset(
    {"sample", "log_prob", "elbo", "bound", "encode", "decode", "prior", "likelihood", "posterior", "translate", "energy", "quality"}
    | {"vitals", "assign", "responsibilities", "condition"}
)
"""Methods of a learner that look at what is learnt: always in evaluation mode, except where they serve a loss."""


def _looking(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method in evaluation mode, whatever mode the networks are in."""

    def looked(self: Learner, *args: Any, **named: Any) -> Any:
        if self._mode_is_set:
            return method(self, *args, **named)
        self._mode_is_set = True
        try:
            with evaluating(self):
                return method(self, *args, **named)
        finally:
            self._mode_is_set = False

    return signed_as(method, looked)


def _played(phases: Callable[..., Sequence[Phase]]) -> Callable[..., Sequence[Phase]]:
    """The phases with losses within which the networks keep the mode they are in."""

    def with_losses(self: Learner) -> Sequence[Phase]:
        return [replace(phase, loss=_as_they_are(self, phase.loss)) for phase in phases(self)]

    return signed_as(phases, with_losses)


def _as_they_are(model: Learner, loss: Callable[[Batch, Step], Terms]) -> Callable[[Batch, Step], Terms]:
    learners = [part for part in model.modules() if isinstance(part, Learner)]

    def taken(batch: Batch, step: Step) -> Terms:
        before = [(learner._mode_is_set, learner._in_loss) for learner in learners]
        for learner in learners:
            learner._mode_is_set = learner._in_loss = True
        try:
            return loss(batch, step)
        finally:
            for learner, was in zip(learners, before):
                learner._mode_is_set, learner._in_loss = was

    return taken


class Learner(Model):
    """A model that learns by gradients.

    Networks take tensors and return tensors, and are only ever called. Those that learn are named by the phases, by dotted
    name ('encoder', 'levels.0.generator'); every learnable tensor lives in one of them. A network that is only used, a feature
    extractor say, is wrapped in `Fixed`; everything else to be remembered lives in registered buffers.

    Sampling, encoding and measuring (`LOOKING`) use the networks in evaluation mode, also between two `train()` and while
    a fit goes on, and so change no state. Only within a phase's loss do networks keep the mode they are in.
    """

    _mode_is_set = False
    """Within a loss, or within another method that looks: the mode is not to be changed again."""

    _in_loss = False
    """Within a loss: gradients of the parameters are wanted, and batch norm looks at all rows at once."""

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        for name, value in list(vars(cls).items()):
            if name in LOOKING and isinstance(value, FunctionType):
                setattr(cls, name, _looking(torch.no_grad()(value) if name == "vitals" else value))
        if isinstance(vars(cls).get("phases"), FunctionType):
            cls.phases = _played(vars(cls)["phases"])  # type: ignore[method-assign]

    def default_fitter(self) -> Fitter:
        """20 epochs of the Trainer."""
        trainer: Fitter = import_module("pushforward.fitting.trainer").Trainer(epochs=20)
        return trainer

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Who plays, in which order."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks that learn, by dotted name, in the order in which the phases name them.

        All other modules (what is `Fixed`, memories, scalings) are neither trained nor averaged, and are in evaluation mode.
        """
        names = dict.fromkeys(name for phase in self.phases() for name in phase.networks)
        return {name: self.get_submodule(name) for name in names}

    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation in model coordinates; ShapeMismatch where a size is free."""
        if None in self.scaling.shape:
            raise ShapeMismatch(f"{self.space} has a free size; give the images one size first (size=64, fit='crop')")
        return tuple(n or 0 for n in self.scaling.shape)

    def blockwise(self, function: Callable[..., Tensor], *rows: Tensor | None) -> Tensor:
        """function(*rows), a block of rows at a time; followed by gradients only if one of `rows` asks for them."""
        return function(*rows) if self._in_loss else in_blocks(function, *rows, width=self.event_size())

    def event_size(self) -> int:
        """How many numbers one observation is in model coordinates."""
        return math.prod(self.event_shape())

    def augmentations(self, space: Space) -> Sequence[Value]:
        """What the trainer does to every batch unless told otherwise, besides dequantising."""
        return ()

    def prepared_for_fit(self, source: Source) -> Source:
        """The source itself: the trainer draws fresh noise for every batch."""
        return source

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Numbers worth watching, on held-out rows in model coordinates."""
        return {}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """What is wrong, judged by the vitals."""
        return ()


def _unit_moments(space: Space) -> Moments:
    size = space.size
    return Moments(torch.tensor(1.0, dtype=torch.float64), torch.zeros(size, dtype=torch.float64), torch.ones(size, dtype=torch.float64))
