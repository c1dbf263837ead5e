"""Runs on a real Ray cluster of two nodes: results, logs, and what becomes of a run when a part of it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, lives, make_folder, states_of, steps_of, until
from tests.servers.ray_cluster import PASSPHRASE, RayCluster, ray_cluster

from trikk.execution.workers.descendants import end_marked

__all__ = ["ray_cluster"]
pytestmark = pytest.mark.timeout(600)
ON_RAY = ("--target", "ray")


class RayFolder(Folder):
    """A project whose commands run beside the cluster's nodes."""

    def __init__(self, root: Path, cluster: RayCluster) -> None:
        super().__init__(root, (*cluster.inside, cluster.python))
        self.address = f"127.0.0.2:{cluster.port}"

    def start(self, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        defaults = {"RAY_CLUSTER": self.address, "PASSPHRASE": PASSPHRASE, "RAY_USAGE_STATS_ENABLED": "0"}
        return super().start(*arguments, cwd=cwd, **{**defaults, **variables})

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the last run's events of a kind."""
        events = self.good("show", "last", "--events")["events"]
        return [event["body"] for event in events if event["kind"] == kind]

    @contextlib.contextmanager
    def busy(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A run whose items wait for a file, once the first two have begun on the nodes."""
        process = self.start("run", "busy", *arguments, *ON_RAY)
        try:
            until(lambda: len(self.lines("begun")) >= 2 or process.poll() is not None)
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def place(tmp_path: Path, ray_cluster: RayCluster) -> RayFolder:
    return RayFolder(make_folder(tmp_path / "project", "ray_project").root, ray_cluster)


def test_results_are_those_of_a_run_at_home(place: RayFolder, ray_cluster: RayCluster) -> None:
    run = place.good("run", "squares", *ON_RAY)
    assert run["isolation"] == "ray: 2 nodes"
    assert states_of(run)["square"] == "succeeded"
    assert not [*place.root.glob(".trikk/**/.ray-*")]
    done = place.trikk("replay", "last")
    assert done.code == 0, done
    log = next(place.root.glob(f".trikk/runs/{run['id']}/speaks.1.log")).read_text()
    assert log.splitlines()[0] == "printed 2470"
    assert "INFO author: logged with ***" in log
    assert f"by a program {'*' * len(PASSPHRASE)}" in log
    assert log.splitlines()[-1] == "to stderr"
    assert PASSPHRASE not in log
    # by Ray Client, as from a machine that is not part of the cluster
    client = place.trikk(
        "run", "squares", *ON_RAY, "--json", RAY_CLUSTER=f"ray://127.0.0.2:{ray_cluster.client_port}"
    )
    assert client.code == 0, client
    assert steps_of(client.json)["speaks"]["outputs"] == steps_of(run)["speaks"]["outputs"]


def test_what_steps_do_to_their_worker_is_theirs_alone(place: RayFolder) -> None:
    steps = steps_of(place.failed("run", "faults", "--keep-going", *ON_RAY))
    assert (steps["exits"]["error"]["kind"], steps["exits"]["attempts"]) == ("raised", 1)  # no Exception, so once
    assert "it called sys.exit(0)" in steps["exits"]["error"]["message"]
    assert steps["sleeps"]["error"]["kind"] == "timeout"
    (pids,) = place.lines("pids")
    until(lambda: not lives(int(pids.split()[1])))
    assert (steps["dies"]["state"], steps["dies"]["attempts"]) == ("succeeded", 3)
    lost = [body for body in place.events("step.failed") if body["step"] == "dies"]
    assert [body["error"]["kind"] for body in lost] == ["lost", "lost"]
    assert "WorkerCrashedError" in lost[0]["error"]["message"]
    assert lost[0]["retry_in"] > 0


@pytest.mark.skipif("TRIKK_LONG" not in os.environ, reason="it takes long on a loaded machine: make crash")
def test_a_run_is_followed_and_cancelled_as_at_home(place: RayFolder) -> None:
    with place.busy() as process:
        until(lambda: "number" in place.trikk("logs", "last").out)
        assert place.trikk("cancel", "last").code == 0
        done = place.end(process)
    assert done.code == 1
    assert "cancelled by" in done.err
    (log,) = place.root.glob(".trikk/runs/*/works.0.1.log")
    assert log.read_text().startswith("number 0\n")  # what follows may say where Ray has interrupted it


def test_a_run_whose_cluster_is_gone_fails_with_one_answer_and_goes_on_at_home(place: RayFolder) -> None:
    with place.busy() as process:
        (carrier,) = [pid for pid in children_of(process.pid) if b"ray_carrier" in command_of(pid)]
        os.kill(carrier, signal.SIGKILL)
        done = place.end(process)
    assert done.code == 1
    assert "the Ray cluster is gone" in done.err
    assert steps_of(place.good("show", "last"))["works"]["state"] == "failed"
    place.touch("go")
    run = place.good("resume", "last")
    assert (run["state"], run["isolation"]) == ("succeeded", "fork")


@pytest.mark.skipif("TRIKK_LONG" not in os.environ, reason="it takes long on a loaded machine: make crash")
def test_a_node_that_dies_under_load_costs_no_result(place: RayFolder, ray_cluster: RayCluster) -> None:
    with ray_cluster.node("127.0.0.4") as token:
        process = place.start("run", "busy", "-p", "count=9", *ON_RAY)
        until(lambda: len(place.lines("begun")) >= 3 or process.poll() is not None)
        end_marked(token)
        place.touch("go")
        done = place.end(process)
    assert done.code == 0, done
    lost = place.events("step.failed")
    assert lost
    assert {failed["error"]["kind"] for failed in lost} == {"lost"}


def test_what_the_cluster_can_not_do_is_refused_before_anything_is_started(
    place: RayFolder, ray_cluster: RayCluster
) -> None:
    assert "the largest node of the Ray cluster has 0" in place.refused("run", "graphics", *ON_RAY)["what"]
    away = place.trikk("run", "squares", *ON_RAY, RAY_CLUSTER="127.0.0.2:9")
    assert away.code == 1
    assert away.err.startswith("error: no Ray cluster can be reached at ${RAY_CLUSTER}")
    assert place.refused("run", "squares", "--inline", *ON_RAY)
    assert place.good("runs")["runs"] == []


def children_of(pid: int) -> list[int]:
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return [child for child, parent in parents.items() if parent == pid]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
