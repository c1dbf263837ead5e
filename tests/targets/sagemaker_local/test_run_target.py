"""`trikk run --target sagemaker-local`: the run is the same as at home, and one as any other afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.execution.command import Folder
from tests.servers.s3 import S3Server
from tests.targets.sagemaker_local.job_processes import processes_with, wait_for
from tests.targets.sagemaker_local.twin_run import results, run_both

from trikk.core.errors import MissingExtra, UsageError
from trikk.targets.sagemaker.local import object_server
from trikk.targets.sagemaker.local.containers.job_process import best_view

TARGET = ("--target", "sagemaker-local")
CODE = """
import os
import random
import time
from pathlib import Path
import polars as pl
from trikk import Retry, Table, log_metric, pipeline, step, when

counts = Table("counts")

@step
def days(n: int) -> list[int]:
    return list(range(n))

@step
def noise(day: int) -> float:
    return random.random() + day

@step
def rows(days: list[int], noise: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"day": days, "noise": noise})

@step
def total(counts: pl.LazyFrame, factor: float) -> dict[str, float]:
    log_metric("rows", counts.collect().height)
    return {"sum": counts.collect()["noise"].sum() * factor}

@step
def large(total: dict[str, float]) -> str:
    return "large"

@step
def small(total: dict[str, float]) -> str:
    return "small"

@step
def said(word: str) -> str:
    return word.upper()

@step(allow_failure=True)
def risky(n: int) -> int:
    raise ValueError("as it may")

@step
def after_risk(n: int) -> int:
    return n

@pipeline
def nightly(n: int = 3, factor: float = 2.0, loud: bool = False):
    numbers = days(n)
    frame = rows(numbers, noise.map(numbers))
    counts.append(frame)
    sums = total(counts, factor)
    with when(sums["sum"] > 1000):
        said(large(sums))
    with when(sums["sum"] <= 1000):
        small(sums)
    after_risk(risky(n))

@step
def first(n: int) -> int:
    return n + 1

@step
def wall(n: int) -> int:
    stands = Path(os.environ["WALL"])
    if stands.exists():
        print("at the wall", flush=True)
        if stands.read_text() == "wait":
            Path(str(stands) + ".reached").touch()
            time.sleep(600)
        raise ValueError("a wall")
    return n + 1

@pipeline
def chain(n: int = 1):
    wall(first(n))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    try:
        object_server.program()
        best_view()
    except (MissingExtra, UsageError) as error:
        pytest.skip(str(error))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("WALL", str(tmp_path / "wall"))
    (tmp_path / "project").mkdir()
    folder = Folder(tmp_path / "project")
    folder.write(trikk='name = "parity"\n', pipelines=CODE)
    return folder


def test_each_step_has_the_results_that_it_has_at_home(folder: Folder) -> None:
    there, at_home = run_both(folder.root, "nightly", "n=4")
    assert results(folder.root, there) == results(folder.root, at_home)
    assert there.steps["risky"].allowed
    assert there.steps["noise"].count == 4
    assert folder.trikk("replay", there.id, "--json").json["identical"]
    assert folder.trikk("doctor").code == 0
    assert list((folder.root / ".trikk" / "sagemaker-local").iterdir()) == []
    assert processes_with(str(folder.root)) == []


def test_a_failure_is_told_as_at_home_and_the_run_goes_on_at_home(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "wall").write_text("fail")
    failed = folder.trikk("run", "chain", *TARGET)
    assert failed.code == 1
    assert "  first: succeeded" in failed.err
    assert "a wall" in failed.err
    assert "  | at the wall" in failed.err
    (tmp_path / "wall").unlink()
    resumed = folder.trikk("resume", "last", "--json").json
    assert [(step["state"], step["attempts"]) for step in resumed["steps"]] == [("succeeded", 1), ("succeeded", 2)]


def test_ctrl_c_stops_it_and_leaves_nothing_running(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "wall").write_text("wait")
    running = folder.start("run", "chain", *TARGET)
    wait_for(tmp_path / "wall.reached")
    running.send_signal(signal.SIGINT)
    done = folder.end(running)
    assert done.code == 1
    assert "cancelled" in done.err
    assert processes_with(str(folder.root)) == []
    assert folder.trikk("show", "last", "--json").json["state"] == "cancelled"


@pytest.mark.parametrize("what", ["server", "runner"])
def test_whatever_is_killed_nothing_is_left_running_and_the_run_can_go_on(
    folder: Folder, tmp_path: Path, what: str
) -> None:
    (tmp_path / "wall").write_text("wait")
    running = folder.start("run", "chain", *TARGET)
    wait_for(tmp_path / "wall.reached")
    (server, *_) = processes_with("-s3.config=" + str(folder.root))
    watched = [os.pidfd_open(pid) for pid in processes_with(str(folder.root))]
    os.kill(server if what == "server" else running.pid, signal.SIGKILL)
    done = folder.end(running)
    for descriptor in watched:
        assert_ends(descriptor)
    if what == "server":
        assert done.code == 1
        assert "the S3 server of this run has ended by signal SIGKILL" in done.err
    (tmp_path / "wall").unlink()
    resumed = folder.trikk("resume", "last", "--json")
    assert resumed.code == 0, resumed.out + resumed.err
    assert resumed.json["state"] == "succeeded"


def assert_ends(descriptor: int) -> None:
    """A process's descriptor is readable once it has ended."""
    import select

    assert select.select([descriptor], [], [], 120)[0]
    os.close(descriptor)


def test_a_configured_server_and_bucket_are_used(
    folder: Folder, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    lacking = folder.trikk("run", "chain", *TARGET)
    assert lacking.code == 2
    assert 'bucket = "..."' in lacking.err
    bucket = s3_server.new_bucket()
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    section = f'[targets.sagemaker]\nbucket = "{bucket}"\nendpoint = "{s3_server.endpoint}"\n'
    folder.write(trikk=f'name = "parity"\n{section}')
    done = folder.trikk("run", "chain", "-p", "n=3", *TARGET, "--json")
    assert done.code == 0, done.out + done.err
    listed = s3_server.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert any("/exchange/" in each["Key"] for each in listed)
    assert folder.trikk("replay", "last", "--json").json["identical"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chain", "-p", "m=1"), "m: no such parameter"),
        (("chain", "-p", "n=many"), "n"),
        (("none",), "there is no pipeline"),
        (("chain", "--inline"), "--inline"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(
    folder: Folder, arguments: tuple[str, ...], said: str
) -> None:
    done = folder.trikk("run", *arguments, *TARGET)
    assert done.code == 2
    assert said in done.err
    assert not folder.trikk("runs", "--json").json["runs"]
