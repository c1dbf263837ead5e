"""Numbers and findings in words, the same on the page, in the mail and in the PDF. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from trikk.core.text import counted
from trikk.models.metrics.by_name import OF_CLASS, TOP
from trikk.models.metrics.confusion import BY_CLASS
from trikk.models.metrics.own_metric import Better, short
from trikk.monitoring.figures.matrix import Matrix, table_of
from trikk.reports.page.page_content import Metric, Verdict
from trikk.reports.periods import DAYS, MONTHS

TITLES = {
    "mae": "Mean absolute error",
    "rmse": "Root mean square error",
    "bias": "Bias",
    "wape": "Weighted absolute percentage error",
    "median_error": "Median error",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "brier": "Brier score",
    "logloss": "Log loss",
    "calibration": "Calibration",
    "auc": "AUC",
    "coverage": "Interval coverage",
    "balanced_accuracy": "Balanced accuracy",
    "mcc": "Matthews correlation",
    "average_precision": "Average precision",
    "ece": "Expected calibration error",
}
_AVERAGES = {"macro": "mean of classes", "weighted": "weighted mean of classes"}
_SHARES = ("wape", "accuracy", "balanced_accuracy", "precision", "recall", "coverage")
_SAME = 0.005  # half a percent: less is not seen in three digits
NONE = "\u2013"
TABLED = 8
"""Classes for which a table of a page is wide enough."""
_OVER = 6  # characters over its columns


def title_of(metric: str) -> str:
    """A metric's name for people."""
    if metric.startswith("quantile_"):
        return f"Pinball loss at {metric.removeprefix('quantile_')}"
    if match := TOP.fullmatch(metric):
        return f"Right class among the first {match[1]}"
    single, behind = _of_classes(metric)
    if single:
        return f"{TITLES[single]}{behind}"
    return TITLES.get(metric, short(metric))


def is_share(metric: str) -> bool:
    """Whether a metric is a share of one, shown in percent."""
    return (_of_classes(metric)[0] or metric) in _SHARES or bool(TOP.fullmatch(metric))


def _of_classes(metric: str) -> tuple[str, str]:
    """Precision, recall or f1, and of which class or mean it is, in words; two empty texts for other metrics."""
    if match := OF_CLASS.fullmatch(metric):
        return match[1], f" of {match[2]}"
    single, _, average = metric.partition("_")
    return (single, f", {_AVERAGES[average]}") if single in BY_CLASS and average in _AVERAGES else ("", "")


def headed(metric: Metric) -> str:
    """A metric's title with its unit, as it stands over figures: "Bias (persons)"."""
    return f"{metric.title} ({metric.unit})" if metric.unit else metric.title


def badness(better: str, value: float) -> float:
    """A value such that more is worse, by which way is better: "lower", "higher" or the nearer to "zero"."""
    return -value if better == Better.HIGHER else abs(value) if better == Better.ZERO else value


def verdict(better: str, now: float | None, before: float | None) -> Verdict:
    """Whether now is better than before, worse, or the same to half a percent."""
    if now is None or before is None or not better:
        return Verdict.UNKNOWN
    first, last = badness(better, before), badness(better, now)
    if abs(last - first) <= _SAME * abs(first):
        return Verdict.SAME
    return Verdict.WORSE if last > first else Verdict.BETTER


def change(better: str, now: float | None, before: float | None) -> float | None:
    """How much larger now is than before, as a share (of a bias: how much further from zero)."""
    if now is None or not before:
        return None
    if better == Better.ZERO:
        now, before = abs(now), abs(before)
    return (now - before) / abs(before)


def gain(better: str, own: float | None, baseline: float | None) -> float | None:
    """How much better than the baseline, as a share of the baseline's; None where that can't be said."""
    if own is None or not baseline or not better:
        return None
    return (badness(better, baseline) - badness(better, own)) / abs(baseline)


def against_baseline(metric: Metric) -> tuple[str, Verdict]:
    """How predictions were beside the baseline, in words and as a verdict."""
    if metric.gain is not None:
        side = Verdict.BETTER if metric.gain >= 0 else Verdict.WORSE
        judged = side if metric.gain else Verdict.SAME
        return f"predictions {percent(abs(metric.gain))} {side}", judged
    if metric.own is None or metric.baseline is None:
        return "nothing to compare with", Verdict.UNKNOWN
    return f"predictions {number(metric.own, metric.name, metric.unit)} on the same", Verdict.UNKNOWN


def number(value: float | None, metric: str = "", unit: str = "") -> str:
    """A figure for people: three significant digits and a unit, shares in percent, an en dash for none."""
    if value is None:
        return NONE
    if is_share(metric):
        return percent(value)
    size, behind = abs(value), f"\u00a0{unit}" if unit else ""
    if size >= 1000:
        return f"{value:,.0f}{behind}".replace("-", "\u2212", 1)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}{behind}".replace("-", "\u2212", 1)


