"""Confusion matrices on pages: of all cases, of a customer's part, of two and of many classes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace
from tests.reports.world import SPEC, World, day, files, monthly

from trikk.charts.drawing.glyph_widths import text_width
from trikk.monitoring.figures.matrix import Matrix, matrix_of
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.reports.page import figure_pictures as picture
from trikk.reports.page import html as page
from trikk.reports.page import words
from trikk.reports.page.page_content import Content

pytest.importorskip("reportlab")
NORTH = [["leak", "leak", 3], ["leak", "<ok>", 1]]
SOUTH = [["<ok>", "<ok>", 5], ["<ok>", "leak", 2]]


def record(number: int, classes: tuple[str, ...] = ("<ok>", "leak"), new: int = 0) -> WindowRecord:
    def part(column: str, value: str, cells: list[list[Any]]) -> Figures:
        cases = sum(cell[2] for cell in cells)
        metrics: dict[str, Any] = {"recall[leak]": 0.5, "mcc": None}
        names = {"burst": new} if new else {}
        more: dict[str, Any] = {"reasons": {"mcc": "one class was said of all cases, leak"}}
        more |= {"unseen_class": new, "unseen_classes": names}
        return Figures(column, value, cases, cases, cases, metrics, confusion=cells, **more)

    figures = (part("", "", NORTH + SOUTH), part("sensor", "north", NORTH), part("sensor", "south", SOUTH))
    start = day(number)
    label, at = f"{start:%Y-%m-%d}", (start + timedelta(days=2)).timestamp()
    end = start + timedelta(days=1)
    return WindowRecord("state", "day", label, start, end, "final", figures, at, "r", classes=classes)


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    world.records = type(world.records)(world.ledger, "state")
    spec = replace(SPEC, name="state", metrics=("recall[leak]", "mcc"), slices=("sensor",), baseline="")
    world.records.define(spec, day(1).timestamp())
    world.put(record(3))
    world.put(record(4, new=2))
    return world


def test_the_matrix_of_a_month_is_the_sum_of_its_days_for_all_and_for_a_customer(world: World) -> None:
    report = monthly(monitors=["state"])
    whole = world.told(report, "2020-03").sections[0]
    assert whole.confusion is not None
    assert (whole.confusion.classes, whole.confusion.counts) == (("<ok>", "leak"), ((10, 4), (2, 6)))
    assert whole.metric.title == "Recall of leak"
    assert "Of a class that the model was not fitted on: burst 2." in whole.notes
    assert whole.metrics[1].value == pytest.approx(52 / (14 * 8 * 12 * 10) ** 0.5)
    customer = world.told(report, "2020-03", customer="acme")
    (part,) = customer.sections
    assert part.confusion is not None
    assert part.confusion.counts == ((0, 0), (2, 6))
    assert "Matthews correlation: \u2013, as the truth has one class only, leak." in part.notes
    stored = json.loads(json.dumps(customer.to_json()))
    assert Content.read(stored) == customer
    # as pages of earlier builds have it, whose replays read it
    assert [one["name"] for one in stored["sections"][0]["confusion"]["by_class"]] == ["<ok>", "leak"]


def test_it_is_a_picture_and_a_table_in_page_mail_and_pdf(world: World) -> None:
    run = world.make(monthly(monitors=["state"]), period="2020-03", customer="*")
    made = files(run)
    assert made["state.confusion.png"].startswith(b"\x89PNG")
    html = made["report.html"].decode()
    assert html.count("<svg ") == 2
    assert "&lt;ok&gt; 71\u00a0% of 14; leak 75\u00a0% of 8" in html
    assert "<ok>" not in html
    assert b"state.confusion." in made["mail.eml"]
    plain = page.text(Content.read(run.output("collect")[0]))
    assert "The most frequent mistake: <ok> was taken for leak, 4 times." in plain


def test_rows_of_a_page_s_table_have_totals_recall_and_precision() -> None:
    found = matrix_of([Figures("", "", 0, 0, 0, confusion=NORTH + SOUTH)], ("leak", "<ok>"))
    assert found is not None
    dot, none = "\u00b7", words.NONE
    assert words.confusion_rows(found) == [
        ["Truth", "leak", "<ok>", "Cases", "Recall"],
        ["leak", "3", "1", "4", "75\u00a0%"],
        ["<ok>", "2", "5", "7", "71\u00a0%"],
        ["Predicted", "5", "6", "11", ""],
        ["Precision", "60\u00a0%", "83\u00a0%", "", ""],
    ]
    one = matrix_of([Figures("", "", 0, 0, 0, confusion=[["a", "bearing fault", 2]])])
    assert one is not None
    assert words.confusion_rows(one)[1:] == [
        ["1: a", dot, "2", "2", "0\u00a0%"],
        ["2: bearing fault", dot, dot, dot, none],
        ["Predicted", dot, "2", "2", ""],
        ["Precision", none, "0\u00a0%", "", ""],
    ]


def many(size: int, name: str = "state {}") -> Matrix:
    cells = [[name.format(n), name.format((n + n % 3) % size), 3 * n + 1] for n in range(size)]
    found = matrix_of([Figures("", "", 0, 0, 0, confusion=cells)])
    assert found is not None
    return found


@pytest.mark.parametrize("matrix", [many(2), many(20), many(60), many(3, "worn bearing, inner ring, $x$ {}")])
def test_its_picture_holds_every_label_and_is_the_same_each_time(matrix: Matrix) -> None:
    drawn = picture.drawn_confusion(matrix)
    assert drawn == picture.drawn_confusion(matrix)
    root = ET.fromstring(drawn)
    names = [text for text in root.iter("text") if text.get("class") in ("text ink", "text soft")][: 2 * 20]
    shown = [text for text in names if text.get("text-anchor") == "end" or text.get("y") == names[0].get("y")]
    assert len(shown) == 2 * min(20, len(matrix.classes))
    for text in shown:
        words, x = text[-1].tail if len(text) else text.text, float(text.get("x", 0))
        wide = text_width(words or "")
        left = x - wide if text.get("text-anchor") == "end" else x - wide / 2 if text.get("text-anchor") else x
        reach = wide * 0.71 if text.get("transform") else wide
        assert left >= -1
        assert left + reach <= float(root.get("width", 0)) + 1


def test_metrics_of_classes_are_titled_and_shown_as_what_they_are():
    titles = {
        "precision": "Precision",
        "recall[leak]": "Recall of leak",
        "f1[a]b]": "F1 of a]b",
        "f1_macro": "F1, mean of classes",
        "precision_weighted": "Precision, weighted mean of classes",
        "top_3_accuracy": "Right class among the first 3",
        "f1_leak": "f1_leak",
    }
    assert {metric: words.title_of(metric) for metric in titles} == titles
    shares = {metric for metric in titles if words.number(0.5, metric) == words.percent(0.5)}
    assert shares == {"precision", "recall[leak]", "precision_weighted", "top_3_accuracy"}
