"""A monitor's figures as rows of a table, for whatever reads tables and no ledger: QuickSight, Grafana, notebooks.

The ledger stays the place where figures are; the table follows it. How far it has come is in the table's own log,
in the commit of the rows (`trikk.storage.positions`): the position is the ledger's `seq`. So an evaluation that
dies between the two leaves nothing out, a table that is declared later or was deleted gets the whole history, and
of two evaluations at once neither puts older figures over newer ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.storage.positions import Advance, Overtaken
from trikk.storage.tables.table_write import Write

if TYPE_CHECKING:
    import polars as pl

    from trikk.runs.context import StepContext

KEY = ("monitor", "kind", "window", "slice", "value", "metric")
_BATCH = 200  # windows in a commit: a history of years must not be in memory at once
_BESIDE = ("unseen", "unseen_class", "set_aside")


def keep_in_table(name: str, table: str, context: StepContext) -> dict[str, JSON]:
    """Bring a monitor's figures into a table, as far as it does not have them; rows are replaced by `KEY`.

    Args:
        name: the monitor.
        table: the table, made if it does not exist.
        context: the step that does it.

    Returns:
        windows and rows: how many were written.

    Raises:
        TableError: if a table of that name has other columns; nothing is lost, and the next one tries again.
    """
    source, windows, rows = f"monitor/{name}", 0, 0
    while True:
        position = context.tables.positions(table, [source])[source]
        entries = context.journal.history(f"{source}/window/", after=position or 0, limit=_BATCH)
        if not entries:
            context.notes.append(f"{table}: {rows} rows of {windows} windows")
            return {"windows": windows, "rows": rows}
        frame = figure_rows(context.journal, entries, is_first=position is None)
        advance = Advance(source, position, entries[-1].seq)
        write = Write("merge", frame, key=KEY, positions=(advance,))
        origin = {"run": context.run, "step": context.step}
        try:
            context.tables.write(table, write, identity=f"{context.identity}/{advance.after}", origin=origin)
        except Overtaken:
            continue  # another evaluation has written them meanwhile
        windows, rows = windows + len({entry.subject for entry in entries}), rows + frame.height


def figure_rows(ledger: Ledger, entries: Sequence[Entry], *, is_first: bool) -> pl.DataFrame:
    """The figures of windows, a row for each slice, value and metric.

    What a window had before and has no more, such as a sensor whose rows were deleted, becomes a row without a
    figure and without cases: readers would else see the old one for ever.

    Args:
        ledger: where the windows' earlier entries are.
        entries: of windows, in order; of each window its last one counts.
        is_first: whether the table has nothing of the monitor yet, and so nothing that must go.

    Returns:
        monitor, kind (hour, day, week, month), window (its label), start and end (UTC), state, slice and value (""
        for all cases), metric; figure, baseline (the same of the baseline) and estimated (as expected before
        labels), null where not known; cases (labelled), predicted, labelled_share (0 to 1), model_versions
        ("people 3, people 4"; null where the predictions do not say it), restated (how often), evaluated_at (UTC),
        run.
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    for subject, entry in {entry.subject: entry for entry in entries}.items():
        record = WindowRecord.read(entry.body)
        earlier = [] if is_first else [e for e in ledger.entries(subject) if e.seq < entry.seq]
        past = [figures for e in earlier for figures in WindowRecord.read(e.body).figures]
        emptied = [Figures(one.slice, one.value, 0, 0, 0, dict.fromkeys(_metrics(one))) for one in past]
        by_key = {
            (row["slice"], row["value"], row["metric"]): row
            for figures in (*emptied, *record.figures)
            for row in _rows(record, figures)
        }
        rows += by_key.values()
    return pl.DataFrame(rows, schema=_schema())


def _metrics(figures: Figures) -> dict[str, float | None]:
    """The metrics, and what is told beside them where it is known."""
    beside = {name: getattr(figures, name) for name in _BESIDE}
    return figures.metrics | {name: value for name, value in beside.items() if value is not None}


def _rows(record: WindowRecord, figures: Figures) -> Iterator[dict[str, Any]]:
    for metric, figure in _metrics(figures).items():
        yield {
            "monitor": record.monitor,
            "kind": record.kind,
            "window": record.label,
            "start": record.start,
            "end": record.end,
            "state": record.state.value,
            "slice": figures.slice,
            "value": figures.value,
            "metric": metric,
            "figure": figure,
            "baseline": figures.baseline.get(metric),
            "estimated": figures.estimated.get(metric),
            "cases": figures.labelled,
            "predicted": figures.predicted,
            "labelled_share": figures.coverage,
            "model_versions": ", ".join(record.versions) or None,
            "restated": record.restated,
            "evaluated_at": datetime.fromtimestamp(record.at, UTC),
            "run": record.run,
        }


def _schema() -> dict[str, Any]:
    import polars as pl

    texts = ("monitor", "kind", "window", "state", "slice", "value", "metric", "model_versions", "run")
    numbers = ("figure", "baseline", "estimated", "labelled_share")
    types: dict[str, Any] = dict.fromkeys(texts, pl.String()) | dict.fromkeys(numbers, pl.Float64())
    types |= dict.fromkeys(("cases", "predicted", "restated"), pl.Int64())
    return types | dict.fromkeys(("start", "end", "evaluated_at"), pl.Datetime("us", "UTC"))
