"""Several sample metrics at once, with the features of both sets computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from pushforward.core.argument_names import argument
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue, suggest
from pushforward.core.plugins import is_users, load_plugins
from pushforward.core.random import Rng
from pushforward.core.records import Record
from pushforward.metrics.clips import consistency, motion
from pushforward.metrics.features import Features
from pushforward.metrics.frechet import fid
from pushforward.metrics.image_quality import ms_ssim, psnr, ssim, ssim_daala
from pushforward.metrics.inception_score import inception_score
from pushforward.metrics.kernel_distances import kid, mmd
from pushforward.metrics.manifold import prdc
from pushforward.metrics.memorisation import memorisation
from pushforward.metrics.modes import diversity, modes
from pushforward.metrics.pairs import Pair
from pushforward.metrics.parzen import parzen
from pushforward.metrics.samples import column_names
from pushforward.metrics.translations import (
    absolute_error,
    colour_histograms,
    gradient_energy,
    label_accuracy,
)
from pushforward.metrics.two_samples import c2st, ks

__all__ = [
    "BY_PAIRS",
    "METRICS",
    "OF_CLIPS",
    "PAIRED",
    "TRANSLATED",
    "USUAL",
    "WITH_TRAINING",
    "check_metrics",
    "register_metric",
    "scores",
    "users_metrics",
]

METRICS: dict[str, Callable[..., Record | list[Record]]] = {
    "fid": fid, "kid": kid, "mmd": mmd, "prdc": prdc, "c2st": c2st, "ks": ks,
    "diversity": diversity, "inception_score": inception_score,
}  # fmt: skip
"""Metrics of (real, generated, features=, rng=, data=)."""
WITH_TRAINING: dict[str, Callable[..., list[Record]]] = {
    "memorisation": memorisation,
    "parzen": parzen,
}
"""Metrics of (train, real, generated, features=, rng=, data=)."""
PAIRED: dict[str, Callable[..., Record]] = {
    "psnr": psnr,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "ssim_daala": ssim_daala,
}
"""Metrics of image pairs, independent of features.

Their arguments are originals, generated, low=, high=, channel=, crop=, rng= and data=.
"""
TRANSLATED: dict[str, Callable[..., Record | list[Record]]] = {
    "absolute_error": absolute_error,
    "gradient_energy": gradient_energy,
    "colour_histograms": colour_histograms,
    "label_accuracy": label_accuracy,
}
"""Metrics of images made from images, with the same arguments, and palette= for label maps."""
BY_PAIRS = {**PAIRED, **TRANSLATED}
OF_LABELS = ("label_accuracy",)
"""Metrics of image pairs that need the colours of the classes."""
OF_CLIPS: dict[str, Callable[..., Record]] = {"motion": motion, "consistency": consistency}
"""Metrics of clips, independent of features, of (real, generated, low=, high=, rng=, data=)."""
USUAL = ("fid", "kid", "prdc", "c2st")


Metric = Callable[..., Record | list[Record]]


def register_metric(name: str) -> Callable[[Metric], Metric]:
    """Decorator: register a metric for `scores` and `compare --metrics NAME`.

    A metric receives the features of the real and of the generated rows, (n, d) and (m, d), and as
    keywords `features` (their space), `rng` and `data` (the description of the data for the
    record); it returns one or more records.
    """

    def accept(metric: Metric) -> Metric:
        names = (*METRICS, *BY_PAIRS, *OF_CLIPS, *WITH_TRAINING, "modes")
        if name in names and METRICS.get(name) is not metric:
            raise InvalidValue(
                f"a metric named {name!r} is already registered; choose another name"
            )
        METRICS[name] = metric
        return metric

    return accept


def users_metrics() -> list[str]:
    """The names of the metrics that the user's code registered."""
    return [name for name, metric in METRICS.items() if is_users(metric)]


def scores(
    real: Observations,
    generated: Observations,
    features: Features | None = None,
    *,
    metrics: Sequence[str] = USUAL,
    train: Observations | None = None,
    centres: Observations | None = None,
    sd: float | None = None,
    names: Sequence[str] = (),
    paired: Mapping[str, Any] | None = None,
    clips: Mapping[str, Any] | None = None,
    rng: Rng = 0,
    data: str = "",
) -> list[Record]:
    """Records of several metrics of generated (m, *shape) against real rows (n, *shape).

    Args:
        features: the feature space; raw by default.
        metrics: names in METRICS; in OF_CLIPS, of clips; in BY_PAIRS, if generated[i] corresponds
            to real[i]; 'modes' (needs centres and sd); 'memorisation' and 'parzen' (need train, the
            training rows; the real rows are then held-out ones).
        centres, sd: centres and standard deviation of known modes.
        names: names of the features, for ks; by default those of a data frame's columns.
        paired: arguments of the metrics in BY_PAIRS: low, high, channel, crop, palette.
        clips: arguments of the metrics in OF_CLIPS: low, high, and facts for the record.
    """
    check_metrics(metrics, trained=train is not None)
    if "modes" in metrics and (centres is None or sd is None):
        raise InvalidValue(
            "counting modes needs their centres and sd; pass both, or request diversity instead"
        )
    without = (*BY_PAIRS, *OF_CLIPS, "modes")
    in_features = any(name not in without for name in metrics)
    pair = Pair.of(real, generated, features, data) if in_features else None
    training = (
        None
        if train is None or pair is None
        else pair.transform_third(train, real, ("real", "training"))
    )
    records: list[Record] = []
    for name in metrics:
        if name == "modes":
            result: Any = modes(generated, cast(Observations, centres), float(sd or 0), data=data)
        elif name in OF_CLIPS:
            result = OF_CLIPS[name](real, generated, rng=rng, data=data, **(clips or {}))
        elif pair is None or name in BY_PAIRS:
            settings = {
                key: value
                for key, value in (paired or {}).items()
                if key != "palette" or name in OF_LABELS
            }
            result = BY_PAIRS[name](real, generated, rng=rng, data=data, **settings)
        else:
            shared: dict[str, Any] = {
                "features": pair.features.precomputed(),
                "rng": rng,
                "data": pair.data,
            }
            if name in WITH_TRAINING:
                result = WITH_TRAINING[name](training, pair.real, pair.generated, **shared)
            else:
                columns = names or (column_names(real) if features is None else [])
                result = METRICS[name](
                    pair.real,
                    pair.generated,
                    **shared,
                    **({"names": columns} if name == "ks" else {}),
                )
        several = [result] if isinstance(result, Record) else result
        if not isinstance(several, list) or not all(isinstance(r, Record) for r in several):
            raise InvalidKind(
                f"the metric {name!r} must give a Record or a list of them, got"
                f" {type(result).__name__}"
            )
        records += several
    return records


def check_metrics(metrics: Sequence[str], *, trained: bool) -> None:
    """Check the names of metrics, before there are rows to measure.

    Args:
        metrics: the names.
        trained: whether there are training rows.

    Raises:
        InvalidValue: For an unknown metric, or one that lacks training rows.
    """
    if not {*metrics} <= {*METRICS, *BY_PAIRS, *OF_CLIPS, *WITH_TRAINING, "modes"}:
        load_plugins()
    names = (*METRICS, *BY_PAIRS, *OF_CLIPS, *WITH_TRAINING, "modes")
    for name in metrics:
        if name not in names:
            raise InvalidValue(f"unknown metric {name!r}; {suggest(name, names)}")
        if name in WITH_TRAINING and not trained:
            raise InvalidValue(f"{name} compares with the training rows; pass {argument('train')}")
