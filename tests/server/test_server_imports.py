"""A server that waits costs memory all the time: it imports nothing that others of its processes need alone."""

from __future__ import annotations

import subprocess
import sys

NOT_NEEDED = {
    "polars",
    "deltalake",
    "pyarrow",
    "numpy",
    "rich",
    "urllib.request",
    "smtplib",
    "trikk.alerts.look",
    "trikk.mailing.letter_outbox",
    "trikk.reports.due_reports",
    "trikk.server.queue.nursery",
    "trikk.execution.templates.template_host",
    "trikk.server.presence.look_process",
}


def test_a_server_has_nothing_imported_that_its_looks_and_drivers_need_alone() -> None:
    modules = "sys, trikk.server.own_parts, trikk.server.server_process, trikk.server.http.route_table"
    code = f"import {modules}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert "trikk.server.queue.warm_launcher" in imported
    assert not imported & NOT_NEEDED
