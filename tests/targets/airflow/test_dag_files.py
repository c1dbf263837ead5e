"""DAG files: as a person would write them, and run by Airflow itself with the same results as at home."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.envs import python_of
from tests.execution.command import Folder
from tests.targets.compiled import compiled, problems, source_of

from trikk.core.clock import SystemClock
from trikk.core.errors import UsageError
from trikk.execution.project import Project
from trikk.runs.run_state import RunState
from trikk.runs.states import RunStatus, StepStatus
from trikk.targets.jobs.exchange import open_exchange
from trikk.targets.mirroring.mirrored_run import mirror
from trikk.triggers import Cron

TOML = 'name = "jobs"\n'
CODE = '''
from datetime import date, datetime
from enum import Enum
from typing import Literal
import os
import signal
from pathlib import Path
import polars as pl
from trikk import Retry, Table, pipeline, step, when
from trikk.triggers import Cron, Event

counts = Table("counts")

class Size(Enum):
    SMALL = 1
    LARGE = 2

@step
def days(n: int) -> list[int]:
    print("days of", n)
    return list(range(n))

@step
def doubled(day: int) -> int:
    return day * 2

@step
def rows(days: list[int], doubled: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"day": days, "doubled": doubled})

@step
def judged(counts: pl.LazyFrame, factor: float) -> float:
    return counts.collect()["doubled"].sum() * factor

@step
def large(judged: float) -> str:
    return "large"

@step
def needs_large(large: str) -> str:
    return large

@step
def after_large() -> str:
    return "done"

@step(allow_failure=True)
def risky(n: int) -> int:
    raise ValueError("as it may")

@step
def needs_risky(n: int) -> int:
    return n

@step(retry=Retry(2, delay="10ms"))
def strict(n: int, fail: bool) -> int:
    if fail:
        raise ValueError("this is the author's")
    return n

@step
def needs_strict(n: int) -> int:
    return n

@pipeline
def nightly(n: int = 3, factor: float = 2.0, fail: bool = False):
    """Count the days, "twice"; it's a test."""
    numbers = days(n)
    frame = rows(numbers, doubled.map(numbers))
    counts.append(frame)
    total = judged(counts, factor)
    with when(total > 1000):
        word = large(total)
    needs_large(word)
    after_large(after=[word])
    needs_risky(risky(n))
    needs_strict(strict(n, fail))

@step
def told(day: date, at: datetime, event: Event | None) -> list[str]:
    return [str(day), at.isoformat(), event.id if event else ""]

@pipeline(triggers=[Cron("30 4 * * *", timezone="Europe/Oslo", day_offset=-1, parameters={"word": "it's"})])
def dated(day: date, at: datetime, word: str, event: Event | None = None, size: Size = Size.SMALL,
          kinds: list[str] = ["a", "b"], mode: Literal["fast", "slow"] = "fast", limit: int | None = None):
    """A pipeline with every kind of parameter."""
    told(day, at, event)
