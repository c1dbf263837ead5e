"""Monitors as pages: from a figure over time down to one case, by slice, by class, and as it was known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from tests.console.html_reader import HtmlPage, read_page
from tests.server.served import RunningServer, ServedProject

from trikk.monitoring.cases.changes import Source
from trikk.monitoring.cases.windows import WindowState, windows_between
from trikk.monitoring.day_drift.day_comparison import drifting
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecords
from trikk.monitoring.figures.figure_course import Wanted, figure_course, interval_of, span_of
from trikk.monitoring.figures.records import Cursor, Records, WindowRecord
from trikk.monitoring.figures.window_figures import Figures
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.monitoring.window_evaluation import evaluate
from trikk.storage.tables.table_write import Write

FIRST = datetime(2020, 3, 1, tzinfo=UTC)
DAYS = 9
PLACES = ["a", "<b>b</b>", "c=c&d"]
ALARMS = (
    {"name": "high", "kind": "figures", "monitor": "people", "when": "mae > 4", "min_labelled": 2},
    {"name": "worse", "kind": "figures", "monitor": "people", "when": "mae > 2 * baseline", "min_labelled": 2},
)
NUMBERS = MonitorSpec(
    "people",
    "p",
    "t",
    ("place",),
    "slot",
    "count",
    metrics=("mae", "rmse"),
    slices=("place",),
    windows=("day", "week"),
    baseline="usual",
    minimum=2,
    alarms=ALARMS,
    drift=Drift(of=["predictions"], same_weekday=False, minimum=5).to_json(),
)
CLASSES = MonitorSpec(
    "kinds", "k", "u", ("place",), "slot", "count", metrics=("accuracy", "f1"), slices=("place",), minimum=2
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    served = ServedProject(tmp_path_factory.mktemp("monitors") / "project")
    rows = [
        (name, FIRST + timedelta(days=day, hours=hour))
        for day in range(DAYS)
        for hour in range(4)
        for name in PLACES
    ]
    common: dict[str, Any] = {"place": [name for name, _ in rows], "slot": [slot for _, slot in rows]}
    ids = [f"id-{number}" for number in range(len(rows))]
    values = {"value": [float(10 + number % 7) for number in range(len(rows))], "usual": [9.0] * len(rows)}
    write(served, "p", {**common, **values, "prediction_id": ids, "run": ["r"] * len(rows)})
    known = [slot < FIRST + timedelta(days=DAYS - 1) for _, slot in rows]
    write(served, "t", {**common, "count": [12.0 if is_known else None for is_known in known]})
    said = ["cat" if number % 3 else "<i>dog</i>" for number in range(len(rows))]
    write(served, "k", {**common, "value": said, "prediction_id": [f"k-{i}" for i in ids]})
    write(served, "u", {**common, "count": ["cat"] * len(rows)})
    look(served, NUMBERS, FIRST + timedelta(days=DAYS))
    look(served, CLASSES, FIRST + timedelta(days=DAYS))
    write(served, "t", {"place": ["a"], "slot": [FIRST], "count": [112.0]})  # a correction
    look(served, NUMBERS, FIRST + timedelta(days=DAYS + 1))
    return served


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server("--no-triggers") as running:
        yield running


def write(served: ServedProject, table: str, columns: dict[str, Any]) -> None:
    frame = pl.DataFrame(columns)
    served.project.tables.write(table, Write("append", frame), identity=f"{table}{frame.height}", origin={})


def look(served: ServedProject, spec: MonitorSpec, now: datetime) -> None:
    """Evaluate a monitor as of a time."""
    project = served.project
    tables = project.tables
    records = Records(project.journal, spec.name)
    records.define(spec, now.timestamp())
    versions = {name: tables.version(name) for name in (spec.predictions, spec.truth)}
    source = Source(tables.scan(spec.predictions), tables.scan(spec.truth), tables, versions)
    evaluate(spec, source, records, now=now, run="r", identity=str(now))
    if spec.drift:
        days = DriftRecords(project.journal, spec.name)
        drifting(spec, source, None, days, now=now, run="r", identity=str(now))


def plain(server: RunningServer, path: str) -> HtmlPage:
    """A page in which nothing that users wrote is markup."""
    page = read_page(server.client, path)
    assert page.html.count("<b>") == page.html.count("<i>") == 0
    return page


def test_two_sides_are_compared_and_the_past_is_replayed(server: RunningServer) -> None:
    client = server.client
    page = plain(server, "/monitors/people/ab")
    assert "Choose two sides." in page.text
    sides = "first=column%3Ausual&second=column%3Avalue"
    page = plain(server, f"/monitors/people/ab?{sides}&metric=mae")
    compared = client.get(f"/monitors/people/ab.json?{sides}").json()["compared"]
    assert compared["sentence"] in page.text
    assert compared["first"] == pytest.approx(3.0, abs=1.2)
    assert client.get(f"/monitors/people/ab.slices.csv?{sides}").text.count("\n") == 1 + len(PLACES)
    assert "nothing" in plain(server, "/monitors/people/ab?first=column%3Anothing&second=column%3Avalue").text
    page = plain(server, "/monitors/people/backtest?alarm=high")
    answer = client.get("/monitors/people/backtest.json?alarm=high").json()["answer"]
    assert answer["replayed"] == "mae > 4"
    assert f"nights from {answer['nights']['first']} to {answer['nights']['last']}" in page.text
    much = "alarm=high&from=0001-01-01&to=9999-12-31"
    assert "more than 3,000 nights" in plain(server, f"/monitors/people/backtest?{much}").text
    assert answer["nights"]["last"] < "2020-03-20"  # years in which nothing happened are not replayed
    assert "is not a rate" in plain(server, "/monitors/people/backtest?when=mae+%3E+X&accept=often").text


def test_all_monitors_with_figure_baseline_and_labels(server: RunningServer) -> None:
    page = plain(server, "/monitors")
    assert "p against t" in page.text
    assert "/monitors/people" in page.links
    lines = {line["monitor"]: line for line in server.client.get("/monitors.json").json()["lines"]}
    newest = lines["people"]
    assert (newest["window"], newest["coverage"]) == ("2020-03-08", 1.0)
    assert newest["waiting"] + newest["overdue"] == 1
    assert newest["baseline"] == 3.0
    assert "accuracy" in server.client.get("/monitors.monitors.csv").text


def test_a_figure_over_time_leads_to_its_cases_and_these_to_one(server: RunningServer) -> None:
    client = server.client
    page = plain(server, "/monitors/people")
    document = client.get("/monitors/people.json").json()
    (first, *_, last) = document["windows"]
    assert (first["label"], first["restated"], first["why"]) == ("2020-03-01", 1, "values were corrected")
    assert (last["state"], last["value"], last["coverage"]) == ("overdue", None, 0.0)
    low, high = first["interval"]
    assert low < first["value"] < high
    assert {limit["alarm"]: limit["newest"] for limit in document["limits"]} == {"high": 4.0, "worse": 6.0}
    assert "high: mae > 4" in page.text
    assert "overdue" in page.text
    address = "/monitors/people/cases?window=2020-03-01"
    assert page.html.count(f'href="{address}"') == 2  # of the picture, and of the table

    page = plain(server, address)
    assert "values were corrected" in page.text
    cases = client.get("/monitors/people/cases.json?window=2020-03-01").json()["cases"]
    assert abs(cases[0]["error"]) == max(abs(case["error"]) for case in cases) == 102.0
    one = f"/monitors/people/predictions/{cases[0]['prediction_id']}"
    assert f"{one}?window=2020-03-01" in page.links
    assert "-102" in plain(server, f"{one}?window=2020-03-01").text
    assert "-102" in plain(server, f"{one}?window=2020-03-05").text  # it is found where it is
    page = plain(server, one)
    assert "-102" in page.text
    assert "112" in page.text
    assert "Rows behind it" in plain(server, f"{one}?rows=true").text
    assert "the run that made it is not known" in page.text
    assert "there is no prediction" in read_page(client, "/monitors/people/predictions/nothing", 404).text
    hits = client.get("/search.json", params={"q": cases[0]["prediction_id"]}).json()["hits"]
    assert [hit["address"].split("/")[2] for hit in hits] == ["kinds", "people"]  # either table may have it
    assert hits[1]["address"] == one
    odd = client.get("/search.json", params={"q": "<b>?#%"}).json()["hits"]
    assert "there is no prediction" in read_page(client, odd[1]["address"], 404).text
    assert client.get("/search.json?q=a%2Fb").json()["hits"] == []  # no address can have that
    for late in ("cases", "predictions/x"):
        assert "names no day" in read_page(client, f"/monitors/people/{late}?window=9999-12-31", 422).text
    assert client.get("/monitors/people.windows.csv").text.count("\n") == DAYS + 1


def test_figures_are_shown_as_they_were_known(server: RunningServer) -> None:
    client = server.client
    then = client.get("/monitors/people.json?known_at=2020-03-10T12:00").json()["windows"][0]
    now = client.get("/monitors/people.json").json()["windows"][0]
    assert then["value"] < now["value"]
    page = plain(server, "/monitors/people?known_at=2020-03-10T12:00")
    assert "as they were known" in page.text


def test_a_range_a_kind_a_metric_and_a_slice_are_chosen_by_the_address(server: RunningServer) -> None:
    client = server.client
    days = client.get("/monitors/people.json?since=2020-03-02&until=2020-03-03&metric=rmse").json()
    assert [one["label"] for one in days["windows"]] == ["2020-03-02", "2020-03-03"]
    assert days["metric"] == "rmse"
    days = client.get("/monitors/people.json?until=2020-03-03&last=2").json()
    assert [one["label"] for one in days["windows"]] == ["2020-03-02", "2020-03-03"]
    weeks = client.get("/monitors/people.json?kind=week&last=3&slice=place%3Da").json()
    assert [one["predicted"] for one in weeks["windows"]] == [4, 28, 4]
    plain(server, "/monitors/people?slice=place%3D%3Cb%3Eb%3C%2Fb%3E&before=2020-03-05")
    for wrong, status in (
        ("metric=nothing", 404),
        ("kind=hour", 404),
        ("slice=other%3Da", 404),
        ("since=2020-03-03&until=2020-03-02", 422),
        ("last=0", 422),
        ("since=0001-01-01", 422),
        ("until=9999-12-31", 422),
        ("known_at=soon", 422),
    ):
        assert read_page(client, f"/monitors/people?{wrong}", status).text


def test_slices_are_a_heat_map_with_the_worst_above(server: RunningServer) -> None:
    page = plain(server, "/monitors/people?tab=slices")
    assert "c=c&d" in page.text
    slices = server.client.get("/monitors/people.json?tab=slices").json()["slices"]
    figures = [one["figure"] for one in slices]
    assert figures == sorted(figures, reverse=True)
    assert "/monitors/people/cases?window=2020-03-08&slice=place%3Dc%3Dc%26d" in page.links
    assert server.client.get("/monitors/people.slices.csv?tab=slices").text.count("\n") == 4


def test_drift_has_the_two_distributions(server: RunningServer) -> None:
    page = plain(server, "/monitors/people?tab=drift&column=prediction")
    document = server.client.get("/monitors/people.json?tab=drift&column=prediction").json()
    for side in ("reference", "current"):
        assert math.isclose(sum(share[side] for share in document["shares"]), 1.0)
    assert document["day"]["label"] in page.text
    assert "days before" in page.text
    assert (
        read_page(server.client, "/monitors/people?tab=drift&column=nothing").text.count("there is no column") == 1
    )


def test_classes_have_a_matrix_whose_cells_lead_to_cases(server: RunningServer) -> None:
    page = plain(server, "/monitors/kinds?tab=classes")
    by_class = {one["class"]: one for one in server.client.get("/monitors/kinds.json?tab=classes").json()[
        "confusion_matrix"]["by_class"]}  # fmt: skip
    assert by_class["cat"]["recall"] == pytest.approx(2 / 3)
    assert "66.7 %" in page.text
    cell = "/monitors/kinds/cases?window=2020-03-09&kind=day&truth=cat&predicted=%3Ci%3Edog%3C%2Fi%3E"
    assert cell in page.links
    assert "taken for <i>dog</i>" in plain(server, cell).text


def test_rubbish_makes_no_page_fail(place: ServedProject, server: RunningServer) -> None:
    """One that is only declared, windows of nothing, 300 slices, figures that are not numbers."""
    journal, client = place.project.journal, server.client
    records = Records(journal, "empty")
    records.define(MonitorSpec("empty", "p", "t", ("place",), "slot", "count", windows=("hour",)), 1.0)
    for path in ("/monitors", "/monitors/empty", "/monitors/empty?tab=alarms", "/monitors/empty?last=30000"):
        plain(server, path)
    assert "has been evaluated" in plain(server, "/monitors/empty").text
    assert "no hour of monitor 'empty'" in read_page(client, "/monitors/empty/cases", 404).text
    assert "no hour of monitor" in client.get("/api/v1/monitors/empty/cases").json()["what"]
    spec = MonitorSpec("odd", "p", "t", ("place",), "slot", "count", slices=("place",), timezone="Europe/Oslo",
                       windows=("hour",))  # fmt: skip
    records = Records(journal, "odd")
    records.define(spec, 1.0)
    clocks = datetime(2020, 10, 24, 22, tzinfo=UTC)  # an hour comes twice that night
    windows = list(windows_between("hour", clocks, clocks + timedelta(hours=5), spec_zone(spec)))
    for number, window in enumerate(windows):
        slices = [
            Figures("place", f"<b>{i}</b>", 1, 0, 0, {"mae": math.nan if number else None}) for i in range(300)
        ]
        whole = Figures("", "", 300, 0, 0, {"mae": math.nan if number else None, "bias": math.inf})
        record = WindowRecord("odd", "hour", window.label, window.start, window.end, WindowState.PENDING,
                              (whole, *slices), 1.0)  # fmt: skip
        records.put(record, identity=str(number))
    records.advance(Cursor(at=1.0, until={"hour": windows[-1].end.isoformat()}), at=1.0, identity="c")
    page = plain(server, "/monitors/odd")
    assert page.text.count("2020-10-25T02:00") == 2
    second = quote("2020-10-25T02:00+01:00")
    assert "2020-10-25T02:00+02:00" in plain(server, f"/monitors/odd?before={second}").text
    assert "pending" in page.text
    page = plain(server, "/monitors/odd?tab=slices")
    assert len(page.html) < 200_000
    assert "1 to 25 of 300" in page.text
    assert "276 to 300 of 300" in plain(server, "/monitors/odd?tab=slices&skip=275").text


def spec_zone(spec: MonitorSpec) -> Any:
    from trikk.core.zones import zone_of

    return zone_of(spec.timezone)


def test_three_years_of_hours_are_a_small_page(place: ServedProject, server: RunningServer) -> None:
    """What a page reads of a window does not grow with its slices, and its picture not with the windows."""
    spec = MonitorSpec("long", "p", "t", ("place",), "slot", "count", windows=("hour",))
    records = Records(place.project.journal, "long")
    records.define(spec, 1.0)
    windows = list(windows_between("hour", FIRST, FIRST + timedelta(hours=3000), UTC))  # type: ignore[arg-type]
    for number, window in enumerate(windows):
        whole = Figures("", "", 5, 5, 5, {"mae": float(number % 50), "bias": 0.0})
        record = WindowRecord(
            "long", "hour", window.label, window.start, window.end, WindowState.FINAL, (whole,), 1.0
        )
        records.put(record, identity=str(number))
    records.advance(Cursor(at=1.0, until={"hour": windows[-1].end.isoformat()}), at=1.0, identity="c")
    span = span_of(place.project.journal, spec, "hour", 30_000)
    assert span is not None
    course = figure_course(place.project.journal, spec, "hour", Wanted("mae"), *span)
    assert [one.label for one in course] == [window.label for window in windows]
    assert len(plain(server, "/monitors/long?last=30000").html) < 150_000


def test_an_interval_is_that_of_a_mean() -> None:
    values = [0.0, 1.0, 2.0, 7.0, 4.0]
    mean = sum(values) / len(values)
    root = math.sqrt(sum(v * v for v in values) / len(values))
    interval = interval_of("mae", {"mae": mean, "rmse": root}, len(values))
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))
    assert interval == pytest.approx((mean - 1.96 * spread, mean + 1.96 * spread))
    low, high = interval_of("accuracy", {"accuracy": 1.0}, 10) or (0.0, 0.0)
    assert 0.6 < low < 0.8
    assert high == pytest.approx(1.0)
    assert interval_of("mae", {"mae": 1.0}, 10) is None
