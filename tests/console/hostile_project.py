"""A project in which whatever people and code can write tries to become part of a page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from tests.execution.command import Folder
from tests.server.served import RunningServer, ServedProject

from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.storage.artifact import Artifact

EVIL = (
    "\"'><b data-evil onclick=top.pwned=1>{{7*7}}</b><img src=x data-evil onerror=top.pwned=1>"
    "<script>top.pwned=1</script>"
)
FORMULA = '=HYPERLINK("http://evil.test/")'  # for a spreadsheet

MISSING = "0" * 64  # the digest of a model that nobody can load
PAGE = """<!doctype html><html><head>
<meta http-equiv="refresh" content="0;url=CANARY/refresh">
<link rel="stylesheet" href="CANARY/style"><link rel="prefetch" href="CANARY/prefetch">
<style>@import "CANARY/import"; body { background: url(CANARY/background); font-family: f }
@font-face { font-family: f; src: url(CANARY/font) }</style>
<base href="CANARY/">
</head><body>
<p>a page that a step has made</p>
<script>top.pwned = 1; document.title = document.cookie; fetch("CANARY/fetch")</script>
<img src="CANARY/img" onerror="top.pwned = 1"><iframe src="CANARY/frame"></iframe>
<object data="CANARY/object"></object><video src="CANARY/video" autoplay></video>
<svg><image href="CANARY/svg"/></svg>
<form id="f" action="CANARY/form" target="_top"><button autofocus>x</button></form>
<a href="CANARY/ping" ping="CANARY/ping" target="_top">away</a>
</body></html>"""
"""What tries to run, to ask CANARY for something, and to go there."""

_CODE = """
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from trikk import Alarm, Monitor, Report, Slice, Table, approval, log_metric, log_param, pipeline, step
from trikk.triggers import Cron

EVIL = {evil!r}
FORMULA = {formula!r}
predictions, counts = Table("predictions"), Table("counts")
people = Monitor(
    "people", predictions=predictions, truth=counts, key="sensor", slot="slot", observed="count",
    metrics=["mae"], minimum=2, title=EVIL, unit=EVIL[:20], customer_name=EVIL,
    slices=[Slice("sensor", title=EVIL, customer_name={{EVIL: EVIL}})],
    alarms=[Alarm("loss", when="mae > 3", slice="sensor"), Alarm("all", when="mae > 3")],
)
report = Report("hostile", monitors=[people], period="day", title=EVIL)


@step
def rows(day: date, column: str, value: float) -> pl.DataFrame:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    slots = [first + timedelta(hours=6 * n) for n in range(4)]
    texts = [EVIL, FORMULA, "-x", None]
    return pl.DataFrame({{"sensor": [EVIL] * 4, "slot": slots, column: [value] * 4, EVIL: texts}})


@pipeline(triggers=[Cron("0 4 * * *", name="daily")])
def fill(day: date = date(2020, 3, 1), error: float = 15.0):
    EVIL_DOC
    predictions.append(rows(day, "value", 10.0))
    counts.append(rows.options(name="truths")(day, "count", error))


@step
def makes(note: str, page: str) -> dict[str, object]:
    print(note)
    log_metric("m " + note[:60], 1.0)
    log_param("p " + note[:60], note)
    file = Path("<b data-evil>.html")
    file.write_text(page)
    return {{note: [note, {{note: note}}], "page": file}}


@step
def fails(note: str) -> int:
    raise type(note[:40], (ValueError,), {{}})(note)


@pipeline
def hostile(note: str = EVIL, page: str = ""):
    makes(note, page)
    fails(note, after=approval(EVIL, shows={{"note": note}}))
"""


def make_hostile_project(root: Path) -> ServedProject:
    """The project, with a monitor's incident, models and a pause, before it is served."""
    code = _CODE.format(evil=EVIL, formula=FORMULA).replace("EVIL_DOC", repr(EVIL))
    place = ServedProject(root, code)
    folder = Folder(root)
    folder.good("run", "fill")
    folder.good("watch", "--once", "--now", "2020-03-04T00:30")
    registry, artifact = Registry(place.project.journal), Artifact(MISSING, "pickle", 9, {"type": EVIL})
    for number in (1, 2):
        registry.register(
            ModelVersion(
                "people",
                0,
                artifact,
                created=float(number),
                parameters={"x": EVIL},
                metrics={EVIL: 1.0},
                description=EVIL,
            )
        )
        registry.move("people", "champion", number, "main", by=EVIL, why=EVIL, at=float(number))
    return place


def fill_with_hostile_text(server: RunningServer, page: str) -> str:
    """What people do by the API; the run that made all."""
    server.post("/triggers/daily/pause", {"why": EVIL})
    run = server.post("/runs", {"pipeline": "hostile", "parameters": {"page": page}}, 201)["id"]
    server.ended(run, "waiting")
    server.post(f"/runs/{run}/approve", {"why": EVIL})
    server.ended(run, "failed")
    for incident in server.get("/incidents")["incidents"]:
        server.post(f"/incidents/{quote(incident['id'])}/acknowledge", {"why": EVIL})
    return str(run)
