"""trikk: pipelines of a server. BENCH_SIZE schedules come due by BENCH_CRON; the others one by one."""

import os

import workload

from trikk import pipeline, step
from trikk.triggers import Cron, Event, FileArrived, Interval, Webhook

CRON, SIZE = os.environ["BENCH_CRON"], int(os.environ["BENCH_SIZE"])


@step
def begin(name: str) -> str:
    workload.begin(name)
    return name


@pipeline(triggers=[Cron(CRON, timezone="UTC", name=f"due-{n}", parameters={"name": str(n)}) for n in range(SIZE)])
def due(name: str):
    begin(name)


@pipeline(triggers=[Interval("5s", parameters={"name": "lone"})] if os.environ.get("BENCH_LONE") else [])
def lone(name: str):
    begin(name)


@step
def begin_for(event: Event) -> str:
    workload.begin(event.id.rpartition("/")[2] if event.kind == "webhook" else event.path)
    return event.id


@pipeline(triggers=[FileArrived("inbox/*.csv"), Webhook("calls", secret="${BENCH_KEY}")])
def arrived(event: Event):
    begin_for(event)
