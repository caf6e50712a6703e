"""Tables of results as CSV, LaTeX or Markdown, for papers and for other programs.

A cell of the terminal's tables may hold a value and its error, `1.25 ± 0.03`. In CSV each has a
column; in LaTeX and Markdown they stay together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from rich.table import Table

__all__ = ["FORMS", "TableForm", "cells_of", "write_as"]

TableForm: TypeAlias = Literal["text", "csv", "latex", "markdown"]
FORMS: tuple[TableForm, ...] = get_args(TableForm)
"""How a table may be written; 'text' is for terminals."""

ERROR = " ± "
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
    "−": "$-$", "<": "$<$", ">": "$>$",
}  # fmt: skip
"""What LaTeX would take for something else, or does not know."""


def write_as(table: Table, form: TableForm, title: str = "") -> str:
    r"""The table in a form, ending with a line break.

    Args:
        table: of texts.
        form: 'csv', 'latex' (a `tabular` in the style of the package booktabs) or 'markdown'.
        title: a comment (LaTeX) or a line above the table (Markdown); CSV has none.

    Example:
        >>> table = Table("run", "ELBO")
        >>> table.add_row("a_1", "≥ -1.25 ± 0.03")
        >>> print(write_as(table, "markdown"), end="")
        | run | ELBO |
        |---|---:|
        | a_1 | ≥ -1.25 ± 0.03 |
        >>> print(write_as(table, "csv"), end="")
        run,ELBO,ELBO error
        a_1,≥ -1.25,0.03
    """
    head, rows = cells_of(table)
    if form == "csv":
        return _csv(head, rows)
    if form == "latex":
        return _latex(head, rows, title)
    lines = [f"| {' | '.join(map(_in_markdown, row))} |" for row in (head, *rows)]
    rule = "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"
    above = [title.replace("\n", "; "), ""] if title else []
    return "\n".join([*above, lines[0], rule, *lines[1:]]) + "\n"


def cells_of(table: Table) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows of a table, as texts."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    head = [str(column.header) for column in table.columns]
    return head, [list(row) for row in zip(*columns)]


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    divided = [any(ERROR in row[i] for row in rows) for i in range(len(head))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [[h, f"{h} error"] if two else [h] for h, two in zip(head, divided)]
    writer.writerow([name for pair in names for name in pair])
    for row in rows:
        cells: list[str] = []
        for cell, two in zip(row, divided):
            value, _, error = cell.partition(ERROR)
            # a p-value behind the error stays with the value
            error, space, rest = error.partition(" ")
            cells += [value + space + rest, error] if two else [cell]
        writer.writerow(cells)
    return out.getvalue()


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> str:
    comment = [f"% {line}" for line in title.splitlines()]
    lines = [" & ".join(map(_in_latex, row)) + r" \\" for row in (head, *rows)]
    return (
        "\n".join(
            [
                *comment,
                rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
                r"\toprule",
                lines[0],
                r"\midrule",
                *lines[1:],
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )
        + "\n"
    )


def _in_latex(cell: str) -> str:
    return "".join(LATEX.get(c, c) for c in cell)


def _in_markdown(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
