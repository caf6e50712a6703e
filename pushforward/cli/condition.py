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
from pushforward.core.errors import InvalidValue

__all__ = ["command", "parsed"]


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
    from pushforward.experiments.conditionals import condition as given
    from pushforward.experiments.sampling import require_sample_size

    if n is not None:
        require_sample_size(n)
    voice = Voice(quiet, json)
    opened = runs.open_run(run)
    conditional = given(opened, parsed(known, opened.model.fitted_space()))
    voice.say(conditional.summary)
    space = conditional.distribution.fitted_space()
    check_table_out(out) if n is None else check_out(out, space)
    if save is not None:
        conditional.distribution.save(save)
        voice.say(f"saved to {save}")
    if n is None:
        deliver_table(voice, conditional.table(seed), out, what="the distribution")
        return
    x, default = conditional.sample(n, seed), opened.folder / "conditional"
    deliver(voice, x, space, out, default, what=f"{n} samples")


def command() -> Any:
    """The command."""
    return single(condition, "condition")


def parsed(known: list[str], space: Any) -> dict[str | int, str]:
    """{axis: value} from texts like 'x=1.5' and 'day=2024-06-01'."""
    values: dict[str | int, str] = {}
    for text in known:
        axis, equals, value = text.rpartition("=")
        if not equals or not axis:
            raise InvalidValue(
                f"expected axis=value, got {text!r}; the axes are"
                f" {', '.join(space.names) or f'0..{space.size - 1}'}"
            )
        if axis in values:
            raise InvalidValue(f"axis {axis!r} is given twice; give it once")
        values[axis] = value
    return values
