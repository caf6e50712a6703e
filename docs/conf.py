"""Sphinx's settings; `make docs` builds the site from the pages that docs/site.py gathers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "Pushforward"
author = "the authors of Pushforward"
copyright = "the authors of Pushforward, Apache-2.0"
html_title = "Pushforward"
extensions = ["myst_parser", "mathml"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
templates_path: list[str] = []
nitpicky = True
