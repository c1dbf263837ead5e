"""Pages in a browser: how long until what they show is on the screen, beside the pages of other tools.

The same Chromium for all, a fresh profile for each page, all servers on this machine. Costs are those of the
browser and of what drives it, too; what counts are the seconds.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks import environments
from benchmarks.places import FLOWS
from benchmarks.samples import Sample
from benchmarks.ways import Unavailable
from benchmarks.ways.commands import fresh
from benchmarks.ways.peers import PEERS
from benchmarks.ways.rest import served
from benchmarks.ways.server import running, wait_for

_ROUNDS = 5
_PREFECT_PORT, _DAGSTER_PORT = "8773", "8774"


@contextlib.contextmanager
def pages_of_trikk(size: int) -> Iterator[Callable[[], Sample]]:
    """The pages of a project with so many runs."""
    middle = f"r{size // 2:011d}"
    pages = {
        "/": "main h1",
        "/runs": "tbody tr:nth-child(15)",
        f"/runs?cursor={middle}": "tbody tr:nth-child(15)",
        f"/runs/{middle}": "main h1",
        "/pipelines": "main h1",
        "/pipelines/goes_on": "main h1",
    }
    with served(size, going=0) as address:
        yield lambda: timed(address, pages)


@contextlib.contextmanager
def pages_of_prefect(size: int) -> Iterator[Callable[[], Sample]]:
    """Prefect's page of runs, over its own store."""
    peer, folder = _peer("prefect"), fresh()
    address = f"http://127.0.0.1:{_PREFECT_PORT}"
    with running(peer.command(folder, "prefect", "server", "start", "--port", _PREFECT_PORT)):
        wait_for(f"{address}/api/health")
        flow = _posted(f"{address}/api/flows/", {"name": "due"})["id"]
        for number in range(size):
            state = {"type": "COMPLETED", "name": "Completed"}
            run = {"flow_id": flow, "name": f"run-{number}", "state": state}
            _posted(f"{address}/api/flow_runs/", run)
        yield lambda: timed(address, {"/runs": "a[href*='/runs/flow-run/']"})


@contextlib.contextmanager
def pages_of_dagster(size: int) -> Iterator[Callable[[], Sample]]:
    """Dagster's page of runs, over its own store."""
    peer, folder = _peer("dagster"), fresh()
    address, flow = f"http://127.0.0.1:{_DAGSTER_PORT}", str(FLOWS / "dagster_runs.py")
    filling = peer.command(folder, "python", flow, str(size))
    subprocess.run(filling.argv, cwd=folder, env=filling.env, check=True, capture_output=True)
    with running(peer.command(folder, "dagster-webserver", "-f", flow, "-p", _DAGSTER_PORT)):
        wait_for(f"{address}/server_info")
        yield lambda: timed(address, {"/runs": "a[href^='/runs/']"})


def timed(address: str, pages: Mapping[str, str]) -> Sample:
    """How long pages take: the median of each in ms, and the slowest of these as the sample's seconds."""
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        raise Unavailable("chromium is not installed")
    trouble = environments.make("browser")
    if trouble is not None:
        raise Unavailable(trouble)
    asked = [part for path, selector in pages.items() for part in (f"{address}{path}", selector)]
    argv = [str(environments.python_of("browser")), str(FLOWS / "page_paint.py"), str(_ROUNDS), *asked]
    began = time.process_time()
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    medians = {url.removeprefix(address): statistics.median(s) for url, s in json.loads(done.stdout).items()}
    figures = {f"{path}, ms": 1000 * seconds for path, seconds in medians.items()}
    return Sample(max(medians.values()), time.process_time() - began, 0, figures)


def _peer(name: str) -> Any:
    trouble = environments.make(name)
    if trouble is not None:
        raise Unavailable(trouble)
    peer = PEERS[name]()
    peer.home = fresh()
    peer.set_up()
    return peer


def _posted(url: str, body: Mapping[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    for _ in range(10):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(1.0)  # its database is locked now and then
    raise RuntimeError(f"{url} takes nothing")
