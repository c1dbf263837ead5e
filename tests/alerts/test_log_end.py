"""The end of a log, as messages show it."""

from __future__ import annotations

import traceback

import polars as pl

from trikk.alerts.delivery.log_end import log_end


def nested() -> pl.DataFrame:
    dates = pl.DataFrame({"d": ["x"]}).lazy().select(pl.col("nope") / 2, pl.col("d"))
    return dates.filter(pl.col("d") > "a").collect()


def test_what_the_step_has_said_is_shown_without_frames_of_libraries_marks_and_plans() -> None:
    try:
        nested()
    except pl.exceptions.ColumnNotFoundError:
        trace = traceback.format_exc()
    assert "FAILED HERE" in trace, "polars shows its plan; if it no longer does, there is less to leave out"
    assert "site-packages" in trace
    shown = log_end(["loading\t17 rows", "", "", *trace.splitlines(), "", ""], 15)
    assert shown[:3] == ("loading 17 rows", "", "Traceback (most recent call last):")
    assert [line.strip() for line in shown[3:] if line.startswith("    ")] == [
        "nested()",
        'return dates.filter(pl.col("d") > "a").collect()',
    ]
    assert shown[-1].startswith("polars.exceptions.ColumnNotFoundError: unable to find column")
    assert log_end(["a", "b", "c"], 2) == ("b", "c")
    assert log_end(["  ^^^^", "    ~~^~~", ""], 5) == ()


def test_what_comes_after_a_plan_is_shown() -> None:
    lines = ["Resolved plan until failure:", "", "\t---> FAILED HERE <---", "DF", "", "then it ended"]
    assert log_end(["begun", *lines], 5) == ("begun", "", "then it ended")
