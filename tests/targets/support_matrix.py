"""What each engine makes of each feature of pipelines, and the table of it in the docs.

.venv/bin/python -m tests.targets.support_matrix     # writes the table anew
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trikk import (
    Cache,
    Model,
    Resources,
    Retry,
    Table,
    approval,
    pipeline,
    quality_gate,
    register_model,
    step,
    when,
)
from trikk.core.settings import Settings
from trikk.pipeline.pipeline import Pipeline
from trikk.quality import not_null
from trikk.targets import target_port as port
from trikk.targets.target_port import Problem, Source, Target, target_named, target_names

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
BEGIN, END = "<!-- support matrix: written by tests/targets/support_matrix.py -->", "<!-- end of the matrix -->"
PLACES = {"artifacts": "s3://b/artifacts", "tables": "s3://b/tables", "journal": "postgresql://db.example.com/c"}
TARGET = {
    "role": "arn:aws:iam::111122223333:role/jobs",
    "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/c:1",
}
rows = Table("rows")


@step
def number(n: int = 0) -> int:
    return n


@step
def pair(n: int = 0) -> tuple[int, int]:
    return n, n


@step
def numbers(n: int = 0) -> list[int]:
    return [n]


@step
def frame(given: Any = None) -> Any: ...


@pipeline
def typed(day: str, n: int = 1, share: float = 0.5, full: bool = False, names: list[str] = ["a"]) -> None:  # noqa: B006
    number(n)


@pipeline
def several() -> None:
    first, _ = pair()
    number(first)


@pipeline
def compared(limit: int = 3) -> None:
    with when(number() > limit):
        number.options(name="then")()


@pipeline
def true() -> None:
    with when(number()):
        number.options(name="then")()


@pipeline
def mixed() -> None:
    with when(number() > numbers()[0]):
        number.options(name="then")()


@pipeline
def nested() -> None:
    with when(number() > 3):
        inner = number.options(name="inner")()
        with when(inner > 3):
            number.options(name="then")()


@pipeline
def mapped() -> None:
    number.map(numbers())


@pipeline
def retried() -> None:
    number.options(retry=Retry(3, delay="1s", max_delay="1m"))()


@pipeline
def often() -> None:
    number.options(retry=Retry(50, delay="10s", factor=2, max_delay="1m"))()


@pipeline
def timed() -> None:
    number.options(timeout="10m")()


@pipeline
def sized() -> None:
    number.options(resources=Resources(cpus=4, memory="20GB"))()


@pipeline
def accelerated() -> None:
    number.options(resources=Resources(gpus=1))()


@pipeline
def allowed() -> None:
    number.options(name="next")(number.options(allow_failure=True)())


@pipeline
def tables() -> None:
    rows.append(frame())
    frame.options(name="read")(rows)


@pipeline
def registered() -> None:
    register_model(number(), "people")


@pipeline
def predicting() -> None:
    frame(Model("people@champion"))


@pipeline
def gated() -> None:
    checked = frame()
    quality_gate(checked, [not_null("a")])


@pipeline
def asking() -> None:
    with when(approval("publish?")):
        number()


@pipeline
def cached() -> None:
    number.options(cache=Cache())()


@pipeline(pools=["warehouse"])
def pooled() -> None:
    number()


@pipeline
def named() -> None:
    number.options(name="a" * 100)()


FEATURES: dict[str, Pipeline[Any]] = {
    "parameters of all kinds": typed,
    "several outputs of a step": several,
    "`when` on a number or text": compared,
    "`when` on whether something is true": true,
    "`when` on two outputs": mixed,
    "`when` within `when`": nested,
    "`map`": mapped,
    "`Retry`": retried,
    "`Retry` with many attempts": often,
    "time-outs": timed,
    "cores and memory": sized,
    "accelerators": accelerated,
    "`allow_failure`": allowed,
    "tables read and written": tables,
    "models registered": registered,
    "registered models read": predicting,
    "quality gates": gated,
    "`approval`": asking,
    "`cache`": cached,
    "pools": pooled,
    "names of a hundred characters": named,
}


@dataclass(frozen=True)
class Verdict:
    """What an engine makes of a feature."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    @property
    def word(self) -> str:
        return "refused" if self.problems else "otherwise" if self.notes else "yes"


def engines() -> dict[str, Target]:
    """The engines that are there; Terraform is none, but makes what SageMaker's pipelines need."""
    there = {}
    for name in (name for name in target_names() if name != "terraform"):
        module = port._TARGETS[name].partition(":")[0]
        if importlib.util.find_spec(module.rpartition(".")[0]) and importlib.util.find_spec(module):
            there[name] = target_named(name)
    return there


def source_of(feature: str, target: str) -> Source:
    graph = FEATURES[feature].graph
    settings = Settings(root=Path("/project"), name="city", targets={target: {}}, **PLACES)
    return Source(graph, settings, "c0de" * 16)


def verdict(feature: str, target: str) -> Verdict:
    """What it says of the feature's pipeline and not of a plain one as well."""
    engine = engines()[target]
    plain = {problem.what for problem in engine.problems(source_of("several outputs of a step", target))}
    said = [problem for problem in engine.problems(source_of(feature, target)) if problem.what not in plain]
    return Verdict([p for p in said if not p.is_note], [p for p in said if p.is_note])


def page_part() -> str:
    """The table, and below it what stands behind each word that is not yes."""
    there = engines()
    lines = [f"| feature | {' | '.join(there)} |", f"| --- |{' --- |' * len(there)}"]
    reasons: dict[str, list[str]] = {name: [] for name in there}
    for feature in FEATURES:
        verdicts = {name: verdict(feature, name) for name in there}
        lines.append(f"| {feature} | {' | '.join(verdicts[name].word for name in there)} |")
        for name, each in verdicts.items():
            for what in dict.fromkeys(problem.what for problem in (each.problems or each.notes)):
                reasons[name].append(f"- {feature}: {what}.")
    for name, said in reasons.items():
        if said:
            lines += ["", f"`{name}`:", "", *said]
    return "\n".join(lines)


def written() -> str:
    """The part of the page between the marks."""
    return PAGE.read_text().split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{page_part()}\n\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
