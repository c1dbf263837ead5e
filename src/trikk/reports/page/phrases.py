"""What the HTML page, the mail and the PDF say alike: it is made here, and only set there. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from trikk.core.text import counted
from trikk.mailing.mail_addresses import ALL
from trikk.monitoring.figures.matrix import Matrix
from trikk.reports.page import words
from trikk.reports.page.page_content import Content, PointState, Restated, Section, SliceTable, Verdict

SHOWN_SLICES, SHOWN_RESTATED = 8, 12
"""Rows of a table; more make a page that nobody reads to its end."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the figures that matter."""

    label: str  # what it is
    figure: str  # in digits
    note: str  # what to compare it with
    verdict: Verdict = Verdict.UNKNOWN  # how it compares
    margin: str = ""  # what it is off by at most, with the sign before it; "" if it is exact
    unit: str = ""  # "" for none


def tiles(section: Section, before_title: str) -> list[Tile]:
    """The main metric beside that of the period before, the baseline, if there is one, and the share of labels."""
    metric = section.metric
    note = "nothing to compare with"
    if metric.change is not None:
        note = f"{words.signed(metric.change)} on {before_title}"

    def tile(label: str, value: float | None, note: str, verdict: Verdict, margin: str = "") -> Tile:
        unit = "" if value is None else metric.unit
        return Tile(label, words.number(value, metric.name), note, verdict, margin, unit)

    shown = [tile(metric.title, metric.value, note, metric.verdict, words.margin(metric.error))]
    if section.baseline:
        shown.append(tile(f"Baseline {section.baseline}", metric.baseline, *words.against_baseline(metric)))
    labelled = f"{words.count(section.labelled)} of {words.count(section.predicted)} predictions"
    return [*shown, Tile("Labelled", words.percent(section.coverage), labelled)]


def standing(section: Section) -> list[str]:
    """Which window was the worst, and how far the figures are final, in sentences."""
    worst = [f"Worst {section.window}: {section.worst_text}."] if section.worst else []
    unfinished = caveats(section)
    final = f"Not final: {unfinished}." if unfinished else f"Every {section.window} is final."
    waiting, unpredicted = words.count(section.waiting), words.count(section.unpredicted)
    lacking = f"{waiting} predictions have no truth; {unpredicted} truths have no prediction."
    return [*worst, final, lacking]


def about_matrix(matrix: Matrix) -> str:
    """How to read a confusion matrix, and what it says."""
    return f"Rows are the truth, columns what was predicted. {words.confused(matrix)}"


def caveats(section: Section) -> str:
    """What of the period is not final, in words; "" if all of it is."""
    kind, states = section.window, section.states
    counts = [
        counted(states[state], kind) + f" {text}"
        for state, text in (
            (PointState.PARTIAL, "with some labels missing"),
            (PointState.PENDING, "without labels yet"),
            (PointState.OVERDUE, "with overdue labels"),
            (PointState.EMPTY, "without any cases"),
            (PointState.MISSING, "not evaluated"),
        )
        if states[state]
    ]
    return ", ".join(counts)


def corrections(section: Section) -> tuple[list[Restated], str]:
    """The restated figures to show, and how many more there are, in words; "" if that is all."""
    # Those whose digits moved; the others are counted, since nobody could see what changed.
    moved = [one for one in section.restated if one.moved]
    more, alike = len(moved[SHOWN_RESTATED:]), len(section.restated) - len(moved)
    rest = [f"{words.count(more)} more"] if more else []
    rest += [f"{words.count(alike)} by less than can be seen here"] if alike else []
    return moved[:SHOWN_RESTATED], " and ".join(rest)


def by_slice(table: SliceTable, better: str) -> str:
    """What stands above a table of slices, by whether it is known which of them are worse."""
    return f"By {table.title or table.column}, " + ("worst first" if better else "largest first")


def headline(content: Content) -> str:
    """The report and its period, where there is one line for them."""
    return f"{content.title}, {content.period_title}"


def whose(customer: str) -> str:
    """What files and headers call a page: by its customer, or "all"."""
    return "all" if customer == ALL else customer
