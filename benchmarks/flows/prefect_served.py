"""Prefect: `python prefect_served.py` serves BENCH_SIZE deployments that come due by BENCH_CRON."""

from __future__ import annotations

import os

import workload
from prefect import flow, serve, task


@task
def begin(name: str) -> None:
    workload.begin(name)


@flow
def due(name: str) -> None:
    begin(name)


if __name__ == "__main__":
    names = [str(number) for number in range(int(os.environ["BENCH_SIZE"]))]
    cron = os.environ["BENCH_CRON"]
    serve(
        *(due.to_deployment(name, cron=cron, parameters={"name": name}) for name in names),
        limit=int(os.environ["BENCH_SLOTS"]),
    )
