"""`make crash`: pipelines of an example as jobs: models registered and promoted, predictions published, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.execution.command import Folder
from tests.targets.job_runner import JobRunner

from trikk.runs.states import RunStatus
from trikk.targets.jobs.execution_plan import run_of_execution

_COUNTS = (
    "import sys; sys.path.insert(0, 'tests'); from datetime import date;"
    "from test_trip_loads import counts; counts(date(2020, 1, 1), 60).write_parquet('loads.parquet')"
)


@pytest.mark.timeout(3600)
def test_trip_loads_trained_and_predicted_by_jobs(tmp_path: Path) -> None:
    root = tmp_path / "project"
    Folder(tmp_path).trikk("init", "--example", "trip_loads", str(root))
    subprocess.run([sys.executable, "-c", _COUNTS], cwd=root, check=True)
    source, day = str(root / "loads.parquet"), "2020-02-20"
    folder = Folder(root)
    assert folder.trikk("run", "ingest", "-p", f"source={source}", "-p", f"day={day}", "-p", "days=50").code == 0
    for pipeline, parameters in (("train", {"day": day}), ("nightly", {"day": day, "source": source})):
        jobs = JobRunner(root, pipeline, str(root / ".trikk" / "exchange"), pipeline, parameters)
        ended = jobs.run()
        assert [(step, done.stderr) for step, done in ended.items() if done.returncode] == []
        run = jobs.mirrored()
        assert run is not None
        assert run.state == RunStatus.SUCCEEDED
    replayed = folder.trikk("replay", run.id, "--json").json
    assert replayed["identical"], replayed
    versions = folder.trikk("models", "loads", "--json").json["versions"]
    assert {version["run"] for version in versions} == {run_of_execution("train", "train")}
