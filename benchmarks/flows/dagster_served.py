"""Dagster: `dagster-daemon run -f dagster_served.py` has BENCH_SIZE schedules that come due by BENCH_CRON."""

import os

import workload
from dagster import (
    DefaultScheduleStatus,
    Definitions,
    OpExecutionContext,
    ScheduleDefinition,
    in_process_executor,
    job,
    op,
)


@op
def begin(context: OpExecutionContext) -> None:
    workload.begin(context.run.tags["name"])


@job(executor_def=in_process_executor)
def due() -> None:
    begin()


definitions = Definitions(
    jobs=[due],
    schedules=[
        ScheduleDefinition(
            name=f"due_{number}",
            job=due,
            cron_schedule=os.environ["BENCH_CRON"],
            tags={"name": str(number)},
            default_status=DefaultScheduleStatus.RUNNING,
        )
        for number in range(int(os.environ["BENCH_SIZE"]))
    ],
)
