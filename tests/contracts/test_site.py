"""The site: every page is in its contents, says what one will have at its end, and names only
commands and flags that exist; the build has no warnings and asks nothing of the network.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pushforward.cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
OPENING = 900
"""Characters in which a page says what its reader will have at its end."""
GUIDES = sorted(
    path for folder in ("start", "howto", "explanation") for path in (DOCS / folder).glob("*.md")
)
GENERATED = {
    "reference/api/index", "reference/command-line", "reference/examples", "contributing",
    "changelog",
}  # fmt: skip


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    monkeypatch.delitem(sys.modules, "docs.site", raising=False)
    return importlib.import_module("docs.site")


def test_every_page_is_in_the_contents_once(site: object) -> None:
    listed = [page for pages in site.CONTENTS.values() for page in pages]  # type: ignore[attr-defined]
    written = {str(p.relative_to(DOCS).with_suffix("")) for p in DOCS.rglob("*.md")}
    assert len(set(listed)) == len(listed)
    assert set(listed) == (written | GENERATED) - {"index"}


@pytest.mark.parametrize("path", [*GUIDES, DOCS / "index.md"], ids=lambda p: p.stem)
def test_a_page_opens_with_what_one_will_have(path: Path) -> None:
    assert re.search(r"At the end of this page\s+you\s+will", path.read_text()[:OPENING])


@cache
def help_of(*words: str) -> str:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        assert main([*words, "--help"]) == 0
    return stream.getvalue()


def lines_of(path: Path) -> list[list[str]]:
    """The words of every pushforward command in the shell blocks of a page."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    shell = [block for language, block in blocks if language in ("", "sh")]
    lines = [shlex.split(line, comments=True) for block in shell for line in block.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["pushforward"]]


@pytest.mark.parametrize("path", GUIDES, ids=lambda p: p.stem)
def test_flags_on_a_page_are_those_of_their_command(path: Path) -> None:
    for words in lines_of(path):
        if words[:1] == ["--import"] or not words:
            continue
        command = words[:2] if words[0] == "fit" else words[:1]
        text = help_of(*command)
        for word in words:
            if re.fullmatch(r"--?[a-z][\w-]*", word):
                assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), (words, word)


def test_a_flag_that_does_not_exist_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\npushforward data digits --nowhere 3   # wrong\n```\n")
    (words,) = lines_of(page)
    assert words == ["data", "digits", "--nowhere", "3"]
    assert "--nowhere" not in help_of("data")


def test_docstrings_become_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    from docs.api_pages import described

    def measure() -> None:
        """The share of a_b in <x>, see `code`.

            f(x) = 1

        Args:
            n: how many, on
                two lines.

        Raises:
            ValueError: For others.

        Example:
            >>> 1 + 1
            2
        """

    text = described(measure)
    assert text.startswith(r"The share of a\_b in \<x\>, see `code`.")
    assert "```text\nf(x) = 1\n```" in text
    assert "* `n`: how many, on two lines." in text
    assert "```pycon\n>>> 1 + 1\n2\n```" in text


def test_public_names_are_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    import pushforward as pf
    from docs.api_pages import GROUPS, find

    named = [name for _, names in GROUPS.values() for name in names]
    assert len(set(named)) == len(named)
    assert all(find(name).__doc__ for name in named)
    public = {f"pushforward.{name}" for name in pf.__all__} - {
        "pushforward.compat", "pushforward.latent", "pushforward.__version__",
    }  # fmt: skip
    assert public <= set(named)


def sphinx() -> list[str] | None:
    """The command that builds, where Sphinx is installed: by `make docs`, or beside the tests."""
    own = ROOT / ".venv-docs" / "bin" / "sphinx-build"
    if own.is_file():
        return [str(own)]
    needed = ("sphinx", "furo", "myst_parser", "latex2mathml")
    found = all(importlib.util.find_spec(name) for name in needed)
    return [sys.executable, "-m", "sphinx"] if found else None


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_without_a_network(
    site: object, tmp_path: Path
) -> None:
    command = sphinx()
    if command is None:
        pytest.skip("Sphinx is not installed: run `make docs` once")
    site.gather(tmp_path / "source")  # type: ignore[attr-defined]
    html = tmp_path / "html"
    line = [*command, "-W", "--keep-going", "-q", "-E", str(tmp_path / "source"), str(html)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip()
    for path in html.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"([^\"]+)\"", text)
        assert not [target for target in loaded if re.match(r"(?:https?:)?//", target)], path
    index = (html / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex("), "a script, which a page from a file may load"
    assert "counterfeit" in index
    shutil.rmtree(html)
