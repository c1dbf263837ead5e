"""Render a page: HTML, PDF and mail from one content, in a folder of their own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trikk.charts.rasterising.png_picture import png
from trikk.core.digests import digest_bytes
from trikk.core.values import JSON
from trikk.mailing.mail_addresses import ALL
from trikk.reports.page import html as page
from trikk.reports.page import mail
from trikk.reports.page.figure_pictures import CONFUSION, drawn, drawn_confusion
from trikk.reports.page.page_content import Content
from trikk.reports.page.pdf import pdf
from trikk.reports.report_definition import ReportSpec
from trikk.runs import logged
from trikk.runs.context import StepContext, current_step
from trikk.steps.scripts.workfolder import work_folder

PAGE, PDF, MAIL, FIGURES = "report.html", "report.pdf", "mail.eml", "figures.json"


def render(spec: ReportSpec, data: dict[str, Any]) -> Path:
    """Render a page.

    Returns:
        A folder with report.html, report.pdf, mail.eml, figures.json and a PNG for each monitor.

    Raises:
        UsageError: if the author's template or notebook can't be used.
        ProgramFailed: if the notebook fails.
        MissingExtra: if a library is not installed.
    """
    content = Content.read(data)
    step = current_step()
    drawings = {section.monitor: drawn(section) for section in content.sections}
    drawings |= {
        CONFUSION.format(s.monitor): drawn_confusion(s.confusion) for s in content.sections if s.confusion
    }
    pictures = {name: png(drawing) for name, drawing in drawings.items()}
    body = page.html(content, page.as_data(pictures), spec.template, drawings)
    document = pdf(content, pictures)
    attached = {_file_name(content, ".pdf"): document}
    mark = mail.mark_of(data)  # of what is stored, not of what was read: see there
    # Twice, as pictures are part of a page, and lie beside it in a mail: mail programs show nothing else.
    mailed = page.html(content, mail.as_parts(mark), spec.template)
    if spec.notebook:
        body = _notebook_page(spec, content)
        attached[_file_name(content, ".html")] = body.encode()
    message = mail.message(
        content,
        plain=page.text(content),
        page=mailed,
        pictures=pictures,
        files=attached,
        mark=mark,
        identity=identity_of(content, body),
        at=step.now if step is not None else _as_of(content),
    )
    files = {PAGE: body.encode(), PDF: document, MAIL: message}
    # Sorted: the same figures, the same bytes, whatever order a build has its fields in.
    files[FIGURES] = (json.dumps(data, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
    files |= {f"{name}.png": picture for name, picture in pictures.items()}
    with work_folder() as folder:
        out = folder / "report"
        out.mkdir()
        for name, written in files.items():
            (out / name).write_bytes(written)
        if step is not None:
            _log(step, content, out)
    return out


def identity_of(content: Content, body: str) -> str:
    """What makes a page what it is: of the same report, period, customer and content there is one mail."""
    return f"{content.report}/{content.period}/{content.customer}/{digest_bytes(body.encode())}"


def _as_of(content: Content) -> datetime:
    return datetime.fromisoformat(content.as_of) if content.as_of else datetime.fromtimestamp(0, UTC)


def _file_name(content: Content, suffix: str) -> str:
    whose = "" if content.customer == ALL else f"-{content.customer}"
    return f"{content.report}-{content.period}{whose}{suffix}"


def _log(step: StepContext, content: Content, folder: Path) -> None:
    """Log each file to the run under a name of its own, as soon as there is one."""
    prefix = _file_name(content, "")
    for name in (PAGE, PDF, MAIL, FIGURES):
        kind = "report" if name in (PAGE, PDF) else "file"
        step.record(*logged.artifact(f"{prefix}/{name}", kind, step.artifacts.save(folder / name)))


def _notebook_page(spec: ReportSpec, content: Content) -> str:
    """The page of the author's notebook, executed with the figures as files."""
    import polars as pl

    from trikk.steps.notebooks.notebook_run import run_notebook

    whole: Any = content.to_json()
    days = [{"monitor": s["monitor"], **p} for s in whole["sections"] for p in s["points"]]
    slices = [
        {"monitor": s["monitor"], "column": t["column"], **row}
        for s in whole["sections"]
        for t in s["slices"]
        for row in t["rows"]
    ]
    parameters: dict[str, JSON] = {"period": content.period, "customer": content.customer}
    inputs = {
        "figures.json": whole,
        "windows.parquet": pl.DataFrame(days, infer_schema_length=None),
        "slices.parquet": pl.DataFrame(slices, infer_schema_length=None),
    }
    _, written = run_notebook(spec.notebook, parameters, inputs, (), "python3")
    return str(written.read_text("utf-8"))
