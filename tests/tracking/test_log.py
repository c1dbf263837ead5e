from __future__ import annotations

import logging
import math
import multiprocessing
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tracking.conftest import RUN

import trikk
from trikk.core.errors import JournalError, UsageError
from trikk.core.values import decode
from trikk.runs.context import StepContext, entered
from trikk.runs.journals.journal import Journal
from trikk.storage.artifacts import Artifacts
from trikk.tracking.fold import RunRecord, read_record

Make = Callable[..., StepContext]


def bodies(journal: Journal) -> list[dict[str, Any]]:
    return [event.body for event in journal.events(RUN)[1:]]


def test_a_metric_is_in_the_journal_when_the_call_returns(a_step: Make, journal: Journal) -> None:
    with entered(a_step(item=2, attempt=3)):
        trikk.log_metric("mae", 0.5, index=7)
        (body,) = bodies(journal)
    assert body.pop("at") > 1e9
    assert body == {"step": "fit", "item": 2, "attempt": 3, "name": "mae", "value": 0.5, "index": 7}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_know_is_kept(a_step: Make, journal: Journal, value: float) -> None:
    with entered(a_step()):
        trikk.log_metric("loss", value)
    found = read_record(journal, RUN)
    assert repr(found.values()["loss"]) == repr(value)
    assert found.to_json()["metrics"] == [{"name": "loss", "step": "fit", "value": str(value), "count": 1}]


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(2), True, Decimal("1.5"), 10**300, np.array(3.0)])
def test_every_kind_of_number_is_a_metric(a_step: Make, journal: Journal, value: Any) -> None:
    with entered(a_step()):
        trikk.log_metric("x", value)
    assert read_record(journal, RUN).values() == {"x": float(value)}


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1.0], np.array([1.0, 2.0]), 1j, 10**400])
def test_what_is_not_a_number_is_no_metric(a_step: Make, journal: Journal, value: Any) -> None:
    with entered(a_step()), pytest.raises(UsageError, match="metric x"):
        trikk.log_metric("x", value)
    assert bodies(journal) == []


@pytest.mark.parametrize("name", ["", "../x", "/x", "a//b", "a\nb", "x" * 201, None, 1, "a/./b"])
def test_a_name_that_could_be_a_path_elsewhere_is_refused(a_step: Make, name: Any) -> None:
    with entered(a_step()):
        for log in (trikk.log_metric, trikk.log_param, trikk.log_artifact, trikk.log_figure):
            with pytest.raises(UsageError, match="can't name"):
                log(name, 1)


@pytest.mark.parametrize("index", [0.5, "1", 2**63, -(2**63) - 1])
def test_an_index_is_a_whole_number_of_64_bits(a_step: Make, index: Any) -> None:
    with entered(a_step()), pytest.raises(UsageError, match="index"):
        trikk.log_metric("x", 1, index=index)


def test_several_metrics_are_one_transaction(a_step: Make, journal: Journal) -> None:
    with entered(a_step()):
        trikk.log_metrics({"a": 1, "b": 2}, index=np.int32(3))
        found = bodies(journal)
    assert [(b["name"], b["value"], b["index"]) for b in found] == [("a", 1.0, 3), ("b", 2.0, 3)]
    with entered(a_step()), pytest.raises(UsageError):
        trikk.log_metrics({"c": 1, "d": "no"})  # type: ignore[dict-item]
    assert len(bodies(journal)) == 2


def test_a_loop_of_metrics_is_written_in_few_transactions_and_in_order(a_step: Make, journal: Journal) -> None:
    with entered(a_step()):
        for index in range(2_000):
            trikk.log_metric("loss", index, index=index)
    found = read_record(journal, RUN).history()["loss"].entries
    assert [point.index for point in found] == list(range(2_000))
    assert len({event.at for event in journal.events(RUN)}) < 100
    assert [p.at for p in found] == sorted(p.at for p in found)


def test_what_is_held_back_is_written_though_the_step_goes_on(a_step: Make, journal: Journal) -> None:
    with entered(a_step()):
        trikk.log_metric("x", 1)
        trikk.log_metric("x", 2)
        assert len(bodies(journal)) == 1
        (timer,) = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
        timer.join(10)
        assert len(bodies(journal)) == 2


def test_what_a_failing_step_has_logged_stays(a_step: Make, journal: Journal) -> None:
    def fails() -> None:
        with entered(a_step()):
            for index in range(10):
                trikk.log_metric("x", index)
            raise ValueError("the step fails")

    with pytest.raises(ValueError, match="the step"):
        fails()
    assert read_record(journal, RUN).values() == {"x": 9.0}


def _log_in_child(number: int) -> None:
    for index in range(5):
        trikk.log_metric(f"child-{number}", index)


