"""`make crash`: the examples at home and on SageMaker of this machine give equal digests for every step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.execution.command import Folder
from tests.targets.sagemaker_local.twin_run import results, run_both

_COUNTS = (
    "import sys; sys.path.insert(0, 'tests'); from datetime import date;"
    "from test_trip_loads import counts; counts(date(2020, 1, 1), 60).write_parquet('loads.parquet')"
)
_PIPELINES = {
    "trip_loads": (
        ("ingest", "source={root}/loads.parquet", "day=2020-02-20", "days=50"),
        ("train", "day=2020-02-20"),
        ("nightly", "day=2020-02-20", "source={root}/loads.parquet"),
    ),
    "pumps": (
        ("ingest", "day=2026-03-10", "days=7"),
        ("train", "day=2026-03-10"),
        ("nightly", "day=2026-03-10"),
    ),
    "city": (
        ("ingest", "day=2020-03-01", "days=120"),
        ("train", "day=2020-03-01"),
        ("nightly", "day=2020-03-01"),
    ),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("example", _PIPELINES)
def test_an_example_gives_the_same_digests_there(example: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    Folder(tmp_path).trikk("init", "--example", example, str(root))
    if example == "trip_loads":
        subprocess.run([sys.executable, "-c", _COUNTS], cwd=root, check=True)
    for pipeline, *given in _PIPELINES[example]:
        there, at_home = run_both(root, pipeline, *(text.format(root=root) for text in given))
        assert str(there.state) == str(at_home.state) == "succeeded", there.error or at_home.error
        # A prediction names its run, so another run's differ; the same run is repeated by a replay.
        if pipeline != "nightly":
            assert results(root, there) == results(root, at_home), pipeline
        replayed = Folder(root).trikk("replay", there.id, "--json", timeout=1200).json
        assert replayed["identical"], replayed
