"""`pushforward condition RUN axis=value...`: the distribution of the other axes,
given some; in closed form.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, check_table_out, deliver, deliver_table
from pushforward.core.errors import InvalidKind, InvalidValue

__all__ = ["command", "parsed"]

DRAWS = 20_000
QUANTILES = (0.05, 0.5, 0.95)


def condition(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    known: Annotated[
        list[str],
        typer.Argument(
            metavar="AXIS=VALUE...",
            help="what is known, by column name or position",
            show_default=False,
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option(
            "-n", "--n", help="draw so many samples of the other axes instead", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="the same seed draws the same samples")] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help=(
                "the distribution: .csv .tsv .json; samples also .parquet .npz .npy; stdout if not"
                " given"
            ),
        ),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option("--save", help="write the conditional model to a run folder of its own"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV")] = False,
) -> None:
    """Condition on known axes: mean, standard deviation and
    quantiles of the others, or samples of them with -n.
    """
    from pushforward.core.capabilities import Conditions, missing_methods

    if n is not None and n < 1:
        raise InvalidValue(f"-n must be at least 1, got {n}; pass -n 64, say")
    voice = Voice(quiet, json)
    opened = runs.open_run(run)
    if not isinstance(opened.model, Conditions) and "condition" not in missing_methods(
        opened.model
    ):
        raise InvalidKind(
            f"a {opened.name} has no closed conditionals; models that do:"
            f" {', '.join(_conditioning())}"
        )
    given = parsed(known, opened.model.fitted_space())
    distribution = opened.model.condition(given)
    space = opened.model.fitted_space()
    said = ", ".join(
        f"{axis} = {written([value], column_of(space, axis), digits=6)[0]}"
        for axis, value in given.items()
    )
    voice.say(f"given {said}: a {distribution.registered_name} of {distribution.fitted_space()}")
    if n is None:
        check_table_out(out)
    else:
        check_out(out, distribution.fitted_space())
    if save is not None:
        distribution.save(save)
        voice.say(f"saved to {save}")
    if n is not None:
        deliver(
            voice,
            distribution.sample(n, rng=seed),
            distribution.fitted_space(),
            out,
            opened.folder / "conditional",
            what=f"{n} samples",
        )
        return
    deliver_table(voice, described(distribution, seed), out, what="the distribution")


def command() -> Any:
    """The command."""
    return single(condition, "condition")


def parsed(known: list[str], space: Any) -> dict[str | int, float]:
    """{axis: value} from texts like 'x=1.5' and 'day=2024-06-01'.

    Raises:
        InvalidValue: Names what is wrong with one.
    """
    from pushforward.core.column_numbers import as_number

    found: dict[str | int, float] = {}
    for text in known:
        axis, equals, value = text.rpartition("=")
        if not equals or not axis:
            raise InvalidValue(
                f"expected axis=value, got {text!r}; the axes are"
                f" {', '.join(space.names) or f'0..{space.size - 1}'}"
            )
        number = as_number(value, column_of(space, axis))
        if number != number or abs(number) == float("inf"):
            raise InvalidValue(f"{axis} must be finite, got {value!r}; leave out what is not known")
        if axis in found:
            raise InvalidValue(f"axis {axis!r} is given twice; give it once")
        found[axis] = number
    return found


def column_of(space: Any, axis: str | int) -> Any:
    """The column of an axis named on the command line;
    one without a name where the space has no columns.
    """
    from pushforward.core.space import Column

    return (
        space.columns[space.axis(axis)]
        if space.kind == "points" and space.columns
        else Column(str(axis))
    )


def written(values: list[float], column: Any, digits: int = 0) -> list[Any]:
    """Values of a column as its rows are written: dates as dates,
    numbers as they are, or as texts of so many digits.
    """
    import numpy as np

    from pushforward.core.column_values import as_texts
    from pushforward.core.dates import DAYS, SECONDS

    if column.unit in (DAYS, SECONDS):
        return as_texts(np.array(values, dtype=np.float64), column) or values
    return [f"{v:.{digits}g}" for v in values] if digits else values


def described(distribution: Any, seed: int) -> dict[str, list[Any]]:
    """Columns axis, mean, sd and quantiles of a distribution:
    moments in closed form where it has them, quantiles from draws.

    Of a column of dates the mean and the quantiles are dates,
    and the standard deviation is in its unit.
    """
    import torch

    x = distribution.sample(DRAWS, rng=seed).double().flatten(1)
    mean, deviation = _moments(distribution)
    mean, deviation = (x.mean(0), x.std(0)) if mean is None else (mean, deviation)
    quantiles = torch.quantile(x, torch.tensor(QUANTILES, dtype=x.dtype), dim=0)
    names = list(distribution.fitted_space().names)
    axes = distribution.fitted_space().columns

    def row(values: Any) -> list[Any]:
        return [written([v], axis)[0] for v, axis in zip(values.tolist(), axes)]

    columns: dict[str, list[Any]] = {"axis": names, "mean": row(mean), "sd": deviation.tolist()}
    return {
        **columns,
        **{f"q{round(100 * q):02d}": row(values) for q, values in zip(QUANTILES, quantiles)},
    }


def _moments(distribution: Any) -> tuple[Any, Any]:
    """Exact means and standard deviations of normal distributions and their mixtures."""
    if hasattr(distribution, "means_"):
        weights, means = distribution.weights_, distribution.means_
        mean = weights @ means
        return (
            mean,
            (
                weights
                @ (distribution.covariances_.diagonal(dim1=1, dim2=2) + (means - mean).square())
            ).sqrt(),
        )
    if hasattr(distribution, "covariance_"):
        return distribution.mean_, distribution.covariance_.diagonal().clamp_min(0).sqrt()
    return None, None


def _conditioning() -> list[str]:
    from pushforward.core.capabilities import capabilities
    from pushforward.core.registry import registered_models

    return [name for name, cls in registered_models() if "Conditions" in capabilities(cls)]
