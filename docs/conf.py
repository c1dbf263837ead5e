"""How Sphinx builds the site: `make docs`. Why Sphinx: docs/decisions/documentation.md.

The source folder is the repository, not docs/, so that links between README, docs, decisions and examples are the
same on a Git host and in the site, and each of them is checked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trikk import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "trikk"
release = version = __version__
root_doc = "docs/index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
include_patterns = ["*.md", "docs/**", "examples/*/README.md"]
exclude_patterns = [".*", "**/.*", "benchmarks", "build", "demo", "findings", "src", "tests", "docs/diagrams.py"]

html_theme = "furo"
html_title = f"trikk {__version__}"
html_show_copyright = False
html_copy_source = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]

myst_heading_anchors = 4
"""Down to which level headings can be linked to, as `page.md#the-heading`."""

default_role = "code"
"""Docstrings and help texts write `code` with one backtick, as Markdown does."""

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"JSON": "JSON"}  # spelled out it would fill lines
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

_PAGE = re.compile(r"\[([^\]]+)\]\(([^)#:]+)\.md\)")


def _add_navigation(app: Sphinx, page: str, source: list[str]) -> None:  # noqa: ARG001 - Sphinx's signature
    """Make the sidebar of the pages that docs/index.md and the decisions' index link to, section by section."""
    if page not in ("docs/index", "docs/decisions/README"):
        return
    trees = []
    for section in source[0].split("\n## "):
        pages = [f"{title} <{target}>" for title, target in _PAGE.findall(section)]
        caption = section.partition("\n")[0].lstrip("# ")
        if pages:
            trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]))
    source[0] += "\n\n" + "\n\n".join(trees) + "\n"


def _leave_out_module(app: Sphinx, what: str, *rest: object) -> None:  # noqa: ARG001 - Sphinx's signature
    """Drop a module's docstring: it is for who reads the code, and the page has its own words."""
    if what == "module":
        lines = rest[-1]
        assert isinstance(lines, list)
        lines.clear()


def setup(app: Sphinx) -> None:
    """Let Sphinx call the above."""
    app.connect("source-read", _add_navigation)
    app.connect("autodoc-process-docstring", _leave_out_module)
