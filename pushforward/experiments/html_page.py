"""The frame of a page of results: one file, no script, nothing fetched.

The page's policy allows its own style sheet and the images that it contains.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files

__all__ = ["escaped", "html_page"]


def html_page(title: str, body: str) -> str:
    """A whole page around a body of HTML.

    Args:
        title: plain text.
        body: HTML in which text is escaped.
    """
    style = (files("pushforward.experiments") / "table_page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{escaped(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def escaped(value: object) -> str:
    """Text for HTML; a per cent sign stays with its number."""
    return html.escape(str(value), quote=True).replace(" %", "\N{NO-BREAK SPACE}%")
