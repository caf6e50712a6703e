"""`pushforward lecture NAME`: a figure of the lecture, drawn anew, with its code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pushforward.cli import arguments
from pushforward.cli.console import Voice, print_table

__all__ = ["lecture"]


def lecture(
    name: str | None = None,
    /,
    *,
    out: arguments.Out = None,
    notebook: Annotated[bool, arguments.Switch] = False,
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Draw a figure of the lecture and show its code, a few seconds each.

    Args:
        name: a figure; without one, all are listed.
        out: folder to write the picture to; lecture if not given.
        notebook: write the figure as a Jupyter notebook, which draws it when it is run.
        json: the list, or the figure's text and code, as JSON on stdout.
    """
    from pushforward.lecture.lesson import folder_for, read_lesson

    voice, folder = Voice(quiet, json), folder_for(out)
    if name is None:
        _list(voice)
        return
    lesson = read_lesson(name)
    written = _notebook(name, folder) if notebook else _pictures(name, folder, voice)
    if json:
        facts = {"figure": name, "title": lesson.title, "text": lesson.text}
        voice.result({**facts, "code": lesson.script(), "files": [str(p) for p in written]})
    else:
        voice.write(lesson.script().rstrip())
    voice.say("\nwritten to " + ", ".join(str(path) for path in written))
    if notebook:
        voice.say(f"next: jupyter lab {written[0]}")


def _pictures(name: str, folder: Path, voice: Voice) -> list[Path]:
    from pushforward.cli.progress import several_displayed
    from pushforward.lecture.building import write_pictures

    with several_displayed(voice):
        return write_pictures(name, folder)


def _notebook(name: str, folder: Path) -> list[Path]:
    from pushforward.core.folders import write_text
    from pushforward.lecture.lesson import read_lesson
    from pushforward.lecture.pages import notebook

    path = folder / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, notebook(read_lesson(name).title, (name,)))
    return [path]


def _list(voice: Voice) -> None:
    from pushforward.lecture.contents import SECTIONS
    from pushforward.lecture.lesson import read_lesson

    lessons = [(s.title, read_lesson(name)) for s in SECTIONS for name in s.figures]
    if voice.as_json:
        for section, lesson in lessons:
            voice.result({"figure": lesson.name, "title": lesson.title, "section": section})
        return
    print_table(("figure", "title", "part"), [(x.name, x.title, s) for s, x in lessons])
    voice.say(
        "pushforward lecture NAME draws one and shows its code; --notebook writes it for Jupyter"
    )