'''
RUN = """
import json, sys
from datetime import datetime
file, conf, at = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
import importlib.util
spec = importlib.util.spec_from_file_location("compiled", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
run = module.dag.test(run_conf=conf, logical_date=datetime.fromisoformat(at) if at else None)
states = {task.task_id: [str(task.state), task.try_number] for task in run.get_task_instances()}
print("RESULT" + json.dumps({"state": str(run.state), "run": run.run_id, "tasks": states}))
"""


class AirflowHome:
    """Airflow in an environment of its own, with a database in a folder."""

    def __init__(self, folder: Path) -> None:
        self._python = python_of("airflow")
        self._folder = folder
        self._environment = {
            **os.environ,
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PATH": f"{self._python.parent}:{os.environ['PATH']}",
        }
        (folder / "dags").mkdir()
        self.call("-m", "airflow", "db", "migrate")

    def call(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._python), *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def ticks(self, cases: list[list[str]]) -> dict[str, list[str]]:
        """By case (line, zone, moment), the next moments of Airflow's timetable."""
        said: dict[str, list[str]] = self._said(self.call("-c", TICKS, json.dumps(cases)))
        return said

    @staticmethod
    def _said(output: str) -> Any:
        [line] = [line for line in output.splitlines() if line.startswith("RESULT")]
        return json.loads(line.removeprefix("RESULT"))

    def run(self, text: str, conf: dict[str, Any], at: str = "") -> dict[str, Any]:
        """What `dag.test()` makes of a DAG file: it ends well whatever the run's state is."""
        file = self._folder / "dags" / "compiled.py"
        file.write_text(text)
        said: dict[str, Any] = self._said(self.call("-c", RUN, str(file), json.dumps(conf), at))
        return said


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    return AirflowHome(tmp_path_factory.mktemp("airflow"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "project").mkdir()
    folder = Folder(tmp_path / "project")
    folder.write(trikk=TOML, pipelines=CODE)
    return folder


def mirrored(folder: Folder, said: dict[str, Any], pipeline: str) -> RunState:
    project = Project.open(folder.root)
    exchange = open_exchange(str(project.settings.state / "exchange"))
    run = mirror(project, exchange, f"{pipeline}.{said['run']}", None, SystemClock())
    assert run is not None
    return run


@pytest.mark.parametrize("pipeline", ["nightly", "dated"])
def test_the_file_is_as_a_formatter_leaves_it(folder: Folder, tmp_path: Path, pipeline: str) -> None:
    text = compiled("airflow", source_of(folder.root, pipeline))
    assert text == compiled("airflow", source_of(folder.root, pipeline))
    file = tmp_path / "dag.py"
    file.write_text(text)
    for command in (
        ["check", "--select", "E,F,I,UP,B,SIM,RUF", "--ignore", "E501"],
        ["format", "--check", "--diff"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--target-version", "py311", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_airflow_makes_what_a_run_at_home_makes(airflow: AirflowHome, folder: Folder) -> None:
    said = airflow.run(compiled("airflow", source_of(folder.root, "nightly")), {"n": 4})
    states = {task: state for task, (state, _) in said["tasks"].items()}
    assert said["state"] == "success", states
    skipped = {"large", "needs_large", "risky", "needs_risky"}
    assert states == {task: "skipped" if task in skipped else "success" for task in states}
    run = mirrored(folder, said, "nightly")
    assert run.state == RunStatus.SUCCEEDED
    assert {name for name, step in run.steps.items() if step.state == StepStatus.SKIPPED} == skipped - {"risky"}
    assert run.steps["risky"].allowed
    assert run.parameters["n"] == 4
    comparison = folder.trikk("replay", run.id, "--json").json
    assert comparison["identical"], json.dumps(comparison, indent=1)


def test_the_authors_failure_fails_the_run_and_is_not_retried(airflow: AirflowHome, folder: Folder) -> None:
    said = airflow.run(compiled("airflow", source_of(folder.root, "nightly")), {"fail": True})
    assert said["state"] == "failed"
    assert said["tasks"]["strict"] == ["failed", 1]
    assert said["tasks"]["needs_strict"][0] == "upstream_failed"
    assert said["tasks"]["after_large"][0] == "success"
    run = mirrored(folder, said, "nightly")
    assert run.steps["strict"].state == StepStatus.FAILED
    assert run.steps["strict"].attempts == 2


def test_a_job_that_is_killed_is_begun_again(airflow: AirflowHome, folder: Folder, tmp_path: Path) -> None:
    kill = """
@step
def fragile(n: int) -> int:
    mark = Path("MARK")
    if not mark.exists():
        mark.touch()
        job = next(p for p in parents() if b"step_job" in Path(f"/proc/{p}/cmdline").read_bytes())
        os.kill(job, signal.SIGKILL)
    return n

def parents():
    pid = os.getpid()
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        yield pid

@pipeline
def shaky(n: int = 3):
    fragile(n)
"""
    toml = f'{TOML}[targets.airflow]\npython = {sys.executable!r}\nretry_delay = "100ms"\nretries = 3\n'
    folder.write(trikk=toml, pipelines=CODE + kill.replace("MARK", str(tmp_path / "killed")))
    said = airflow.run(compiled("airflow", source_of(folder.root, "shaky")), {})
    assert said["state"] == "success", said
    assert said["tasks"]["fragile"] == ["success", 2]
    assert mirrored(folder, said, "shaky").state == RunStatus.SUCCEEDED


def test_a_scheduled_run_is_for_its_triggers_tick(airflow: AirflowHome, folder: Folder) -> None:
    text = compiled("airflow", source_of(folder.root, "dated"))
    said = airflow.run(text.replace('run.run_type == "scheduled"', "True"), {}, "2026-03-29T02:30:00+00:00")
    assert said["state"] == "success"
    run = mirrored(folder, said, "dated")
    assert run.parameters["day"] == "2026-03-28"  # the day before the local one
    assert run.parameters["at"] == "2026-03-29T02:30:00+00:00"
    assert run.parameters["word"] == "it's"
    assert run.parameters["event"]["id"] == run.origin["tick"] == "2026-03-29T02:30:00+00:00"
    assert (run.origin["trigger"], run.origin["engine"]) == ("dated-cron", "airflow")
    assert run.parameters["size"] == "SMALL"


TICKS = """
import json, sys
from airflow.timetables.trigger import CronTriggerTimetable
import pendulum
answer = {}
for line, zone, after in json.loads(sys.argv[1]):
    table = CronTriggerTimetable(line, timezone=zone)
    moment, ticks = pendulum.parse(after), []
    for _ in range(60):
        moment = table._get_next(moment)
        ticks.append(moment.in_timezone("UTC").isoformat())
    answer[json.dumps([line, zone, after])] = ticks
print("RESULT" + json.dumps(answer))
"""


def test_both_read_the_lines_that_are_let_through_alike(airflow: AirflowHome) -> None:
    lines = ["30 4 * * *", "*/15 * * * *", "0 6 1 * *", "0 6 13 * FRI", "5 2 * * MON-FRI", "0 0,12 1-7 */2 *"]
    cases = [
        [line, zone, after]
        for line in lines
        for zone in ("Europe/Oslo", "UTC", "Pacific/Auckland")
        for after in ("2026-03-28T00:00:00+00:00", "2026-10-24T00:00:00+00:00")
    ]
    theirs = airflow.ticks(cases)
    for line, zone, after in cases:
        trigger = Cron(line, timezone=zone)
        ours = [tick.isoformat() for tick in islice(trigger.ticks(datetime.fromisoformat(after)), 60)]
        assert theirs[json.dumps([line, zone, after])] == ours, (line, zone)


@pytest.mark.parametrize(
    ("line", "told"),
    [("0 6 L * *", "L, W and #"), ("0 6 * * FRI#2", "L, W and #"), ("0 6 */2 * MON", "either is enough")],
)
def test_lines_that_airflow_reads_in_another_way_are_refused(folder: Folder, line: str, told: str) -> None:
    folder.write(pipelines=CODE.replace("30 4 * * *", line))
    source = source_of(folder.root, "dated")
    [problem] = [problem for problem in problems("airflow", source) if not problem.is_note]
    assert told in problem.what
    assert problem.where.startswith("pipelines.py:")
    with pytest.raises(UsageError, match="can't run on airflow"):
        compiled("airflow", source)


def test_questions_and_overlaps_are_refused_all_at_once(folder: Folder) -> None:
    code = CODE.replace("import Retry,", "import Retry, approval,").replace("day_offset=-1", 'overlap="skip"')
    folder.write(
        pipelines=code.replace("    told(day, at, event)", '    told(day, at, event, after=approval("go?"))')
    )
    wrong = [p for p in problems("airflow", source_of(folder.root, "dated")) if not p.is_note]
    assert len(wrong) == 2
    assert all(problem.where.startswith("pipelines.py:") for problem in wrong)


def test_nothing_secret_gets_into_the_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    source = source_of(folder.root, "nightly", journal="postgresql://me:${PASSWORD}@db/city")
    text = compiled("airflow", source)
    assert "${PASSWORD}" in text
    assert "hunter2" not in text


def test_airflow_checks_a_model_before_it_goes_to_devices(airflow: AirflowHome, tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "device_release"
    folder = Folder(shutil.copytree(example, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__")))
    with (folder.root / "trikk.toml").open("a") as toml:
        toml.write(f"[targets.airflow]\npython = {sys.executable!r}\n")
    row = pl.int_range(2000, eager=True)
    wrong = (row % 10 == 0).cast(pl.Int64)
    columns = [(wrong * 50 + row % 7).alias("f1"), *((row % n).alias(f"f{n}") for n in range(2, 10))]
    pl.DataFrame([*columns, wrong.alias("anomaly")]).write_csv(tmp_path / "readings.csv")
    folder.good("run", "candidate", "-p", f"source={tmp_path / 'readings.csv'}", "-p", "rows=1000")
    text = compiled("airflow", source_of(folder.root, "check_release"))
    assert airflow.run(text, {})["state"] == "success"
    said = airflow.run(text, {"kilobytes": 0})
    states = {task: state for task, (state, _) in said["tasks"].items() if state != "success"}
    assert states == {"small_enough": "failed", "verdict": "upstream_failed"}
