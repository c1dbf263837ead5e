"""What of a pipeline SageMaker can't do, or does otherwise than at home; each with the author's line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trikk.pipeline.graph import Node, ParameterSpec
from trikk.targets.sagemaker.condition_branches import Branches
from trikk.targets.sagemaker.definition_parameters import longest_text
from trikk.targets.sagemaker.retry_policies import unlike_at_home
from trikk.targets.target_port import Problem, Source, folder_problems, needs_ledger
from trikk.triggers.clock_triggers import Cron, Interval

_LONGEST_ARGUMENT = 256


def pipeline_problems(source: Source, branches: Branches, names: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of the graph itself, and notes.

    Args:
        source: what is compiled.
        branches: its branches.
        names: as of `job_step`.
    """
    graph = source.graph
    for node in graph.nodes.values():
        yield from _of_node(node, names)
    yield from folder_problems(source)
    if _is_file(source.settings.journal):
        for step, reason in needs_ledger(graph).items():
            trouble = f"it {reason}, for which its job needs the project's journal, a file of this machine"
            mend = 'set [storage] journal = "postgresql://..." to one that jobs can reach'
            yield Problem(trouble, mend, step, graph.nodes[step].where)
    for step, reason in branches.by_job.items():
        trouble = f"its own job decides whether it runs, a machine is started for that: {reason}"
        yield Problem(trouble, "let it hang on a number or a text that a step returns, to save that", step,
                      graph.nodes[step].where, is_note=True)  # fmt: skip
    if long := [spec.name for spec in graph.parameters if _may_be_long(spec)]:
        trouble = f"a value of over {_LONGEST_ARGUMENT} characters fails the jobs: parameters {', '.join(long)}"
        yield Problem(trouble, "give long values by a file or a table", is_note=True)
    yield from _of_starts(source)


def _of_node(node: Node, names: Mapping[str, str]) -> Iterator[Problem]:
    def note(trouble: str, mend: str = "") -> Problem:
        return Problem(trouble, mend, node.name, node.where, is_note=True)

    if node.question is not None:
        mend = "leave it out, split the pipeline there, or run it on a server of your own (trikk serve)"
        yield Problem("it asks people, which SageMaker Pipelines can't wait for", mend, node.name, node.where)
    if (called := names[f"step/{node.name}"]) != node.name.replace("_", "-"):
        yield note(f"it is called {called} there")
    if node.mapped is not None:
        yield note("all its items run in one job, as many at once as its machine has room for")
    if node.cache is not None:
        yield note("its results are not reused there: each execution runs it")
    if (difference := unlike_at_home(node.retry)) is not None:
        yield note(f"failures of the service are retried {difference}; those of its code as at home")


def _of_starts(source: Source) -> Iterator[Problem]:
    if source.graph.pools:
        trouble = f"executions there take no place in the pool {source.graph.pools[0]}"
        yield Problem(trouble, "limit them where they are started", is_note=True)
    for declared in source.triggers:
        if not isinstance(declared.trigger, Cron | Interval):
            trouble = f"trigger {declared.name} starts nothing there: only schedules do"
            yield Problem(trouble, "keep a server for it (trikk serve)", where=declared.where, is_note=True)


def _may_be_long(spec: ParameterSpec) -> bool:
    longest = longest_text(spec)
    return longest is None or longest > _LONGEST_ARGUMENT


def _is_file(journal: str) -> bool:
    return "://" not in journal or journal.startswith("sqlite")
