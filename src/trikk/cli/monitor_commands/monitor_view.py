"""Commands that look at monitors: `trikk monitor` and `trikk explain`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.monitor_commands.confusion_view import reasons_of, show_matrix, show_reasons
from trikk.cli.monitor_commands.drift_view import print_day, print_days
from trikk.cli.printing import (
    CELL,
    echo,
    json_option,
    number_text,
    parameters_text,
    print_json,
    style,
    table,
    value_text,
    when,
)
from trikk.cli.server_option import or_by_server, trikk
from trikk.core.errors import UnknownName
from trikk.core.text import counted, printable, shorten
from trikk.core.values import finite
from trikk.execution.project import Project
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.monitor_definition import MonitorSpec

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.monitoring.drilldown.recent_windows import RecentWindows
    from trikk.monitoring.estimates.trust import Trust
    from trikk.monitoring.figures.matrix import Matrix

SURE = "probability_of_predicted"
_SOURCE_ROWS = 5  # of each table that lie behind a prediction
_SHARES = {"unseen": "UNSEEN", "set_aside": "SET ASIDE"}
_OF_NOWCASTS = ("corrections", "correction", "too_early", "too_late")  # columns of a case
_STATES = {
    "final": "green",
    "partial": "yellow",
    "pending": "bright_black",
    "overdue": "red",
    "empty": "bright_black",
}


def _monitor_by_server(
    client: Client,
    name: str | None,
    window: str | None,
    kind: str | None,
    slice_: str | None,
    worst: int | None,
    truth: str | None,
    predicted: str | None,
    last: int,
    drift: bool,
    as_json: bool,
) -> None:
    from trikk.monitoring.drilldown.drill import slice_named
    from trikk.monitoring.drilldown.recent_windows import RecentWindows

    if name is None:
        _list(list(client.monitors()), as_json=as_json)
        return
    if drift:
        if window:
            print_day(client.drift_of_day(name, window), as_json=as_json)
        else:
            print_days(client.drift(name, last), as_json=as_json)
        return
    chosen = slice_named(slice_) if slice_ else None
    if worst is not None or truth is not None or predicted is not None or (window and chosen):
        shown = client.cases(name, window, kind, slice_, truth, predicted, worst)
        is_whole = worst is None and truth is None and predicted is None
        record = WindowRecord.read(client.window(name, window, kind)) if window and is_whole else None
        _print_cases(shown, record, chosen, as_json=as_json)
    elif window:
        spec = MonitorSpec.read(client.monitor(name, kind, 1)["monitor"])
        _print_window(spec, client.window(name, window, kind), as_json=as_json)
    else:
        recent = RecentWindows.read(client.monitor(name, kind, last, slice_), chosen)
        _history(recent, chosen, as_json=as_json)


@click.command()
@click.argument("name", required=False)
@click.option(
    "--window", metavar="LABEL", help="One window, such as 2020-03-26: its slices, and how it came about."
)
@click.option("--kind", default=None, help="hour, day, week or month; the monitor's first by default.")
@click.option("--slice", "slice_", metavar="COLUMN=VALUE", help="Only this slice.")
@click.option("--worst", type=click.IntRange(1), metavar="N", help="The N cases with the largest errors.")
@click.option(
    "--truth", metavar="CLASS", help="For classes: only cases whose truth is CLASS, the surest mistakes first."
)
@click.option("--predicted", metavar="CLASS", help="For classes: only cases predicted as CLASS.")
@click.option("--last", type=click.IntRange(1), default=14, show_default=True, help="How many windows.")
@click.option("--drift", is_flag=True, help="How each day's values differ from earlier days'.")
@json_option
@or_by_server(_monitor_by_server)
def monitor(
    name: str | None,
    window: str | None,
    kind: str | None,
    slice_: str | None,
    worst: int | None,
    truth: str | None,
    predicted: str | None,
    last: int,
    drift: bool,
    as_json: bool,
) -> None:
    """List monitors, or show one: its windows, one window's slices, and the cases behind them."""
    from trikk.monitoring.drilldown.drift_days import drift_document, drift_of_day
    from trikk.monitoring.drilldown.drill import slice_named, the_window
    from trikk.monitoring.drilldown.drill import worst as cases_of
    from trikk.monitoring.drilldown.recent_windows import (
        cases_document,
        check_kind,
        newest_label,
        recent_windows,
        window_document,
    )
    from trikk.monitoring.figures.monitor_summary import monitor_summary
    from trikk.monitoring.figures.records import Records, names

    project = Project.open()
    if name is None:
        summaries = [monitor_summary(project.journal, known) for known in names(project.journal)]
        _list([summary.to_json() for summary in summaries], as_json=as_json)
        return
    records = Records(project.journal, name)
    spec = records.spec()
    if drift:
        if window:
            print_day(drift_of_day(project.journal, spec, window), as_json=as_json)
        else:
            print_days(drift_document(project.journal, spec, last), as_json=as_json)
        return
    kind = kind or spec.windows[0]
    chosen = slice_named(slice_) if slice_ else None
    check_kind(spec, kind, chosen)
    is_whole = worst is None and truth is None and predicted is None
    if not is_whole or (window and chosen):
        record = the_window(records, kind, window or newest_label(records, spec, kind))
        cell = {"truth": truth, "predicted": predicted}
        cases = cases_of(project, name, kind, record.label, slice_=chosen, **cell, most=worst or 20)
        shown = cases_document(record, chosen, cases)
        _print_cases(shown, record if is_whole else None, chosen, as_json=as_json)
    elif window:
        record = the_window(records, kind, window)
        document = window_document(record, records.past(kind, record.label))
        _print_window(spec, document, as_json=as_json)
    else:
        _history(recent_windows(project, spec, kind, last, chosen), chosen, as_json=as_json)


