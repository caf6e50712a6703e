"""Reference pages made from the package: its public names from their docstrings, its commands from
the parser, and the example models from their files.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pushforward.cli.main import COMMANDS, main
from pushforward.core.registry import offered_models

__all__ = ["GROUPS", "api_pages", "command_page", "examples_page"]

ROOT = Path(__file__).parent.parent
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "data": (
        "Data",
        (
            "pushforward.read", "pushforward.split", "pushforward.Arrays", "pushforward.Source",
            "pushforward.Stream", "pushforward.Space", "pushforward.Column", "pushforward.Scaling",
            "pushforward.data.write", "pushforward.data.write_image", "pushforward.dequantise",
            "pushforward.binarise", "pushforward.flip", "pushforward.crop", "pushforward.affine",
            "pushforward.register_reader",
        ),
    ),
    "classical-models": (
        "Classical models",
        (
            "pushforward.PCA", "pushforward.Gaussian", "pushforward.GMM",
            "pushforward.choose_components", "pushforward.KMeans", "pushforward.KDE",
            "pushforward.FourierKDE",
        ),
    ),
    "table-models": (
        "Models of tables",
        (
            "pushforward.GaussianCopula", "pushforward.MixedMixture",
            "pushforward.IndependentColumns", "pushforward.TVAE", "pushforward.CTGAN",
        ),
    ),
    "auto-encoders": (
        "Auto-encoders",
        ("pushforward.Autoencoder", "pushforward.VAE", "pushforward.Observed"),
    ),
    "adversarial-models": (
        "Adversarial models",
        (
            "pushforward.GAN", "pushforward.DCGAN", "pushforward.R3GAN", "pushforward.InfoGAN",
            "pushforward.EBGAN", "pushforward.LAPGAN", "pushforward.VGAN",
        ),
    ),
    "images-from-images": (
        "Images from images",
        ("pushforward.Pix2Pix", "pushforward.SRResNet", "pushforward.SRGAN"),
    ),
    "fitting": (
        "Fitting, saving and loading",
        (
            "pushforward.Trainer", "pushforward.EM", "pushforward.Experiment", "pushforward.load",
            "pushforward.capabilities", "pushforward.Record", "pushforward.adam",
            "pushforward.adamw", "pushforward.sgd", "pushforward.rmsprop",
            "pushforward.fit_auto",
        ),
    ),
    "verbs-of-tables": (
        "Verbs of tables",
        (
            "pushforward.synthesise", "pushforward.fill", "pushforward.odd",
            "pushforward.describe", "pushforward.condition", "pushforward.compare_tables",
            "pushforward.TableReading",
        ),
    ),
    "latent": (
        "Codes",
        (
            "pushforward.interpolate", "pushforward.project", "pushforward.latent.between",
            "pushforward.latent.decode", "pushforward.latent.direction",
            "pushforward.latent.edit", "pushforward.latent.grid", "pushforward.latent.plane",
            "pushforward.latent.transfer", "pushforward.latent.traverse",
            "pushforward.latent.walk", "pushforward.latent.warp", "pushforward.latent.Strokes",
            "pushforward.latent.topology.map_topology",
            "pushforward.latent.topology.TopologicalMap",
        ),
    ),
    "metrics": (
        "Measurements",
        (
            "pushforward.metrics.likelihood.log_prob", "pushforward.metrics.likelihood.elbo",
            "pushforward.metrics.likelihood.naive", "pushforward.metrics.likelihood.iwae",
            "pushforward.metrics.annealing.ais", "pushforward.metrics.annealing.bdmc",
            "pushforward.metrics.frechet.fid", "pushforward.metrics.kernel_distances.kid",
            "pushforward.metrics.manifold.prdc", "pushforward.metrics.modes.modes",
            "pushforward.metrics.two_samples.c2st", "pushforward.metrics.scores.scores",
            "pushforward.register_metric", "pushforward.register_features",
        ),
    ),
    "plots": (
        "Plots",
        (
            "pushforward.plots.density_map", "pushforward.plots.clusters",
            "pushforward.plots.biplot", "pushforward.plots.scree", "pushforward.plots.corner",
            "pushforward.plots.marginals", "pushforward.plots.embedding",
            "pushforward.plots.decoded_grid", "pushforward.plots.decoded_path",
            "pushforward.plots.traversal_sheet", "pushforward.plots.clip_sheet",
            "pushforward.plots.panels.panels", "pushforward.plots.panels.points",
            "pushforward.plots.panels.curves", "pushforward.plots.panels.heat",
            "pushforward.plots.panels.images", "pushforward.plots.panels.paths",
            "pushforward.plots.panels.bars", "pushforward.plots.diagrams.diagram",
            "pushforward.plots.topology.topology", "pushforward.plots.write_figure",
        ),
    ),
    "extending": (
        "Models of your own",
        (
            "pushforward.Model", "pushforward.Learner", "pushforward.register",
            "pushforward.registered_models", "pushforward.Phase", "pushforward.Batch",
            "pushforward.Step", "pushforward.Terms", "pushforward.play_together",
            "pushforward.Optimizer", "pushforward.Symptom", "pushforward.Fixed",
            "pushforward.Value",
        ),
    ),
    "errors": (
        "Errors",
        (
            "pushforward.PushforwardError", "pushforward.InvalidValue", "pushforward.InvalidKind",
            "pushforward.NotFitted", "pushforward.ShapeMismatch", "pushforward.BadSource",
            "pushforward.BadRun", "pushforward.Diverged", "pushforward.MissingExtra",
            "pushforward.FitWarning",
        ),
    ),
}  # fmt: skip
"""Pages of the reference: title, and the dotted names on each."""
BASES = ("pushforward.Model", "pushforward.Learner")
USED = {"fit", "save", "hyperparameters", "fitted_space"}
"""Methods of those that users of every model call; the others are for its fitter."""
SECTIONS = {"References", "Reference", "Example", "Examples", "Note", "Notes", "Returns", "Raises"}


def api_pages() -> dict[str, str]:
    """Markdown by file name, and an index of them."""
    pages = {f"{name}.md": _api_page(title, names) for name, (title, names) in GROUPS.items()}
    lines = [f"* [{title}]({name}.md): {_listed(names)}" for name, (title, names) in GROUPS.items()]
    head = (
        "# Python\n\nAt the end of this page you will know where each public name is described:"
        " arguments with their meaning and units, errors, and an example that is tested.\n\n"
    )
    return {"index.md": head + "\n".join(lines) + "\n", **pages}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name.rpartition('.')[2]}`" for name in names)


def _api_page(title: str, names: Iterable[str]) -> str:
    to = "what each error means:" if title == "Errors" else "how to call"
    words = f"At the end of this page you will know {to} {_listed(names)}."
    above: dict[object, str] = {}
    return "\n\n".join([f"# {title}", words, *(_entry(name, above) for name in names)]) + "\n"


def find(name: str) -> object:
    """The object of a dotted name."""
    home, _, last = name.rpartition(".")
    return getattr(importlib.import_module(home), last)


def _entry(name: str, above: dict[object, str]) -> str:
    """One name of a page.

    Args:
        above: the methods described on this page so far, with their class; new ones are added.
    """
    thing = find(name)
    short = name.removeprefix("pushforward.")
    parts = [f"## `{short}`"]
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        parts.append(f"```python\n{_call('pf.' + short, thing)}\n```")
    parts.append(described(thing))
    if inspect.isclass(thing):
        repeated: dict[str, list[str]] = {}
        inner = [] if name in BASES else _inner_methods(thing)
        for member, value in _methods(thing):
            if member in inner:
                continue
            if value in above:
                repeated.setdefault(above[value], []).append(member)
            else:
                above[value] = short
                parts.append(f"**`{member}{_signature(value)}`**\n\n{described(value)}")
        parts += [
            f"As for `{other}`: {', '.join(f'`{member}`' for member in members)}."
            for other, members in repeated.items()
        ]
        if inner:
            parts.append(
                "For models of your own, and described [there](extending.md): "
                + ", ".join(f"`{member}`" for member in inner)
                + "."
            )
    return "\n\n".join(part for part in parts if part)


def _inner_methods(cls: type) -> list[str]:
    """Methods of a model that fitters call and users do not."""
    bases = [base for base in map(find, BASES) if issubclass(cls, base)]  # type: ignore[arg-type]
    names = {member for base in bases for member, _ in _methods(base)}  # type: ignore[arg-type]
    return sorted(names - USED)


def _call(name: str, thing: object) -> str:
    text = f"{name}{_signature(thing)}"
    if len(text) <= 96:
        return text
    inner = text[len(name) + 1 : text.rindex(")")]
    pieces = re.split(r", (?![^\[({]*[\])}])", inner)
    return f"{name}(\n    " + ",\n    ".join(pieces) + ",\n)"


def _signature(thing: object) -> str:
    """Arguments and defaults; annotations are in the text, in words."""
    try:
        signature = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "(...)"
    plain = [
        place.replace(annotation=inspect.Parameter.empty)
        for place in signature.parameters.values()
        if place.name not in ("self", "cls")
    ]
    empty = inspect.Signature.empty
    text = str(signature.replace(parameters=plain, return_annotation=empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _methods(cls: type) -> list[tuple[str, object]]:
    """Public methods with a docstring, our own and inherited, by name."""
    found = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("pushforward"):
            for name, value in vars(base).items():
                method = inspect.unwrap(getattr(value, "__func__", value))
                if not name.startswith("_") and inspect.isfunction(method) and method.__doc__:
                    found[name] = method
    return sorted(found.items())


def described(thing: object) -> str:
    """A docstring as Markdown: text, arguments as a list, errors, examples as code."""
    text = inspect.cleandoc(thing.__doc__ or "")
    parts, lists = [], []
    for block in _blocks(text):
        head, _, rest = block.partition(":\n")
        if head in ("Args", "Arguments", "Attributes"):
            lists.append(_arguments(block))
        elif head in SECTIONS:
            parts.append(f"*{head}*\n\n{_paragraphs(inspect.cleandoc(rest))}")
        else:
            parts.append(_paragraphs(block))
    return "\n\n".join([*parts[:1], *lists, *parts[1:]])


def _blocks(text: str) -> list[str]:
    """A docstring cut at the headings of its sections."""
    heads = "|".join([*SECTIONS, "Args", "Arguments", "Attributes"])
    return [b.strip("\n") for b in re.split(rf"\n(?=(?:{heads}):\n)", "\n" + text) if b.strip()]


def _arguments(block: str) -> str:
    """The arguments of a section as a list: a line with `name: text` begins one."""
    lines = inspect.cleandoc(block.partition(":\n")[2]).splitlines()
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        name, colon, text = line.partition(":")
        if colon and not line.startswith(" "):
            found.append((name, [text.strip()]))
        elif found:
            found[-1][1].append(line.strip())
    return "\n".join(f"* `{name}`: {_words(' '.join(text).strip())}" for name, text in found)


def _paragraphs(text: str) -> str:
    """Paragraphs as they are, indented ones and examples as code."""
    found = []
    for part in re.split(r"\n\s*\n", text):
        if part.startswith((" ", ">>>")):
            kind = "pycon" if part.lstrip().startswith(">>>") else "text"
            found.append(f"```{kind}\n{inspect.cleandoc(chr(10) + part)}\n```")
        else:
            lines = [line.strip() for line in part.splitlines()]
            marks = [line.removeprefix("* ") if line.startswith("* ") else line for line in lines]
            bullets = [line.startswith("* ") for line in lines]
            found.append(
                "\n".join(
                    ("* " if bullet else "  " if any(bullets) else "") + _words(mark)
                    for bullet, mark in zip(bullets, marks)
                )
            )
    return "\n\n".join(found)


def _words(text: str) -> str:
    """Text whose marks are no Markdown, except for code between backticks and addresses."""
    parts = re.split(r"(`[^`]*`|https?://[^\s)>]+)", text)
    return "".join(_linked(part) if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]<>|$~#^{}])", r"\\\1", text)


def _linked(part: str) -> str:
    """Code as it is; an address as a link, without the stop behind it."""
    address = part.rstrip(".,;")
    return part if part.startswith("`") else f"<{address}>{part[len(address) :]}"


def command_page() -> str:
    """Every command's help, as the parser prints it."""
    parts = [
        "# Command line",
        "At the end of this page you will know every command and its flags. The text is what"
        " `pushforward COMMAND --help` prints.",
        _fence(_printed([])),
    ]
    for name in COMMANDS:
        parts += [f"## {name}", _fence(_printed([name, "--help"]))]
        if name == "fit":
            for model in sorted(offered_models()):
                parts += [f"### fit {model}", _fence(_printed(["fit", model, "--help"]))]
    return "\n\n".join(parts) + "\n"


def _fence(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _printed(words: list[str]) -> str:
    """What a command line prints, 100 characters wide."""
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "100"
    stream = io.StringIO()
    try:
        with contextlib.redirect_stdout(stream):
            code = main(words)
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    assert code == 0, words
    return stream.getvalue()


def examples_page() -> str:
    """The files of examples/, with their code."""
    parts = [
        "# Examples of models in one file",
        "At the end of this page you will have seen three models of your own, each of at most 60"
        " lines: use one with `pushforward --import FILE fit NAME DATA`.",
    ]
    for path in sorted((ROOT / "examples").glob("*.py")):
        parts += [f"## {path.name}", f"```python\n{path.read_text().rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"
