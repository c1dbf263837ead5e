"""The first page and those of pipelines, of a project whose runs went well and badly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.console.html_reader import HtmlPage, read_page, send_form
from tests.execution.command import until
from tests.server.served import PIPELINES, RunningServer, ServedProject

from trikk.console.pages.overview.overview_verdict import Concern, Verdict, by_weight, counted, sentence

TRIGGERED = """
from datetime import date
from typing import Literal

from trikk.triggers import Cron


@pipeline(triggers=[Cron("0 4 * * *")])
def daily(day: str = "<b>&today"):
    total(1)


@step
def taken(counts: list[int]) -> int:
    return len(counts)


@pipeline
def chosen(
    day: date, mode: Literal["fast", "exact"] = "fast", counts: list[int] = [1, 2], note: str = "as usual",
    limit: int | None = None,
):
    taken(counts)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("home") / "project", PIPELINES + TRIGGERED)


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server("--no-triggers") as running:
        yield running


@pytest.fixture(scope="module")
def runs(server: RunningServer) -> dict[str, str]:
    """Runs by what became of them."""
    return {"good": server.run("add", n=3)["id"], "bad": server.run("fragile", file="<i>nowhere")["id"]}


def test_the_first_page_says_at_once_what_is_wrong(server: RunningServer, runs: dict[str, str]) -> None:
    page = read_page(server.client, "/")
    assert page.html.index("<h1>") < page.html.index("<h2>")
    assert "1 pipeline failed when it last ran and no server fires triggers" in page.text
    assert page.links["/pipelines/fragile"]
    document = server.client.get("/overview.json").json()
    assert document["verdict"] == "bad"
    lines = {line["pipeline"]: line for line in document["pipelines"]}
    assert (lines["add"]["success"], lines["fragile"]["success"], lines["waits"]["success"]) == (1.0, 0.0, None)
    assert lines["daily"]["next"].endswith("04:00:00+00:00")
    # A bar for each run, and each bar leads to its run.
    assert {f"/runs/{run}" for run in runs.values()} <= page.links.keys()
    assert "totals" in page.links["/tables/totals"]
    assert server.client.get("/overview.pipelines.csv").text.splitlines()[1].startswith("fragile,failed,0.0")


def test_a_verdict_names_the_worst_first() -> None:
    concerns = by_weight(
        [
            *counted(Verdict.WARNING, ["a"], "question waits", "questions wait", "/approvals"),
            *counted(Verdict.BAD, ["a", "b"], "alarm is open", "alarms are open", "/incidents"),
            *counted(Verdict.BAD, [], "pipeline failed", "pipelines failed", "/pipelines"),
            Concern(Verdict.WARNING, "no server fires triggers", "/settings"),
        ]
    )
    assert sentence(concerns, pipelines=1, ran=True) == (
        "2 alarms are open, 1 question waits and no server fires triggers."
    )
    assert [sentence([], pipelines=count, ran=ran) for count, ran in ((1, True), (1, False), (0, False))] == [
        "Everything is all right.",
        "Nothing is wrong, and nothing has run yet.",
        "There is no pipeline yet.",
    ]


def test_a_pipeline_shows_its_runs_as_they_are_asked_for(server: RunningServer, runs: dict[str, str]) -> None:
    listed = read_page(server.client, "/pipelines")
    assert listed.links["/pipelines/add"] == "add"
    assert "Keep a number in a table." in listed.text
    page = read_page(server.client, "/pipelines/add")
    assert {f"/runs/{runs['good']}", "/tables/totals", "/pipelines/add/start"} <= page.links.keys()
    assert f'name="runs" value="{runs["good"]}"' in page.html
    assert page.form("/compare").label
    for query, is_there in (
        ("state=succeeded&parameters=n%3D3&since=2020-01-01&until=&environment=main&sort=-seconds", True),
        ("parameters=n%3D4", False),
        ("until=2020-01-01", False),
        ("state=failed", False),
        ("environment=elsewhere", False),
    ):
        shown = read_page(server.client, f"/pipelines/add?{query}")
        assert (f'value="{runs["good"]}"' in shown.html) == is_there, query
    code = server.client.get("/pipelines/add.json").json()["listed"][0]["code"]
    assert f'value="{runs["good"]}"' in read_page(server.client, f"/pipelines/add?code={code[:6]}").html
    assert (
        server.client.get("/pipelines/add.runs.csv").text.splitlines()[1].startswith(f"{runs['good']},succeeded")
    )
    assert server.client.get("/pipelines/add?state=nonsense").status_code == 422
    assert read_page(server.client, "/pipelines/nowhere", 404)


