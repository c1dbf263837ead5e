"""A tick is started once: by the function as Lambda has it, called twice, and by hand."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.targets.aws_resources.fake_engines import FakeEngines, fake_engines

from trikk import pipeline, step
from trikk.core.settings import Settings
from trikk.pipeline.parameters.trigger_event import Event
from trikk.targets.aws_resources import start_function
from trikk.targets.aws_resources.aws_access import AwsAccess
from trikk.targets.aws_resources.aws_names import AwsNames
from trikk.targets.aws_resources.environment_resources import EnginePipeline
from trikk.targets.aws_resources.function_archive import HANDLER, code_sum, function_archive
from trikk.targets.aws_resources.schedule_payload import SCHEDULED_TIME, schedule_payload
from trikk.targets.aws_resources.start_by_hand import start_by_hand
from trikk.targets.target_port import Source
from trikk.triggers import Cron
from trikk.triggers.declared import Declared
from trikk.triggers.trigger_state import tick_text

pytest.importorskip("boto3")

DEFINITION = {"Parameters": [{"Name": name, "Type": "String", "DefaultValue": ""} for name in ("Trigger", "Tick")]}

YEARS = datetime(1971, 1, 1), datetime(2099, 1, 1)  # noqa: DTZ001 - hypothesis wants them so


@step
def fit(day: date, city: str) -> str:
    return f"{day} {city}"


@pipeline
def nightly(day: date, at: datetime, the_city: str = "oslo", event: Event | None = None) -> None:
    fit(day, the_city)


def declared(**options: Any) -> Declared:
    cron = Cron(
        "0 4 * * *", timezone="Pacific/Auckland", day_offset=-1, parameters={"the_city": "rome"}, **options
    )
    return Declared("nightly", cron.for_pipeline(nightly.graph, "pipelines.py:1"), "pipelines.py:1")


def on_aws(trigger: Declared) -> EnginePipeline:
    source = Source(nightly.graph, Settings(root=Path(), name="city"), "code", (trigger,))
    return EnginePipeline(source, "city-main-nightly", DEFINITION, {trigger.name: trigger.name})


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngines]:
    with fake_engines() as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server


def called_as_lambda(folder: Path, payload: dict[str, Any], **environment: str) -> dict[str, str]:
    """What the archive's handler answers in a process that has nothing of trikk's."""
    folder.mkdir(exist_ok=True)
    zipfile.ZipFile(io.BytesIO(function_archive())).extractall(folder)
    module, _, function = HANDLER.partition(".")
    program = (
        f"import json, sys\nfrom {module} import {function}\n"
        f"answer = {function}(json.loads(sys.stdin.read()), None)\n"
        "assert 'trikk' not in sys.modules\nprint(json.dumps(answer))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        input=json.dumps(payload),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    logged, said = answer.stdout.splitlines()
    assert json.loads(logged)["trigger"] == payload["trigger"]
    return json.loads(said)


def test_a_tick_is_started_once_by_two_calls_and_by_hand(engines: FakeEngines, tmp_path: Path) -> None:
    import boto3

    trigger = declared()
    payload = schedule_payload("city-main-nightly", nightly.graph, trigger, DEFINITION)
    assert payload["scheduled"] == SCHEDULED_TIME
    scheduled = json.loads(json.dumps(payload).replace(SCHEDULED_TIME, "2026-11-29T15:00:00Z"))

    first = called_as_lambda(tmp_path / "function", scheduled)
    second = called_as_lambda(tmp_path / "function", scheduled)
    names = AwsNames("city-main", "aws", "eu-west-1", "111122223333")
    by_hand, is_due = start_by_hand(
        AwsAccess(boto3.Session(), names), [on_aws(trigger)], trigger.name, "2026-11-30T04:00"
    )

    assert is_due
    assert first == second == by_hand
    assert len(engines.calls) == 3
    assert len(engines.started) == 1
    (request,) = engines.started.values()
    given = {parameter["Name"]: parameter["Value"] for parameter in request["PipelineParameters"]}
    assert given["day"] == "2026-11-29"
    assert given["the-city"] == "rome"
    assert (given["Trigger"], given["Tick"]) == (trigger.name, "2026-11-29T15:00:00+00:00")
    assert request["PipelineExecutionDisplayName"] == "nightly-cron-20261129T150000Z"


def test_another_tick_trigger_or_environment_is_another_start(engines: FakeEngines) -> None:
    import boto3

    payload = {"trigger": "a", "scheduled": "2026-11-29T15:00:00Z", "pipeline": "p"}
    for other in ({}, {"trigger": "b"}, {"scheduled": "2026-11-29T15:01:00Z"}, {"pipeline": "q"}):
        start_function.start({**payload, **other}, boto3.client)
    assert len(engines.started) == 4


def test_a_state_machine_is_started_by_the_same_rule(engines: FakeEngines) -> None:
    import boto3

    payload = {"trigger": "a", "scheduled": "2026-11-29T15:00:00Z", "parameters": {"city": "oslo"}, "origin": True}
    machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:machine"
    first, second = (start_function.start({**payload, "machine": machine}, boto3.client) for _ in range(2))
    assert first == second
    (request,) = engines.started.values()
    assert json.loads(request["input"])["Trigger"] == "a"


@given(
    st.datetimes(YEARS[0], YEARS[1]),
    st.integers(-12 * 60, 14 * 60),
)
def test_the_function_and_trikk_know_a_tick_by_the_same_identity(moment: datetime, offset: int) -> None:
    at = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    assert start_function.tick_of(at.isoformat()) == tick_text(at)
    assert start_function.tick_of(at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")) == tick_text(at)


@given(
    st.datetimes(YEARS[0], YEARS[1]),
    st.sampled_from(["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu"]),
    st.integers(-3, 3),
)
def test_the_function_fills_in_what_trikk_fills_in(moment: datetime, zone: str, offset: int) -> None:
    at = moment.replace(microsecond=0, tzinfo=UTC)
    cron = Cron("* * * * *", timezone=zone, day_offset=offset, parameters={"the_city": "rome"})
    trigger = Declared("nightly", cron.for_pipeline(nightly.graph, ""), "")
    payload = schedule_payload("p", nightly.graph, trigger, {})
    texts = start_function.parameters_of(payload, start_function.tick_of(at.isoformat()))

    from trikk.pipeline.pipeline import parameters_for

    there = parameters_for(
        nightly.graph, {name.replace("-", "_"): text for name, text in texts.items()}, text=True
    )
    assert there == trigger.trigger.parameters_at(nightly.graph, Event(id=tick_text(at), kind="cron", at=at))


def test_the_function_knows_time_zones_where_the_system_has_none(engines: FakeEngines, tmp_path: Path) -> None:
    payload = schedule_payload("p", nightly.graph, declared(), DEFINITION) | {"scheduled": "2026-11-29T15:00:00Z"}
    called_as_lambda(tmp_path / "function", payload, PYTHONTZPATH=str(tmp_path))
    (request,) = engines.started.values()
    assert {"Name": "day", "Value": "2026-11-29"} in request["PipelineParameters"]


def test_a_name_of_an_execution_is_what_the_service_takes() -> None:
    name = start_function.display_name("__a_trigger_with_a_name_" + "x" * 90, "2026-11-29T15:00:00+00:00")
    assert len(name) == 82
    assert name.startswith("a-trigger")


def test_the_archive_is_the_same_each_time() -> None:
    assert function_archive() == function_archive()
    assert len(code_sum(function_archive())) == 44
