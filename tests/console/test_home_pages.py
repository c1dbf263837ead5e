"""The first page and those of pipelines, of a project whose runs went well and badly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.console.html_reader import read_page
from tests.server.served import PIPELINES, RunningServer, ServedProject

from trikk.console.pages.overview.overview_verdict import Concern, Verdict, by_weight, counted, sentence

TRIGGERED = """
from trikk.triggers import Cron


@pipeline(triggers=[Cron("0 4 * * *")])
def daily(day: str = "<b>&today"):
    total(1)
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
    assert server.client.get("/overview.pipelines.csv").text.splitlines()[1].startswith("add,succeeded,1.0")


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
    assert page.form("/compare").fields["runs"] == runs["good"]
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
