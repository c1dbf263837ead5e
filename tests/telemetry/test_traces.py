"""Traces as a collector gets them, over HTTP: whole, under their run, each span once, whatever ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.execution.command import Folder, until
from tests.server.queue_folder import QueueFolder
from tests.servers.otlp import Receiver, Span
from tests.telemetry.conftest import PROJECT

from trikk.core.errors import ProjectError
from trikk.core.settings import load_settings
from trikk.telemetry.span_records import span_of, trace_of


def is_whole(spans: list[Span]) -> bool:
    """Whether each is there once, and below another one, but for the roots."""
    ids = [span.span for span in spans]
    return len(ids) == len({*ids}) and all(s.parent in ids for s in spans if s.parent)


def test_a_run_is_a_trace_its_attempts_are_spans_and_the_authors_hang_below_them(
    traced: Folder, receiver: Receiver
) -> None:
    run = traced.good("run", "people")["id"]
    assert {span.trace for span in receiver.spans} == {trace_of(run)}
    assert is_whole(receiver.spans)
    root, read = receiver.the("people"), receiver.the("rows")
    assert root.parent == ""
    assert root.span == span_of(run, "run", 0)
    assert root.attributes["trikk.outcome"] == "succeeded"
    assert read.parent == root.span
    assert read.attributes == {
        "trikk.run": run,
        "trikk.pipeline": "people",
        "trikk.environment": "main",
        "trikk.origin": "manual",
        "trikk.step": "rows",
        "trikk.attempt": 1,
        "trikk.outcome": "succeeded",
        "trikk.peak_memory": read.attributes["trikk.peak_memory"],
    }
    download, page = receiver.the("download"), receiver.the("page")
    assert (download.parent, page.parent) == (read.span, download.span)
    assert (download.scope, read.scope) == ("people", "trikk")
    assert download.attributes == {"pages": [1, 2]}
    assert read.start <= download.start <= page.start <= page.end <= download.end <= read.end
    assert read.resource["service.name"] == "city"
    mapped = receiver.the("square", mapped=True)
    items = [receiver.the("square", item=n) for n in range(3)]
    assert mapped.parent == root.span
    assert {item.parent for item in items} == {mapped.span}
    assert {span.parent for span in receiver.named("multiply")} == {item.span for item in items}
    failed, tried_again = receiver.named("total")
    assert failed.error == "OSError: not yet"
    assert failed.attributes["trikk.retry_in"] == 0
    assert tried_again.error is None
    assert not list(traced.root.glob(".trikk/runs/*/*.spans")), "what was sent is left lying about"

    replay = traced.trikk("replay", run, "--json").json["run"]
    assert receiver.the("people", run=replay).links == [(trace_of(run), root.span)]


def test_spans_outlive_a_step_that_is_killed_or_runs_out_of_time_and_a_resumed_run_has_the_same_trace(
    traced: Folder, receiver: Receiver
) -> None:
    run = traced.failed("run", "hurt", "--keep-going")["id"]
    for name, failure, cut in (("killed", "killed", "cut off"), ("slow", "timeout", "waits")):
        attempt, span = receiver.the(name), receiver.the(cut)
        assert attempt.attributes["trikk.outcome"] == "failed"
        assert attempt.attributes["trikk.failure"] == failure
        assert span.parent == attempt.span
        assert span.error == "the step ended before it"
        assert span.end == attempt.end
    assert receiver.the("finished").error is None
    traced.touch("healed")
    traced.good("resume", run)
    assert {span.trace for span in receiver.spans} == {trace_of(run)}
    assert is_whole(receiver.spans)
    first, second = receiver.named("hurt")
    assert [first.attributes["trikk.outcome"], second.attributes["trikk.outcome"]] == ["failed", "succeeded"]
    assert second.parent == first.span
    assert [span.parent for span in receiver.named("killed")] == [first.span, second.span]


def test_what_a_killed_driver_had_not_sent_is_sent_once_by_the_next(traced: Folder, receiver: Receiver) -> None:
    driver = traced.start("run", "patient", OTEL_BSP_SCHEDULE_DELAY="100")
    receiver.until(lambda r: r.named("square"))
    until((traced.root / "waits").exists)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    traced.touch("go")
    run = traced.good("resume", "last")["id"]
    assert is_whole(receiver.spans), sorted((s.name, s.span) for s in receiver.spans)
    assert receiver.the("square").trace == trace_of(run)
    lost, again = receiver.named("waits")
    assert lost.attributes["trikk.outcome"] == "lost"
    assert again.attributes["trikk.outcome"] == "succeeded"
    assert [span.parent for span in receiver.named("before")] == [lost.span, again.span]
    assert [s.attributes["trikk.outcome"] for s in receiver.named("patient")] == ["lost", "succeeded"]


@pytest.mark.parametrize("how", ["refuses", "hangs", "is not there"])
def test_a_collector_that_is_away_fails_nothing_and_holds_the_end_up_for_seconds_at_most(
    traced: Folder, receiver: Receiver, how: str
) -> None:
    receiver.status, receiver.delay = (500, 0.0) if how == "refuses" else (200, 20.0)
    elsewhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} if how == "is not there" else {}
    began = time.monotonic()
    done = traced.trikk("run", "people", "--json", **elsewhere)
    assert done.code == 0, done
    assert "spans could not be sent to http://127.0.0.1:" in done.err
    assert done.json["state"] == "succeeded"
    assert time.monotonic() - began < 20, "the whole command, on a busy machine"
    assert len(done.err.splitlines()) == 1, done.err


def test_nothing_of_it_is_imported_where_no_traces_are_sent(traced: Folder) -> None:
    traced.write(trikk='name = "city"\npipelines = ["plain"]\n', plain=PLAIN)
    done = traced.trikk("run", "plain", PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 0, done
    lines = [line for line in done.err.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert {"trikk.execution.driving.driver", "trikk.execution.workers.spare"} <= imported, "of driver and host"
    mine = {name for name in imported if name.startswith(("opentelemetry", "trikk.telemetry."))}
    assert mine == {"trikk.telemetry.tracing_switch", "trikk.telemetry.trace_settings"}


def test_drivers_and_hosts_that_a_server_forks_trace_their_runs(tmp_path: Path, receiver: Receiver) -> None:
    folder = QueueFolder(tmp_path / "queued")
    code = (PROJECT / "pipelines.py").read_text()
    folder.write(trikk=f'name = "q"\n[telemetry]\nendpoint = "{receiver.url}"\n', pipelines=code)
    folder.reopen()
    asked_at = time.time() - 3
    runs = [folder.ask_one("people", at=asked_at) for _ in range(2)]
    server = subprocess.Popen([sys.executable, "-m", "tests.server.queue_server", str(folder.root)])
    try:
        receiver.until(lambda r: len(r.named("people", outcome="succeeded")) == len(runs))
    finally:
        server.kill()
        server.wait()
        folder.project.close()
    assert is_whole(receiver.spans)
    for run in runs:
        root, queued = receiver.the("people", run=run), receiver.the("queued", run=run)
        (download,) = [s for s in receiver.named("download") if s.trace == root.trace]
        assert download.parent == receiver.the("rows", run=run).span
        assert queued.parent == root.span
        assert queued.start == root.start == pytest.approx(asked_at * 1e9, abs=1e3)
        assert queued.end - queued.start > 2.9e9


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ('endpoint = "localhost:4318"', "telemetry.endpoint is no address"),
        ('collector = "http://localhost:4318"', "unknown setting 'telemetry.collector'"),
        ("service = 3", "telemetry.service = 3"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, setting: str, what: str) -> None:
    (tmp_path / "trikk.toml").write_text(f"[telemetry]\n{setting}\n")
    with pytest.raises(ProjectError, match=re.escape(what)):
        load_settings(tmp_path)


PLAIN = """
from trikk import pipeline, step


@step
def number() -> int:
    return 1


@pipeline
def plain():
    number()
"""
