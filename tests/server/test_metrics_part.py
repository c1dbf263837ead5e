"""Metrics are pushed as they were counted: to CloudWatch within its limits, to Datadog in its format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.servers.dogstatsd import Agent
from tests.servers.moto import MotoServer

from trikk.core.errors import ProjectError, UsageError
from trikk.core.settings import load_settings
from trikk.execution.project import Project
from trikk.runs.journals.server_beats import Server
from trikk.server.http.server_metrics import ServerMetrics
from trikk.server.metrics.metrics_part import MetricsPart
from trikk.server.presence.releases import Standing
from trikk.server.site import Site
from trikk.telemetry.metrics.metric_sink import MetricSink, metric_sinks
from trikk.testing import ManualClock

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Pushing:
    """A server's part that pushes, without the server."""

    def __init__(self, root: Path, telemetry: str) -> None:
        (root / "trikk.toml").write_text(f'name = "city"\n[telemetry]\n{telemetry}\n')
        self.clock = ManualClock(NOW.timestamp())
        self.site = Site(Project.open(root), self.clock)
        self.metrics = ServerMetrics(self.site)
        self.sinks: list[MetricSink] = metric_sinks(self.site.project.settings)
        self.part = MetricsPart(self.site, self.metrics, self.sinks)

    def turn(self, seconds: float = 60.0) -> None:
        self.clock.advance(seconds)
        self.part.turn(self.clock.now())


@pytest.fixture
def agent() -> Iterator[Agent]:
    agent = Agent()
    yield agent
    agent.close()


def test_datadog_is_told_each_increase_once_in_packets_that_fit(tmp_path: Path, agent: Agent) -> None:
    pushing = Pushing(tmp_path, f'dogstatsd = "{agent.address}"')
    counted, seconds = pushing.metrics.requests, pushing.metrics.seconds
    for route in range(200):
        counted.labels(f"/api/v1/runs/{{run}}/{route}", "200").inc(3)
    counted.labels("a|b,c#d\nå", "404").inc()
    for _ in range(1500):
        seconds.observe(0.02)
    for took in (0.001, 99.0, 0.3):
        seconds.observe(took)
    pushing.turn()
    counted.labels("/api/v1/runs/{run}/7", "200").inc()
    pushing.turn()
    pushing.turn(1)  # too soon to push again
    agent.receive()
    assert agent.packets > 10
    requests = "trikk_http_requests_total"
    assert len(agent.counts) == 201
    assert agent.counts[requests, "project:city,route:/api/v1/runs/_run_/7,status:200"] == 4
    assert agent.counts[requests, "project:city,route:/api/v1/runs/_run_/8,status:200"] == 3
    assert agent.counts[requests, "project:city,route:a_b_c_d_å,status:404"] == 1
    took_by_bound = agent.values["trikk_http_request_seconds", "project:city"]
    assert took_by_bound == Counter({0.025: 1500, 0.005: 1, 0.5: 1, 30.0: 1}), "the last bound has all above it"
    assert agent.gauges["trikk_runs", "project:city,state:queued"] == 0
    assert not [name for name, _ in agent.gauges if name.endswith("_info")]


def test_one_server_tells_of_the_project_and_the_next_one_goes_on_from_there(tmp_path: Path, agent: Agent) -> None:
    pushing = Pushing(tmp_path, f'dogstatsd = "{agent.address}"')
    site, journal = pushing.site, pushing.site.project.journal
    other = Server(id="elder", holder=site.presence.server.holder)
    site.presence.standing = Standing("r", "r", (other, site.presence.server))
    pushing.turn()
    for run in ("one", "two"):
        if run == "two":
            site.presence.standing = Standing("r", "r", (site.presence.server,))
        journal.create(run, "nightly", {"parameters": {}}, at=pushing.clock.now())
        journal.append(run, "run.cancelled", {"error": "by jo"}, at=pushing.clock.now())
        pushing.turn()
    agent.receive()
    assert agent.counts == {("trikk_runs_finished_total", "project:city,pipeline:nightly,state:cancelled"): 1}
    assert agent.gauges["trikk_runs", "project:city,state:cancelled"] == 2


def test_cloudwatch_gets_what_has_gathered_while_it_was_away_within_its_limits(
    tmp_path: Path, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("boto3", reason="boto3 is not installed")
    for name in moto_server.environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    namespace = f"trikk-{tmp_path.name}"
    pushing = Pushing(tmp_path, f'cloudwatch = "{namespace}"')
    clock_now = datetime.now(UTC).timestamp()
    pushing.clock.advance(clock_now - pushing.clock.now())
    for route in range(1200):
        pushing.metrics.requests.labels(f"/{route}", "200").inc(2)
    pushing.metrics.requests.labels("\x00å", "200").inc()
    for took in (0.02, 0.02, 0.3):
        pushing.metrics.seconds.observe(took)
    pushing.turn()
    pushing.turn()
    failed = pushing.metrics.registry.get_sample_value("trikk_sink_failures_total", {"sink": "cloudwatch"})
    assert failed == 2
    assert caplog.text.count("CloudWatch is away: NoRegionError") == 1, "once, however often"

    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    calls = _calls(monkeypatch)
    pushing.turn()
    pushing.turn()
    data = [datum for call in calls for datum in call["MetricData"]]
    assert max(len(call["MetricData"]) for call in calls) <= 1000
    assert max(len(datum["Dimensions"]) for datum in data) <= 30
    assert min(datum["Timestamp"].timestamp() for datum in data) >= clock_now
    assert sum(d["MetricName"] == "trikk_http_requests_total" for d in data) == 1201, "each increase once"
    client = moto_server.client("cloudwatch")
    dimensions = [
        {"Name": "project", "Value": "city"},
        {"Name": "route", "Value": "/7"},
        {"Name": "status", "Value": "200"},
    ]
    assert _sum(client, namespace, "trikk_http_requests_total", dimensions, clock_now) == 2
    dimensions = [{"Name": "project", "Value": "city"}]
    assert _sum(client, namespace, "trikk_http_request_seconds", dimensions, clock_now) == pytest.approx(0.55)
    shown = {d["Value"] for datum in data for d in datum["Dimensions"] if d["Name"] == "route"}
    assert r"_\xe5" in shown


def _calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is put from now on, as boto3 is given it."""
    import boto3

    calls: list[dict[str, Any]] = []
    make = boto3.client

    def client(service: str, **options: Any) -> Any:
        made = make(service, **options)
        made.meta.events.register(
            "provide-client-params.cloudwatch.PutMetricData", lambda params, **_: calls.append(params)
        )
        return made

    monkeypatch.setattr(boto3, "client", client)
    return calls


def _sum(client: Any, namespace: str, name: str, dimensions: list[dict[str, str]], at: float) -> float:
    points = client.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=dimensions,
        StartTime=datetime.fromtimestamp(at - 3600, UTC),
        EndTime=datetime.fromtimestamp(at + 3600, UTC),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def test_an_address_that_is_none_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    for address in ("localhost", "localhost:0", ":8125", "localhost:port"):
        with pytest.raises(UsageError, match="is not an address"):
            Pushing(tmp_path, f'dogstatsd = "{address}"')
    (tmp_path / "trikk.toml").write_text('name = "city"\n[telemetry]\ncloudwatch = 5\n')
    with pytest.raises(ProjectError, match=r"telemetry\.cloudwatch = 5"):
        load_settings(tmp_path)
