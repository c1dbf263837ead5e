"""What the pages of runs say, and what their buttons do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.console.html_reader import HtmlPage, read_page, send_form
from tests.execution.command import Folder, until
from tests.server.served import RunningServer, ServedProject

from trikk.console.pages.compare import compare_page
from trikk.console.pages.runs.attempt_times import AttemptFold, AttemptTimes
from trikk.console.pages.runs.runs_memory import read_run
from trikk.core.errors import ProjectError
from trikk.execution.code import code_changes
from trikk.runs.journals.journal import Event

PIPELINES = """
import time
from pathlib import Path

import polars as pl

from trikk import Resources, approval, log_metric, pipeline, step, when


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step(resources=Resources(cpus=0))
def double(number: int, bad: int) -> int:
    print(f"<b>doubling</b> {number}")
    if number == bad:
        raise ValueError("<script>alert(1)</script> is too much")
    return 2 * number


@step
def total(parts: list[int]) -> pl.DataFrame:
    log_metric("sum", sum(parts))
    return pl.DataFrame({"<i>part</i>": parts, "name": [f"<u>{part}</u>" for part in parts]})


@pipeline
def doubled(count: int = 3, bad: int = -1, note: str = "<em>hi</em>"):
    total(double.map(numbers(count), bad=bad))


@step(resources=Resources(cpus=0))
def wait(file: str) -> int:
    print("waiting for it", flush=True)
    while not Path(file).exists():
        time.sleep(0.02)
    return 1


@pipeline
def waits(file: str):
    wait(file)


@step
def publish(total: int) -> int:
    return total


@pipeline
def asking(file: str):
    made = wait(file)
    with when(approval("Publish <b>this</b>?", shows={"made": made})):
        publish(made)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return ServedProject(tmp_path_factory.mktemp("runs") / "project", PIPELINES)


@pytest.fixture(scope="module")
def server(place: ServedProject) -> Iterator[RunningServer]:
    with place.server() as running:
        yield running


@pytest.fixture(scope="module")
def good(server: RunningServer) -> str:
    return str(server.run("doubled")["id"])


@pytest.fixture(scope="module")
def failed(server: RunningServer) -> str:
    return str(server.run("doubled", bad=1)["id"])


def test_a_run_is_told_and_what_users_wrote_is_text(server: RunningServer, good: str, failed: str) -> None:
    page = read_page(server.client, f"/runs/{good}")
    assert "<em>hi</em>" in page.text
    assert "3 of 3 items" in page.text
    assert f"/runs/{good}/steps/total" in page.links
    assert "3 succeeded" in page.text  # in the graph
    assert f"the course of run {good}: 3 steps" in page.html
    assert "<em>" not in page.html
    document = server.client.get(f"/runs/{good}.json").json()["run"]
    assert document["state"] == "succeeded"
    assert next(step for step in document["steps"] if step["name"] == "double")["item_states"] == {"succeeded": 3}
    assert server.client.get(f"/runs/{good}.metrics.csv").text.splitlines()[1] == "sum,total,6.0,1"
    broken = read_page(server.client, f"/runs/{failed}")
    assert "ValueError: <script>alert(1)</script> is too much (pipelines.py:" in broken.text
    assert "<script>alert" not in broken.html
    assert "the code around it" in broken.html.lower()
    marked = next(line for line in broken.html.splitlines() if 'class="failing"' in line)
    assert "raise ValueError(&#34;&lt;script&gt;" in marked  # the line that it came by, between those around it
    assert "if number == bad:" in broken.text
    assert "return 2 * number" in broken.text
    assert f"trikk resume {failed}" in broken.text
    read_page(server.client, "/runs/nonesuch", 404)


