"""Text in ASCII: ≥ becomes >=, ± becomes +-, × becomes x, accents are dropped."""

from __future__ import annotations

import unicodedata

__all__ = ["to_ascii"]

LETTERS = {
    "≥": ">=", "≤": "<=", "±": "+-", "×": "x", "·": "*", "…": "...", "–": "-", "—": "-", "−": "-",
    "→": "->", "←": "<-", "∞": "inf", "²": "^2", "³": "^3", "½": "1/2", "¼": "1/4", "⅛": "1/8",
    "√": "sqrt", "Σ": "sum", "∇": "grad", "‖": "|", "’": "'", "‘": "'", "“": '"', "”": '"',
    "≈": "~", "≠": "!=", "∈": "in", "°": " deg", "•": "*", "α": "alpha", "β": "beta", "γ": "gamma",
    "ε": "epsilon", "λ": "lambda", "μ": "mu", "µ": "mu", "σ": "sigma", "π": "pi", "ß": "ss",
    "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "€": "EUR",
}  # fmt: skip
BLOCKS = ((0x2500, 0x257F), (0x2580, 0x259F))
"""Lines and blocks that tables and bars are drawn with."""


def to_ascii(letter: str) -> str:
    """A letter in ASCII: by its name here, without its accents, or a question mark."""
    if letter in LETTERS:
        return LETTERS[letter]
    if BLOCKS[0][0] <= ord(letter) <= BLOCKS[0][1]:
        return (
            "|"
            if "VERTICAL" in unicodedata.name(letter, "")
            and "HORIZONTAL" not in unicodedata.name(letter, "")
            else "-"
        )
    if BLOCKS[1][0] <= ord(letter) <= BLOCKS[1][1]:
        return "#"
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"
