"""Surveys of sources that may be faulty: the part of `report` before a space is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource
from pushforward.core.frames import is_frame
from pushforward.core.scan import Issue
from pushforward.core.source import Source
from pushforward.core.source_views import with_space
from pushforward.data.derived_conditions import derives_conditions
from pushforward.data.dispatch import (
    normalised,
    reader_of,
    refuse_format,
    with_column_of_images,
    with_conditions_read,
)
from pushforward.data.files import listed, locate
from pushforward.data.formats.clip_files import (
    ClipFiles,
    build_clips,
    find_layout,
    list_clips,
    survey_clips,
)
from pushforward.data.formats.image_files import build, find_images
from pushforward.data.formats.image_lists import ImageFile, Listing
from pushforward.data.formats.images import Header, decode
from pushforward.data.formats.registry import find_reader
from pushforward.data.options import MEMORY, Options
from pushforward.data.pair_survey import survey_partners
from pushforward.data.pairings import find_pairing
from pushforward.data.reading import read_with
from pushforward.data.reports import Report, describe
from pushforward.data.tables.columns import ColumnSurvey
from pushforward.data.tables.files import open_table
from pushforward.data.tables.frames import frame_table, from_chunks, notes_of, survey_table
from pushforward.data.tables.remarks import looks
from pushforward.data.tables.surveys import Survey
from pushforward.data.tables.table import Table
from pushforward.data.tables.text_format import SETTINGS

__all__ = ["report"]

_DEFAULTS: dict[str, Any] = {
    "y": None, "weights": None, "size": None, "fit": None, "channels": None, "frame_rate": None,
    "clips": None, "frames": None, "stride": None, "hop": None, "categorical": (),
    "drop": (), "columns": None, "types": "auto", "label": None, "like": None, "n": None, "seed": 0,
    "memory": MEMORY, "download": False, "name": "", **dict.fromkeys(SETTINGS),
}  # fmt: skip


def report(source: object, **settings: Any) -> Report:
    """A report on a source, or on anything that `read` takes, with `read`'s arguments.

    Raises BadSource only where there is nothing to report on:
    a missing path, an empty folder, a file of another kind.
    """
    if isinstance(source, Source) and not is_frame(source) and not hasattr(source, "numpy"):
        return describe(source)
    unknown = set(settings) - set(_DEFAULTS)
    if unknown:
        raise TypeError(f"report() got an unexpected argument {sorted(unknown)[0]!r}")
    options = replace(
        Options.check(**{**_DEFAULTS, **settings, "name": settings.get("name") or ""}), lenient=True
    )
    source = normalised(source)
    reader = reader_of(source) if isinstance(source, str) else find_reader(source, "object")
    refuse_format(source, reader, options)
    if isinstance(source, str) and reader is not None and reader.name == "images":
        return _survey_pairs(source, replace(options, name=options.name or source))
    options = with_conditions_read(reader, options)
    if reader is not None and reader.name == "frame":
        return _survey_table(frame_table(source), options)
    if reader is not None and reader.name == "table":
        path = locate(str(source))
        return _survey_table(
            open_table(path, options), replace(options, name=options.name or path.name)
        )
    return describe(read_with(source, options))


# ------------------------------------------------------------------------------------------- tables


def _survey_table(table: Table, options: Options) -> Report:
    """Text columns are noted and left out; a table without rows is reported as such."""
    survey = survey_table(table, options)
    name = options.name or table.name
    issues = [_text_issue(c) for c in survey.text]
    issues += _issues_of_types(survey)
    dropped = set(survey.options.drop)
    notes = [f"column {c!r} is left out" for c in survey.dropped if c in dropped]
    if survey.rows == 0 or len(survey.text) == len(survey.columns):
        if survey.rows == 0:
            issues.insert(0, Issue("empty", "there are no rows below the header", "bring data"))
        return Report(
            name,
            survey.rows,
            None,
            True,
            issues=tuple(issues),
            notes=(*notes_of(table, survey), *notes),
        )
    source = from_chunks(table, replace(options, name=name))
    return describe(source, name=name, issues=issues, notes=notes)


def _issues_of_types(survey: Survey) -> list[Issue]:
    """What fits that do not infer types need to be told."""
    faulty = [c for c in survey.texts if c.bad is not None]
    issues = [_text_issue(c) for c in faulty]
    if plain := [c for c in survey.texts if c.bad is None]:
        first, others = _text_issue(plain[0]), len(plain) - 1
        more = f", and {others} other column{'s hold' if others > 1 else ' holds'} text"
        auto = f"{setting('types', 'auto')} takes {'them' if others else 'it'} as listed above"
        issues.append(
            Issue("text", first.text + (more if others else ""), f"{auto}; or {first.remedy}")
        )
    for text, remedy in looks(survey):
        issues.append(Issue("marker", text, remedy))
    if constant := [name for name, kind in survey.types.items() if kind.type == "constant"]:
        others = len(constant) - 1
        more = f" ({others} other{'s are' if others > 1 else ' is'} too)" if others else ""
        text = f"column {constant[0]!r} is constant{more}"
        auto = f"{setting('types', 'auto')} carries it along"
        issues.append(Issue("constant", text, f"{auto}; or {setting('drop', constant[:1])}"))
    return issues


def _text_issue(column: ColumnSurvey) -> Issue:
    examples = ", ".join(repr(str(v)) for v in list(column.categories)[:3])
    examples += ", …" if len(column.categories) > 3 else ""
    content = "dates" if column.kind == "date" else f"text, {len(column.categories)} distinct"
    if column.bad is not None:
        row, cell = column.bad
        text = (
            f"column {column.name!r} holds {cell!r} in row {row} (the first is row 0) where most"
            " others are numbers"
        )
        return Issue(
            "text",
            text,
            f"fix it, or {setting('na', [cell])}, {setting('categorical', [column.name])} or"
            f" {setting('drop', [column.name])}",
        )
    return Issue(
        "text",
        f"column {column.name!r} holds {content} ({examples})",
        f"{setting('categorical', [column.name])} or {setting('drop', [column.name])}",
    )


# ------------------------------------------------------------------------------------------- images


def _survey_pairs(text: str, options: Options) -> Report:
    """Images by themselves, with conditions made of them, or with a folder of conditions."""
    path = locate(text)
    if derives_conditions(text, options.label):
        plain = replace(options, label=False)
        if find_pairing(options.label).halves and options.size is not None:  # type: ignore[union-attr]
            plain = replace(plain, size=(options.size[0], 2 * options.size[1]))
        content = _survey_images(path, plain)
        if content.space is None:
            return content
        try:
            return describe(read_with(text, options), unreadable=content.unreadable)
        except BadSource as error:
            fault = Issue("conditions", str(error), "correct this, or leave the label out")
            return replace(content, issues=(*content.issues, fault))
    if isinstance(options.y, str):
        options = with_column_of_images(path, options)
    if isinstance(options.y, str) and reader_of(options.y).name == "images":
        return _survey_images(path, options, options.y)
    return _survey_images(path, with_conditions_read(reader_of(text), options, path))


def _survey_images(path: Path, options: Options, conditions: str | None = None) -> Report:
    """Every file is decoded; bad ones are listed, mixed sizes and channels counted."""
    listing, headers, bad = find_images(path)
    if listing.splits:
        issue = Issue(
            "splits", f"the folder {listing.splits}", "read one, and measure on the other"
        )
        notes = [*listing.notes(), *_beside(listing)]
        return Report(
            options.name, len(listing.files), None, True, issues=(issue,), notes=tuple(notes)
        )
    layout = find_layout(listing, headers, options)
    if layout is not None:
        return _survey_clips(listing, list_clips(listing, layout), bad, options)
    good = []
    for file, header in headers:
        reason = _fault(file, header, options)
        if reason is None:
            good.append((file, header))
        else:
            bad.append((file.display_name, reason))
    issues = (
        [
            Issue(
                "unreadable",
                f"{len(bad)} of {len(listing.files)} images cannot be read",
                "replace or remove them",
            )
        ]
        if bad
        else []
    )
    mixed, paired = _mixed([h for _, h in good], options), ""
    if conditions is not None:
        lone, bad_conditions, paired = survey_partners(good, conditions, options)
        mixed, bad = [*lone, *mixed], [*bad, *bad_conditions]
    facts: dict[str, Any] = {
        "name": options.name,
        "unreadable": tuple(bad),
        "notes": (*listing.notes(), *_beside(listing)),
    }
    if mixed or not good:
        return Report(count=len(good), space=None, resident=True, issues=(*issues, *mixed), **facts)
    try:
        if conditions is not None:
            options = with_conditions_read(find_reader(str(path), "file"), options, path)
        source = build(listing, good, options)
    except BadSource as error:
        return Report(
            count=len(good),
            space=None,
            resident=True,
            issues=(*issues, Issue("labels", str(error), "or label=False")),
            **facts,
        )
    facts["notes"] = (*([paired] if paired else []), *_beside(listing))  # the source has its own
    return describe(source, issues=issues, **facts)


def _survey_clips(
    listing: Listing, clips: Sequence[ClipFiles], bad: list[tuple[str, str]], options: Options
) -> Report:
    """Every frame is decoded; clips that cannot be read are listed."""
    names = {name for name, _ in bad}
    good, more = survey_clips([c for c in clips if c.file.display_name not in names])
    bad = [*bad, *more]
    facts: dict[str, Any] = {"name": options.name, "notes": tuple(_beside(listing))}
    issues = []
    source: Source | None = None
    try:
        if good:
            source = build_clips(listing, good, options, lambda *fault: bad.append(fault))
    except BadSource as error:
        issues.append(Issue("clips", str(error), f"or choose {setting('frames', 16)} and size"))
    if bad:
        text = f"{len(bad)} of {len(clips)} clips cannot be read"
        issues.insert(0, Issue("unreadable", text, "replace or remove them"))
    facts |= {"unreadable": tuple(bad), "issues": tuple(issues)}
    if source is None:
        return Report(count=len(good), space=None, resident=True, **facts)
    if options.frame_rate is not None:
        source = with_space(source, replace(source.space, frame_rate=options.frame_rate))
    return describe(source, **facts)


def _beside(listing: Listing) -> list[str]:
    """Notes on files that are not data."""
    kinds = {"other": listing.beside, "hidden": listing.hidden}
    return [
        f"beside the images: {len(n)} {kind} file{'s' if len(n) != 1 else ''} ({listed(n)})"
        for kind, n in kinds.items()
        if n
    ]


def _fault(file: ImageFile, header: Header, options: Options) -> str | None:
    """Why an image with a sound header cannot be decoded, or None."""
    try:
        decode(file.open(), file.display_name, replace(options, size=None), header.channels)
    except BadSource as error:
        return str(error).removeprefix(f"{file.display_name}: ")
    return None


def _is_long(height: int, width: int) -> bool:
    """Whether an image could be a strip of three or more square frames."""
    short, long = sorted((height, width))
    return long >= 3 * short and long % short == 0


def _mixed(headers: list[Any], options: Options) -> list[Issue]:
    issues = []
    sizes = Counter((h.height, h.width) for h in headers)
    if len(sizes) > 1 and options.size is None:
        examples = ", ".join(f"{h}×{w} ({n})" for (h, w), n in sizes.most_common(5))
        text = f"images of {len(sizes)} sizes: {examples}{', …' if len(sizes) > 5 else ''}"
        advice = f"{setting('size', 64)} and {setting('fit', 'crop')}, pad or stretch"
        if all(_is_long(h.height, h.width) for h in headers):
            strips = f"{setting('clips', 'strips')} and {setting('frames', 16)}"
            advice = f"{strips}, if each is a strip of frames; else {advice}"
        issues.append(Issue("sizes", text, advice))
    kinds = Counter(h.channels for h in headers)
    if len(kinds) > 1 and options.channels is None:
        examples = ", ".join(
            f"{c} channel{'s' if c > 1 else ''} ({n})" for c, n in sorted(kinds.items())
        )
        issues.append(
            Issue(
                "channels",
                f"images of mixed channels: {examples}",
                f"{setting('channels', 1)}, 3 or 4",
            )
        )
    return issues
