"""Prefect: `python prefect_flow.py CASE`. Every result is persisted."""

from __future__ import annotations

import sys

import workload
from prefect import flow, task
from prefect.cache_policies import INPUTS, RUN_ID, TASK_SOURCE

# Hashing a frame for a cache key is not asked of the others, so theirs has the run and the source only.
# A resume needs a policy that leaves the run's id out of the key; `begun` in it tells measurements apart.
frame_task = task(persist_result=True, cache_policy=RUN_ID + TASK_SOURCE)
resumable = task(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)


@task(persist_result=True)
def add(value: int) -> int:
    return value + 1


@task(persist_result=True)
def last(value: int) -> int:
    return workload.last(value + 1)


@task(persist_result=True)
def plus(value: int, number: int) -> int:
    return value + number


@task(persist_result=True)
def total(values: list[int]) -> int:
    return workload.last(sum(values))


@resumable
def delicate(number: int, value: int, started: int) -> int:  # noqa: ARG001 - part of the cache key
    return workload.delicate(number, value)


@flow
def one() -> int:
    return last(0)


@flow
def chain() -> int:
    value = 0
    for _ in range(49):
        value = add(value)
    return last(value)


@flow
def fan() -> int:
    first = add(0)
    return total.submit(plus.map(first, list(range(workload.WIDTH)))).result()


@flow
def pandas() -> int:
    frame = frame_task(workload.pandas_frame)()
    return frame_task(workload.pandas_consume)(frame_task(workload.pandas_transform)(frame))


@flow
def resume() -> int:
    value = 0
    for number in range(1, workload.RESUME_STEPS + 1):
        value = delicate(number, value, workload.begun())
    return value


if __name__ == "__main__":
    globals()[sys.argv[1]]()
