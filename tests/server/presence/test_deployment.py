"""The files in deploy/: the unit as systemd reads it, and what the compose file puts together."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from tests.execution.command import until
from tests.server.served import ServedProject
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

DEPLOY = Path(__file__).parents[3] / "deploy"
PIPELINES = """
import polars as pl

from trikk import Table, pipeline, step
from trikk.triggers import Interval

ticks = Table("ticks")


@step
def row() -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})


@pipeline(triggers=[Interval("2s", name="often")])
def nightly():
    ticks.append(row())
"""


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_systemd_takes_the_unit_as_it_is(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    text = (DEPLOY / "trikk.service").read_text()
    command = Path(sys.executable).with_name("trikk")
    assert "/srv/trikk/%i/.venv/bin/trikk" in text
    unit = tmp_path / "trikk@city.service"
    unit.write_text(text.replace("/srv/trikk/%i/.venv/bin/trikk", str(command)))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in checked.stderr.splitlines() if "trikk" in line]
    assert (checked.returncode, ours) == (0, [])
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=sometimes"))
    wrong = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "restart specifier" in wrong.stderr, "it would have told what is wrong"


def test_what_the_unit_and_the_compose_file_promise_of_a_servers_end_is_kept() -> None:
    from trikk.server.server_process import GRACE

    unit, compose = (DEPLOY / "trikk.service").read_text(), (DEPLOY / "compose.yaml").read_text()
    for pattern, text in ((r"TimeoutStopSec=(\d+)", unit), (r"stop_grace_period: (\d+)s", compose)):
        found = re.search(pattern, text)
        assert found is not None
        assert int(found[1]) > GRACE


def test_the_compose_file_refers_to_what_is_in_it(compose: Any) -> None:
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"]
    hosts = [services[name]["hostname"] for name in ("north", "south")]
    assert hosts == ["north", "south"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len(published) == 2
    images = [service["image"] for service in services.values() if "image" in service]
    assert all(re.search(r":\d+\.\d+$", image) for image in images), "an image without a version changes by itself"
    built = services["north"]["build"]["dockerfile_inline"]
    copied = re.search(r"--from=trikk (.*) /usr/src/trikk/\n", built)
    assert copied is not None
    assert all((DEPLOY.parent / name).exists() for name in [*copied[1].split(), "src"])


def test_two_servers_on_one_postgres_and_s3_start_one_run_between_them(
    compose: Any,
    tmp_path: Path,
    postgres_server: PostgresServer,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The servers' own command and environment, on a database and a bucket that are not in containers."""
    stored = {
        **{name: value for name, value in s3_server.environment().items() if name.startswith("AWS_")},
        "POSTGRES_HOST": f"127.0.0.1:{postgres_server.port}",
        "POSTGRES_PASSWORD": postgres_server.password,
    }
    environment = compose["services"]["north"]["environment"]
    assert set(environment) == set(stored), "the servers are told all that the project asks for, and nothing else"
    for name, value in stored.items():
        monkeypatch.setenv(name, value)
    schema, bucket = f"deployed_{tmp_path.name[-8:].lower().replace('-', '_')}", s3_server.new_bucket()
    commented = re.findall(
        r"^#   (\[storage\]|\w+ = \".*\")$", (DEPLOY / "compose.yaml").read_text(), re.MULTILINE
    )
    storage = (
        "\n".join(commented)
        .replace('/trikk"', f'/postgres?schema={schema}"')
        .replace("s3://trikk/", f"s3://{bucket}/")
    )
    settings = f'name = "city"\n{storage}\n'
    trikk, serve, *options = compose["services"]["north"]["command"]
    assert (trikk, serve) == ("trikk", "serve")
    given = " ".join(options).replace("0.0.0.0", "127.0.0.1").replace("--port 8750", "").split()

    north, south = (ServedProject(tmp_path / name, PIPELINES, settings) for name in ("north", "south"))
    journal = north.project.journal
    try:
        with south.server(*given) as there, north.server(*given) as gone:
            for server in (there, gone):
                assert server.client.get("/readyz").status_code == 200
            until(lambda: journal.count(state="succeeded") >= 3)
            gone.process.kill()
            gone.process.wait()
            before = journal.count()
            until(lambda: journal.count() >= before + 2)
        until(lambda: not journal.runs(state="running"))
        rows = journal.runs(limit=None)
        ticks = Counter(row.origin["tick"] for row in rows)
        assert set(ticks.values()) == {1}
        assert len(journal.servers()) == 2
        assert [server.left is not None for server in journal.servers()] == [True, False]
        done = [row for row in rows if row.state == "succeeded"]
        assert north.project.tables.scan("ticks").collect().height == len(done)
    finally:
        north.project.close()
        south.project.close()
