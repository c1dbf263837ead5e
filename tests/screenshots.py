"""Pictures of the console's pages for the documentation: `make screenshots`, after `make demo`.

They show the demo's project, in a copy, so that nothing in it changes. Whoever changes a page makes them anew and
looks at them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tests.servers.chromium import playwright_library

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images" / "console"
WIDTH, HEIGHT, TALLEST = 1280, 860, 1000


def main() -> int:
    """Take all pictures; the exit code: 2 if there is no demo or no browser."""
    demo, program = Path(sys.argv[1]), shutil.which("chromium") or shutil.which("google-chrome")
    if not (demo / "trikk.toml").exists() or program is None:
        sys.stderr.write("it takes the demo's folder (make demo) and Chromium\n")
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(demo, Path(folder) / "city")
        command = [str(Path(sys.executable).with_name("trikk")), "serve", "--port=0", "--no-triggers"]
        server = subprocess.Popen(command, cwd=Path(folder) / "city", stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            take(server.stdout.readline().split()[1], program)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    return 0


def take(address: str, program: str) -> None:
    """A picture of each page, as high as it is, but not higher than `TALLEST`."""
    with playwright_library().sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for name, path in pages(address).items():
            answer = page.goto(address + path)
            if answer is None or not answer.ok:
                raise RuntimeError(f"{path} can't be shown: {answer and answer.status}")
            page.wait_for_timeout(300)
            height = min(TALLEST, max(HEIGHT, page.evaluate("document.documentElement.scrollHeight")))
            area = {"x": 0, "y": 0, "width": WIDTH, "height": height}
            page.screenshot(path=IMAGES / f"{name}.png", clip=area, full_page=True)
            sys.stdout.write(f"{name}.png  {path}\n")
        browser.close()


def pages(address: str) -> dict[str, str]:
    """Which pages, by the names of their pictures; of runs and incidents those that tell most."""

    def document(path: str) -> Any:
        with urllib.request.urlopen(address + path, timeout=60) as answer:
            return json.load(answer)

    def newest(pipeline: str) -> list[str]:
        return [run["id"] for run in document(f"/api/v1/runs?pipeline={pipeline}&limit=5")["runs"]]

    incident = document("/api/v1/incidents?all=true")["incidents"][0]["id"]
    trained, night = newest("train"), newest("nightly")[0]
    return {
        "overview": "/",
        "pipelines": "/pipelines",
        "pipeline": "/pipelines/nightly",
        "start": "/pipelines/train/start",
        "runs": "/runs",
        "run": f"/runs/{night}",
        "compare": f"/compare?runs={','.join(trained[:2])}",
        "tables": "/tables",
        "table": "/tables/counts",
        "models": "/models",
        "model": "/models/people",
        "monitors": "/monitors",
        "monitor": "/monitors/people?last=60",
        "incidents": "/incidents",
        "incident": f"/incidents/{incident}",
        "triggers": "/triggers",
        "reports": "/reports",
        "costs": "/costs?by=step&since=2020-01-01",
        "settings": "/settings",
        "audit": "/settings/audit",
    }


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
