"""Names in the code that lead nowhere, and mistakes in a monitor's definition: told where they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder

from trikk.execution.project import Project
from trikk.monitoring.figures.records import Records
from trikk.monitoring.monitor_definition import MonitorSpec

MONITOR = """
from trikk import Alarm, Monitor, Report, Table, pipeline, step

def monitor(name, **more):
    return Monitor(name, predictions=Table("p"), truth=Table("t"), key="k", slot="s", observed="o", **more)

@step
def fit() -> int:
    return 1

@pipeline
def train():
    fit()

"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(trikk='name = "city"\npipelines = ["pipelines"]\n')
    return made


def test_doctor_names_alarms_that_start_nothing_and_reports_on_nothing(folder: Folder) -> None:
    folder.write(
        pipelines=MONITOR
        + 'loads = monitor("loads", slices=["line"], alarms=[Alarm("loss", when="mae > 1", starts="trian")])\n'
        + 'monthly = Report("monthly", monitors=["lods"])\n'
        + 'weekly = Report("weekly", monitors=[loads], customer_slice="place", customers={"acme": ["north"]})\n'
        + 'daily = Report("daily", monitors=[loads])\n'
    )
    found = folder.failed("doctor")["findings"]
    bad = {one["subject"]: (one["text"], one["next"]) for one in found if not one["good"]}
    assert bad == {
        "alarm loss of monitor loads": ("it starts 'trian': there is no pipeline 'trian'", "did you mean train?"),
        "report monthly": ("there is no monitor 'lods'", "did you mean loads?"),
        "report weekly": (
            "there is no slice of monitor loads 'place'",
            "add 'place' to the slices of monitor loads",
        ),
    }


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            'monitor("one"); monitor_2 = monitor("two"); monitor_3 = monitor("two")',
            "two pipelines are named 'watch_two'",
        ),
        ('Alarm("loss", when="mae > 1", min_labelled=0)', "rule loss has min_labelled = 0"),
        ('Alarm("loss", when="mae > 1", severity="critical")', "rule loss has severity = 'critical'"),
        ('Alarm("loss", kind="run failed")', "alarm loss (run failed) is about runs, not about a monitor"),
    ],
)
def test_a_mistake_is_told_with_the_author_s_line(folder: Folder, line: str, what: str) -> None:
    folder.write(pipelines=f"{MONITOR}{line}\n")
    error = folder.refused("pipelines")
    assert error["what"] == what
    for where in error["where"].split(" and "):
        assert where.startswith(f"{folder.root / 'pipelines.py'}:")


def test_a_monitor_that_is_not_there_is_guessed(folder: Folder) -> None:
    mend = "there is no evaluated monitor yet; trikk watch --once evaluates those that are declared"
    assert folder.refused("monitor", "load")["next"] == mend
    spec = MonitorSpec("loads", "p", "t", ("k",), "s", "o")
    Records(Project.open(folder.root).journal, "loads").define(spec, 0.0)
    assert folder.refused("monitor", "load")["next"] == "did you mean loads?"
