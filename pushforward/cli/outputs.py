"""What goes in comes out: results on stdout or in the file asked for,
images as images, tables as tables.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pushforward.cli.console import Voice
from pushforward.core.errors import InvalidValue
from pushforward.core.space import Space
from pushforward.core.storage import write_text
from pushforward.data.export.columns import column_values, format_columns
from pushforward.data.export.tables import further_columns, write_csv

__all__ = ["check_out", "check_table_out", "deliver", "deliver_table"]

TABLES = (".csv", ".tsv", ".json")


def deliver(
    voice: Voice, x: Any, space: Space, out: str | None, default: Path, *, what: str, **beside: Any
) -> None:
    """Observations (n, *shape): to `out`.

    Else points as CSV (or JSON) on stdout, images into `default`.png, clips .gif.
    """
    if out is None and space.kind == "points":
        on_stdout(voice, x, space, **beside)
        return
    from pushforward.data import write
    from pushforward.experiments.images import write_over

    if out is not None:
        path = write(x, space, out, **beside)
    else:
        if None not in space.shape:
            path = default.with_name(default.name + (".png" if space.kind == "images" else ".gif"))
            write_over(x, space, path)
        else:
            path = default.with_name(default.name + ".npz")
            path.unlink(missing_ok=True)
            write(x, space, path, **beside)
    voice.say(f"{what} written to")
    voice.result({"path": str(path), "n": len(x)}, str(path))


def check_out(out: str | None, space: Space) -> None:
    """Refuse an output file before the work that `deliver` would refuse after it."""
    if out is not None:
        from pushforward.data.export.writing import check_target

        check_target(out, space)


def check_table_out(out: str | None) -> None:
    """Refuse an output file before the work that `deliver_table` would refuse after it."""
    if out is None:
        return
    suffix = Path(out).suffix.lower()
    if suffix not in TABLES:
        raise InvalidValue(f"cannot write {suffix or out!r} here; expected {', '.join(TABLES)}")
    if Path(out).exists():
        raise InvalidValue(f"{out} exists; choose another name, or remove it first")


def on_stdout(
    voice: Voice,
    x: Any,
    space: Space,
    *,
    extra: Mapping[str, Any] | None = None,
    y: Any = None,
    condition_space: Any = None,
) -> None:
    """Points as CSV, or as JSON lines of named values."""
    more = further_columns(y, condition_space, extra or {})
    if not voice.as_json:
        write_csv(x.detach().cpu(), space, sys.stdout, extra=more)
        return
    columns = {**column_values(x, space), **more}
    for row in zip(*columns.values()):
        voice.result(dict(zip(columns, row)))


def deliver_table(
    voice: Voice, columns: Mapping[str, Sequence[Any]], out: str | None, *, what: str
) -> None:
    """Columns of equal length: CSV on stdout, JSON lines with --json,
    or the file asked for (.csv, .tsv, .json).
    """
    check_table_out(out)
    suffix = Path(out).suffix.lower() if out else (".json" if voice.as_json else ".csv")
    text = format_columns(columns, suffix)
    if out is None:
        sys.stdout.write(text)
        return
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_text(Path(out), text)
    voice.say(f"{what} written to")
    voice.result({"path": out, "n": len(next(iter(columns.values())))}, out)