def _history(recent: RecentWindows, chosen: tuple[str, str] | None, *, as_json: bool) -> None:
    """Show the last windows, or a slice of them, and what they come to together."""
    from trikk.monitoring.cases.ahead import ahead_in_words
    from trikk.monitoring.figures.window_figures import beside_metrics

    if as_json:
        print_json(recent.to_json())
        return
    spec, kind = recent.spec, recent.kind
    windows, parts, unknown, matrix = recent.windows, recent.parts, recent.unknown, recent.matrix
    # After the JSON, which says it by being empty: a program asks for what may come.
    _check_value(windows, chosen)
    if title := spec.titles.monitor():
        echo(f"{spec.name}: {title}")
    if not windows:
        echo(f"no {kind} has been evaluated yet: {trikk()} run watch_{spec.name}")
        return
    _timeline(windows, spec.metrics, chosen)
    lines = [f"{f}: not known: {unknown[f]}" for f in unknown if unknown[f] and _is_asked_for(f, spec)]
    lines += [ahead_in_words(recent.ahead), *beside_metrics([part for _, part in parts])]
    lines += trust_lines(recent.trusted)
    for line in dict.fromkeys(filter(None, lines)):
        echo(printable(line))
    show_reasons(reasons_of(parts))
    if matrix is not None:
        whose = f"{'='.join(chosen)}, " if chosen else ""
        first, last_one = windows[0].label, windows[-1].label
        show_matrix(
            matrix, f"{whose}{kind} {first}" if first == last_one else f"{whose}{kind}s {first} to {last_one}"
        )


def trust_lines(trusted: Sequence[Trust]) -> list[str]:
    """Whether estimates are to be trusted: a line for each judgement, with the metrics that share it."""
    metrics: dict[str, list[str]] = {}
    for one in trusted:
        metrics.setdefault(f"estimate: {one.state}: {one.reason}", []).append(one.metric)
    return [f"{line} ({', '.join(of)})" if len(of) > 1 else line for line, of in metrics.items()]


