"""What stands on pages, mails and PDFs, and that the same facts always make the same bytes."""

from __future__ import annotations

import email
import email.policy
import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.reports.world import SPEC, World, day, figures, files, monthly, window

from trikk.charts.rasterising.png_picture import png
from trikk.core.errors import UsageError
from trikk.reports.page import figure_pictures as picture
from trikk.reports.page import html as page
from trikk.reports.page import phrases
from trikk.reports.page.page_content import Content
from trikk.reports.page.pdf import Sheet

pytest.importorskip("reportlab")
PAGES = ("report.html", "report.pdf", "people.png", "figures.json")


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def made(world: World) -> Any:
    return world.make(monthly(), period="2020-03")


def content_of(run: Any, place: int = 0) -> Content:
    return Content.read(run.output("collect")[place])


def test_figures_are_those_of_the_monitor(world: World, made: Any) -> None:
    section = content_of(made).sections[0]
    found = {w.label: w for w in world.records.windows("day")}
    for point in section.points:
        record = found.get(point.label)
        assert point.state == (record.state if record else "missing")
        assert record is None or (point.value, point.labelled) == (
            record.whole.metrics["mae"],
            record.whole.labelled,
        )
    march = [w for w in found.values() if w.label >= "2020-03"]
    errors = sum(w.whole.labelled * (w.whole.metrics["mae"] or 0) for w in march)
    assert section.metric.value == pytest.approx(errors / sum(w.whole.labelled for w in march))
    assert section.metric.before == 10.0
    assert (section.metric.verdict, section.metric.gain) == ("worse", pytest.approx(0.5))
    assert section.states == {"final": 27, "partial": 1, "pending": 1, "overdue": 0, "empty": 0, "missing": 2}
    assert (section.predicted, section.labelled, section.waiting) == (29 * 48, 27 * 48 + 24, 72)


def test_slices_come_worst_first_with_their_change(made: Any) -> None:
    table = content_of(made).sections[0].slices[0]
    assert (table.column, [row.value for row in table.rows]) == ("sensor", ["north", "south"])
    assert table.rows[0].before == 8.0
    assert table.rows[0].change == pytest.approx((table.rows[0].metric or 0) / 8 - 1)
    assert (table.rows[0].share, table.rows[0].verdict) == (1.0, "worse")


def test_what_was_restated_is_told_with_both_figures(made: Any) -> None:
    (found,) = content_of(made).sections[0].restated
    assert (found.label, found.why, found.was, found.now) == ("2020-03-05", "values were corrected", 13.0, 22.0)


def test_only_figures_that_were_final_are_told_as_restated() -> None:
    world = World()
    errors: dict[str, float | None] = {"north": 9.0, "south": 9.0}
    world.put(window(day(29), {"north": None, "south": None}, at=day(31), state="overdue"))
    world.put(window(day(29), errors, at=day(2, 4), why="48 labels came late"))
    world.put(window(day(6), errors, at=day(2, 4), why="the definition has changed"))
    assert [found.label for found in world.told(monthly(), now=day(3, 4)).sections[0].restated] == ["2020-03-05"]


def test_windows_of_another_definition_are_named_and_its_metrics_left_out() -> None:
    world = World()
    world.records.define(msgspec.structs.replace(SPEC, metrics=("rmse", "mae")), day(31).timestamp())
    new = window(day(6), {"north": 9.0, "south": 9.0}, at=day(31), why="the definition has changed")
    whole = replace(new.whole, metrics={"rmse": 3.0, "mae": 2.0})
    world.put(replace(new, figures=(whole, *new.figures[1:])))
    section = world.told(monthly()).sections[0]
    assert [(metric.name, metric.value is None) for metric in section.metrics] == [("rmse", False), ("mae", False)]
    assert section.metric.value == 3.0
    told = "Root mean square error: 27 of the 28 windows were made under another definition, without it."
    assert [note for note in section.notes if "definition" in note] == [told]


