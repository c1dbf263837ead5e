"""A server that waits costs memory all the time: it imports nothing that others of its processes need alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOT_NEEDED = {
    "polars",
    "deltalake",
    "pyarrow",
    "numpy",
    "jinja2",
    "rich",
    "smtplib",
    "trikk.alerts.look",
    "trikk.execution.backfills.backfill_ledger",
    "trikk.execution.driving.driver",
    "trikk.execution.resume",
    "trikk.execution.templates.template_host",
    "trikk.console",
    "trikk.mailing.letter_outbox",
    "trikk.monitoring",
    "trikk.publishing.publication",
    "trikk.reports.due_reports",
    "trikk.server.http.handlers.run_handlers",
    "trikk.server.presence.look_process",
    "trikk.server.queue.nursery",
    "trikk.storage.artifacts",
}
PIPELINES = """
from trikk import pipeline, step
from trikk.triggers import Cron


@step
def one() -> int:
    return 1


@pipeline(triggers=[Cron("0 0 29 2 *")])
def waits():
    one()
"""
SERVER = """
import os, signal, sys, threading, urllib.request
from pathlib import Path
from trikk.execution.project import Project
from trikk.server.server_process import ServeOptions, serve
from trikk.server.site import Site


def ask(url):
    for path in ("healthz", "readyz", "metrics", "api/v1/triggers"):
        if path.startswith("api"):
            print(*sys.modules, flush=True)
        urllib.request.urlopen(f"{url}/{path}").read()
    print(*sys.modules, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


site = Site(Project.open(Path.cwd()))
serve(site, ServeOptions(port=0), lambda url: threading.Thread(target=ask, args=[url]).start())
"""


def test_a_server_at_rest_has_imported_nothing_that_looks_drivers_and_requests_need_alone(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text('name = "rest"\npipelines = ["pipelines"]\n')
    (tmp_path / "pipelines.py").write_text(PIPELINES)
    command = [sys.executable, "-c", SERVER]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    at_rest, asked = (set(line.split()) for line in ran.stdout.splitlines())
    assert {"trikk.server.queue.warm_launcher", "prometheus_client"} <= at_rest
    assert not at_rest & NOT_NEEDED
    assert "trikk.server.http.handlers.run_handlers" in asked
