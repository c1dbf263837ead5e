"""Kedro: what the project's pipeline_registry.py hands out. Every dataset is a pickle, by the catalog."""

from __future__ import annotations

from functools import partial
from typing import Any

import workload
from kedro.pipeline import node, pipeline


def _first() -> int:
    return 1


def _add(value: int) -> int:
    return value + 1


def _plus(number: int, value: int) -> int:
    return value + number


def _single() -> int:
    return workload.last(1)


def _last(value: int) -> int:
    return workload.last(value + 1)


def _total(*values: int) -> int:
    return workload.last(sum(values))


def _zero() -> int:
    return 0


def register_pipelines() -> dict[str, Any]:
    """One pipeline for each case."""
    chain = [node(_first, None, "chain1", name="chain1")]
    chain += [node(_add, f"chain{i - 1}", f"chain{i}", name=f"chain{i}") for i in range(2, workload.WIDTH)]
    chain += [node(_last, f"chain{workload.WIDTH - 1}", "chain_last", name="chain_last")]
    branches = range(workload.WIDTH)
    fan = [node(_first, None, "first", name="first")]
    fan += [node(partial(_plus, i), "first", f"branch{i}", name=f"branch{i}") for i in branches]
    fan += [node(_total, [f"branch{i}" for i in branches], "total", name="total")]
    frame = [
        node(workload.pandas_frame, None, "made", name="make"),
        node(workload.pandas_transform, "made", "transformed", name="transform"),
        node(workload.pandas_consume, "transformed", "consumed", name="consume"),
    ]
    steps = range(1, workload.RESUME_STEPS + 1)
    delicate = [node(_zero, None, "delicate0", name="delicate0")]
    delicate += [
        node(partial(workload.delicate, i), f"delicate{i - 1}", f"delicate{i}", name=f"delicate{i}") for i in steps
    ]
    one = pipeline([node(_single, None, "one", name="one")])
    cases = {"chain": chain, "fan": fan, "pandas": frame, "resume": delicate}
    return {"__default__": one, "one": one, **{name: pipeline(nodes) for name, nodes in cases.items()}}