@pytest.fixture(scope="module")
def corrected() -> World:
    """Fourteen days whose mae was corrected, and three by less than is shown."""
    world = World()
    for number in range(3, 20):
        errors: dict[str, float | None] = {"north": 10.0 + (5 if number > 5 else 1e-5), "south": 14.0 + number % 3}
        more = 2 if number == 7 else 0
        late = window(day(number), errors, at=day(2, 4), why="1 label came late", restated=2)
        labelled = [replace(f, labelled=f.labelled + more * (f.value != "south")) for f in late.figures]
        world.put(replace(late, figures=tuple(labelled)))
    return world


def test_what_was_restated_by_less_than_is_shown_is_counted_only(corrected: World) -> None:
    content = corrected.told(monthly(), "2020-03", now=day(3, 4))
    (section,) = content.sections
    assert len(section.restated) == 18
    assert [point.restated for point in section.points[:8]] == [0, 0, 0, 0, 2, 1, 1, 1]
    shown, more = phrases.corrections(section)
    assert (len(shown), more) == (12, "4 more and 2 by less than can be seen here")
    body = page.html(content, lambda _: "")
    assert "and 4 more and 2 by less than can be seen here</p>" in body
    assert "Restated: and 4 more and 2 by less than can be seen here" in page.text(content)
    document = Sheet(500).section(content, section, {"people": png(picture.drawn(section))})
    texts = [part.text for part in document if hasattr(part, "text")]
    assert "and 4 more and 2 by less than can be seen here" in texts


def test_a_customer_s_page_has_the_reasons_of_their_own_cases(corrected: World) -> None:
    told = corrected.told(monthly(), "2020-03", now=day(3, 4), customer="acme").sections[0].restated
    reasons = {one.label: one.why for one in told}
    assert reasons["2020-03-07"] == "2 labels came late"
    assert {*reasons.values()} == {"2 labels came late", "values were corrected"}


def test_the_picture_has_each_window_with_what_it_is_worth_and_writes_the_worst(made: Any) -> None:
    drawn = picture.drawn(content_of(made).sections[0])
    assert ">30.0</text>" in drawn
    assert "<title>1 March: 12.5, 48 cases, final</title>" in drawn
    assert "<title>5 March: 22.0, 48 cases, restated</title>" in drawn
    assert "<title>29 March: pending</title>" in drawn
    assert all(f">{name}</text>" in drawn for name in ("partial", "restated", "pending", "not evaluated"))


def test_a_customer_s_page_is_made_of_their_own_cases_alone(world: World, made: Any) -> None:
    content = content_of(made, 1)
    section = content.sections[0]
    assert content.customer == "acme"
    assert section.metric.before == 8.0
    assert (section.predicted, section.labelled) == (29 * 24, 28 * 24)
    assert [(t.column, [r.value for r in t.rows]) for t in section.slices] == [("sensor", ["north"])]
    assert section.states["partial"] == 0
    assert (content.models, content.incidents, content.actions) == ((), (), ())
    for name, data in files(made, 1).items():
        assert b"south" not in data, name
    assert b"south" in files(made)["report.html"]


def test_the_same_facts_make_the_same_bytes_whenever_it_is_made(world: World, made: Any) -> None:
    again = world.make(monthly(), now=day(20, 6), period="2020-03")
    for place in (0, 1):
        first, second = files(made, place), files(again, place)
        assert {name: first[name] for name in PAGES} == {name: second[name] for name in PAGES}
        without = [re.sub(rb"Date: .*", b"", found["mail.eml"]) for found in (first, second)]
        assert without[0] == without[1]


def test_it_can_be_made_as_it_was_known_at_a_time(world: World, made: Any) -> None:
    then = world.make(monthly(), period="2020-03", as_known_at=day(30), customer="*")
    section = content_of(then).sections[0]
    assert content_of(then).as_of == "2020-03-30T00:00:00+00:00"
    assert (section.restated, section.points[4].value) == ((), 13.0)
    command = content_of(made).again
    moment = command.rpartition(" ")[2]
    again = world.make(monthly(), period="2020-03", as_known_at=moment, now=day(20, 6), customer="*")
    assert files(again)["report.html"] == files(made)["report.html"]


