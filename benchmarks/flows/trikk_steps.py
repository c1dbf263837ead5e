"""trikk: `trikk run bench`. The variables BENCH_CASE and BENCH_SIZE say what that is."""

import os

import workload

from trikk import pipeline, step

CASE, SIZE = os.environ["BENCH_CASE"], int(os.environ["BENCH_SIZE"])


@step
def first() -> int:
    return 1


@step
def add(value: int) -> int:
    return value + 1


@step
def last(value: int) -> int:
    return workload.last(value + 1)


@step
def plus(value: int, number: int) -> int:
    return value + number


@step
def total(values: list[int]) -> int:
    return workload.last(sum(values))


@step
def single() -> int:
    return workload.last(1)


@step
def delicate(number: int, value: int) -> int:
    return workload.delicate(number, value)


@pipeline
def bench():
    if CASE == "one":
        single()
    elif CASE == "chain":
        value = first()
        for _ in range(SIZE - 2):
            value = add(value)
        last(value)
    elif CASE == "fan":
        start = first()
        total([plus(start, number) for number in range(SIZE)])
    else:
        value = 0
        for number in range(1, SIZE + 1):
            value = delicate(number, value)
