"""Pages of registered models: versions, aliases and their history, and the forms that move them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.console.html_reader import read_page, send_form
from tests.server.served import RunningServer, ServedProject

from trikk.models.registry import Registry
from trikk.models.signature import Field, Signature
from trikk.models.version import ModelVersion
from trikk.storage.artifact import Artifact

MANY = 120
MARKED = "<b>first</b> & 'second'"


def moment(day: int) -> float:
    """Noon of a day of March 2020."""
    return datetime(2020, 3, day, 12, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    place = ServedProject(tmp_path_factory.mktemp("models") / "project")
    registry = Registry(place.project.journal)
    artifact = place.project.artifacts.save({"weights": [1.0]})
    gone = Artifact("0" * 64, "pickle", 10, {"type": "sklearn.Ridge"})
    signature = Signature(tuple(Field(f"x{n}", "Float32") for n in range(500)), Field("value", "Float64"))
    for number in range(1, MANY + 1):
        metrics = {"mae": 100.0 / number, MARKED: 1.0} | ({"r2": 0.5} if number % 2 else {})
        registry.register(
            ModelVersion(
                "flow",
                0,
                gone if number == 1 else artifact,
                signature=signature if number == 2 else None,
                metrics=metrics,
                description=MARKED if number == MANY else "",
                parameters={"depth": number},
                created=moment(1) + number,
            )
        )
    for day, version in ((2, 1), (4, 2), (6, 3)):
        registry.move("flow", "champion", version, "main", by="ada", why=MARKED, at=moment(day))
    registry.move("flow", "pilot", 5, "staging", by="ada", why="", at=moment(8))
    registry.require_approval("flow", "guarded", "main", by="ada", why="", at=moment(9))
    registry.move("flow", "guarded", 7, "main", by="ada", why="looks right", at=moment(9))
    registry.register(ModelVersion("bare", 0, artifact, created=moment(1)))
    with place.server("--no-triggers") as running:
        first = running.client.get("/").headers["set-cookie"]
        running.client.headers["cookie"] = first.partition(";")[0]
        yield running


def test_models_are_listed_with_who_holds_what(server: RunningServer) -> None:
    page = read_page(server.client, "/models")
    assert "champion: 3" in page.text
    assert "mae 33.33" in page.text
    assert "1 to approve" in page.text
    assert page.links["/models/flow"] == "flow"
    first = server.client.get("/models.json?limit=1").json()
    assert ([model["name"] for model in first["models"]], first["next"]) == (["bare"], "bare")
    lines = server.client.get("/models.models.csv").text.splitlines()
    assert lines[2].startswith("flow,,120,champion,3,")


def test_versions_come_in_pages_and_are_sorted_by_a_metric(server: RunningServer) -> None:
    page = read_page(server.client, "/models/flow")
    assert "/models/flow?version=120" in page.links
    assert "70" not in page.links.values()
    assert MARKED in page.text  # as text: a <b> would not be
    assert "/models/flow?offset=50" in page.links
    assert "/models/flow?version=1" in page.links  # a point of the picture
    assert len(page.html) < 200_000

    def numbers(query: str) -> list[int]:
        document = server.client.get(f"/models/flow.json?{query}").json()
        return [row["version"] for row in document["versions"]["rows"]]

    assert numbers("sort=metric.mae&offset=50")[:2] == [70, 69]
    assert numbers("sort=-metric.mae")[:2] == [1, 2]
    # Versions without a metric come last, whichever way it is sorted.
    assert numbers("sort=metric.r2")[:3] == [1, 3, 5]
    assert numbers("sort=-metric.r2&offset=100")[-1] == 2
    assert numbers("sort=metric.nosuch")[0] == MANY
    lines = server.client.get("/models/flow.versions.csv").text.splitlines()
    assert len(lines) == MANY + 1


def test_one_version_is_shown_whole(server: RunningServer) -> None:
    page = read_page(server.client, "/models/flow?version=2")
    assert "500 inputs" in page.text
    assert "not in the store" not in page.text
    assert "asked by predict" in page.text
    assert "not in the store any more" in read_page(server.client, "/models/flow?version=1").text
    assert "without metrics" in read_page(server.client, "/models/bare?version=1").text
    assert "flow version 3" in read_page(server.client, "/models/flow?version=champion").text
    refused = read_page(server.client, "/models/flow?version=999", 404)
    assert "version" in refused.text
    assert "nosuch" in read_page(server.client, "/models/nosuch", 404).text


@pytest.mark.parametrize(
    ("day", "holder"),
    [("2020-03-01", "held by no version"), ("2020-03-03", "version 1"), ("2020-03-04", "version 2")],
)
def test_who_held_an_alias_on_a_day_is_answered(server: RunningServer, day: str, holder: str) -> None:
    page = read_page(server.client, f"/models/flow?tab=aliases&at={day}")
    assert f"the end of that day: champion {holder}" in page.text
    assert page.form("/models/flow").fields["at"] == day
    then = server.client.get(f"/models/flow.json?tab=aliases&at={day}").json()["aliases"]["then"]
    assert then["aliases"]["champion"] == {"version 1": 1, "version 2": 2}.get(holder)


def test_a_day_that_is_none_is_refused(server: RunningServer) -> None:
    for text in ("2020-02-30", "yesterday", "0000-01-01", "9999-12-31"):
        assert "alert" in read_page(server.client, f"/models/flow?tab=aliases&at={text}", 422).html


def test_aliases_of_other_environments_are_shown_by_name(server: RunningServer) -> None:
    page = read_page(server.client, "/models/flow?tab=aliases&environment=staging")
    assert "pilot" in page.text
    assert page.form("/models/flow/promote").fields["environment"] == "staging"
    assert "No version of bare holds an alias" in read_page(server.client, "/models/bare?tab=aliases").text


def test_an_alias_is_moved_approved_and_returned_by_forms(server: RunningServer) -> None:
    aliases = "/models/flow?tab=aliases"
    page = read_page(server.client, aliases)
    sent = send_form(server.client, page.form("/models/flow/promote"), version="9", why="better at night")
    assert (sent.status_code, sent.headers["location"]) == (303, f"{aliases}&done=promote_model")
    page = read_page(server.client, sent.headers["location"])
    assert "The alias was moved." in page.text
    assert "better at night" in page.text
    assert page.form("/models/flow/rollback").label == "Back to version 3"
    sent = send_form(server.client, page.form("/models/flow/approve"), why="seen")
    assert sent.status_code == 303
    page = read_page(server.client, aliases)
    assert "waits to be" not in page.text
    send_form(server.client, page.form("/models/flow/rollback"))
    page = read_page(server.client, aliases)
    assert page.form("/models/flow/rollback").label == "Back to version 2"
    moves = server.client.get("/models/flow.json?tab=aliases").json()["aliases"]["moves"]
    assert [(m["alias"], m["version"], m["state"]) for m in moves[:3]] == [
        ("champion", 3, "returned"), ("guarded", 7, "moved"), ("champion", 9, "moved")
    ]  # fmt: skip


def test_what_the_registry_refuses_is_said(server: RunningServer) -> None:
    page = read_page(server.client, "/models/flow?tab=aliases")
    sent = send_form(server.client, page.form("/models/flow/promote"), version="999")
    assert sent.status_code == 404
    assert "999" in sent.text
    form = page.form("/models/flow/rollback")
    form.fields["alias"] = "nosuch"
    sent = send_form(server.client, form)
    assert sent.status_code == 409
    assert "held by no version" in sent.text
    form.fields["form-token"] = "another"
    assert send_form(server.client, form).status_code == 403


def test_two_versions_are_compared_with_what_differs_first(server: RunningServer) -> None:
    page = read_page(server.client, "/models/flow?tab=compare&left=champion&right=5")
    document = server.client.get("/models/flow.json?tab=compare&left=2&right=4").json()["compare"]
    assert document["versions"] == [2, 4]
    assert [line["name"] for line in document["lines"] if line["differs"]][:2] == ["mae", "depth"]
    assert not document["lines"][-1]["differs"]
    assert "-13.33" in page.text
    assert read_page(server.client, "/models/bare?tab=compare")
    assert "nosuch" in read_page(server.client, "/models/flow?tab=compare&left=nosuch", 404).text