@pytest.mark.parametrize(
    ("better", "verdict", "gain", "worst", "first"),
    [
        ("lower", "worse", 0.5, "2020-03-28", "north"),
        ("higher", "better", -0.5, "2020-03-18", "south"),
        ("", "", None, "", "north"),
    ],
)
def test_of_an_own_metric_the_author_says_which_way_is_better(
    better: str, verdict: str, gain: float | None, worst: str, first: str
) -> None:
    world = World()
    own: dict[str, Any] = {"mae": {"function": "loads:share", "better": better}}  # under a name that figures have
    world.records.define(msgspec.structs.replace(SPEC, own=own), day(1, 4).timestamp())
    content = world.told(monthly(), "2020-03")
    section = content.sections[0]
    metric = section.metric
    assert (metric.verdict, metric.better) == (verdict, better)
    assert metric.gain == (gain and pytest.approx(gain))
    assert (section.worst, section.slices[0].rows[0].value) == (worst, first)
    assert (section.metric.change or 0) > 0
    if not better:
        body = page.html(content, lambda _: "")
        assert "; it was 10.0 in February 2020." in section.sentence
        assert "on the same</span>" in body
        assert "By sensor, largest first" in body
        assert not {"better", "worse"} & set(
            re.findall(r'class="(\w+)" style="color', body.split("All metrics")[0])
        )


def test_the_page_s_own_command_has_its_newest_fact_however_fine_its_time() -> None:
    world = World()
    at = day(31) + timedelta(microseconds=5)
    finer = math.nextafter(at.timestamp(), math.inf)  # nearer to that microsecond than to the next
    late = replace(window(day(6), {"north": 9.0, "south": 9.0}, at=at, why="late", restated=1), at=finer)
    world.put(late)
    content = world.told(monthly())
    again = world.told(monthly(), as_known_at=datetime.fromisoformat(content.as_of))
    assert [r.why for r in again.sections[0].restated] == ["values were corrected", "late"]
    assert (again, content.as_of[-9:-6]) == (content, "006")


def test_without_a_period_it_is_the_last_that_is_over(world: World) -> None:
    assert world.told(monthly()).period == "2020-03"


def test_a_period_of_which_nothing_is_known_says_so(world: World) -> None:
    run = world.make(monthly(), period="2019-01", customer="*")
    section = content_of(run).sections[0]
    assert section.metric.value is None
    assert section.sentence.startswith("No labelled cases")
    assert set(files(run)) == {*PAGES, "mail.eml"}


def test_incidents_and_champions_of_the_period_are_told() -> None:
    world = World()
    world.incident(resolved=day(25))
    body = {"alias": "champion", "environment": "main", "by": "ann", "decision": None}
    for number, when in ((1, day(3, 2)), (2, day(15)), (3, day(3, 4))):
        world.ledger.add("model/people", "version.registered", version(number), at=when.timestamp())
        world.ledger.add(
            "model/people", "alias.moved", {**body, "version": number, "why": f"why {number}"}, at=when.timestamp()
        )
    content = world.told(monthly(), "2020-03")
    assert [(h.version, h.moved, h.why) for h in content.models] == [(1, False, "why 1"), (2, True, "why 2")]
    assert [(i.id, i.severity, i.resolved) for i in content.incidents] == [
        ("people.loss-1", "alarm", "25 March 2020, 00:00")
    ]
    later = world.told(monthly(), "2020-04", now=day(2, 5))
    assert ([h.version for h in later.models], later.incidents) == ([2, 3], ())


def version(number: int) -> dict[str, Any]:
    artifact = {"digest": "0" * 64, "codec": "json", "size": 1, "summary": {"type": "x"}}
    return {"name": "people", "version": number, "artifact": artifact, "signature": None}


def test_the_mail_shows_its_pictures_and_carries_text_and_pdf(made: Any) -> None:
    mail: Any = email.message_from_bytes(files(made)["mail.eml"], policy=email.policy.SMTP)
    assert mail["Subject"] == "People, March 2020"
    html = mail.get_body(("html",)).get_content()
    wanted = re.findall(r'src="cid:([^"]+)"', html)
    parts = {part["Content-ID"]: part for part in mail.walk() if part["Content-ID"]}
    assert [f"<{name}>" for name in wanted] == list(parts)
    assert [part.get_payload(decode=True) for part in parts.values()] == [files(made)["people.png"]]
    assert "Mean absolute error" in mail.get_body(("plain",)).get_content()
    attached = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    assert attached == {"monthly-2020-03.pdf": files(made)["report.pdf"]}
    assert len(html.encode()) < 100_000, "some mail programs cut a page there"


