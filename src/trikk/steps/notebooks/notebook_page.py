"""An executed notebook made the same for the same results, and as a page that needs no network."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

_PAGE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
"""


def settle(notebook: Any, source_ids: Collection[str]) -> None:
    """Remove times, durations and random ids, so that a replay makes the same file."""
    notebook.metadata.pop("papermill", None)
    for place, cell in enumerate(notebook.cells, start=1):
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
        if cell.get("id") not in source_ids:
            # The ids of cells that papermill adds are random; the author's own stay.
            cell["id"] = f"cell-{place}"


def write_page(notebook: Any, title: str, path: Path) -> None:
    """Write a notebook as one HTML file: styles and images in it, no script from anywhere else.

    Formulas stay the TeX that they are, since what draws them would come over the network.
    """
    from nbconvert import HTMLExporter

    make: Any = HTMLExporter
    exporter = make(raw_template=_PAGE, embed_images=True)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    path.write_text(page, "utf-8")
