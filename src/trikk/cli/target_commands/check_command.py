"""`trikk check`: what an engine can't do with the project's pipelines, before anything is compiled or uploaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from trikk.cli.printing import echo, json_option, print_json, style
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.targets.target_port import Problem, Source, target_named, target_names


@click.command()
@click.argument("pipeline", required=False)
@click.option("--target", required=True, metavar="TARGET", help=f"The engine: {', '.join(target_names())}.")
@json_option
def check(pipeline: str | None, target: str, as_json: bool) -> int:
    """Say what TARGET can't do with PIPELINE, or with any of the project's; exit code 1 if there is such a thing.

    Notes tell what it does in another way than trikk at home; they stop nothing.
    """
    from trikk.cli.target_commands.compile_source import sources

    engine, project = target_named(target), Project.open()
    compiled_from = list(sources(project, pipeline))
    problems = {source.graph.pipeline: engine.problems(source) for source in compiled_from}
    if pipeline is None and (unknown := _unknown_steps(project, target, compiled_from)):
        problems["trikk.toml"] = unknown
    good = all(problem.is_note for each in problems.values() for problem in each)
    if as_json:
        listed = [{"pipeline": name, **_document(p)} for name, each in problems.items() for p in each]
        print_json({"target": target, "good": good, "problems": listed})
    else:
        _print(problems, target)
    return 0 if good else 1


def _unknown_steps(project: Project, target: str, compiled_from: Sequence[Source]) -> list[Problem]:
    """What is set for steps that no pipeline has: most likely a slip."""
    known = {step for source in compiled_from for step in source.graph.nodes}
    named = project.settings.targets.get(target, {}).get("steps", {})
    return [
        Problem(
            "no pipeline has such a step",
            f"there are: {', '.join(sorted(known))}",
            where=f"[targets.{target}.steps.{step}]",
        )
        for step in sorted(set(named) - known)
    ]


def _document(problem: Problem) -> dict[str, object]:
    """All fields: a program should not have to know which are left out."""
    return {field: getattr(problem, field) for field in problem.__struct_fields__}


def _print(problems: Mapping[str, Sequence[Problem]], target: str) -> None:
    """Each pipeline with its problems, then its notes; what is noted of all of them once, in the end."""
    common = _common(problems)
    for pipeline, each in problems.items():
        real = sum(not problem.is_note for problem in each)
        if real:
            echo(style("BAD  ", fg="red"), f"{pipeline}: {counted(real, 'problem')} for {target}")
        else:
            echo(f"ok   {pipeline} runs on {target}")
        for problem in sorted(each, key=lambda problem: problem.is_note):
            if problem not in common:
                _print_problem(problem)
    if common:
        echo("all of them")
    for problem in common:
        _print_problem(problem)


def _common(problems: Mapping[str, Sequence[Problem]]) -> list[Problem]:
    first, *others = problems.values() if len(problems) > 1 else [()]
    return [problem for problem in first if problem.is_note and all(problem in each for each in others)]


def _print_problem(problem: Problem) -> None:
    step, where = problem.step and f"step {problem.step}", problem.where and f"({problem.where})"
    place = " ".join(filter(None, (step, where)))
    echo(f"       {'note' if problem.is_note else 'problem'}: {f'{place}: ' if place else ''}{problem.what}")
    if problem.next:
        echo(f"         next: {problem.next}")
