"""Large tables: seconds and peak memory of each command on a million rows of 50 mixed columns.

    make bench ONLY=tables-scale
    TABLES_SCALE_ROWS=100000 make bench ONLY=tables-scale

Each command runs in a process of its own. Its memory is the largest resident size of that process,
the mapped pages of temporary files included. `TABLES_SCALE_FOLDER` keeps tables and runs between
benchmarks, so that one of them can be run alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.large_table import write_tables

Row = dict[str, Any]
ROWS = int(os.environ.get("TABLES_SCALE_ROWS", 1_000_000))
COLUMNS = 50
MEGABYTES = 2000
"""Peak memory of a command at most."""
MINUTES = {"fit": 10, "synthesise": 5, "sample": 5, "fill": 10, "odd": 20, "compare": 10}
"""CPU minutes of a command on a million rows at most."""
FORMS = "csv", "parquet"


@contextmanager
def _place() -> Iterator[Path]:
    """A folder with the tables."""
    kept = os.environ.get("TABLES_SCALE_FOLDER")
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="tables-scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / "table.parquet").is_file():
            write_tables(folder, ROWS)
        yield folder
    finally:
        if not kept:
            shutil.rmtree(folder)


def _run(folder: Path, *words: str) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak megabytes of a command."""
    line = [sys.executable, "-m", "pushforward", *words, "-q"]
    began = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(line, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: {(folder / 'log.txt').read_text()[-2000:]}")
    scale = 1024 if sys.platform == "linux" else 1024**2  # of ru_maxrss to megabytes
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / scale


def _row(folder: Path, name: str, words: list[str], out: str | None = None) -> Row:
    """The record of a command, and whether what it wrote has as many rows as the table."""
    if out is not None:
        (folder / out).unlink(missing_ok=True)
    seconds, cpu, megabytes = _run(folder, *words)
    limit = 60 * MINUTES[words[0]] * max(ROWS / 1e6, 0.2)
    rows = None if out is None else _rows_of(folder / out)
    share = round(megabytes / MEGABYTES, 3)
    return {
        "name": f"tables-scale-{name}",
        "what": f"peak memory of `pushforward {' '.join(words)}`, {ROWS:,} rows x {COLUMNS} mixed columns",
        "against": f"{MEGABYTES} MB",
        "seconds": {"wall": round(seconds, 1), "cpu": round(cpu, 1)},
        "megabytes": {"peak": round(megabytes)},
        "ratio": {"median": share, "min": share, "max": share},
        "target": 1.0,
        "better": "lower",
        "load": round(os.getloadavg()[0], 1),
        "check": {
            "rows written": rows,
            "cpu seconds at most": limit,
            "agree": cpu <= limit and rows in (None, ROWS),
        },
    }


def _rows_of(path: Path) -> int:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        return int(parquet.ParquetFile(path).metadata.num_rows)
    with path.open("rb") as file:
        blocks = iter(lambda: file.read(1 << 20), b"")
        return sum(block.count(b"\n") for block in blocks) - 1  # no cell holds a line end


def _fit(folder: Path, model: str, form: str) -> Row:
    place = folder / "runs" / f"{model}-{form}"
    shutil.rmtree(place, ignore_errors=True)
    words = ["fit", model, f"table.{form}", "--types", "auto", "--run", f"runs/{model}-{form}"]
    return _row(folder, f"fit-{model}-{form}", words)


def _need_run(folder: Path) -> str:
    """The run that other commands use; fitted if it is not there."""
    if not (folder / "runs/mixed-csv/model.json").is_file():
        _fit(folder, "mixed", "csv")
    return "runs/mixed-csv"


def fits() -> Iterator[Row]:
    """Three models, of CSV and of Parquet."""
    with _place() as folder:
        for model in ("independent", "copula", "mixed"):
            for form in FORMS:
                yield _fit(folder, model, form)


def draws() -> Iterator[Row]:
    """As many rows as the table has, by both commands, to both forms."""
    with _place() as folder:
        run = _need_run(folder)
        for form in FORMS:
            words = ["synthesise", run, "-n", str(ROWS), "-o", f"copy.{form}"]
            yield _row(folder, f"synthesise-{form}", words, f"copy.{form}")
            words = ["sample", run, "-n", str(ROWS), "-o", f"sample.{form}"]
            yield _row(folder, f"sample-{form}", words, f"sample.{form}")


def fills() -> Iterator[Row]:
    """The gaps of both forms."""
    with _place() as folder:
        run = _need_run(folder)
        for form in FORMS:
            words = ["fill", run, f"table.{form}", "-o", f"filled.{form}"]
            yield _row(folder, f"fill-{form}", words, f"filled.{form}")


def odds() -> Iterator[Row]:
    """Rows of a file judged by a run."""
    with _place() as folder:
        (folder / "odd.csv").unlink(missing_ok=True)
        words = ["odd", _need_run(folder), "table.csv", "-o", "odd.csv"]
        yield _row(folder, "odd", words)


def comparisons() -> Iterator[Row]:
    """The table beside a synthetic one."""
    with _place() as folder:
        run = _need_run(folder)
        if not (folder / "copy.csv").is_file():
            _run(folder, "synthesise", run, "-n", str(ROWS), "-o", "copy.csv")
        (folder / "page.html").unlink(missing_ok=True)
        words = ["compare", "table.csv", "copy.csv", "--page", "page.html"]
        yield _row(folder, "compare", words)


BENCHMARKS: dict[str, Callable[[], Iterator[Row]]] = {
    "tables-scale-fit": fits,
    "tables-scale-draw": draws,
    "tables-scale-fill": fills,
    "tables-scale-odd": odds,
    "tables-scale-compare": comparisons,
}