def test_processes_that_a_step_forks_log_into_the_same_run(a_step: Make, journal: Journal) -> None:
    with entered(a_step()):
        trikk.log_metric("parent", 1)
        trikk.log_metric("parent", 2)
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=_log_in_child, args=(n,)) for n in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0]
    counts = {name: len(s.entries) for name, s in read_record(journal, RUN).history().items()}
    assert counts == {"parent": 2, "child-0": 5, "child-1": 5}


def test_threads_of_a_step_log_without_losing_any(a_step: Make, journal: Journal) -> None:
    def work(number: int) -> None:
        for index in range(200):
            trikk.log_metric(f"t{number}", index, index=index)

    with entered(a_step()):
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = {name: len(s.entries) for name, s in read_record(journal, RUN).history().items()}
    assert counts == {f"t{n}": 200 for n in range(4)}


def test_a_journal_that_fails_is_told_where_the_step_logs_or_ends(a_step: Make, journal: Journal) -> None:
    step = entered(a_step())
    step.__enter__()
    trikk.log_metric("x", 1)
    trikk.log_metric("x", 2)  # held back
    journal.close()
    with pytest.raises(JournalError):
        step.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, 3),
        ("relu", "relu"),
        (None, None),
        ([1, (2, 3)], [1, (2, 3)]),
        (date(2020, 3, 2), date(2020, 3, 2)),
        (np.float64(0.5), 0.5),
        (np.int64(4), 4),
        (Path("a/b"), "a/b"),
        ({"a": object}, "{'a': <class 'object'>}"),
        ("a\udcffb\0", "a\udcffb\0"),
    ],
)
def test_a_parameter_is_kept_as_it_is_or_as_its_text(
    a_step: Make, journal: Journal, value: Any, kept: Any
) -> None:
    with entered(a_step()):
        trikk.log_param("depth", value)
    assert decode(read_record(journal, RUN).parameters()["depth"]) == kept


def test_a_parameter_as_long_as_a_file_is_refused(a_step: Make) -> None:
    with entered(a_step()), pytest.raises(UsageError, match="longer") as caught:
        trikk.log_param("text", "x" * 10_001)
    assert "log_artifact" in str(caught.value.next)


def test_artifacts_are_values_files_and_folders(
    a_step: Make, journal: Journal, artifacts: Artifacts, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html>")
    (tmp_path / "many" / "inner").mkdir(parents=True)
    (tmp_path / "many" / "inner" / "a.txt").write_text("a")
    with entered(a_step()):
        trikk.log_artifact("settings", {"a": [1, 2]})
        trikk.log_artifact("page", page, kind="report")
        trikk.log_artifact("many", tmp_path / "many")
        page.write_text("changed afterwards")
        with pytest.raises(UsageError, match="no kind"):
            trikk.log_artifact("x", 1, kind="thing")
    found = {name: series.entries[-1] for name, series in read_record(journal, RUN).files().items()}
    assert {name: entry.kind for name, entry in found.items()} == {
        "settings": "value",
        "page": "report",
        "many": "file",
    }
    assert artifacts.load(found["settings"].artifact) == {"a": [1, 2]}
    assert artifacts.load(found["page"].artifact).read_text() == "<html>"
    assert (artifacts.load(found["many"].artifact) / "inner" / "a.txt").read_text() == "a"
    artifacts.release()


def test_outside_of_a_run_logging_is_only_pythons_logging(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG, "trikk.tracking")
    trikk.log_metric("mae", 0.5)
    trikk.log_metrics({"a": 1})
    trikk.log_param("depth", 3)
    trikk.log_figure("dot.png", b"x")
    trikk.log_artifact("notes", tmp_path)
    assert [r.levelname for r in caplog.records] == ["DEBUG"] * 5
    with pytest.raises(UsageError):
        trikk.log_metric("mae", "wrong")  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.floats()), max_size=30))
def test_a_runs_metric_is_the_last_value_of_the_last_attempt(points: list[tuple[int, str, float]]) -> None:
    from trikk.runs import logged
    from trikk.runs.events import EventKind
    from trikk.runs.journals.journal import Event

    points = sorted(points, key=lambda p: p[0])
    events = []
    for attempt in (1, 2, 3):
        events.append((EventKind.STEP_STARTED, {"step": "s", "attempt": attempt}))
        for number, name, value in points:
            if number == attempt:
                kind, body = logged.metric(name, value, index=None, at=0.0)
                events.append((kind, {"step": "s", "item": None, "attempt": attempt, **body}))
    record = RunRecord.fold("r", [Event(n, "r", kind, 0.0, dict(body)) for n, (kind, body) in enumerate(events)])
    expected = {name: value for attempt, name, value in points if attempt == 3}
    assert repr(record.values()) == repr({name: expected[name] for name in record.values()})
    assert set(record.values()) == set(expected)
    assert sum(len(series.entries) for series in record.metrics.values()) == len(points)
