"""The triggers of a project, from its code and its trikk.toml, and the mistakes that only both together show."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from trikk.core.errors import ProjectError
from trikk.core.settings import load_settings
from trikk.execution.code.loading import load
from trikk.execution.workers.process_executor import ProcessExecutor
from trikk.pipeline.pipeline import Pipeline
from trikk.triggers.declared import Declared, project_triggers

CODE = """
from datetime import date
from trikk import Table, pipeline, step
from trikk.triggers import Cron, AfterRun, TableChanged, Event

counts, clean = Table("counts"), Table("clean")

@step
def make(day: date) -> list[dict]:
    return []

@step
def tell(event: Event | None) -> str:
    return event.run if event else ""

@step
def rows() -> list[dict]:
    return []

@pipeline(triggers=[Cron("0 4 * * *"), Cron("0 5 * * *", name="late", timezone="Europe/Paris")])
def nightly(day: date):
    make(day)

@pipeline(triggers=[AfterRun("nightly")])
def after(event: Event | None = None):
    tell(event)

@pipeline(triggers=[])
def cleaning():
    clean.append(rows())
"""


class Described:
    """What `project_triggers` asks of an executor, of code that is imported here."""

    def __init__(self, pipelines: dict[str, Pipeline], triggers: list[dict[str, object]]) -> None:
        self.pipelines, self._triggers = pipelines, triggers

    def graphs(self) -> dict[str, object]:
        return {name: p.graph for name, p in self.pipelines.items()}

    def triggers(self) -> list[dict[str, object]]:
        return self._triggers


def triggers_of(folder: Path, toml: str = "", more: str = "") -> dict[str, Declared]:
    """As `project_triggers` has them, of a project of its own."""
    module = f"project_{abs(hash((folder, toml, more)))}"
    (folder / "trikk.toml").write_text(f'pipelines = ["{module}"]\ntimezone = "Europe/Oslo"\n{toml}')
    (folder / f"{module}.py").write_text(CODE + more)
    settings = load_settings(folder)
    loaded = load(settings)
    return project_triggers(Described(loaded.pipelines, loaded.triggers()), settings)  # type: ignore[arg-type]


def test_they_come_from_code_and_toml_and_have_the_projects_time_zone(tmp_path: Path) -> None:
    toml = """
[triggers.weekly]
pipeline = "nightly"
cron = "0 6 * * mon"
missed = "skip"
day_offset = -7

[triggers.arrived]
pipeline = "nightly"
file_arrived = "inbox/*.csv"
parameters = {day = 2026-11-30}
"""
    triggers = triggers_of(tmp_path, toml)
    assert list(triggers) == ["nightly-cron", "late", "after-after-run", "weekly", "arrived"]
    assert [t.trigger.timezone for t in triggers.values()] == ["Europe/Oslo", "Europe/Paris", *["Europe/Oslo"] * 3]
    assert triggers["weekly"].trigger.missed == "skip"  # type: ignore[union-attr]
    assert triggers["arrived"].trigger.parameters == {"day": "2026-11-30"}
    assert triggers["weekly"].where == f"[triggers.weekly] in {tmp_path / 'trikk.toml'}"
    assert triggers["late"].where.partition(":")[0].endswith(".py")


def test_a_process_with_the_code_describes_them(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text("")
    (tmp_path / "pipelines.py").write_text(CODE)
    settings = load_settings(tmp_path)
    with closing(ProcessExecutor(settings)) as executor:
        triggers = project_triggers(executor, settings)
    assert [(d.name, d.pipeline, d.where.partition(":")[0]) for d in triggers.values()] == [
        ("nightly-cron", "nightly", "pipelines.py"),
        ("late", "nightly", "pipelines.py"),
        ("after-after-run", "after", "pipelines.py"),
    ]


BACK_AGAIN = """
@pipeline(triggers=[AfterRun("after")])
def third():
    rows()

@pipeline(name="nightly2", triggers=[AfterRun("third"), AfterRun("nightly2", name="itself")])
def again():
    rows()
"""
SAME_HOOK = """
[triggers]
x = {pipeline = "nightly", webhook = "w", secret = "${S}"}
y = {pipeline = "nightly", webhook = "w", secret = "${S}"}
"""
OWN_TABLE = """
@pipeline(triggers=[TableChanged("clean")])
def own():
    clean.append(rows())
"""


@pytest.mark.parametrize(
    ("toml", "more", "says"),
    [
        ('[triggers.late]\npipeline = "nightly"\ncron = "0 4 * * *"', "", "two triggers are named 'late'"),
        ('[triggers.x]\npipeline = "nigtly"\ncron = "0 4 * * *"', "", "no pipeline 'nigtly'"),
        ('[triggers.x]\npipeline = "nightly"\ncron = "0 4 * *"', "", "it needs five fields"),
        ('[triggers.x]\npipeline = "nightly"\ncron = 4', "", "4"),
        ('[triggers.x]\npipeline = "nightly"\ncron = "0 4 * * *"\nzone = "UTC"', "", "'zone'"),
        (
            '[triggers.x]\npipeline = "nightly"\ncron = "0 4 * * *"\ninterval = "1h"',
            "",
            "a trigger has one of cron",
        ),
        ('[triggers.x]\npipeline = "nightly"', "", "a trigger has one of cron"),
        ("[triggers]\nx = 4", "", "a trigger has one of cron"),
        ('[triggers.x]\npipeline = "nightly"\nafter_run = "nightly"', "", "nightly -> nightly"),
        ('[triggers.x]\npipeline = "nightly"\nafter_run = "weekly"', "", "no pipeline 'weekly'"),
        ('[triggers."a b"]\npipeline = "nightly"\ncron = "0 4 * * *"', "", "can't name a trigger"),
        (
            SAME_HOOK,
            "",
            "two webhooks are called 'w'",
        ),
        ('[triggers.x]\npipeline = "nightly"\nafter_run = "third"', BACK_AGAIN, "for ever"),
        ("", BACK_AGAIN, "nightly2 -> nightly2"),
        ("", OWN_TABLE, "own -> own"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_what_to_do(
    tmp_path: Path, toml: str, more: str, says: str
) -> None:
    with pytest.raises(ProjectError) as refused:
        triggers_of(tmp_path, toml, more)
    assert says in refused.value.what
    assert refused.value.next
    assert refused.value.where


def test_pipelines_that_follow_each_other_without_a_way_back_are_fine(tmp_path: Path) -> None:
    more = """
@pipeline(triggers=[TableChanged("clean"), AfterRun("nightly"), AfterRun("after", name="x")])
def last():
    rows()
"""
    assert len(triggers_of(tmp_path, more=more)) == 6
