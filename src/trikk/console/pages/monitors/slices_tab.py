"""A monitor's figure by slice: a heat map of the last windows, the slices that do worst above."""

from __future__ import annotations

from math import isfinite
from typing import Any

from trikk.charts import Cell, HeatMap, Svg, heat_map
from trikk.console.page_view import Sheet
from trikk.console.pages.monitors.monitor_choice import Choice, TabView
from trikk.console.shown_values import number
from trikk.core.errors import UnknownName
from trikk.core.text import counted
from trikk.models.metrics.own_metric import Better
from trikk.monitoring.figures.records import Records, WindowRecord
from trikk.monitoring.figures.window_figures import Figures

_WINDOWS = 14
_ROWS = 25
_Row = dict[str, Any]


def slices_tab(choice: Choice) -> TabView:
    """The figure by the values of one column.

    Raises:
        UnknownName: if the monitor does not slice by it.
    """
    spec, metric = choice.spec, choice.metric
    by = choice.query.by or next(iter(spec.slices), "")
    if by not in spec.slices:
        raise UnknownName("slice", by, spec.slices)
    records = Records(choice.records.ledger, spec.name, sliced_by=by)
    windows = records.newest(spec, choice.kind, _WINDOWS)
    rows = _rows(choice, by, windows)
    skip = choice.query.skip
    shown = rows[skip : skip + _ROWS]
    document = {
        "by": by,
        "windows": [window.label for window in windows],
        "slices": [{k: v for k, v in row.items() if k != "cells"} for row in rows],
    }
    context = {
        "by": by,
        "rows": shown,
        "skip": skip,
        "count": len(rows),
        "next_skip": skip + _ROWS if skip + _ROWS < len(rows) else None,
        "picture": _picture(choice, by, windows, shown, len(rows)) if shown else "",
        "cases_address": choice.cases_address,
    }

    def sheet() -> Sheet:
        labels = [window.label for window in windows]
        values = [[row["value"], *(_value(cell, metric) for cell in row["cells"])] for row in rows]
        return Sheet((by, *labels), values)

    command = (
        f"trikk monitor {spec.name} --window {windows[-1].label}" if windows else f"trikk monitor {spec.name}"
    )
    return TabView(document, context, {"slices": sheet}, [("Show a window's slices:", command)])


def _rows(choice: Choice, by: str, windows: list[WindowRecord]) -> list[_Row]:
    """A row for each value of the column, the worst (by its newest figure) first, those without any last."""
    cells: dict[str, dict[str, Figures]] = {}
    for window in windows:
        for figures in window.figures:
            if figures.slice == by:
                cells.setdefault(figures.value, {})[window.label] = figures
    rows: list[_Row] = []
    for value, of_value in cells.items():
        line = [of_value.get(window.label) for window in windows]
        places = [place for place, cell in enumerate(line) if _value(cell, choice.metric) is not None]
        newest = line[places[-1]] if places else None
        rows.append(
            {
                "value": value,
                "title": choice.spec.titles.value(by, value),
                "window": windows[places[-1]].label if places else None,
                "figure": _value(newest, choice.metric),
                "baseline": newest.baseline.get(choice.metric) if newest else None,
                "predicted": newest.predicted if newest else 0,
                "labelled": newest.labelled if newest else 0,
                "cells": line,
            }
        )
    better = choice.spec.better(choice.metric)
    return sorted(rows, key=lambda row: (row["figure"] is None, -_badness(row["figure"] or 0.0, better)))


def _badness(value: float, better: str) -> float:
    return -value if better == Better.HIGHER else abs(value) if better == Better.ZERO else value


def _value(figures: Figures | None, metric: str) -> float | None:
    value = None if figures is None else figures.metrics.get(metric)
    return value if value is not None and isfinite(value) else None


def _picture(choice: Choice, by: str, windows: list[WindowRecord], rows: list[_Row], count: int) -> Svg:
    metric = choice.metric
    is_signed = choice.spec.better(metric) == Better.ZERO
    cells = []
    for row in rows:
        line = []
        for window, figures in zip(windows, row["cells"], strict=True):
            value = _value(figures, metric)
            text = "" if value is None else str(number(value, 3))
            labelled = f", {figures.labelled:,} labelled" if figures is not None else ""
            href = choice.cases_address(window.label, (by, row["value"])) if figures is not None else ""
            title = f"{row['value']}, {window.label}: {text or 'no value'}{labelled}"
            size = None if value is None else abs(value) if is_signed else value
            line.append(Cell(size, text, href=href, title=title))
        cells.append(line)
    worst = next((row for row in rows if row["figure"] is not None), None)
    words = "" if worst is None else f"; the first is {worst['value']} with {worst['figure']:.4g}"
    heat = HeatMap(
        f"{metric} of {counted(count, 'slice')} by {by} in {counted(len(windows), 'window')}{words}",
        [row["value"] for row in rows],
        [window.label for window in windows],
        cells,
        row_title=by,
        column_title=choice.kind,
    )
    return heat_map(heat, width=960)
