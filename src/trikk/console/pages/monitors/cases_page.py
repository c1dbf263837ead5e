"""Down from a figure: one window with its past and slices, the cases behind it, and one case with all about it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from msgspec import Meta

from trikk.console.page_view import Sheet, View
from trikk.console.pages.monitors.class_matrix import matrix_picture
from trikk.core.text import shorten
from trikk.core.zones import zone_of
from trikk.monitoring.cases.windows import window_named
from trikk.monitoring.drilldown.drill import explain, slice_named
from trikk.monitoring.drilldown.recent_windows import check_kind, matrix_behind, newest_label
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.case_handlers import CasesQuery, list_cases
from trikk.server.http.handlers.project.study_handlers import WindowQuery, show_window
from trikk.server.http.routes import WINDOW, Call, Given

_SLICES = 60  # on the page; the CSV has all
_ROWS = 5  # of each table that lies behind a prediction
_TOGETHER = ("predicted", "observed", "error", "probability_of_predicted")
_OF_NOWCASTS = ("corrections", "correction", "too_early", "too_late")


class PredictionPageQuery(Given, frozen=True):
    """What is shown of a prediction."""

    rows: bool = False  # whether with the rows of the tables that its run and its model's run read
    window: Annotated[str, Meta(pattern=WINDOW)] | None = None  # in which its slot is, so that it is found sooner
    kind: str | None = None  # of that window; the monitor's first if not given


def show_cases(doors: Doors, call: Call) -> View:
    """Show a window of a monitor: what it was each time, its slices, and its cases, the worst ones first."""
    query: CasesQuery = call.query
    name = call.path["monitor"]
    records = Records(doors.site.project.journal, name)
    spec = records.spec()
    kind = query.kind or spec.windows[0]
    label = query.window or newest_label(records, spec, kind)
    window_call = replace(call, path={**call.path, "window": label}, query=WindowQuery(kind=kind))
    window: Any = show_window(doors, window_call).document
    listed: Any = list_cases(doors, call).document
    chosen = slice_named(query.slice) if query.slice else None
    record = records.window(kind, window["label"])
    matrix = matrix_behind(record, chosen) if record is not None else None
    cases = listed["cases"]
    columns = _columns(cases)
    address = f"/monitors/{quote(name, safe='')}"
    part = _part_of(window, chosen)
    document = {"monitor": name, "window": window, **listed}
    context = {
        "spec": spec,
        "label": window["label"],
        "kind": kind,
        "within": urlencode({"window": window["label"]} | ({"kind": kind} if kind != spec.windows[0] else {})),
        "chosen": chosen,
        "part": part,
        "past": [_as_known(one, chosen) for one in window["past"]],
        "slices": window["figures"][1:][:_SLICES],
        "more_slices": max(0, len(window["figures"]) - 1 - _SLICES),
        "columns": columns,
        "times": (spec.slot, spec.made_at),
        "most": query.most,
        "matrix": matrix_picture(matrix, f"{address}/cases", _kept(query, label)) if matrix else "",
        "address": address,
        "monitor_address": f"{address}?{urlencode({'kind': kind})}" if kind != spec.windows[0] else address,
    }
    sheets = {
        "cases": lambda: Sheet(columns, [[one.get(name) for name in columns] for one in cases]),
        "slices": lambda: _slices_sheet(record, spec.metrics),
    }
    return View(
        f"{name}: {window['label']}",
        "monitors/cases.html.j2",
        document,
        context,
        sheets=sheets,
        trail=[("Monitors", "/monitors"), (name, address)],
        commands=[("Show them:", _command(name, kind, window["label"], query))],
    )


def _columns(cases: list[dict[str, Any]]) -> list[str]:
    """What of cases is shown: prediction and truth together, and what says something in any of them."""
    if not cases:
        return []
    together = [name for name in _TOGETHER if name in cases[0]]
    columns: list[str] = []
    for name in cases[0]:
        says = name not in _OF_NOWCASTS or any(case.get(name) for case in cases)
        if name == "predicted":
            columns += together
        elif name not in together and not name.startswith("probability_") and says:
            columns.append(name)
    return columns


def _part_of(window: dict[str, Any], chosen: tuple[str, str] | None) -> dict[str, Any]:
    """The figures of a window, or of the slice of it; of none if it has none."""
    column, value = chosen or ("", "")
    parts = (part for part in window["figures"] if (part["slice"], part["value"]) == (column, value))
    return next(
        parts, {"metrics": {}, "baseline": {}, "predicted": 0, "labelled": 0, "observed": 0, "reasons": {}}
    )


def _as_known(record: dict[str, Any], chosen: tuple[str, str] | None) -> dict[str, Any]:
    """What a window was as of one evaluation."""
    return {**{name: record[name] for name in ("at", "state", "why", "run")}, "part": _part_of(record, chosen)}


def _slices_sheet(record: WindowRecord | None, metrics: tuple[str, ...]) -> Sheet:
    figures = record.figures if record is not None else ()
    columns = ("slice", "value", "predicted", "labelled", *metrics)
    rows = [[f.slice, f.value, f.predicted, f.labelled, *map(f.metrics.get, metrics)] for f in figures]
    return Sheet(columns, rows)


def _kept(query: CasesQuery, label: str) -> dict[str, str]:
    """What of the query stays when a cell of the matrix is chosen."""
    return {"window": label} | {
        name: value for name in ("kind", "slice") if (value := getattr(query, name)) is not None
    }


def _command(name: str, kind: str, label: str, query: CasesQuery) -> str:
    options = {"kind": kind, "window": label, "slice": query.slice}
    options |= {"truth": query.truth, "predicted": query.predicted, "worst": str(query.most)}
    given = [f"--{option} {shlex.quote(value)}" for option, value in options.items() if value is not None]
    return " ".join([f"trikk monitor {name}", *given])


def show_prediction(doors: Doors, call: Call) -> View:
    """Show one case with everything behind it: inputs, other predictions, truth, model, run, code and data."""
    query: PredictionPageQuery = call.query
    name, wanted = call.path["monitor"], call.path["prediction"]
    spec = Records(doors.site.project.journal, name).spec()
    check_kind(spec, query.kind or spec.windows[0])
    span = None
    if query.window:
        window = window_named(query.kind or spec.windows[0], query.window, zone_of(spec.timezone))
        span = window.start, window.end
    document: Any = explain(
        doors.site.project, wanted, spec.predictions, rows=_ROWS if query.rows else 0, window=span
    ).to_json()
    address = f"/monitors/{quote(name, safe='')}"
    identity = str(document["prediction"].get("prediction_id", wanted))
    values = [[key, value] for key, value in document["prediction"].items()]
    others = document["others"]
    differing = [key for key in (others[0] if others else {}) if _differs(key, others, document["prediction"])]
    return View(
        f"Prediction {shorten(identity, 40)}",
        "monitors/prediction.html.j2",
        document,
        {
            "spec": spec,
            "differing": differing,
            "times": (spec.slot, spec.made_at),
            "with_rows": query.rows,
            "address": address,
        },
        sheets={"values": lambda: Sheet(("column", "value"), values)},
        trail=[("Monitors", "/monitors"), (name, address)],
        commands=[("Explain it:", f"trikk explain {shlex.quote(identity)}" + (" --rows" if query.rows else ""))],
    )


def _differs(column: str, others: list[dict[str, Any]], own: dict[str, Any]) -> bool:
    return column == "prediction_id" or any(other.get(column) != own.get(column) for other in others)