def test_a_run_is_read_once_for_all_who_look(
    place: ServedProject, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, reads = place.project.journal, Counter[str]()
    events = journal.events

    def counted(run: str, **only: Any) -> list[Event]:
        reads[run] += 1
        return events(run, **only)

    monkeypatch.setattr(journal, "events", counted)
    with ThreadPoolExecutor(8) as pool:
        several = list(pool.map(lambda _: read_run(place.project, good), range(24)))
    assert all(each is several[0] for each in several)
    assert reads == {good: 1}
    before = several[0].state.seq
    event = journal.append(good, "note.added", {}, at=1.0)
    assert read_run(place.project, good).state.seq == event.seq > several[0].state.seq == before
    assert reads == {good: 2}


def test_runs_are_listed_as_they_are_asked_for(server: RunningServer, good: str, failed: str) -> None:
    page = read_page(server.client, "/runs")
    assert {f"/runs/{good}", f"/runs/{failed}", "/pipelines/doubled"} <= set(page.links)
    assert "<em>hi</em>" in page.text
    assert "/compare" in {form.action for form in page.forms}
    assert f'name="runs" value="{good}"' in page.html
    ours = {f"/runs/{good}", f"/runs/{failed}"}
    for asked, wanted in (
        ("state=&parameters=bad%3D1&pipeline=doubled", {f"/runs/{failed}"}),
        ("pipeline=waits", set()),
        ("since=2000-01-01&until=2000-01-02", set()),
        ("sort=-seconds", ours),
    ):
        assert set(read_page(server.client, f"/runs?{asked}").links) & ours == wanted, asked
    sheet = server.client.get("/runs.runs.csv", params={"parameters": "bad=1"}).text.splitlines()
    assert sheet[1].startswith(f"{failed},failed,doubled,")
    read_page(server.client, "/runs?since=2020-13-01", 422)


def test_runs_are_put_side_by_side_what_differs_first(server: RunningServer, good: str) -> None:
    client, other = server.client, server.run("doubled", count=4)["id"]
    page = read_page(client, f"/compare?runs={good}&runs={other}")  # as ticked boxes are sent
    assert "sum against count of 2 runs" in page.html
    differs, _, alike = page.text.partition("What is the same in all")
    assert "count 3 4" in differs
    assert "sum 6 12" in differs
    assert "note <em>hi</em> <em>hi</em>" in alike
    document = client.get(f"/compare.json?runs={good},{other}").json()
    assert document["runs"] == [good, other]
    assert "Tick two runs" in read_page(client, "/compare").text
    many = ",".join(f"r{number}" for number in range(21))
    assert "at most 20" in read_page(client, f"/compare?runs={many}", 422).text


def test_the_trials_of_a_sweep_are_ranked_and_drawn(
    server: RunningServer, place: ServedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(place.root).trikk("sweep", "doubled", "-p", "count=2,3", "--metric", "sum")
    trial = next(row for row in place.project.journal.runs() if row.origin["kind"] == "sweep")
    address = f"/compare?sweep={trial.origin['sweep']}"
    assert address in read_page(server.client, f"/runs/{trial.id}").links
    page = read_page(server.client, address)
    assert "sum against count of 2 runs" in page.html
    assert f"/runs/{trial.id}" in page.links
    assert "later trials are not shown" not in page.text
    server.run("doubled", count=2)
    monkeypatch.setattr(compare_page, "_LOOKED", 1)
    site: Any = SimpleNamespace(site=SimpleNamespace(project=place.project))
    call: Any = SimpleNamespace(query=compare_page.CompareQuery(sweep=str(trial.origin["sweep"])))
    view = compare_page.show_comparison(site, call)
    assert ([t["number"] for t in view.document["trials"]], view.context["looked_at"]) == ([0], 1)


def test_code_that_goes_while_it_is_read_is_a_clear_error(
    place: ServedProject, good: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_changes, "manifest", lambda *_: {"gone.py": "0" * 64})
    with pytest.raises(ProjectError, match="code can't be read"):
        code_changes.code_changes(place.project, good, code_changes.FOLDER)


def test_each_tab_shows_its_part(server: RunningServer, place: ServedProject, good: str, failed: str) -> None:
    outputs = read_page(server.client, f"/runs/{good}?tab=outputs")
    assert "polars.DataFrame, 3 rows, 2 columns" in outputs.text
    inputs = read_page(server.client, f"/runs/{good}?tab=inputs")
    assert {"pipelines.py", "polars"} <= set(inputs.text.split())
    code = (place.root / "pipelines.py").read_bytes()
    (place.root / "pipelines.py").write_bytes(code + b"\n# <b>changed</b>\n")
    try:
        changed = read_page(server.client, f"/runs/{failed}?tab=code&since=folder")
        assert "+# <b>changed</b>" in changed.text
    finally:
        (place.root / "pipelines.py").write_bytes(code)
    before = read_page(server.client, f"/runs/{failed}?tab=code")
    assert f"the run before: {good}" in before.text
    assert "read no table" in read_page(server.client, f"/runs/{good}?tab=lineage").text


def test_a_run_is_replayed_resumed_and_cancelled_by_its_buttons(
    server: RunningServer, good: str, failed: str, tmp_path: Path
) -> None:
    client = server.client
    form = read_page(client, f"/runs/{good}").form(f"/runs/{good}/replay")
    sent, again = send_form(client, form), send_form(client, form)
    assert sent.status_code == 303
    assert sent.headers["location"] == again.headers["location"]  # a second press is the same request
    replay = sent.headers["location"].removeprefix("/runs/").partition("?")[0]
    server.ended(replay)
    page = read_page(client, f"/runs/{replay}?tab=replay")
    assert f"identical to {good}" in page.text
    assert "total total identical the same digest" in page.text  # the step's artifact
    (digest,) = {
        step["artifacts"][0]["was"]
        for step in client.get(f"/api/v1/runs/{replay}/comparison").json()["steps"]
        if step["name"] == "total"
    }
    assert {f"/artifacts/{digest}?run={run}&name=total" for run in (good, replay)} <= set(page.links)
    form = read_page(client, f"/runs/{failed}").form(f"/runs/{failed}/resume")
    sent = send_form(client, form, code="locked")
    assert "The run is resumed." in read_page(client, sent.headers["location"]).text
    assert server.ended(failed)["resumed"] == 1
    going = server.post("/runs", {"pipeline": "waits", "parameters": {"file": str(tmp_path / "never")}}, 201)["id"]
    server.ended(going, "running")
    sent = send_form(client, read_page(client, f"/runs/{going}").form(f"/runs/{going}/cancel"))
    assert sent.status_code == 303
    server.ended(going, "cancelled")


def test_a_run_is_resumed_with_choices(server: RunningServer, place: ServedProject) -> None:
    client, code = server.client, (place.root / "pipelines.py").read_text()
    run = str(server.run("doubled", bad=2)["id"])
    address = f"/runs/{run}/resume"
    assert address in read_page(client, f"/runs/{run}").links
    page = read_page(client, address)
    assert "It is what it was." in page.text
    assert "numbers succeeded is reused it has succeeded run again" in page.text
    form = page.form(address)
    for steps in ({"again[]": "nothing"}, {"again[]": "numbers", "keep[]": "numbers"}):
        refused = send_form(client, form, **steps)
        assert refused.status_code in (404, 409)
        assert "numbers succeeded is reused" in HtmlPage(refused.text).text  # the form, with why it was refused
    (place.root / "pipelines.py").write_text(code.replace("list(range(count))", "[0] * count"))
    try:
        until(lambda: "pipelines.py" in client.get(f"{address}.json").json()["changed"])
        page = read_page(client, f"{address}?code=current")
        assert "its code has changed since: it runs again, unless it is kept keep its result" in page.text
        sent = send_form(client, page.form(address), **{"keep[]": "numbers"})
        assert sent.headers["location"] == f"/runs/{run}?done=resume_run"
        server.ended(run, "failed")
        steps = {step["name"]: step for step in server.get(f"/runs/{run}")["steps"]}
        assert steps["numbers"]["reused"]
        sent = send_form(client, read_page(client, address).form(address), **{"again[]": "numbers"})
        assert sent.status_code == 303
        server.ended(run, "succeeded")
    finally:
        (place.root / "pipelines.py").write_text(code)


def test_a_question_is_answered_on_the_runs_page(server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.touch()
    run = server.post("/runs", {"pipeline": "asking", "parameters": {"file": str(file)}}, 201)["id"]
    server.ended(run, "waiting")
    page = read_page(server.client, f"/runs/{run}")
    assert "Publish <b>this</b>?" in page.text
    send_form(server.client, page.form(f"/runs/{run}/approve"), why="it is <b>good</b>")
    server.ended(run)
    assert "approved by" in (text := read_page(server.client, f"/runs/{run}").text)
    assert "it is <b>good</b>" in text


def test_a_step_shows_its_log_what_it_was_given_and_what_it_made(
    server: RunningServer, place: ServedProject, good: str, failed: str
) -> None:
    client, above = server.client, f"/runs/{failed}/steps"
    page = read_page(client, f"/runs/{good}/steps/total")
    assert "<i>part</i>" in page.text
    assert "<u>4</u>" in page.text
    mapped = read_page(client, f"{above}/double?state=failed")
    assert f"{above}/double%5B1%5D" in mapped.links
    assert f"{above}/double%5B0%5D" not in mapped.links
    item = read_page(client, f"{above}/double%5B1%5D")
    assert "<b>doubling</b> 1" in item.text
    assert "<script>alert(1)</script> is too much" in item.text
    assert ", item 1" in item.text
    assert "<b>" not in item.html
    log = client.get(f"{above}/double%5B1%5D/log")
    assert "<b>doubling</b> 1" in log.text
    assert log.headers["content-disposition"].startswith("attachment")
    file = max((place.root / ".trikk/runs" / failed).glob("double.1.*.log"))
    file.write_bytes(b"x" * 3_000_000 + b"\n\x1b[31mNEEDLE & \xff\n" + b"padding\n" * 100_000)
    large = client.get(f"{above}/double%5B1%5D")
    assert "Its end; the file has all of it." in large.text
    assert len(large.content) < 200_000
    hits = client.get(f"{above}/double%5B1%5D.json", params={"find": "needle"}).json()["log"]["matches"]
    assert [line for _, line in hits] == ["\x1b[31mNEEDLE & \ufffd"]
    file.unlink()
    assert "There is no log" in read_page(client, f"{above}/double%5B1%5D").text
    read_page(client, f"{above}/double%5B7%5D", 404)
    read_page(client, f"{above}/double%5B7%5D/log", 404)


def test_an_artifact_is_shown_and_what_it_holds_runs_nothing(
    server: RunningServer, place: ServedProject, good: str
) -> None:
    client = server.client
    links = read_page(client, f"/runs/{good}?tab=outputs").links
    frame = read_page(client, next(link for link, text in links.items() if text == "total"))
    assert "name String 0 3 <u>0</u>" in frame.text
    shown = client.get("/api/v1" + f"/runs/{good}/steps/total").json()["outputs"][0]["digest"]
    assert client.get(f"/artifacts/{shown}/view", headers={"accept": "text/html"}).status_code == 415
    page = place.root / "page.html"
    page.write_text("<!DOCTYPE html><script>alert(1)</script><p>hello")
    stored = place.project.artifacts.save(page)
    framed = read_page(client, f"/artifacts/{stored.digest}")
    assert f'<iframe sandbox src="/artifacts/{stored.digest}/view"' in framed.html
    answer = client.get(f"/artifacts/{stored.digest}/view")
    assert answer.text == page.read_text()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow" not in policy
    read_page(client, f"/artifacts/{'0' * 64}", 404)
    notebook = place.root / "week.ipynb"
    outputs = [
        {"output_type": "stream", "text": ["<b>10</b>\n"]},
        {"output_type": "execute_result", "data": {"text/html": ["<table><tr><td>", "7</td></tr></table>"]}},
        {"output_type": "display_data", "data": {"image/png": "aGk=\n"}},
        {"output_type": "error", "traceback": ["\x1b[0;31mValueError\x1b[0m: <i>no</i>"]},
    ]
    cells = [{"cell_type": "markdown", "source": "# <u>Week</u>"}, {"cell_type": "code", "outputs": outputs}]
    notebook.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    executed = place.project.artifacts.save(notebook)
    assert (
        f'<iframe sandbox src="/artifacts/{executed.digest}/view"'
        in read_page(client, f"/artifacts/{executed.digest}").html
    )
    answer = client.get(f"/artifacts/{executed.digest}/view")
    assert answer.headers["content-security-policy"] == policy
    for text in (
        "# &lt;u&gt;Week",
        "&lt;b&gt;10&lt;/b&gt;",
        "<td>7</td>",
        "data:image/png;base64,aGk=",
        "&lt;i&gt;no",
    ):
        assert text in answer.text, text
    assert "\x1b" not in answer.text
    unreadable = place.project.store.fetch(stored.digest)
    unreadable.chmod(0o644)
    unreadable.write_bytes(b"something else")
    assert "is damaged" in read_page(client, f"/artifacts/{stored.digest}", 500).text


def _attempts(events: list[Event]) -> list[AttemptTimes]:
    fold = AttemptFold(None)
    for event in events:  # one by one, as a page that follows a run reads them
        fold.take([event])
        assert [attempt.state for attempt in fold.attempts()] == [attempt.state for attempt in fold.attempts()]
    return fold.attempts()


def _events(*told: tuple[str, float, dict[str, Any]]) -> list[Event]:
    return [Event(seq, "run", kind, at, body) for seq, (kind, at, body) in enumerate(told)]


def test_attempts_are_told_from_the_events() -> None:
    events = _events(
        ("run.created", 0.0, {}),
        ("run.started", 1.0, {}),
        ("step.started", 1.5, {"step": "read", "attempt": 1}),
        ("step.failed", 2.0, {"step": "read", "attempt": 1, "error": {}, "retry_in": 3.0}),
        ("step.started", 5.5, {"step": "read", "attempt": 2}),
        ("step.succeeded", 6.0, {"step": "read", "outputs": []}),
        ("step.expanded", 6.0, {"step": "fit", "count": 2}),
        ("step.started", 6.5, {"step": "fit", "item": 0, "attempt": 1}),
        ("step.started", 6.6, {"step": "fit", "item": 1, "attempt": 1}),
        ("step.succeeded", 7.0, {"step": "fit", "item": 0, "outputs": []}),
        ("run.resumed", 9.0, {}),
        ("step.started", 9.5, {"step": "fit", "item": 1, "attempt": 2}),
    )
    first, second, items = _attempts(events)
    assert (first.state, first.ready, first.started, first.ended) == ("failed", 1.0, 1.5, 2.0)
    assert (second.state, second.ready, second.started, second.ended) == ("succeeded", 5.0, 5.5, 6.0)
    assert (items.count, items.state, items.started, items.ended) == (3, "running", 6.5, None)