def _print_cases(
    shown: Mapping[str, Any], record: WindowRecord | None, chosen: tuple[str, str] | None, *, as_json: bool
) -> None:
    """Show the cases of a window, a slice, or a cell of its matrix; with a record, the slice's matrix, too."""
    from trikk.monitoring.drilldown.recent_windows import matrix_behind

    if as_json:
        print_json(shown)
        return
    if record is not None and chosen and (matrix := matrix_behind(record, chosen)) is not None:
        show_matrix(matrix, f"{'='.join(chosen)}, {record.kind} {record.label}")
    _cases(shown["cases"])


def _print_window(spec: MonitorSpec, document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        _window(spec, WindowRecord.read(document), [WindowRecord.read(one) for one in document["past"]])


def _is_asked_for(figure: str, spec: MonitorSpec) -> bool:
    """Whether an alarm names a figure."""
    from trikk.alerts.rules.kinds import read_rule

    return any(figure in read_rule(alarm).figures for alarm in spec.alarms)


def _check_value(windows: Sequence[WindowRecord], chosen: tuple[str, str] | None) -> None:
    """Refuse a value of a slice that none of the windows has."""
    if chosen is None or not windows:
        return
    known = {figures.value for window in windows for figures in window.figures if figures.slice == chosen[0]}
    if chosen[1] not in known:
        raise UnknownName(f"value of {chosen[0]} in these windows", chosen[1], known)


def _list(monitors: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"monitors": monitors})
        return
    if not monitors:
        echo("No monitor has been evaluated yet. `trikk watch --once` evaluates those that are declared.")
        return
    rows, titles = [], []
    for monitor_ in monitors:
        spec = MonitorSpec.read(monitor_["monitor"])
        newest = None if monitor_["newest"] is None else WindowRecord.read(monitor_["newest"])
        titles.append(spec.titles.monitor())
        rows.append(
            [
                spec.name,
                f"{spec.predictions} against {spec.truth}",
                when(monitor_["evaluated"]),
                newest.label if newest else "-",
                f"{spec.metrics[0]} {number_text(newest.whole.metrics.get(spec.metrics[0]))}" if newest else "-",
            ]
        )
    heads = ["MONITOR", "WATCHES", "EVALUATED AS OF", "NEWEST LABELLED", ""]
    if any(titles):
        heads.insert(1, "TITLE")
        for row, title in zip(rows, titles, strict=True):
            row.insert(1, title or "-")
    table(heads, rows)


def _timeline(windows: list[Any], metrics: tuple[str, ...], chosen: tuple[str, str] | None) -> None:
    baseline = any(w.whole.baseline for w in windows)
    heads = ["WINDOW", "STATE", "PREDICTED", "LABELLED", *map(_head, metrics)]
    heads += ["BASELINE"] if baseline else []
    # One column for the first metric that is estimated; --json has all.
    guessed = next((name for w in windows for name in w.whole.estimated), None)
    heads += [f"ESTIMATED {_head(guessed)}"] if guessed else []
    shares = [name for name in _SHARES if any(getattr(w.whole, name) is not None for w in windows)]
    heads += [_SHARES[name] for name in shares]
    rows = []
    for record in windows:
        figures = record.of(*chosen) if chosen else record.whole
        if figures is None:
            continue
        state = style(record.state, fg=_STATES.get(record.state))
        notes = f" (restated {record.restated}x)" if record.restated else ""
        row = [record.label, state + notes, f"{figures.predicted:,}", f"{figures.labelled:,}"]
        row += [number_text(figures.metrics.get(m)) for m in metrics]
        row += [number_text(figures.baseline.get(metrics[0]))] if baseline else []
        row += [number_text(figures.estimated.get(guessed))] if guessed else []
        rows.append(row + [number_text(getattr(figures, name), ".2%") for name in shares])
    table(heads, rows, right=heads[2:])


