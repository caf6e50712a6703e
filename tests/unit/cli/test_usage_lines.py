"""Usage lines, arguments and errors call things by the same names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushforward.cli.main import main
from pushforward.data.export.table_forms import ENDINGS, SUFFIXES


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("odd", "RUN|TABLE [FILE]"),
        ("fill", "RUN|TABLE [FILE]"),
        ("condition", "RUN|TABLE COLUMN=VALUE..."),
        ("synthesise", "RUN|TABLE"),
        ("data", "[SOURCE]"),
        ("lecture", "[NAME]"),
    ],
)
def test_usage_lines_name_arguments_as_their_help_does(
    command: str, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"Usage: pushforward {command} [OPTIONS] {arguments}"
    for name in arguments.replace("[", "").replace("]", "").replace("...", "").split():
        assert any(line.split()[:1] == [name] for line in rest)


@pytest.mark.parametrize("command", ["synthesise", "fill"])
def test_help_and_errors_list_the_same_endings(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([command, "--help"])
    assert ENDINGS in " ".join(capsys.readouterr().out.split())
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1.5,2\n2.5,3\n")
    assert main([command, str(path), "--out", str(tmp_path / "y.docx")]) == 2
    assert ENDINGS in capsys.readouterr().err
    assert all(part in ENDINGS for suffix in SUFFIXES for part in suffix.split(".")[1:])


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_odd_says_that_a_table_is_too_small(
    rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.csv"
    lines = [f"n{i},{1.5 * i + (i % 3) / 4},{i}\n" for i in range(rows)]
    path.write_text("name,x,y\n" + "".join(lines))
    assert main(["odd", str(path), "--model", "independent"]) == 2
    said = capsys.readouterr().err
    assert "too small" in said
    assert "11 are needed" in said
    assert "fold" not in said
