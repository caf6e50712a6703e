"""What the README and the pages in docs/ promise:
their code runs as printed, their numbers are the records', their links exist.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from pushforward.cli.main import main
from tests.readability import reading_ease

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)
LONGEST = 120
"""Lines: a reader should see the whole README in a few screens."""
LONGEST_TABLE = 15
"""Rows of a table."""
EASE = 55
"""Least reading ease: plain English is at 60, an academic paper below 30."""


def commands(block: str) -> list[list[str]]:
    """The words of every command of a shell block, without comments."""
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    return [words for words in lines if words]


def code_lines(language: str) -> list[str]:
    """The lines of the README's blocks in a language that are neither empty nor comments."""
    text = "".join(block for kind, block in BLOCKS if kind == language)
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


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
    assert {p.name for p in tmp_path.iterdir()} == {"runs", "digits.png", "threes.png"}
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {
        "vae",
        "vae-digits-1",
        "gan-digits-1",
    }
    assert names["samples"].shape == (64, 1, 8, 8)  # type: ignore[attr-defined]
    assert names["bound"].shape == (1797,)  # type: ignore[attr-defined]
    assert names["codes"].shape == (1797, 16)  # type: ignore[attr-defined]


def test_a_first_look_takes_six_lines() -> None:
    assert len(code_lines("python")) == len(code_lines("sh")) == 6


def test_every_command_for_data_of_ones_own_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On small data of the names that the table uses, with few epochs."""
    import numpy as np
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHFORWARD_EPOCHS", "1")
    rng = np.random.default_rng(0)
    np.save("points.npy", rng.normal(size=(200, 2)))
    rows = [f"{a:.2f},{b}" for a, b in zip(rng.normal(size=90), rng.choice(["x", "y"], 90))]
    Path("table.csv").write_text("\n".join(["size,kind", *rows]) + "\n")
    Path("photos").mkdir()
    for i in range(12):
        levels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(levels).save(f"photos/{i}.png")
    table = README.split("## What do you have?")[1].split("##")[0]
    lines = re.findall(r"`pushforward ([^`]*)`", table)
    assert len(lines) == 5
    for line in lines:
        small = ["--budget", "0.002"] if line.startswith("recipe") else []
        assert main([*shlex.split(line), *small]) == 0, line
    assert Path("copy.csv").read_text().count("\n") == 91


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """Only the install lines, which need a network, have no language."""
    assert [language for language, _ in BLOCKS].count("") == 1
    assert {language for language, _ in BLOCKS} == {"", "python", "sh"}
    install = next(block for language, block in BLOCKS if not language)
    assert all(words[:2] == ["pip", "install"] for words in commands(install))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST
    tables = re.findall(r"(?:^\|.*\n)+", README, flags=re.MULTILINE)
    assert tables
    assert all(len(table.splitlines()) - 2 <= LONGEST_TABLE for table in tables)


@pytest.mark.parametrize(
    "page", [PAGES[0], *sorted((ROOT / "docs" / "start").glob("*.md"))], ids=lambda page: page.stem
)
def test_pages_for_newcomers_are_plain_english(page: Path) -> None:
    assert reading_ease(page.read_text()) >= EASE


def test_dense_prose_would_be_found() -> None:
    assert (
        reading_ease("Notwithstanding considerable heterogeneity, regularisation is unavoidable.")
        < EASE
    )


def test_eight_images_of_the_gallery_have_captions() -> None:
    gallery = README.split("## Gallery")[1].split("##")[0]
    captions = re.findall(r"!\[\]\([^)]+\) ([^|]{20,}) \|", gallery)
    assert len(captions) == gallery.count("![](") == 8
    assert all("[How](" in caption for caption in captions)


def test_the_figures_are_those_of_the_records() -> None:
    """Rounded as printed."""
    shown = README.split("## Three figures")[1].split("##")[0]
    page = (ROOT / "docs" / "results.md").read_text().split("synthetic -->")[1]
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("|")]
    detection = {row[0]: row[4] for row in rows[2:]}
    digits = json.loads((ROOT / "results/studies/mnist-vae.json").read_text())["median"]
    speed = json.loads((ROOT / "results/bench.json").read_text())["rows"]["gmm-float64"]["ratio"]
    for number in (
        detection["| `mixed`"],
        detection["| CTGAN"],
        f"{digits['-L_5000']:.1f} nats",
        f"{digits['-ELBO']:.1f} of its loose one",
        f"{speed['median']:.1f} times",
    ):
        assert number in shown


def test_extras_are_those_of_the_package() -> None:
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    page = (ROOT / "docs" / "start" / "install.md").read_text()
    on_page = set(re.findall(r"^\| `([\w-]+)` \|", page, flags=re.MULTILINE))
    assert on_page == extras - {"dev", "bench", "docs"}
    install = README.split("## Install")[1].split("##")[0]
    installed = {e for group in re.findall(r"\[([\w,]+)\]\"", install) for e in group.split(",")}
    named = set(re.findall(r"`([\w-]+)`", install.split("other extras")[1]))
    assert installed
    assert installed | named == extras - {"bench", "docs"}


def test_every_public_model_is_in_the_table() -> None:
    import pushforward as pf
    from pushforward.core.registry import registered_models

    table = README.split("## Models")[1].split("##")[0]
    listed = set(
        re.findall(
            r"`(\w+)`",
            "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| [")),
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
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for target in [*links, *re.findall(r'<img src="([^"]+)"', text)]:
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