def _window(spec: MonitorSpec, record: Any, past: list[Any]) -> None:
    from trikk.monitoring.figures.matrix import matrix_of
    from trikk.monitoring.figures.window_figures import beside_metrics

    whole, metrics, titles = record.whole, spec.metrics, spec.titles
    title = f" ({titles.monitor()})" if titles.monitor() else ""
    echo(f"{record.monitor}{title}, {record.kind} {record.label}: {record.state}")
    coverage = "-" if whole.coverage is None else f"{whole.coverage:.0%}"
    echo(
        f"  {whole.predicted:,} predicted, {whole.labelled:,} labelled ({coverage}), "
        f"{whole.waiting:,} without truth, {whole.unpredicted:,} without prediction"
    )
    if whole.unseen is not None:
        echo(f"  {whole.unseen:.2%} of the predictions are for categories that their model was not fitted on")
    for line in beside_metrics([whole]):
        echo(f"  {printable(line)}")
    for earlier in past:
        shown = ", ".join(f"{m} {number_text(earlier.whole.metrics.get(m))}" for m in metrics)
        echo(f"  as of {when(earlier.at)}  {earlier.state:8} {shown}  {earlier.why}".rstrip())
    shares = [name for name in _SHARES if any(getattr(f, name) is not None for f in record.figures)]
    heads = ["SLICE", "PREDICTED", "LABELLED", *map(_head, metrics), *(_SHARES[name] for name in shares)]
    rows = [
        [
            f"{f.slice}={f.value}{f' ({of})' if (of := titles.value(f.slice, f.value)) else ''}"
            if f.slice
            else "all",
            f"{f.predicted:,}",
            f"{f.labelled:,}",
            *(number_text(f.metrics.get(m)) for m in metrics),
            *(number_text(getattr(f, name), ".2%") for name in shares),
        ]
        for f in record.figures
    ]
    table(heads, rows, right=heads[1:])
    parts = [(f"{f.slice}={f.value}" if f.slice else "all", f) for f in record.figures]
    show_reasons(reasons_of(parts))
    matrix = matrix_of([whole], record.classes)
    if matrix is not None:
        show_matrix(matrix, f"all cases of {record.kind} {record.label}")
    kind = "" if record.kind == spec.windows[0] else f" --kind {record.kind}"
    command = f"{trikk()} monitor {record.monitor}{kind} --window {record.label}"
    echo(f"next: {command} {_worst_cell(matrix) or '--worst 20'}")


def _worst_cell(matrix: Matrix | None) -> str:
    """The options that show the cases of the most frequent mistake; "" if there is none."""
    cells = [] if matrix is None else matrix.mistakes()
    # Quoted, since a class may be called anything, and the line is there to be copied.
    return f"--truth {shlex.quote(cells[0][0])} --predicted {shlex.quote(cells[0][1])}" if cells else ""


def _head(metric: str) -> str:
    """A metric over its column; a class in its name stays as it is."""
    # f1[leak] and f1[Leak] are two classes.
    name, bracket, rest = metric.partition("[")
    return name.upper() + bracket + rest


def _cases(cases: list[dict[str, Any]]) -> None:
    if not cases:
        echo("no cases")
        return
    # Side by side, as they are compared; wherever the table has them.
    together = [name for name in ("predicted", "observed", SURE) if name in cases[0]]
    heads: list[str] = []
    for name in cases[0]:
        if name == "predicted":
            heads += together
        elif name not in together and not name.startswith(("run", "probability_")) and _is_shown(name, cases):
            heads.append(name)
    table([h.upper() for h in heads], [[_cell(row[h]) for h in heads] for row in cases])
    if cases[0].get("prediction_id"):
        echo(f"next: trikk explain {cases[0]['prediction_id']}")


def _is_shown(column: str, rows: list[dict[str, Any]]) -> bool:
    """Whether a column says something: one about later or late predictions does where there are some."""
    return column not in _OF_NOWCASTS or any(row[column] for row in rows)


def _explain_by_server(
    client: Client, prediction_id: str, table_: str | None, with_rows: bool, as_json: bool
) -> None:
    rows = _SOURCE_ROWS if with_rows else None
    _print_explanation(client.explain(prediction_id, table_, rows), as_json=as_json)


