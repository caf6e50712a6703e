"""`pushforward condition RUN|TABLE column=value...`: the distribution of the others, given some.

In closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.cli.table_arguments import Fresh, Subject, reading_of
from pushforward.core.errors import InvalidValue

__all__ = ["condition"]


def condition(
    what: Subject,
    known: Annotated[tuple[str, ...], Parameter(name="COLUMN=VALUE")],
    /,
    *,
    n: Annotated[arguments.Whole | None, Parameter(name=("--n", "-n"))] = None,
    out: arguments.Out = None,
    save: str | None = None,
    plot: str | None = None,
    fresh: Fresh = None,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """What some known columns say about the others: mean, standard deviation, quantiles; or rows.

    Args:
        known: what is known, by column name or position.
        n: draw this many rows of the other columns instead.
        out: .csv .tsv .json, with all digits; of samples also .parquet .npz .npy; stdout if not
            given.
        save: write the conditional model to a run folder of its own.
        plot: draw the others' distributions over those of all rows: .png, .svg or .pdf.
    """
    from pushforward.cli.outputs import check_out, check_table_out, deliver, deliver_table
    from pushforward.cli.table_results import check_plot, draw, say_all
    from pushforward.experiments import conditionals as given
    from pushforward.experiments.sampling import require_sample_size

    if n is not None:
        require_sample_size(n)
    check_plot(plot)
    voice = Voice(quiet, json)
    reading = reading_of(fresh, table)
    subject = given.open_subject(what, reading)
    conditional = given.condition(subject, _values(known, subject.model.fitted_space()))
    space = conditional.distribution.fitted_space()
    check_table_out(out) if n is None else check_out(out, space)
    said = [conditional.said, conditional.summary, *conditional.support()]
    say_all(voice, [text for text in said if text])
    if save is not None:
        conditional.distribution.save(save)
        voice.say(f"saved to {save}")
    draw(voice, plot, lambda: conditional.plot(reading.seed))
    if n is None:
        exact = out is not None or json
        found = conditional.table(reading.seed) if exact else conditional.short_table(reading.seed)
        deliver_table(voice, found, out, what="the distribution")
        return
    x = conditional.sample(n, reading.seed)
    default = Path(getattr(subject, "folder", ".")) / "conditional"
    deliver(voice, x, space, out, default, what=f"{n} samples")


def _values(known: Sequence[str], space: Any) -> dict[str | int, str]:
    """{column: value} from texts like 'x=1.5' and 'day=2024-06-01'."""
    values: dict[str | int, str] = {}
    for text in known:
        axis, equals, value = text.rpartition("=")
        if not equals or not axis:
            raise InvalidValue(
                f"expected column=value, got {text!r}; the columns are"
                f" {', '.join(space.names) or f'0..{space.size - 1}'}"
            )
        if axis in values:
            raise InvalidValue(f"{axis!r} is given twice; give it once")
        values[axis] = value
    return values
