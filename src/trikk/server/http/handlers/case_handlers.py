"""Requests on the cases behind a monitor's figures, and on what is behind one prediction."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from trikk.monitoring.drilldown.drill import explain, slice_named, the_window, worst
from trikk.monitoring.drilldown.recent_windows import cases_document, newest_label
from trikk.monitoring.figures.records import Records
from trikk.server.http.documents.watch_documents import CasesDocument
from trikk.server.http.doors import Doors
from trikk.server.http.routes import NAME, WINDOW, Answer, Call, Given


class CasesQuery(Given, frozen=True):
    """Which cases of a monitor are shown."""

    window: Annotated[str, Meta(pattern=WINDOW, description="Such as 2020-03-26.")] | None = None  # the newest
    kind: str | None = None  # hour, day, week or month; the monitor's first if not given
    slice: Annotated[str, Meta(pattern="^[^=]+=")] | None = None  # column=value
    truth: str | None = None  # of classes, the one that was true
    predicted: str | None = None  # of classes, the one that was said
    most: Annotated[int, Meta(ge=1, le=1000)] = 20


class PredictionQuery(Given, frozen=True):
    """Where a prediction is looked for."""

    table: Annotated[str, Meta(pattern=NAME)] | None = None
    rows: Annotated[int, Meta(ge=0, le=100)] = 0  # of each table that its run and its model's run read


def list_cases(doors: Doors, call: Call) -> Answer[CasesDocument]:
    """Show the cases behind the figures of a monitor's window (the newest with labels), the worst ones first."""
    query: CasesQuery = call.query
    project, name = doors.site.project, call.path["monitor"]
    records = Records(project.journal, name)
    spec = records.spec()
    kind = query.kind or spec.windows[0]
    record = the_window(records, kind, query.window or newest_label(records, spec, kind))
    chosen = slice_named(query.slice) if query.slice else None
    cases = worst(
        project,
        name,
        record.kind,
        record.label,
        slice_=chosen,
        truth=query.truth,
        predicted=query.predicted,
        most=query.most,
    )
    return Answer(cases_document(record, chosen, cases))


def explain_prediction(doors: Doors, call: Call) -> Answer[dict[str, Any]]:
    """Show everything behind one prediction: inputs, earlier predictions, truth, model, run, code and data."""
    query: PredictionQuery = call.query
    project, prediction = doors.site.project, call.path["prediction"]
    return Answer(explain(project, prediction, query.table, rows=query.rows).to_json())