@click.command()
@click.argument("prediction_id")
@click.option("--table", "table_", help="The table to look in; all by default.")
@click.option(
    "--rows", "with_rows", is_flag=True, help="Show the rows of the tables that its run and its model read."
)
@json_option
@or_by_server(_explain_by_server)
def explain(prediction_id: str, table_: str | None, with_rows: bool, as_json: bool) -> None:
    """Show everything behind one prediction: inputs, earlier predictions, truth, model, run, code and data."""
    from trikk.monitoring.drilldown.drill import explain as explained

    explanation = explained(Project.open(), prediction_id, table_, rows=_SOURCE_ROWS if with_rows else 0)
    _print_explanation(explanation.to_json(), as_json=as_json)


def _print_explanation(explanation: Mapping[str, Any], *, as_json: bool) -> None:
    """Show what `Explanation.to_json` says."""
    if as_json:
        print_json(explanation)
        return
    explanation = finite(explanation)  # as a server sends it
    named = dict(explanation["prediction"])
    echo(f"prediction {named.pop('prediction_id')}")
    _values(named)
    if explanation["observed"] is not None:
        error = "" if explanation["error"] is None else f", error {explanation['error']:+.4g}"
        echo(f"truth         {_cell(explanation['observed'])}{error}")
    if explanation["counts_as"]:
        echo(f"counts as     {explanation['counts_as']}")
    _others(explanation["prediction"], explanation["others"])
    for where, rows in explanation["inputs"].items():
        echo(f"given as {where}" + (f", {len(rows)} rows" if len(rows) > 1 else ""))
        for row in rows:
            _values(row)
    if model := explanation["model"]:
        echo(f"model         {model['name']} version {model['version']}, made by run {model['run']}")
    if explanation["run"]:
        _run(explanation["run"])
        echo(f"replay        {explanation['replay']}")
    for source in explanation["sources"]:
        _source(source)
    for note in explanation["notes"]:
        echo(f"note          {note}")


def _source(source: Mapping[str, Any]) -> None:
    """The rows of one table, and the command that shows them all."""
    entities = f", {source['where']}" if source["where"] else ", of all entities"
    place = f"{source['table']} at version {source['version']}{entities}"
    echo(f"read for the {source['use']} by run {source['run']}: {place}")
    if head := source["head"]:
        names = list(head[0])
        table([f"  {name.upper()}" for name in names], [[f"  {_cell(row[n])}" for n in names] for row in head])
    echo(f"  {counted(source['rows'], 'row')} in all: {source['command']}")


def _values(row: dict[str, Any]) -> None:
    """A row, a line for each column."""
    width = max(map(len, row), default=0)
    for name, value in row.items():
        echo(f"  {name:{width}}  {shorten(_cell(value), CELL)}")


def _others(prediction: dict[str, Any], alternatives: list[dict[str, Any]]) -> None:
    """The other predictions of the same, by what they do not share with it."""
    if not alternatives:
        return
    times = "once" if len(alternatives) == 1 else f"{len(alternatives):,} times"
    echo(f"also predicted {times}, by what differs")
    heads = [n for n in alternatives[0] if any(one.get(n) != prediction.get(n) for one in alternatives)]
    table([f"  {name.upper()}" for name in heads], [[f"  {_cell(o.get(n))}" for n in heads] for o in alternatives])


def _run(run: dict[str, Any]) -> None:
    git = run.get("git") or {}
    commit = f", commit {git['commit'][:10]}" if git.get("commit") else ""
    echo(f"run           {run['id']} of {run['pipeline']}, {when(run['created'])}, {run['state']}")
    echo(f"  parameters  {parameters_text(run['parameters']) or '-'}")
    echo(f"  code        {str(run['code'])[:12]}{commit}")
    echo(f"  data        {', '.join(f'{n} at version {v}' for n, v in run['tables'].items()) or '-'}")


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else value_text(value)
