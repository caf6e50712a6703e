"""Arguments in messages, as whoever reads them knows them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pushforward
from pushforward.cli.main import main
from pushforward.core.argument_names import (
    argument,
    arguments_named,
    flag,
    flags,
    keyword,
    setting,
)


def test_python_and_commands_write_arguments_their_own_way() -> None:
    with arguments_named(keyword):
        assert argument("data") == "data"
        assert argument("data", "FILE") == "data=FILE"
        with arguments_named(flag):
            assert argument("prior_weight", "1") == "--prior-weight 1"
            assert (argument("n"), argument("y")) == ("-n", "--y")
        with arguments_named(flags(positive="class")):
            assert argument("positive", "'b'") == "--class 'b'"
            assert argument("rows") == "--rows"
        assert argument("rows", "[0, 1]") == "rows=[0, 1]"
        with arguments_named(flag):
            assert setting("latent", 2) == "--latent 2"
            rates = {"critic": "adam(rate=1e-4)"}
            assert setting("optimizers", rates) == "--optimizer 'critic=adam(rate=1e-4)'"
            assert (
                setting("hacks", ["input_noise(sigma=0.1)"]) == "--hacks 'input_noise(sigma=0.1)'"
            )
            assert (setting("header", True), setting("header", False)) == (
                "--header",
                "--no-header",
            )
        assert setting("latent", 2) == "latent=2"
        assert setting("hacks", ["r1"]) == "hacks=['r1']"
        assert setting("header", False) == "header=False"


PACKAGE = Path(pushforward.__file__).parent
COMMANDS = re.compile(r"(pushforward|torchrun) [^;]*--")
"""Whole commands, which are typed in a shell wherever the message is read."""


@pytest.mark.parametrize(
    "room", ["core", "data", "densities", "nets", "objectives", "fitting", "models", "metrics",
             "latent", "plots"],
)  # fmt: skip
def test_no_message_of_the_library_writes_a_flag_by_hand(room: str) -> None:
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, (ast.Raise, ast.Return, ast.Call)):
                continue
            for text in (n.value for n in ast.walk(node) if isinstance(n, ast.Constant)):
                if isinstance(text, str) and re.search(r"--[a-z]", text):
                    assert COMMANDS.search(text), f"{path.name}: {text}"


def test_an_error_of_a_model_is_in_the_words_of_its_reader(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [f"{i},{'ab'[i % 2]}" for i in range(20)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["x,k", *rows]) + "\n")
    with pytest.raises(pushforward.BadSource, match="use likelihood='columns', or drop"):
        pushforward.VAE().fit(pushforward.read(table, categorical=["k"]), steps=1)
    with pytest.raises(pushforward.BadSource, match=r"declare it with categorical=\['k'\], or"):
        pushforward.read(table)
    advice = r"declare it with pf.read\(…, categorical=\['k'\]\), or leave it out with pf.read\(…, "
    with pytest.raises(pushforward.BadSource, match=advice):
        pushforward.PCA().fit(table)
    run = ["--run", str(tmp_path / "run")]
    assert main(["fit", "vae", str(table), "--categorical", "k", *run]) == 2
    assert "use --likelihood columns, or drop" in capsys.readouterr().err
    assert main(["fit", "pca", str(table), *run]) == 2
    assert (
        "declare it with --categorical k, or leave it out with --drop k" in capsys.readouterr().err
    )
