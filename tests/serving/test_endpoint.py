from __future__ import annotations

import io
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.execution.command import WAIT
from tests.serving.endpoints import Endpoint, Served
from tests.serving.load import Load

from trikk.serving.http.bodies import ARROW_TYPE
from trikk.storage.tables.table_write import Write


def eventually(true: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A project whose champion gives 2a + b."""
    found = Served(tmp_path)
    found.promote(found.register(2))
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint for tests that leave it as it is."""
    found = Served(tmp_path_factory.mktemp("shared"))
    found.promote(found.register(2))
    with found.endpoint("--max-body", "100KB") as endpoint:
        yield endpoint


def test_json_is_answered_with_values_ids_and_the_version(shared: Endpoint) -> None:
    answer = shared.ask({"a": 1.5, "b": 2}, {"a": 0, "b": 7})
    assert answer.status_code == 200
    body = answer.json()
    assert [p["value"] for p in body["predictions"]] == [5.0, 7.0]
    assert (body["model"], body["model_version"]) == ("shape", 1)
    assert answer.headers["x-trikk-model"] == "shape"
    assert answer.headers["x-trikk-model-version"] == "1"
    one = answer.headers["x-trikk-prediction-id"]
    assert [p["prediction_id"] for p in body["predictions"]] == [f"{one}-0", f"{one}-1"]


def test_csv_in_gives_lines_of_values_where_these_are_accepted(shared: Endpoint) -> None:
    answer = shared.send(b"1,2\n3,4\n", "text/csv", accept="text/csv")
    assert (answer.status_code, answer.text) == (200, "4.0\n10.0\n")
    assert answer.headers["content-type"] == "text/csv"


def test_arrow_in_gives_arrow_out(shared: Endpoint) -> None:
    file = io.BytesIO()
    pl.DataFrame({"b": [1, 2], "a": [1.0, 2.0]}).write_ipc_stream(file)
    answer = shared.send(file.getvalue(), ARROW_TYPE, accept=f"image/png, {ARROW_TYPE}")
    found = pl.read_ipc_stream(io.BytesIO(answer.content))
    assert found["value"].to_list() == [3.0, 6.0]
    assert found.columns == ["prediction_id", "value"]


def test_what_does_not_fit_is_refused_with_the_name_of_the_field(shared: Endpoint) -> None:
    for row, field in (
        ({"a": 1}, "b"),
        ({"a": "x", "b": 1}, "a"),
        ({"a": 1, "b": 1.5}, "b"),
        ({"a": None, "b": 1}, "a"),
    ):
        answer = shared.ask(row)
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert error["field"] == field
        assert error["code"] == "signature"
        assert error["next"]


def test_an_answer_without_a_value_is_an_error_with_a_reason(shared: Endpoint) -> None:
    answer = shared.ask({"a": 1e308, "b": 1}, {"a": -1e308, "b": 1})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "prediction"


def test_nonsense_gets_a_clear_answer(shared: Endpoint) -> None:
    assert shared.send(b"{", "application/json").status_code == 400
    assert shared.send(b"x", "image/png").status_code == 415
    assert shared.send(b"[[1,2]]", "application/json", accept="image/png").status_code == 406
    assert shared.client.get("/invocations").status_code == 405
    assert shared.client.get("/nothing").status_code == 404
    with socket.create_connection(("127.0.0.1", int(shared.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        assert b"400" in raw.recv(1000)
    assert shared.ask({"a": 1, "b": 1}).status_code == 200


def test_a_hundred_megabytes_are_refused_without_being_kept(shared: Endpoint) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_000_000

    before = memory(shared)
    assert shared.client.post("/invocations", content=b"x" * 3_000_000).status_code == 413
    told = shared.client.post("/invocations", content=chunks(), headers={"content-type": "application/json"})
    assert told.status_code == 413
    assert "larger than 100,000 bytes" in told.json()["error"]["what"]
    assert memory(shared) - before < 30_000_000
    assert shared.ask({"a": 1, "b": 1}).status_code == 200


def memory(endpoint: Endpoint) -> int:
    """The peak of a process's memory in bytes."""
    status = Path(f"/proc/{endpoint.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_metrics_count_what_happened(shared: Endpoint) -> None:
    def value(sample: str) -> float:
        lines = shared.client.get("/metrics").text.splitlines()
        return next(
            (float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"trikk_endpoint_{sample} ")), 0
        )

    before, refused = value('requests_total{status="200"}'), value('requests_total{status="422"}')
    shared.ask({"a": 1, "b": 1}, {"a": 2, "b": 2})
    shared.ask({"a": 1})
    assert value('requests_total{status="200"}') == before + 1
    assert value('requests_total{status="422"}') == refused + 1
    assert value('model_info{model="shape",version="1"}') == 1
    assert value("request_seconds_count") >= before + 1
    assert value('request_seconds_bucket{le="+Inf"}') == value("request_seconds_count")


def test_a_moved_alias_takes_over_and_no_request_fails(served: Served) -> None:
    with served.endpoint() as endpoint:
        with Load(endpoint.url) as load:
            eventually(lambda: len(load.answers) > 50, "no answers")
            served.promote(served.register(3))
            eventually(lambda: bool(load.answers) and load.answers[-1][1] == 2, "version 2 does not take over")
            served.promote(1)
            eventually(lambda: load.answers[-1][1] == 1, "version 1 does not come back")
        assert endpoint.metric("swaps_total") == 2
    assert load.failures == []
    for a, version, body in load.answers:
        assert body["model_version"] == version
        assert body["predictions"][0]["value"] == a * (2 if version == 1 else 3)
    rows = served.rows()
    assert sorted(rows["prediction_id"]) == sorted(load.ids)
    assert set(rows.select("model_version", "run").iter_rows()) == {(1, "run2"), (2, "run3")}


def test_a_version_that_can_not_predict_does_not_take_over(served: Served) -> None:
    with served.endpoint() as endpoint:
        served.promote(served.register(3, fits=False))
        eventually(lambda: endpoint.metric("swap_failures_total") == 1, "the failure is not counted")
        assert endpoint.client.get("/ping").status_code == 200
        assert endpoint.ask({"a": 1, "b": 0}).json()["model_version"] == 1
        served.promote(served.register(4))
        eventually(
            lambda: endpoint.ask({"a": 1, "b": 0}).json()["model_version"] == 3, "version 3 does not take over"
        )
    assert "version 2 does not take over" in served.log()


def test_a_version_that_hangs_while_it_is_loaded_is_given_up(served: Served) -> None:
    version = served.register(3, first="import time; time.sleep(600)")
    process = served.start("--load-timeout", "1s", reference=f"shape:{version}")
    out, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert "version 2 was not loaded within 1 s" in json.loads(out)["error"]["what"]


def test_a_request_that_ends_the_models_process_takes_no_other_along(served: Served) -> None:
    with served.endpoint() as endpoint:
        with Load(endpoint.url) as load:
            eventually(lambda: len(load.answers) > 20, "no answers")
            answer = endpoint.ask({"a": 666, "b": 0})
            seen = len(load.answers)
            eventually(lambda: len(load.answers) > seen + 20, "no answers after the crash")
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "worker"
        assert endpoint.metric("worker_restarts_total") == 2
    assert load.failures == []


def test_a_request_that_takes_too_long_is_answered_and_the_queue_is_bounded(served: Served) -> None:
    with served.endpoint("--timeout", "1.5s", "--queue", "1") as endpoint:
        found: list[int] = []

        def ask(a: float) -> None:
            found.append(endpoint.ask({"a": a, "b": 0}).status_code)

        threads = [threading.Thread(target=ask, args=(555,))]
        threads[0].start()
        eventually(lambda: endpoint.metric("queue_requests") == 0, "it is not begun")
        time.sleep(0.2)
        threads.append(threading.Thread(target=ask, args=(1,)))
        threads[1].start()
        eventually(lambda: endpoint.metric("queue_requests") == 1, "it does not wait")
        full = endpoint.ask({"a": 1, "b": 0})
        assert (full.status_code, full.headers["retry-after"]) == (503, "1")
        for thread in threads:
            thread.join()
        assert found[0] in (200, 504)
        assert 504 in found
        eventually(lambda: endpoint.ask({"a": 1, "b": 0}).status_code == 200, "it does not recover")


def test_every_answer_that_was_given_is_in_the_table_once_after_kill_9(served: Served) -> None:
    received: list[str] = []
    for _ in range(2):
        with served.endpoint("--flush", "0.2s") as endpoint, Load(endpoint.url) as load:
            eventually(lambda: len(load.answers) > 100, "no answers")
            endpoint.kill()
        received += load.ids
    with served.endpoint() as endpoint:
        assert endpoint.ask({"a": 1, "b": 1}).status_code == 200
    found = served.rows()["prediction_id"].to_list()
    assert len(found) == len(set(found))
    assert set(received) <= set(found)
    assert list((served.root / ".trikk/endpoints/shape_predictions").iterdir()) == []


def test_sigterm_under_load_answers_what_it_took_and_logs_it(served: Served) -> None:
    with served.endpoint("--durable") as endpoint, Load(endpoint.url) as load:
        eventually(lambda: len(load.answers) > 50, "no answers")
        endpoint.process.send_signal(signal.SIGTERM)
        assert endpoint.process.wait(WAIT) == 0
    assert not [failure for failure in load.failures if failure[0].isdigit()]
    assert sorted(served.rows()["prediction_id"]) == sorted(load.ids)


def test_a_prediction_that_can_not_be_logged_is_not_given_out(served: Served) -> None:
    with served.endpoint("--flush", "1m") as endpoint:
        pid = endpoint.process.pid
        good = endpoint.ask({"a": 1, "b": 1})
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # as a full disk
        refused = endpoint.ask({"a": 2, "b": 2})
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = endpoint.ask({"a": 3, "b": 3})
        assert refused.status_code == 503
        assert "can't be logged" in refused.json()["error"]["what"]
    ids = [answer.json()["predictions"][0]["prediction_id"] for answer in (good, again)]
    assert sorted(served.rows()["prediction_id"]) == sorted(ids)


def test_what_the_table_does_not_take_stays_in_the_log_until_it_does(served: Served) -> None:
    table = served.root / ".trikk/tables/shape_predictions"
    process = served.start("--flush", "1m")
    endpoint = Endpoint(process)
    given = endpoint.ask({"a": 1, "b": 1}).json()["predictions"][0]["prediction_id"]
    endpoint.client.close()
    table.parent.mkdir(exist_ok=True)
    table.write_text("in the way")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert "nothing is lost" in served.log()
    table.unlink()
    with served.endpoint():
        pass
    assert served.rows()["prediction_id"].to_list() == [given]


def test_what_a_prediction_is_about_is_logged_in_columns_of_its_own(served: Served) -> None:
    with served.endpoint("--key", "sensor", "--slot", "hour", "--no-inputs") as endpoint:
        good = {"a": 1, "b": 2, "sensor": 7, "hour": "2020-03-26T04:00:00Z"}
        assert endpoint.ask(good).status_code == 200
        assert endpoint.ask({**good, "hour": "noon"}).json()["error"]["field"] == "hour"
        assert endpoint.ask({"a": 1, "b": 2, "hour": "2020-03-26"}).json()["error"]["field"] == "sensor"
    rows = served.rows()
    assert rows.columns == [
        "prediction_id",
        "sensor",
        "hour",
        "predicted_at",
        "value",
        "model",
        "model_version",
        "run",
    ]
    assert rows.select("sensor", "hour", "value").rows() == [("7", datetime(2020, 3, 26, 4, tzinfo=UTC), 4.0)]


TRUTH = """
import trikk

watched = trikk.Monitor(
    "watched", predictions=trikk.Table("shape_predictions"), truth=trikk.Table("truth"),
    key=["id", "day", "code"], slot="hour", observed="y",
)
"""
KEYS = [(2**53 + 1, date(2020, 3, 26), "007"), (-7, date(2020, 2, 29), "7")]


def test_the_log_has_its_key_in_the_types_of_the_truth_that_its_monitor_joins(served: Served) -> None:
    (served.root / "pipelines.py").write_text(TRUTH)
    hours = [datetime(2020, 3, 26, hour, tzinfo=UTC) for hour in (4, 5)]
    truth = pl.DataFrame(KEYS, schema=["id", "day", "code"], orient="row").with_columns(
        pl.Series("hour", hours), pl.Series("y", [1.0, 2.0])
    )
    served.project.tables.write("truth", Write("append", truth), identity="truth", origin={})
    asked = [
        {"a": n, "b": 0, "id": one, "day": str(day), "code": code, "hour": hour.isoformat()}
        for n, ((one, day, code), hour) in enumerate(zip(KEYS, hours, strict=True))
    ]
    with served.endpoint("--key", "id,day,code", "--slot", "hour") as endpoint:
        assert endpoint.ask(*asked).status_code == 200
        for wrong in ({"id": "7"}, {"id": 2**63}, {"id": 1.5}, {"day": "26.3."}, {"code": 1.5}, {"id": [1]}):
            refused = endpoint.ask({**asked[0], **wrong})
            assert (refused.status_code, refused.json()["error"]["field"]) == (422, next(iter(wrong)))
    assert served.rows().select("id", "day", "code").rows() == KEYS
    done = subprocess.run(
        [sys.executable, "-m", "trikk.cli.main", "run", "watch_watched", "--json"],
        cwd=served.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("column", ["prediction_id", "value", "model_version", "predicted_at", "inputs"])
def test_a_table_that_the_log_does_not_fit_is_refused_at_the_start(served: Served, column: str) -> None:
    rows = pl.DataFrame({"prediction_id": ["x"], "sensor": ["a"]}).with_columns(pl.Series(column, [True]))
    served.project.tables.write("shape_predictions", Write("append", rows), identity="theirs", origin={})
    process = served.start("--key", "sensor")
    out, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert f"'{column}' is" in json.loads(out)["error"]["what"]
    assert "--table" in json.loads(out)["error"]["next"]


def test_a_table_that_holds_other_values_is_refused_at_the_start(served: Served) -> None:
    rows = pl.DataFrame({"prediction_id": ["x"], "value": ["a text"]})
    served.project.tables.write("shape_predictions", Write("append", rows), identity="other", origin={})
    process = served.start()
    out, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 1
    assert '"code": "table"' in out


@pytest.mark.parametrize(
    ("reference", "options", "code"),
    [
        ("shape@nobody", [], "unknown-name"),
        ("nothing@champion", [], "unknown-name"),
        ("shape:9", [], "unknown-name"),
        ("../x", [], "usage"),
        ("shape", ["--max-body", "much"], "usage"),
        ("shape", ["--no-log", "--key", "a"], "usage"),
        ("shape", ["--host", "256.1.1.1"], "usage"),
    ],
)
def test_what_can_not_be_served_is_refused(served: Served, reference: str, options: list[str], code: str) -> None:
    process = served.start(*options, reference=reference)
    out, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 2
    assert f'"code": "{code}"' in out


def test_an_endpoint_may_wait_for_its_alias(served: Served) -> None:
    with served.endpoint("--wait", "--no-log", reference="shape@later") as endpoint:
        assert endpoint.client.get("/ping").status_code == 503
        served.promote(1, "later")
        eventually(lambda: endpoint.client.get("/ping").status_code == 200, "no model")
        assert endpoint.ask({"a": 1, "b": 0}).status_code == 200
    assert served.rows().height == 0


def test_several_workers_answer_a_model_without_a_signature(served: Served) -> None:
    version = served.register(5, signature=None)
    with served.endpoint("--workers", "2", reference=f"shape:{version}") as endpoint:
        with Load(endpoint.url, clients=6) as load:
            eventually(lambda: len(load.answers) > 50, "no answers")
        answer = endpoint.ask({"b": 1, "a": 1, "c": 9})
        assert answer.json()["predictions"][0]["value"] == 6.0
        assert endpoint.ask({"b": 1}).status_code == 500
    assert load.failures == []
