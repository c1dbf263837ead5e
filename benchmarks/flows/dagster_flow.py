"""Dagster: `dagster job execute -f dagster_flow.py -j JOB`, as a fresh user would.

`python dagster_flow.py` takes up the newest run from where it failed; Dagster has no command for that.
"""

from __future__ import annotations

import sys
from typing import Any

import workload
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    ReexecutionOptions,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)


@op
def first() -> int:
    return 1


@op
def add(value: int) -> int:
    return value + 1


@op
def last(value: int) -> int:
    return workload.last(value + 1)


@op
def single() -> int:
    return workload.last(1)


@op
def total(values: list[int]) -> int:
    return workload.last(sum(values))


def _plus(number: int) -> Any:
    @op(name=f"branch{number}")
    def plus(value: int) -> int:
        return value + number

    return plus


def _delicate(number: int) -> Any:
    @op(name=f"delicate{number}")
    def delicate(value: int) -> int:
        return workload.delicate(number, value)

    return delicate


BRANCHES = [_plus(number) for number in range(workload.WIDTH)]
DELICATE = [_delicate(number) for number in range(1, workload.RESUME_STEPS + 1)]


@op
def zero() -> int:
    return 0


@op
def make() -> Any:
    return workload.pandas_frame()


@op
def transform(frame: Any) -> Any:
    return workload.pandas_transform(frame)


@op
def consume(frame: Any) -> int:
    return workload.pandas_consume(frame)


def _one() -> None:
    single()


def _chain() -> None:
    value = first()
    for number in range(2, workload.WIDTH):
        value = add.alias(f"add{number}")(value)
    last(value)


def _fan() -> None:
    start = first()
    total([branch(start) for branch in BRANCHES])


def _pandas() -> None:
    consume(transform(make()))


@job
def resume() -> None:
    value = zero()
    for step in DELICATE:
        value = step(value)


BODIES = {"one": _one, "chain": _chain, "fan": _fan, "pandas": _pandas}
JOBS = [resume, *[job(name=name)(body) for name, body in BODIES.items()]]
JOBS += [job(name=f"{name}_in_process", executor_def=in_process_executor)(body) for name, body in BODIES.items()]
definitions = Definitions(jobs=JOBS)


def main() -> None:
    """Take up the newest run; one that was killed has to be declared failed by hand first."""
    with DagsterInstance.get() as instance:
        newest = instance.get_runs(limit=1)[0]
        if newest.status == DagsterRunStatus.STARTED:
            instance.report_run_failed(newest)
        options = ReexecutionOptions.from_failure(newest.run_id, instance)
        result = execute_job(reconstructable(resume), instance=instance, reexecution_options=options)
    sys.exit(0 if result.success else 1)


if __name__ == "__main__":
    main()
