"""The dashboard and the alert rules of `deploy/` ask for metrics that there are, by labels that they have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trikk.telemetry.metrics.metric_table import BY_SAMPLE, METRICS, MetricKind

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES, DASHBOARD = DEPLOY / "prometheus-rules.yaml", DEPLOY / "grafana-dashboard.json"
FIRING = Path(__file__).parent / "prometheus-rules-test.yaml"
OF_PROMETHEUS = {"job", "instance"}
LABEL = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
GROWS = {"rate", "increase"}


def asked() -> Iterator[tuple[str, str]]:
    """Each expression, with the text that shows its labels."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"], " ".join(rule["annotations"].values())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m"), target["legendFormat"]


def check(expression: str, shown: str) -> set[str]:
    """The samples that an expression asks for; fails if it can't be right."""
    promql = pytest.importorskip("promql_parser", reason="no parser of PromQL")
    samples: set[str] = set()
    labels, kept = set[str](), set[str]()
    grows: list[str] = []

    def visit(node: Any) -> bool:
        match node:
            case promql.VectorSelector():
                samples.add(node.name)
                names = {matcher.name for matcher in node.matchers.matchers}
                if node.name != "up":
                    assert node.name in BY_SAMPLE, f"{node.name} is no metric: {expression}"
                    assert names <= {*BY_SAMPLE[node.name].labels, *OF_PROMETHEUS}, expression
                    labels.update(BY_SAMPLE[node.name].labels, ["le"] * node.name.endswith("_bucket"))
            case promql.Call() if node.func.name in GROWS:
                grows.append(node.args[0].vector_selector.name)
            case promql.AggregateExpr() if node.modifier is not None:
                kept.update(node.modifier.labels)
        return True

    promql.walk(promql.parse(expression), visit)
    assert kept <= labels | OF_PROMETHEUS, expression
    assert set(LABEL.findall(shown)) <= (kept or labels | OF_PROMETHEUS), (expression, shown)
    counted = {name for name in samples & set(BY_SAMPLE) if BY_SAMPLE[name].kind is not MetricKind.GAUGE}
    assert set(grows) == counted, f"counters are asked for their growth, gauges for their value: {expression}"
    return samples


def test_what_the_dashboard_and_the_rules_ask_for_is_there() -> None:
    samples = set[str]().union(*(check(*each) for each in asked()))
    shown = {BY_SAMPLE[name].name for name in samples - {"up"}}
    missing = {metric.name for metric in METRICS if metric.whole} - shown
    assert not missing, "what the project is measured by is on the dashboard"


@pytest.mark.parametrize(
    "wrong",
    [
        "trikk_gone_total > 1",
        'trikk_runs{pipeline="nightly"}',
        "max by (step) (trikk_runs)",
        "rate(trikk_runs[5m])",
        "trikk_steps_total",
    ],
)
def test_the_check_sees_what_is_wrong(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check(wrong, "")


@pytest.mark.parametrize("command", [("check", RULES), ("test", FIRING)])
def test_prometheus_takes_the_rules_and_fires_by_them(command: tuple[str, Path]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not there: go install github.com/prometheus/prometheus/cmd/promtool@latest")
    does, file = command
    checked = subprocess.run(["promtool", does, "rules", str(file)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
