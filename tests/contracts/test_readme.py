"""What the README and the pages in docs/ promise:
their code runs as printed, their numbers are the records', their links exist.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from pushforward.cli.main import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
LONGEST = 150
"""Lines: a reader should see the whole README in a few screens."""


def commands(block: str) -> list[list[str]]:
    """The words of every command of a shell block, without comments."""
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words for words in lines if words]


def test_every_block_of_the_readme_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the page, in one empty folder and one Python session."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    names: dict[str, object] = {"__name__": "readme"}
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "README.md", "exec"), names)
        for words in commands(block) if language == "sh" else ():
            assert words[0] == "pushforward"
            assert main(words[1:]) == 0, shlex.join(words)
    assert {p.name for p in tmp_path.iterdir()} >= {
        "runs",
        "wine.csv",
        "copy.csv",
        "threes.png",
        "samples.npy",
    }
    assert (tmp_path / "copy.csv").read_text().count("\n") == 179
    assert names["codes"].shape == (1797, 16)  # type: ignore[attr-defined]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """Only the install lines, which need a network, have no language."""
    assert [language for language, _ in BLOCKS].count("") == 1
    assert {language for language, _ in BLOCKS} == {"", "python", "sh"}
    install = next(block for language, block in BLOCKS if not language)
    assert all(words[:2] == ["pip", "install"] for words in commands(install))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST


def test_extras_are_those_of_the_package() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    listed = set(
        re.findall(r"^\| `([\w-]+)` \| [A-Za-z]", README.split("## Python")[0], flags=re.MULTILINE)
    )
    assert listed <= extras
    install = (ROOT / "docs" / "start" / "install.md").read_text()
    on_page = set(re.findall(r"^\| `([\w-]+)` \|", install, flags=re.MULTILINE))
    assert on_page == extras - {"dev", "bench", "docs"}
    installed = re.findall(r"\[([\w,]+)\]\"", README)
    assert installed
    assert {extra for group in installed for extra in group.split(",")} <= extras


def test_every_public_model_is_in_the_table() -> None:
    import pushforward as pf
    from pushforward.core.registry import registered_models

    table = README.split("## Models")[1].split("## More")[0]
    listed = set(
        re.findall(
            r"`(\w+)`",
            "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")),
        )
    )
    ours = {
        cls.__name__
        for cls in dict(registered_models()).values()
        if cls.__module__.startswith("pushforward.")
    }
    assert listed == ours | {"FourierKDE"}
    assert all(hasattr(pf, name) for name in listed)


def test_the_tables_are_those_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    from docs.tables import PAGE, written

    assert written(PAGE.read_text()) == PAGE.read_text(), "run `make tables`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_image_and_link_of_a_page_exists(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text()), target
        if file.suffix in (".png", ".gif", ".svg"):
            assert file.stat().st_size < 300_000, target


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one(page: Path) -> None:
    from pushforward.cli.main import COMMANDS

    assert set(
        re.findall(r"^(?:\$ )?pushforward ([a-z]+)", page.read_text(), flags=re.MULTILINE)
    ) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_of_a_page_is_one(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"`make (\w+)", page.read_text())) <= set(targets)


def test_the_map_names_every_package_and_its_drawing_shows_the_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from PIL import Image

    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    from docs.drawing import CONTENTS, IMAGE, layers

    packages = {path.parent.name for path in (ROOT / "pushforward").glob("*/__init__.py")}
    assert {name for layer in layers() for name in layer} == packages <= set(CONTENTS)
    table = (
        (ROOT / "docs" / "architecture.md")
        .read_text()
        .split("## Packages")[1]
        .split("Two conventions")[0]
    )
    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == packages
    with Image.open(IMAGE) as image:
        assert image.info["Comment"] == repr(layers()), "run `make tables`"
