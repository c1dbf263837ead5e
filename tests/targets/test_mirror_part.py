"""A server and runs of an engine elsewhere: it takes them in, and does not adopt them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import until
from tests.server.served import ServedProject
from tests.targets.job_runner import JobRunner


def test_a_server_takes_in_what_jobs_do_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ServedProject(tmp_path / "served", settings='name = "served"\n[targets.jobs]\n')
    jobs = JobRunner(place.root, "waits", str(place.root / ".trikk" / "exchange"), parameters={"file": "/"})
    assert [done.returncode for done in jobs.run().values()] == [0]
    with place.server() as server:
        [run] = until(lambda: server.get("/runs")["runs"])
        assert server.ended(run["id"])["state"] == "succeeded"
        assert run["origin"] == {"kind": "manual", "engine": "jobs", "execution": "first"}
        page = server.client.get(f"/runs/{run['id']}").text
        assert "on jobs, where it is first" in page