def test_a_pipeline_shows_its_steps_schedule_and_code(server: RunningServer, runs: dict[str, str]) -> None:
    durations = read_page(server.client, "/pipelines/add?tab=durations")
    assert "total" in durations.text
    assert f"/runs/{runs['good']}" in durations.links
    schedule = read_page(server.client, "/pipelines/daily?tab=schedule")
    assert any(link.startswith("/triggers/daily") for link in schedule.links)
    assert "04:00" in schedule.text
    definition = read_page(server.client, "/pipelines/daily?tab=definition")
    assert "&lt;b&gt;&amp;today" in definition.html
    assert 'def daily(day: str = "<b>&today")' in definition.text
    assert "pl.DataFrame({" in definition.text  # of its step, in the same file
    assert "It was never run for each day" in read_page(server.client, "/pipelines/add?tab=backfills").text


def test_a_run_is_started_once_by_a_form_that_keeps_what_was_typed(server: RunningServer) -> None:
    client = server.client
    form = read_page(client, "/pipelines/chosen/start").form("/pipelines/chosen/start")
    assert {name: text for name, text in form.fields.items() if name.startswith("texts.")} == {
        "texts.day": "",
        "texts.mode": "fast",
        "texts.counts": "1,2",
        "texts.note": "as usual",
        "texts.limit": "",
    }
    typed = {"texts.day": "2020-03-26", "texts.counts": "1,<b>x", "texts.note": "", "texts.limit": "none"}
    refused = send_form(client, form, **typed)
    assert refused.status_code == 422
    again = HtmlPage(refused.text)
    assert not again.forbidden
    assert "Nothing was started: 1 of the values does not fit." in again.text
    assert "give a whole number" in again.text
    kept = again.form("/pipelines/chosen/start")
    assert {name: kept.fields[name] for name in typed} == typed
    started = send_form(client, kept, **{"texts.counts": "3"})
    twice = send_form(client, kept, **{"texts.counts": "3"})
    assert started.status_code == 303
    assert started.headers["location"] == twice.headers["location"]
    run = started.headers["location"].removeprefix("/runs/").removesuffix("?done=start_run")
    parameters = {"day": "2020-03-26", "mode": "fast", "counts": [3], "note": "", "limit": None}
    assert server.ended(run)["parameters"] == parameters
    # Another run by the same press is none: who comes back to the page and changes something is told so.
    assert send_form(client, kept, **{"texts.counts": "4"}).status_code == 409
    like = read_page(client, f"/pipelines/chosen/start?like={run}").form("/pipelines/chosen/start")
    assert {name: like.fields[name] for name in ("texts.counts", "texts.note")} == {
        "texts.counts": "3",
        "texts.note": "",
    }


def test_a_backfill_is_begun_by_a_form(server: RunningServer) -> None:
    client = server.client
    form = read_page(client, "/pipelines/chosen/backfill").form("/pipelines/chosen/backfill")
    days = {"from": "2020-03-26", "to": "2020-03-27"}
    refused = send_form(client, form, **days, **{"parameters.counts": "x"})
    assert refused.status_code == 422
    again = HtmlPage(refused.text).form("/pipelines/chosen/backfill")
    assert (again.fields["parameters.counts"], again.fields["from"]) == ("x", "2020-03-26")
    begun = send_form(client, again, **days, **{"parameters.counts": "1"})
    assert begun.status_code == 303
    address = begun.headers["location"].partition("?")[0]
    assert address in read_page(client, "/pipelines/chosen?tab=backfills").links
    assert [run["day"] for run in server.get(address)["runs"]] in (
        [],
        ["2020-03-26"],
        ["2020-03-26", "2020-03-27"],
    )


def test_code_that_does_not_load_is_said_and_hides_nothing(place: ServedProject, server: RunningServer) -> None:
    code = place.root / "pipelines.py"
    whole = code.read_text()
    code.write_text(whole.replace("def waits(", "def renamed(") + "\nraise ValueError('<b>broken')\n")
    try:
        until(lambda: "code" in server.client.get("/overview.json").json()["trouble"])
        page = read_page(server.client, "/")
        assert "The code does not load" in page.text
        assert "&lt;b&gt;broken" in page.html
        assert "/pipelines/waits" in page.links
        assert "broken" in read_page(server.client, "/pipelines/add").text
    finally:
        code.write_text(whole)
