"""The report: one table of all cases, then every way of each; as Markdown and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.case import TRIKK, Case
from benchmarks.samples import MEASURES, Table, cost, met, ratio
from benchmarks.verdict import LEAST_NOISE, Change, Verdict, judge

UNITS = {"cpu": "CPU s", "seconds": "s", "peak": "MB"}


def table_text(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table with aligned columns, the first `left` of them to the left; empty columns are left out."""
    kept = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in kept]

    def line(cells: Iterable[str]) -> str:
        padded = [
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if n < left else ":") for n, width in enumerate(widths)) + "|"
    body = [line(row[i] for i in kept) for row in rows]
    return "\n".join([body[0], rule, *body[1:]])


def number(value: float | None) -> str:
    """A figure with three digits that count; nothing for None."""
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}" if value >= 0.001 or value == 0 else f"{value:.2g}"


def figure(value: float | None, measure: str) -> str:
    """A cost in the unit that people read: seconds, or megabytes of memory."""
    return number(value / 1e6 if value is not None and measure == "peak" else value)


def summary_text(cases: Sequence[Case], table: Table) -> str:
    """The one table: a row for each case with a figure of trikk's."""
    rows: list[Sequence[str]] = [
        ("case", "what happens", "", "trikk", "by hand", "by hand is", "ratio", "at most", "")
    ]
    for case in cases:
        own, floor = (cost(table, case, one, case.by) if one else None for one in (TRIKK, case.reference))
        if own is None:
            continue
        rows.append(
            (
                f"`{case.name}`",
                case.about.format(size=f"{case.size:,}"),
                UNITS[case.by],
                figure(own, case.by),
                figure(floor, case.by),
                (case.reference or "") if floor is not None else "",
                number(ratio(table, case)),
                "" if case.target is None else f"{case.target:g}",
                {True: "met", False: "missed", None: ""}[met(table, case)],
            )
        )
    return table_text(rows, left=2)


def losses_text(cases: Sequence[Case], table: Table) -> str:
    """Where trikk costs more than the floor, most first, and why; with the ways and peers that are ahead of it."""
    entries = []
    for case in cases:
        value = ratio(table, case)
        if value is None or (value <= 1.1 and met(table, case) is not False):
            continue
        ahead = [
            f"{label} {number(faster)}"
            for label in table[case.name]
            if label not in (TRIKK, case.reference)
            and (faster := ratio(table, case, label)) is not None
            and faster < value
        ]
        beside = f" Also ahead, in the same unit: {', '.join(ahead)}." if ahead else ""
        entries.append(
            (value, f"- `{case.name}`, {number(value)} x {case.reference}. {case.why}{beside}".rstrip())
        )
    return "\n".join(text for _, text in sorted(entries, reverse=True))


def ways_text(cases: Sequence[Case], table: Table) -> str:
    """Every way of every case: medians and, in brackets, the least round."""
    headings = ("case", "way", "wall, s", "CPU, s", "peak, MB", "ratio: wall", "CPU", "memory", "rounds", "")
    rows: list[Sequence[str]] = [headings]
    for case in cases:
        for label, line in table.get(case.name, {}).items():
            trouble = f"failed: {line.trouble}" if line.trouble else f"skipped: {line.skipped}"
            bad = bool(line.trouble or line.skipped or not line.samples)
            further = ", ".join(f"{name} {number(value)}" for name, value in line.more().items())
            rows.append(
                (
                    f"`{case.name}`",
                    label,
                    *("" if bad else _with_least(table, case, label, one) for one in ("seconds", "cpu")),
                    "" if bad else figure(line.median("peak"), "peak"),
                    *("" if bad else number(ratio(table, case, label, one)) for one in ("seconds", "cpu", "peak")),
                    "" if bad else str(len(line.samples)),
                    re.sub(r"\s+", " ", trouble)[:160].replace("|", "\\|") if bad else further,
                )
            )
    return table_text(rows, left=2)


