"""Texts that mean 'missing' in several languages.

Among numbers and dates they can mean nothing else. Among words they might be meant, so there they
are only pointed out (`looks_missing`).
"""

from __future__ import annotations

from typing import Any

from pushforward.core.data_types import TextSeries

__all__ = ["are_markers", "is_marker", "is_word", "looks_missing"]

_SIGNS = "-, --, ---, –, —, ?, ??, ???, ., .., ..., …, /, //, *, **, #"
_ERRORS = "#N/A, #NA, #VALUE!, #DIV/0!, #REF!, #NUM!, #NULL!, #NAME?"
_WORDS = """\
missing, na, n.a., n. a., n/a, nan, null, unknown, unknown?, not known, not available
not applicable, not specified, not stated, not given, not recorded, not reported, undefined
no answer, no data, no value, n/d, n.d., tbd, tba
k.a., k. a., k.a, k/a, keine angabe, keine angaben, ohne angabe, o.a., unbekannt, fehlt, fehlend
nicht angegeben, nicht bekannt, nicht verfügbar, nicht vorhanden, n.v., n. v., n.b.
inconnu, inconnue, manquant, manquante, non renseigné, non renseignée, non précisé, non précisée
non disponible, n.c., n.r.
desconocido, desconocida, sin dato, sin datos, no disponible, no especificado, no aplica, s/d
desconhecido, desconhecida, não informado, não disponível, não se aplica, sem dados
sconosciuto, sconosciuta, mancante, non disponibile, non noto, n.p.
onbekend, niet bekend, niet beschikbaar, n.v.t., ukendt, mangler, ukjent, okänd, okänt, saknas
uppgift saknas, tuntematon, ei tietoa
brak danych, nieznany, nieznane, b.d., neznámý, neuvedeno, nincs adat, ismeretlen, bilinmiyor
нет данных, неизвестно, н/д, не указано
未知, 缺失, 不详, 無資料, 不明, 欠損, 未記入, 알 수 없음, 미상
"""
_PLAINEST = """\
-, --, ?, ., …, missing, Missing, MISSING, none, NONE, na, Na, nil, NIL, #VALUE!, #DIV/0!
"""
"""As they are spelled."""
_AMBIGUOUS = "none, nil, ka, nd, nc, empty, blank, leer, vide, brak, yok, 无, なし, 없음"
"""Words that mean something among other words: no children, no garage."""


def _listed(*texts: str) -> frozenset[str]:
    lines = [line for text in texts for line in text.splitlines()]
    return frozenset(word.strip() for line in lines for word in line.split(", "))


_PLAIN = _listed(_PLAINEST)
_SURE = frozenset(map(str.casefold, _listed(_SIGNS, _ERRORS, _WORDS)))
_ALL = _SURE | _listed(_AMBIGUOUS)


def are_markers(texts: TextSeries) -> Any:
    """Which texts mean 'missing' in a column of numbers or dates, in whatever case."""
    return texts.str.casefold().isin(_ALL)


def is_marker(text: str) -> bool:
    """Whether a text means 'missing' in a column of numbers or dates."""
    return text.casefold() in _ALL


def is_word(text: str) -> bool:
    """Whether a marker may be a category of its own in a column that is declared one of categories:
    all but the plainest, such as '?'.
    """
    return text not in _PLAIN


def looks_missing(text: str) -> bool:
    """Whether a category probably means that a value is missing.

    Example:
        >>> looks_missing("k.A."), looks_missing("none"), looks_missing("Bakery")
        (True, False, False)
    """
    return text.strip().casefold() in _SURE
