"""What authors declare as triggers: what it becomes, and that each mistake is refused where it was made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import Enum

import msgspec
import pytest

from trikk import Table, pipeline, step
from trikk.core.errors import DefinitionError
from trikk.triggers import (
    AfterRun,
    Cron,
    Event,
    FileArrived,
    Interval,
    Message,
    Missed,
    Overlap,
    TableChanged,
    Webhook,
)
from trikk.triggers.declaration import Trigger
from trikk.triggers.declared import Declared

counts = Table("counts")


class City(Enum):
    OSLO = 1
    BERGEN = 2


@step
def load(day: date, city: City, event: Event | None) -> int:
    return 1


def nightly(day: date, city: City, event: Event | None = None) -> None:
    load(day, city, event)


def of(*triggers: Trigger) -> tuple[Trigger, ...]:
    return pipeline(triggers=[*triggers])(nightly).triggers  # type: ignore[return-value]


EVERY_KIND = [
    Cron("0 4 * * *", timezone="Europe/Oslo", missed="all", at_most=5, parameters={"city": City.OSLO}),
    Interval("15m", overlap=Overlap.SKIP, parameters={"city": "OSLO"}),
    AfterRun("hourly", state="failed", parameters={"city": "OSLO"}),
    TableChanged("counts", day_offset=-1, parameters={"city": "OSLO"}),
    FileArrived("inbox/*.csv", overlap="allow", parameters={"city": "OSLO"}),
    FileArrived("s3://bucket/in/**/*.csv", name="objects", parameters={"city": "OSLO"}),
    Message("kafka://host:9092/topic", parameters={"city": "OSLO"}),
    Message("mqtt://host/sensors/+/#", name="readings", parameters={"city": "OSLO"}),
    Webhook("orders", secret="${HOOK_KEY}", parameters={"city": "OSLO"}),
]


def test_each_kind_is_named_after_pipeline_and_kind_and_reads_back_from_its_json() -> None:
    triggers = of(*EVERY_KIND)
    assert [t.name for t in triggers] == [
        "nightly-cron",
        "nightly-interval",
        "nightly-after-run",
        "nightly-table-changed",
        "nightly-file-arrived",
        "objects",
        "nightly-message",
        "readings",
        "nightly-webhook",
    ]
    for trigger in triggers:
        data = msgspec.json.decode(msgspec.json.encode(trigger.to_json()))
        assert msgspec.convert({"pipeline": "nightly", "trigger": data, "where": "x"}, Declared).trigger == trigger
        assert data["kind"] == trigger.kind


def test_what_is_written_as_text_becomes_what_it_means() -> None:
    cron, interval, *_ = of(*EVERY_KIND)
    assert isinstance(cron, Cron)
    assert (cron.missed, cron.parameters) == (Missed.ALL, {"city": "OSLO"})
    assert isinstance(interval, Interval)
    assert interval.length == timedelta(minutes=15)


def test_the_graph_of_a_pipeline_is_the_same_with_triggers() -> None:
    assert pipeline(nightly).graph.to_json() == pipeline(triggers=EVERY_KIND)(nightly).graph.to_json()


def test_a_run_gets_the_local_day_of_its_moment_and_the_event() -> None:
    event = Event(id="1", kind="cron", at=datetime(2026, 6, 30, 22, 30, tzinfo=UTC))
    graph = pipeline(nightly).graph
    today, before = of(
        Cron("30 0 * * *", timezone="Europe/Oslo", parameters={"city": City.BERGEN}),
        Cron("30 0 * * *", name="before", timezone="Europe/Oslo", day_offset=-1, parameters={"city": "OSLO"}),
    )
    parameters = today.parameters_at(graph, event)
    assert parameters == {"day": "2026-07-01", "city": "BERGEN", "event": event.to_json()}
    assert before.parameters_at(graph, event)["day"] == "2026-06-30"


def test_a_given_parameter_wins_over_the_moment() -> None:
    (given,) = of(Cron("* * * * *", parameters={"city": "OSLO", "day": date(2020, 1, 1), "event": None}))
    event = Event(id="1", kind="cron", at=datetime(2026, 6, 30, tzinfo=UTC))
    parameters = given.parameters_at(pipeline(nightly).graph, event)
    assert (parameters["day"], parameters["event"]) == ("2020-01-01", None)


CITY = {"city": "OSLO"}


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda: Cron("0 4 * * * *"), "sixth field"),
        (lambda: Cron("0 4 30 2 *"), "not a cron line that comes due"),
        (lambda: Cron("0 4 * * *", timezone="Europe/Osl"), "time zone 'Europe/Osl'"),
        (lambda: Cron("0 4 * * *", timezone="Europe"), "time zone 'Europe'"),
        (lambda: Cron("0 4 * * *", missed="none"), "missed='none'"),
        (lambda: Cron("0 4 * * *", at_most=0), "at_most=0"),
        (lambda: Cron("0 4 * * *", missed="all", overlap="skip"), "drops all but one"),
        (lambda: Cron("0 4 * * *", overlap="drop"), "overlap='drop'"),
        (lambda: Cron("0 4 * * *", name="a/b"), "can't name a trigger"),
        (lambda: Cron("0 4 * * *", day_offset=0.5), "day_offset=0.5"),  # type: ignore[arg-type]
        (lambda: Cron("0 4 * * *", parameters=["day"]), "parameters= must be a dict"),  # type: ignore[arg-type]
        (lambda: Interval("0s"), "interval"),
        (lambda: Interval("soon"), "'soon' is not a length of time"),
        (lambda: Interval(1.0000001), "too exact"),
        (lambda: AfterRun("a b"), "can't name a pipeline"),
        (lambda: AfterRun("hourly", state="running"), "is no end of a run"),
        (lambda: TableChanged(counts), "can't name a table"),  # type: ignore[arg-type]
        (lambda: FileArrived("../inbox/*.csv"), "has .. in it"),
        (lambda: FileArrived("inbox/"), "no path of files"),
        (lambda: FileArrived("s3://bucket"), "whole of a bucket"),
        (lambda: FileArrived("s3://b/../x"), "names no bucket"),
        (lambda: FileArrived("inbox/*.csv", settle="soon"), "'soon' is not a length of time"),
        (lambda: FileArrived("inbox/*.csv", settle="2d"), "more than a day"),
        (lambda: Message("http://host/topic"), "broker's address"),
        (lambda: Message("kafka://host/topic", id="$.n"), "known by their offsets"),
        (lambda: Message("mqtt://host/topic", id="n"), "no place in a payload"),
        (lambda: Message("mqtt://host/topic", batch=2), "can't be taken together"),
        (lambda: Message("kafka://host/topic", batch=0), "batch=0"),
        (lambda: Message("kafka://host/topic", batch=2, within="2h"), "more than an hour"),
        (lambda: Message("kafka://host"), "names no topic"),
        (lambda: Message("kafka://user:hunter2@host/topic"), "holds a password"),
        (lambda: Webhook("orders"), "needs the secret"),
        (lambda: Webhook("orders", secret="hunter2"), "needs the secret"),
        (lambda: Webhook("orders", secret="${KEY}", former_secret="hunter2"), "needs the secret"),
        (lambda: of(Cron("0 4 * * *")), "city: missing"),
        (lambda: of(Cron("0 4 * * *", parameters={"city": "ROME"})), "city: 'ROME' does not fit"),
        (lambda: of(Cron("0 4 * * *", parameters={**CITY, "dya": "x"})), "dya: no such parameter"),
        (lambda: of(Cron("0 4 * * *", parameters=CITY), Cron("0 5 * * *", parameters=CITY)), "'nightly-cron'"),
        (lambda: of("0 4 * * *"), "is no trigger of pipeline nightly"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_is_refused_with_the_authors_line(declare: Callable[[], object], says: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        declare()
    assert says in refused.value.what
    assert "hunter2" not in str(refused.value)
    assert refused.value.next
    assert (refused.value.where or "").startswith(__file__)


def test_an_event_goes_to_json_and_back() -> None:
    event = Event(
        id="orders/3/17",
        kind="message",
        at=datetime(2026, 6, 30, tzinfo=UTC),
        payload={"n": [1, None]},
        headers={"a": "b"},
        tables={"counts": 3},
    )
    assert Event.read(event.to_json()) == event


def test_ticks_of_an_interval_are_the_same_whenever_one_begins_to_look() -> None:
    interval = Interval("90m")
    start = datetime(2026, 11, 30, 8, 17, tzinfo=UTC)
    ticks = list(interval.ticks(start, start + timedelta(hours=5)))
    assert ticks == [datetime(2026, 11, 30, 9, 0, tzinfo=UTC) + n * timedelta(minutes=90) for n in range(3)]
    assert interval.newest(start, start + timedelta(hours=5), 2) == ticks[-2:]
    assert interval.newest(start, start + timedelta(hours=5), 9) == ticks
    assert interval.count(start, start + timedelta(hours=5), 10) == 3
    assert interval.next_after(ticks[0]) == ticks[1]
