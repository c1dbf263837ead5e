"""`trikk report` in a project's folder, and a notebook in the place of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder
from tests.reports.world import World, files, monthly

from trikk.runs.journals.sqlite_journal import SqliteJournal

pytest.importorskip("reportlab")

PIPELINES = """
from trikk import Report


monthly = Report(
    "monthly", monitors=["people"], title="People", template="own.html.j2",
    customer_slice="sensor", customers={"acme": ["north"]}, recipients={"acme": ["ops@acme.example"]},
)
"""
OWN = "<title>{{ report.customer }}</title>{% include 'trikk/page.html.j2' %}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(tmp_path)
    found.write(pipelines=PIPELINES, trikk='name = "city"\n')
    (tmp_path / "own.html.j2").write_text(OWN)
    (tmp_path / ".trikk").mkdir()
    World(SqliteJournal(tmp_path / ".trikk" / "journal.db"))
    return found


def test_reports_are_made_sent_listed_and_replayed(folder: Folder) -> None:
    out = folder.root / "out"
    made = folder.good("report", "monthly", "--for", "2020-03", "--send", "--out", str(out))
    assert [page["customer"] for page in made["pages"]] == ["*", "acme"]
    assert [one["reached"] for one in made["deliveries"]] == [[], ["ops@acme.example"]]
    assert Path(made["pages"][1]["html"]) == out / "acme" / "report.html"
    assert (out / "acme" / "report.html").read_text().startswith("<title>acme</title>")
    assert (out / "all" / "report.pdf").read_bytes()[:5] == b"%PDF-"
    (listed,) = folder.good("report")["reports"]
    assert (listed["name"], listed["declared"], listed["outstanding"]) == ("monthly", True, 0)
    replayed = folder.good("replay", made["run"])
    assert replayed["identical"] is True
    assert len(list((folder.root / ".trikk" / "outbox").iterdir())) == 1


def test_what_can_not_be_made_is_refused_before_there_is_a_run(folder: Folder) -> None:
    assert "no report 'monthyl'" in folder.refused("report", "monthyl")["what"]
    wrong = {"--for": "2020-3", "--customer": "east", "--as-known-at": "yesterday"}
    whats = [folder.refused("report", "monthly", option, value)["what"] for option, value in wrong.items()]
    assert whats[:2] == ["'2020-3' names no month", "there is no customer 'east'"]
    assert "as_known_at" in whats[2]
    early = folder.refused("report", "monthly", "--as-known-at", "2019-01-01")
    assert early["what"] == "there is no evaluated monitor 'people'"
    assert folder.good("runs") == {"runs": []}
    assert folder.trikk("report", "monthly", "--retry", "--send").code == 2
    assert folder.good("report", "--retry") == {"deliveries": []}


def test_reports_are_listed_without_the_mail_server_s_password(folder: Folder) -> None:
    smtp = 'smtp = "smtp://me:${MAIL_PASSWORD}@127.0.0.1:25"'
    folder.write(trikk=f'name = "city"\n[reports]\n{smtp}\n')
    assert [one["name"] for one in folder.good("report")["reports"]] == ["monthly"]


def test_a_notebook_takes_the_place_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("papermill")
    source = (
        "import json, polars as pl\n"
        "known = json.load(open(figures))\n"
        "rows = pl.read_parquet(windows)\n"
        "print(known['report'], customer, rows.height, pl.read_parquet(slices).height)"
    )
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None, "id": "a"}
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "book.ipynb").write_text(json.dumps(book))
    (tmp_path / "trikk.toml").write_text('name = "city"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    world = World()
    run = world.make(monthly(notebook="book.ipynb"), period="2020-03", customer="acme")
    made = files(run)
    assert b"monthly acme 31 1" in made["report.html"]
    assert b"monthly-2020-03-acme.html" in made["mail.eml"]
