"""The cases: what each asks, and which line of its table the ratios are taken against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One table of the report.

    Attributes:
        name: how `--only` calls it.
        about: what is measured, for the heading.
        reference: label of the floor's line that the ratios are against.
        steps: steps in the pipeline, for milliseconds a step; 0 where that means nothing.
        needs: cases that must be measured too for its figures to be derived.
    """

    name: str
    about: str
    reference: str
    steps: int = 0
    needs: tuple[str, ...] = ()


ALL = (
    Case("one", "one step that adds 1, everything cold", "floor: fork + fsync", 1),
    Case("chain50", "50 steps one after another, each adds 1", "floor: fork + fsync", 50, ("one",)),
    Case("fan50", "one step, 50 in parallel, one that sums", "floor: fork + fsync"),
    Case("chain2000", "2,000 steps one after another", "floor: fork + fsync", 2000, ("one", "chain50")),
    Case("frame", "500,000 x 12 polars frame through 3 steps", "floor: raw Arrow IPC"),
    Case("frame_pandas", "the same frame in pandas", "floor: raw Arrow IPC"),
    Case("resume10", "10 steps, step 8 failed: the second try", "floor: fork + fsync"),
    Case("kill10", "10 steps, kill -9 of the process group in step 5: the second try", "floor: fork + fsync"),
    Case("import", "import of the package", "floor: python -c pass"),
    Case("help", "the command's --help", "floor: python -c pass"),
    Case("runs100k", "list the newest runs of a journal of 100,000", "trikk, 100 runs"),
    Case("memory", "peak RSS of the driving process alone", "trikk, chain50"),
)
BY_NAME = {case.name: case for case in ALL}
RESULTS = {
    "one": "1",
    "chain50": "50",
    "chain2000": "2000",
    "fan50": str(sum(range(1, 51))),
    "frame": "500000",
    "frame_pandas": "500000",
    "resume10": "10",
    "kill10": "10",
}
"""What the last step of each case must have written."""


def chosen(names: list[str]) -> list[Case]:
    """The cases of these names (all when none is given) and those that they need, in their usual order.

    Raises:
        KeyError: for a name that is no case's.
    """
    wanted = set(names or BY_NAME)
    for name in tuple(wanted):
        wanted.update(BY_NAME[name].needs)
    return [case for case in ALL if case.name in wanted]
