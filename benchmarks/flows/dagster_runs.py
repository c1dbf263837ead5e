"""Dagster: `python dagster_runs.py SIZE` records so many runs that are over in the instance of DAGSTER_HOME."""

import sys

from dagster import DagsterInstance, DagsterRunStatus, Definitions, job, op


@op
def begin() -> None:
    pass


@job
def due() -> None:
    begin()


definitions = Definitions(jobs=[due])

if __name__ == "__main__":
    instance = DagsterInstance.get()
    for _ in range(int(sys.argv[1])):
        instance.create_run_for_job(due, status=DagsterRunStatus.SUCCESS)
