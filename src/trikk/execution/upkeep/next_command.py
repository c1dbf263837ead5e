"""The command that helps after a run has failed or was stopped: going on with the same data fails a gate again."""

from __future__ import annotations

from collections.abc import Iterator

from trikk.core.errors import TrikkError
from trikk.execution.approvals.questions import REFUSED
from trikk.execution.project import Project
from trikk.pipeline.arguments import OutputRef, TableRef, walk
from trikk.pipeline.graph import Graph
from trikk.runs.run_state import RunState

_BLOCKED = ".GateBlocked"


def way_on(project: Project, state: RunState) -> str:
    """The command that goes on with a run; after a blocked gate one that brings it other rows.

    A gate's rows come from tables (`--with-current-data`), from steps that are given nothing (`--again STEP`), or
    both. Where the run has written them to a table already it can't take others: the pipeline is to be mended.
    """
    resume = f"trikk resume {state.id}"
    culprit = state.culprit()
    if culprit is not None and (culprit[1].error or {}).get("kind") == REFUSED:
        return f"{resume} --again {culprit[0]}"  # asks once more
    if culprit is None or not str((culprit[1].error or {}).get("type")).endswith(_BLOCKED):
        return resume
    try:
        graph = project.graph(state)
    except TrikkError:
        return resume
    above = list(_above(graph, culprit[0]))
    if any((step := state.steps.get(name)) is not None and step.write for name in above):
        return f"{resume} --with-current-code"
    reads = any(not ref.writes for name in above for ref in graph.nodes[name].tables())
    first = [name for name in above[1:] if not _given(graph, name) and not list(graph.nodes[name].tables())]
    return " ".join([resume, *(["--with-current-data"] if reads else []), *(f"--again {name}" for name in first)])


def _above(graph: Graph, name: str) -> Iterator[str]:
    """A step and those whose results it is given, and so on."""
    seen, queue = set(), [name]
    while queue:
        if (one := queue.pop(0)) not in seen:
            seen.add(one)
            yield one
            queue += _given(graph, one)


def _given(graph: Graph, name: str) -> list[str]:
    """The steps whose results, or written rows, a step is given."""
    options = []
    for argument in graph.nodes[name].arguments.values():
        for part in walk(argument):
            if isinstance(part, OutputRef):
                options.append(part.step)
            elif isinstance(part, TableRef):
                options += part.writes
    return options