def test_the_page_needs_nothing_from_anywhere_and_describes_its_pictures(made: Any) -> None:
    html = files(made)["report.html"].decode()
    assert not re.findall(r'(?:src|href)="', html)
    assert "http" not in html
    assert "<script" not in html
    (label,) = re.findall(r'<svg [^>]*aria-label="([^"]+)"', html)
    assert label.startswith("Mean absolute error of people by day: from")


def test_whatever_a_table_holds_is_text_on_the_page() -> None:
    world = World()
    bad = "<img src=x onerror=alert(1)>&\u202e {{ 7*7 }}"
    record = window(day(27), {"north": 10.0, "south": 14.0}, at=day(31))
    cases = figures("sensor", bad, 24, 50.0)
    world.put(
        type(record)(**{n: getattr(record, n) for n in record.__slots__} | {"figures": (*record.figures, cases)})
    )
    run = world.make(monthly(), period="2020-03", customer="*")
    html = files(run)["report.html"].decode()
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;&amp;" in html
    assert "{{ 7*7 }}" in html


def template(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "trikk.toml").write_text('name = "city"\n')
    (folder / "own.html.j2").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))


def test_a_project_s_own_template_is_escaped_and_can_use_trikk_s(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "<b>{{ report.sections[0].metric.value|number }}</b>{{ '<i>' }}{{ image('people') }}"
    template(tmp_path, text, monkeypatch)
    found = page.html(content_of(made), lambda name: f"cid:{name}", "own.html.j2")
    assert found == "<b>16.1</b>&lt;i&gt;cid:people"
    template(tmp_path, '{% include "trikk/page.html.j2" %}', monkeypatch)
    assert "People: March 2020" in page.html(content_of(made), lambda name: name, "own.html.j2")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n{{ report.nothing }}", 2),
        ("a\nb\n{% if %}", 3),
        ("{{ ''.__class__.__mro__ }}", 1),
        ("{{ report.to_json.__globals__ }}", 1),
        ('{% include "../../etc/passwd" %}', 1),
        ("{{ 1 / 0 }}", 1),
    ],
)
def test_a_template_that_can_not_work_is_refused_with_its_line(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int
) -> None:
    template(tmp_path, text, monkeypatch)
    with pytest.raises(UsageError) as refused:
        page.html(content_of(made), lambda name: name, "own.html.j2")
    assert str(refused.value.where).endswith(f"own.html.j2:{line}")


def test_a_template_that_is_not_there_is_named(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template(tmp_path, "", monkeypatch)
    with pytest.raises(UsageError, match="no template 'other"):
        page.html(content_of(made), lambda name: name, "other.html.j2")


def test_content_survives_json(made: Any) -> None:
    content = content_of(made)
    assert Content.read(json.loads(json.dumps(content.to_json()))) == content


def test_a_monitor_that_was_never_evaluated_is_named(world: World) -> None:
    run = world.make(monthly(monitors=["poeple"]), period="2020-03")
    assert (run.state, "no evaluated monitor 'poeple'" in str(run.error)) == ("failed", True)


def test_an_unknown_customer_or_period_is_refused(world: World) -> None:
    assert "no customer 'amce'" in str(world.make(monthly(), customer="amce").error)
    assert "names no month" in str(world.make(monthly(), period="March").error)
    column = world.make(monthly(customer_slice="line"), period="2020-03")
    assert "no slice 'line'" in str(column.error)


def test_overdue_windows_ask_for_something_and_a_day_is_a_period_too() -> None:
    world = World()
    world.put(window(day(29), {"north": None, "south": None}, at=day(31) + timedelta(hours=1), state="overdue"))
    content = world.told(monthly(), "2020-03")
    assert any("overdue" in action.text for action in content.actions)
    whole = world.told(monthly(period="day"), "2020-03-21").sections[0]
    assert (whole.window, len(whole.points), whole.metric.before) == ("day", 1, 23.0)