def _with_least(table: Table, case: Case, label: str, measure: str) -> str:
    middle, least = (cost(table, case, label, measure, pick) for pick in ("median", "least"))
    return f"{figure(middle, measure)} ({figure(least, measure)})"


def page_text(cases: Sequence[Case], table: Table, about: Mapping[str, Any]) -> str:
    """What goes into the page: the machine, the one table, where trikk loses, and all ways."""
    parts = [
        about_text(about),
        summary_text(cases, table),
        "Where trikk costs more than the work by hand:",
        losses_text(cases, table) or "- nowhere in this run.",
        "Every way, medians over the rounds and (the least):",
        ways_text(cases, table),
    ]
    return "\n\n".join(parts)


def about_text(about: Mapping[str, Any]) -> str:
    """Machine, load and versions in a paragraph."""
    machine = about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['date']}: {machine['cpus']} CPUs ({machine['cpu']}), {machine['memory'] / 1e9:.0f} GB, "
        f"{machine['system']}, Python {machine['python']}. Load {machine['load_at_start']} at the start, "
        f"{machine['load_at_end']} at the end, {about['minutes']} minutes. trikk at {about['build']}; {versions}."
    )


def splice(page: str, block: str, text: str) -> str:
    """The page with the text between `<!-- BLOCK -->` and `<!-- end of BLOCK -->`.

    Raises:
        ValueError: it has no such place.
    """
    begin, end = f"<!-- {block} -->", f"<!-- end of {block} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page needs {begin} and {end}, each once")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def to_json(cases: Sequence[Case], table: Table, about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        **about,
        "cases": {
            case.name: {
                "about": case.about.format(size=f"{case.size:,}"),
                "by": case.by,
                "ratio": ratio(table, case),
                "target": case.target,
                "met": met(table, case),
                "ways": {label: line.to_json() for label, line in table[case.name].items()},
            }
            for case in cases
            if case.name in table
        },
    }


def compared(cases: Sequence[Case], table: Table) -> dict[str, dict[str, Verdict]]:
    """By case and measure, what the new build's rounds say beside the old one's."""
    return {
        case.name: {
            measure: judge(
                *(table[case.name][one].rounds(measure) for one in ("old", "new")), LEAST_NOISE[measure]
            )
            for measure in MEASURES
        }
        for case in cases
        if case.name in table
    }


def comparison_text(cases: Sequence[Case], table: Table, verdicts: Mapping[str, Mapping[str, Verdict]]) -> str:
    """New over old for each case: ratio of the medians, of the least, and what is noise."""
    rows: list[Sequence[str]] = [
        ("case", "CPU, s", *(f"{name}: new/old (least)" for name in MEASURES.values()), "")
    ]
    for case in cases:
        by_measure = verdicts.get(case.name, {})
        if not by_measure:
            continue
        bad = next((line for line in table[case.name].values() if line.trouble or line.skipped), None)
        new = table[case.name]["new"].median("cpu")
        if bad is not None:
            rows.append((case.name, number(new), "", "", "", f"{bad.label}: {bad.trouble or bad.skipped}"[:120]))
            continue
        cells = (f"{one.median:.2f} ({one.least:.2f}) +-{100 * one.noise:.0f} %" for one in by_measure.values())
        rows.append((case.name, number(new), *cells, verdict_text(by_measure)))
    return table_text(rows)


def verdict_text(by_measure: Mapping[str, Verdict]) -> str:
    """What is different, in words."""
    said = []
    for measure, one in by_measure.items():
        x = one.median if one.change == Change.SLOWER else 1 / one.median
        if one.change in (Change.SLOWER, Change.FASTER):
            word = {Change.SLOWER: "more", Change.FASTER: "less"}[one.change] if measure == "peak" else one.change
            said.append(
                f"{word} {MEASURES[measure]} by {x:.2f}"
                if measure == "peak"
                else f"{word} by {x:.2f} ({MEASURES[measure]})"
            )
    return ", ".join(said) or "no difference beyond the noise"
