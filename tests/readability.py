"""Flesch's reading ease of a Markdown page: its sentences, without code, tables and addresses."""

from __future__ import annotations

import re

__all__ = ["prose_of", "reading_ease"]


def reading_ease(page: str) -> float:
    """Flesch's reading ease: 60 and more is plain English, below 30 an academic paper."""
    import textstat

    return float(textstat.flesch_reading_ease(prose_of(page)))


def prose_of(page: str) -> str:
    """The sentences of a page: paragraphs and items of lists."""
    text = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    text = re.sub(r"^(#.*|\|.*|!\[.*)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>]+>|[*`]", "", text)
    return re.sub(r"(?<=\w)[._(](?=\w)", " ", text)  # pf.load is read as two words
