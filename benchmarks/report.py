"""The report: Markdown tables that read well in a terminal, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from benchmarks.cases import BY_NAME, Case
from benchmarks.figures import Line, Table, figure, ms_per_step, ratio, told_apart
from benchmarks.targets import Verdict

MB = 1e6
HEADINGS = ("", "seconds", "least", "ratio", "ms a step", "CPU s", "peak MB", "own MB", "kept MB", "redone", "n")


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; the first row is the heading; empty columns are left out."""
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    widths = [max(len(row[i]) for row in rows) for i in kept]

    def line(cells: Iterable[str]) -> str:
        padded = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if n == 0 else ":") for n, width in enumerate(widths)) + "|"
    body = [line(row[i] for i in kept) for row in rows]
    return "\n".join([body[0], rule, *body[1:]])


def number(value: float | None, digits: int = 2) -> str:
    """A figure with so many digits after the point; nothing for None."""
    return "" if value is None else f"{value:,.{digits}f}"


def case_text(case: Case, table: Table, least_steps: dict[str, int]) -> str:
    """Heading and table of one case."""
    rows: list[Sequence[str]] = [HEADINGS]
    rows += [_row(case, line, table, least_steps.get(line.label, 1)) for line in table[case.name].values()]
    troubles = [
        f"- {line.label}: {outcome.trouble}"
        for line in table[case.name].values()
        for outcome in line.outcomes
        if outcome.trouble
    ]
    said = [f"### {case.name}: {case.about}", "", f'Ratios against "{case.reference}".', "", table_text(rows)]
    return "\n".join(said + (["", *troubles] if troubles else []))


def _row(case: Case, line: Line, table: Table, least: int) -> Sequence[str]:
    if not line.good:
        return (line.label, "failed", *[""] * (len(HEADINGS) - 2))
    seconds = line.median("seconds")
    redone, left = line.most("redone"), line.most("left")
    return (
        line.label,
        number(seconds),
        number(min(outcome.seconds for outcome in line.good)),
        number(ratio(seconds, figure(table, case.name, case.reference))),
        _per_step(case, line.label, table, least),
        number(line.median("cpu")),
        number(_mega(line.median("peak")), 0),
        number(_mega(line.median("own_peak")), 1),
        number(_mega(line.median("stored")), 1),
        ("" if redone is None else str(redone)) + (f" ({left} left alive)" if left else ""),
        str(len(line.good)),
    )


def _per_step(case: Case, label: str, table: Table, least: int) -> str:
    value = ms_per_step(table, case.name, case.steps, label, least)
    return number(value) if value is None or told_apart(table, case.name, label) else "noise"


def _mega(value: float | None) -> float | None:
    return None if value is None else value / MB


def targets_text(verdicts: Sequence[Verdict]) -> str:
    """The targets, each with its figure and whether it was met."""
    rows: list[Sequence[str]] = [("target", "median", "fastest", "at most", "")]
    rows += [
        (
            verdict.text,
            _with_unit(verdict.measured, verdict.unit),
            _with_unit(verdict.best, verdict.unit),
            f"{verdict.limit:g} {verdict.unit}".strip(),
            {True: "met", False: "not met", None: "not measured"}[verdict.met],
        )
        for verdict in verdicts
    ]
    return "### Targets of trikk, for information\n\n" + table_text(rows)


def summary_text(table: Table) -> str:
    """All contenders in one table: median and, in brackets, least seconds of each case that several have."""
    shared = [name for name, lines in table.items() if len(lines) > 2]
    labels = dict.fromkeys(label for name in shared for label in table[name])
    rows: list[Sequence[str]] = [("seconds: median (least)", *shared)]
    rows += [(label, *(_cell(table[name].get(label)) for name in shared)) for label in labels]
    return "### Summary\n\n" + table_text(rows)


def _cell(line: Line | None) -> str:
    if line is None or not line.good:
        return ""
    return f"{number(line.median('seconds'))} ({number(min(outcome.seconds for outcome in line.good))})"


def _with_unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{number(value)} {unit}".strip()


def to_json(table: Table, verdicts: Sequence[Verdict], about: dict[str, object]) -> dict[str, object]:
    """Everything that was measured."""
    return {
        **about,
        "cases": {
            name: {
                "about": BY_NAME[name].about,
                "reference": BY_NAME[name].reference,
                "lines": [
                    {**line.to_json(), "ratio": ratio(line.median("seconds"), _reference(table, name))}
                    for line in lines.values()
                ],
            }
            for name, lines in table.items()
        },
        "targets": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
    }


def _reference(table: Table, case: str) -> float | None:
    return figure(table, case, BY_NAME[case].reference)


def about_text(about: dict[str, object]) -> str:
    """Machine, versions and what was skipped, as a list."""
    lines = []
    for title in ("machine", "versions", "skipped"):
        entries = about[title]
        assert isinstance(entries, dict)
        lines += [f"- {title}: {name}: {_flat(value)}" for name, value in entries.items()]
    return "\n".join(lines)


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return str(value)
