"""Pages of tables: rows of any type, filtered and sorted by columns, versions, and what is wrong with one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlencode

import polars as pl
import pytest
from tests.console.html_reader import read_page
from tests.server.served import RunningServer, ServedProject

from trikk.storage.tables.versioned_tables import Write

MARKED = "<b>flow</b> & 'rate\""
ODD = pl.DataFrame(
    {
        MARKED: ["<script>alert(1)</script>", None, "=1+1"],
        "with blank": [float("nan"), float("inf"), -1.5],
        "items": [[1, 2], [], None],
        "parts": [{"a": 1, "b": "x"}, {"a": None, "b": None}, None],
        "price": pl.Series([Decimal("1.10"), None, Decimal("-9.99")], dtype=pl.Decimal(20, 2)),
        "raw": [b"\x00\xff" * 1000, b"", None],
        "day": [date(1066, 10, 14), date(1, 1, 1), None],
        "slot": pl.Series(
            [datetime(2020, 1, 1, tzinfo=UTC), None, datetime(1899, 1, 1, tzinfo=UTC)],
            dtype=pl.Datetime("us", "UTC"),
        ),
        # No calendar of Python has it.
        "never": pl.Series([2**61, None, -(2**61)], dtype=pl.Int64).cast(pl.Datetime("us")),
        "largest": [2**63 - 1, None, -(2**63)],
        "text": ["x" * 5000, "\u202eevil\x1b[31m", ""],
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = 'name = "served"\ntimezone = "Asia/Tokyo"\n'
    place = ServedProject(tmp_path_factory.mktemp("tables") / "project", settings=settings)
    tables = place.project.tables

    def put(name: str, frame: pl.DataFrame, identity: str, **options: str) -> None:
        tables.write(name, Write("append", frame, **options), identity=identity, origin={"run": "r1", "step": "s"})  # type: ignore[arg-type]

    put("odd", ODD, "a")
    put("empty", pl.DataFrame(schema={"a": pl.Int64}), "a")
    put("wide", pl.DataFrame({f"x{n}": [n, -n] for n in range(500)}), "a")
    for n in range(60):
        put("grown", pl.DataFrame({"n": [n] * 3}), f"{n}", schema_mode="merge")
    put("grown", pl.DataFrame({"n": [60], "late": ["x"]}), "60", schema_mode="merge")
    for name in ("gone", "torn"):
        put(name, pl.DataFrame({"a": [1]}), "a")
    for file in place.root.glob("**/gone/*.parquet"):
        file.unlink()
    for file in place.root.glob("**/torn/_delta_log/*.json"):
        file.write_text("{")
    with place.server("--no-triggers") as running:
        yield running


def rows_of(server: RunningServer, table: str, **query: object) -> dict:  # type: ignore[type-arg]
    document: dict = server.client.get(f"/tables/{table}.json?{urlencode(query)}").json()["rows"]  # type: ignore[type-arg]
    return document


def test_tables_are_listed_and_one_that_is_damaged_hides_no_other(server: RunningServer) -> None:
    page = read_page(server.client, "/tables")
    assert "can't be read" in page.text
    assert {"/tables/grown", "/tables/torn", "/runs/r1"} <= page.links.keys()
    first = server.client.get("/tables.json?limit=1").json()
    assert (first["tables"][0]["name"], first["next"]) == ("empty", "empty")
    assert "odd,3,11," in server.client.get("/tables.tables.csv").text


def test_rows_of_every_type_are_shown_and_none_as_markup(server: RunningServer) -> None:
    page = read_page(server.client, "/tables/odd")
    for text in ("<script>alert(1)</script>", "nan", "[1, 2]", '"b": "x"', "1.10", "1066-10-14", "0001-01-01",
                 "1899-01-01 09:00:00", "9223372036854775807", "\\u202eevil\\x1b[31m"):  # fmt: skip
        assert text in page.text
    assert page.html.count("<b>") == 0
    assert "<script>alert" not in page.html
    assert len(page.html) < 20_000
    first = rows_of(server, "odd")["rows"][0]
    assert (first["with blank"], first["items"], first["day"]) == (None, "[1, 2]", "1066-10-14")
    lines = server.client.get("/tables/odd.rows.csv").text
    assert "'=1+1" in lines


@pytest.mark.parametrize(
    ("column", "comparison", "value", "count"),
    [
        (MARKED, "contains", "alert", 1),
        (MARKED, "is empty", "", 1),
        ("day", "<", "1500-01-01", 2),
        ("with blank", "is not empty", "", 3),
        ("slot", ">=", "1950-01-01", 1),
        # By the project's clock, as moments are shown: midnight in UTC is nine o'clock there.
        ("slot", "<", "1899-01-01 09:00", 0),
        ("slot", "<=", "1899-01-01 09:00", 1),
        ("slot", "<=", "1899-01-01T00:00Z", 1),
        ("largest", "=", str(2**63 - 1), 1),
    ],
)
def test_rows_are_filtered_by_a_form(
    server: RunningServer, column: str, comparison: str, value: str, count: int
) -> None:
    query = {"column": column, "comparison": comparison, "value": value}
    page = read_page(server.client, f"/tables/odd?{urlencode(query)}")
    assert (f"of {count} that meet the condition" if count else "No rows that meet") in page.text
    # A further condition is added to those that are there, and each can be taken away.
    further = {"where": page.form("/tables/odd").fields["where"], "column": "text", "comparison": "is empty"}
    again = read_page(server.client, f"/tables/odd?{urlencode(further)}")
    assert "No rows that meet the conditions" in again.text
    assert again.html.count("Take this condition away") == 2


@pytest.mark.parametrize(
    "query",
    [
        {"column": "nosuch", "comparison": "=", "value": "1"},
        {"column": "items", "comparison": "=", "value": "1"},
        {"column": "day", "comparison": "=", "value": "yesterday"},
        {"column": "largest", "comparison": "like", "value": "1"},
        {"where": "n > 9; drop table odd"},
        {"where": "[" * 3000},
        {"sort": "-nosuch"},
    ],
)
def test_a_filter_that_makes_no_sense_is_explained_and_can_be_changed(
    server: RunningServer, query: dict[str, str]
) -> None:
    page = read_page(server.client, f"/tables/odd?{urlencode(query)}")
    assert 'role="alert"' in page.html
    assert page.form("/tables/odd").label.startswith("Filter")


def test_rows_are_sorted_and_come_in_pages(server: RunningServer) -> None:
    first = rows_of(server, "grown", sort="-n")
    assert (first["count"], len(first["rows"]), first["rows"][0]["n"]) == (181, 50, 60)
    assert rows_of(server, "grown", sort="-n", offset=150)["rows"][-1]["n"] == 0
    page = read_page(server.client, "/tables/grown?sort=-n")
    assert "/tables/grown?sort=-n&offset=50" in page.links
    assert "/tables/grown?sort=n" in page.links
    assert rows_of(server, "grown", version=0)["count"] == 3


def test_of_a_wide_table_some_columns_are_shown_at_once(server: RunningServer) -> None:
    page = read_page(server.client, "/tables/wide")
    assert "20 of 500 columns" in page.text
    assert len(page.html) < 60_000
    assert rows_of(server, "wide", across=480)["columns"][-1] == "x499"
    assert rows_of(server, "wide", named="X49")["columns"] == ["x49", *(f"x{n}" for n in range(490, 500))]
    assert "No column has that in its name" in read_page(server.client, "/tables/wide?named=nosuch").text
    assert len(read_page(server.client, "/tables/wide?tab=columns").html) < 200_000


def test_a_column_is_summarised(server: RunningServer) -> None:
    def summary(column: str) -> dict:  # type: ignore[type-arg]
        page = read_page(server.client, f"/tables/odd?{urlencode({'tab': 'columns', 'column': column})}")
        assert "alert(1)</script>" not in page.html
        answer = server.client.get(f"/tables/odd.json?{urlencode({'tab': 'columns', 'column': column})}")
        known: dict = answer.json()["columns"]["summary"]  # type: ignore[type-arg]
        return known

    assert {name: summary(name)["nulls"] for name in ODD.columns} == dict(
        ODD.null_count().iter_rows(named=True).__next__()
    )
    assert summary("with blank")["nans"] == 1
    assert (summary("day")["least"], summary("day")["most"]) == ("0001-01-01", "1066-10-14")
    assert summary("price")["mean"] == pytest.approx(-4.445)
    assert "Choose a column" in read_page(server.client, "/tables/odd?tab=columns").text
    assert 'role="alert"' in read_page(server.client, "/tables/odd?tab=columns&column=nosuch").html


def test_versions_tell_who_wrote_what_and_how_the_table_grew(server: RunningServer) -> None:
    page = read_page(server.client, "/tables/grown?tab=versions")
    assert "late new, String" in page.text
    assert "/tables/grown?version=0" in page.links  # a point of the picture
    document = server.client.get("/tables/grown.json?tab=versions").json()["versions"]
    assert [(v["version"], v["rows"], v["total"]) for v in document["versions"][:2]] == [
        (60, 1, 181),
        (59, 3, 180),
    ]
    rest = server.client.get(f"/tables/grown.json?tab=versions&cursor={document['next']}").json()["versions"]
    assert (rest["versions"][0]["version"], rest["versions"][-1]["total"], rest["next"]) == (10, 3, None)
    assert len(server.client.get("/tables/grown.versions.csv").text.splitlines()) == 62


def test_runs_that_read_a_table_are_listed(server: RunningServer) -> None:
    run = server.run("add", n=4)["id"]
    page = read_page(server.client, "/tables/totals?tab=readers")
    assert "Written by add" in page.text
    assert "/pipelines/add" in page.links
    assert f"/runs/{run}" in read_page(server.client, "/tables/totals?tab=versions").links


def test_what_is_wrong_with_a_table_is_said_on_its_page(server: RunningServer) -> None:
    page = read_page(server.client, "/tables/gone")
    assert "missing" in page.text
    assert "1 column" in page.text
    assert "damaged" in read_page(server.client, "/tables/torn").text
    assert "No rows" in read_page(server.client, "/tables/empty").text
    assert "no version 7" in read_page(server.client, "/tables/odd?version=7", 404).text
    assert "nosuch" in read_page(server.client, "/tables/nosuch", 404).text
    assert json.loads(server.client.get("/tables/torn.json").content)["trouble"]["next"]