def margin(error: float) -> str:
    """What a figure is off by at most, to be written behind it: " ± 0.002", rounded up; "" if it is exact."""
    return f"\u00a0\u00b1\u00a0{math.ceil(error * 1000) / 1000:g}" if error > 0 else ""


def percent(value: float | None) -> str:
    """A share in percent: "27 %", "0.4 %"."""
    if value is None:
        return NONE
    shown = f"{value * 100:,.0f}" if abs(value) >= 0.0995 or value == 0 else f"{value * 100:.1f}"
    if 0.995 <= value < 1:
        shown = f"{int(value * 1000) / 10}"
    return f"{shown}\u00a0%".replace("-", "\u2212")


def signed(value: float | None) -> str:
    """A change in percent with its sign, or as a factor where it is more than threefold."""
    if value is None:
        return NONE
    if value >= 2:
        return f"\u00d7\u00a0{1 + value:.1f}"
    rounded = round(value * 100)
    sign = "+" if rounded > 0 else "\u2212" if rounded < 0 else "\u00b1"
    return f"{sign}{abs(rounded)}\u00a0%"


def count(value: int) -> str:
    """A whole number: "12,345"."""
    return f"{value:,}"


def confusion_rows(matrix: Matrix) -> list[list[str]]:
    """A confusion matrix as rows of texts, its headings first; of many classes those with most mistakes."""
    heads, rows = table_of(
        matrix.bounded(TABLED), lambda value: f"{value:,}" if value else "\u00b7", percent, _OVER
    )
    *classes, predicted, precision = rows
    last = [[predicted[0].capitalize(), *predicted[1:]], [precision[0].capitalize(), *precision[1:]]]
    return [[heads[0].capitalize(), *heads[1:-2], *map(str.capitalize, heads[-2:])], *classes, *last]


def confused(matrix: Matrix) -> str:
    """In a sentence, how well classes are told apart, and which mistake is most frequent."""
    classes = [f"{one.name} {percent(one.recall)} of {one.support:,}" for one in matrix.by_class if one.support]
    more = f" and {len(classes) - TABLED} more classes" if len(classes) > TABLED else ""
    sentence = f"Predicted rightly: {'; '.join(classes[:TABLED])}{more}."
    for truth, said, number_ in matrix.mistakes()[:1]:
        sentence += f" The most frequent mistake: {truth} was taken for {said}, {counted(number_, 'time')}."
    return sentence


def window_text(label: str) -> str:
    """A window's label for people: "26 March", "26 March, 07:00" for an hour, "March 2020" for a month."""
    try:
        local = datetime.fromisoformat(f"{label}-01" if (is_month := len(label) == len("2020-03")) else label)
    except ValueError:
        return label
    if is_month:
        return f"{MONTHS[local.month - 1]} {local.year}"
    day = f"{local.day} {MONTHS[local.month - 1]}"
    return f"{day}, {local:%H:%M}" if "T" in label else day


def slice_text(column: str, value: str, name: str = "") -> str:
    """A slice's value for people: by its name, else hours and weekdays in words, anything else as it is."""
    if name:
        return name
    if column == "hour" and value.isdecimal():
        return f"{int(value):02}:00 to {(int(value) + 1) % 24:02}:00"
    if column in ("weekday", "month") and value.isdecimal():
        known = DAYS if column == "weekday" else MONTHS
        return known[int(value) - 1] if 1 <= int(value) <= len(known) else value
    return value


def moment_text(at: float, zone: ZoneInfo) -> str:
    """A moment for people: "28 March 2020, 23:59"."""
    local = datetime.fromtimestamp(at, zone)
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}, {local:%H:%M}"


def sentence(metric: Metric, baseline: str, before_title: str) -> str:
    """How good predictions were, in one or two sentences."""
    if metric.value is None and metric.reason:
        return f"{metric.title} can't be told: {metric.reason}."
    if metric.value is None:
        return "No labelled cases: nothing can be said of how good the predictions were."
    text = f"{metric.title} {number(metric.value, metric.name, metric.unit)}{margin(metric.error)}"
    if metric.before is not None and metric.verdict:
        word = "about as in" if metric.verdict is Verdict.SAME else f"{metric.verdict} than in"
        text += f": {word} {before_title} ({number(metric.before, metric.name, metric.unit)}"
        text += f", {signed(metric.change)})." if metric.change is not None else ")."
    elif metric.before is not None:
        text += f"; it was {number(metric.before, metric.name, metric.unit)} in {before_title}."
    else:
        text += f". There are no figures of {before_title} to compare with."
    if metric.gain is None or not baseline:
        return text
    against = f"{baseline} ({number(metric.baseline, metric.name, metric.unit)})"
    if abs(metric.gain) <= _SAME:
        return f"{text} Predictions were as good as the baseline {against}."
    side = "better" if metric.gain > 0 else "worse"
    return f"{text} Predictions were {percent(abs(metric.gain))} {side} than the baseline {against}."
