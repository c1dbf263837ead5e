"""What people call monitors, metrics and slices: where it is shown, and that no figure depends on it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.reports.world import SPEC, World, day, files, monthly

from trikk import Alarm, Metric, Monitor, Slice, Table, better_by
from trikk.alerts.rules.kinds import read_rule
from trikk.core.errors import DefinitionError, UnknownName
from trikk.monitoring.figures.titles import Titles
from trikk.monitoring.monitor_definition import MonitorSpec
from trikk.reports.page import html as page
from trikk.reports.page.page_content import Content

BAD = "<b>$x$ & $y$</b> \u00e5"


def share(truth: Any, value: Any) -> float:
    return float((truth == value).mean())


def monitor(**more: Any) -> Monitor:
    tables: Any = {"predictions": Table("predictions"), "truth": Table("counts")}
    given: dict[str, Any] = {
        "key": "sensor",
        "slot": "slot",
        "observed": "count",
        "label_delay": "1d",
        "minimum": 2,
    }
    given |= {"metrics": ["mae", "wape", "bias"], "slices": ["sensor", "hour"], "baseline": "last_week"}
    return Monitor("people", **{**tables, **given, **more})


def titled(**more: Any) -> Monitor:
    return monitor(
        title=f"People {BAD}",
        customer_name="Passers-by",
        unit="persons",
        baseline_title="Last Week",
        metrics=[
            Metric("mae", title="How far off", customer_name="Typical miss"),
            "wape",
            Metric("bias", unit="heads"),
        ],
        slices=[Slice("sensor", title="Place", customer_name={"north": "Queen Street 30"}), "hour"],
        **more,
    )


def test_titles_change_no_figure_and_definitions_without_them_are_read_as_before() -> None:
    plain, named = monitor().spec, titled().spec
    assert (named.metrics, named.slices, named.figured) == (plain.metrics, plain.slices, plain.figured)
    assert MonitorSpec.read(named.to_json()) == named
    old = {name: value for name, value in plain.to_json().items() if name != "titles"}
    assert MonitorSpec.read(old) == plain
    assert plain.titles.metric("mae") == ""
    assert [named.titles.unit_of(name) for name in named.metrics] == ["persons", "", "heads"]
    assert named.titles.metric("mae", customer=True) == "Typical miss"
    own = monitor(metrics=[Metric(share, better="higher", title="Right", unit="%")]).spec
    assert (own.titles.metric("share"), own.titles.unit_of("share"), own.better("share")) == (
        "Right",
        "%",
        "higher",
    )
    assert better_by(0.1, metric=Metric("f1", title="x")).metric == "f1"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: monitor(title="a\nb"), "title= must be one line"),
        (lambda: monitor(unit=3), "unit= must be one line"),
        (lambda: monitor(customer_name="a\x1b[31m"), "customer_name= must be one line"),
        (lambda: Metric("mae", title="x" * 201), "title= must be one line"),
        (lambda: Metric("mae", better="lower"), "mae has a name"),
        (lambda: Slice("sensor", customer_name={"north": "a\x00"}), "customer_name= must be one line"),
        (lambda: monitor(metrics=[Metric("wape", unit="persons")]), "wape has no unit"),
        (lambda: monitor(metrics=[Metric("maee", title="x")]), "no metric 'maee'"),
        (lambda: monitor(metrics=["mae", Metric("mae", title="x")]), "two metrics are called 'mae'"),
    ],
)
def test_what_is_no_title_is_refused_where_it_is_written(make: Any, said: str) -> None:
    with pytest.raises((DefinitionError, UnknownName), match=said) as refused:
        make()
    assert str(refused.value.where).startswith(__file__)


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    world.records.define(titled().spec, day(1, 4).timestamp())
    return world


def test_the_page_on_everything_has_titles_beside_the_names_that_commands_take(world: World) -> None:
    pytest.importorskip("reportlab")
    run = world.make(monthly(), period="2020-03", customer="*")
    (content,) = run.output("collect")
    section = Content.read(content).sections[0]
    assert section.sentence.startswith(
        "How far off 16.1\u00a0persons: worse than in February 2020 (10.0\u00a0persons, "
    )
    assert "than the baseline Last Week (32.1\u00a0persons)" in section.sentence
    assert [row.name for row in section.slices[0].rows] == ["Queen Street 30 (north)", ""]
    html = files(run)["report.html"].decode()
    assert "People &lt;b&gt;$x$ &amp; $y$&lt;/b&gt; \u00e5 <span" in html
    assert "<b>" not in html
    for shown in ("How far off (persons)", "Bias (heads)", "By Place, worst first", "Queen Street 30 (north)"):
        assert shown in html, shown
    plain = page.text(Content.read(content))
    assert f"People {BAD}\n" in plain
    assert "Queen Street 30 (north)" in plain


def test_a_customer_s_page_has_customers_names_alone(world: World) -> None:
    report = monthly(customer_name={"acme": "Acme & Sons"})
    content = world.told(report, "2020-03", customer="acme")
    body = page.html(content, lambda name: "picture")
    plain = page.text(content)
    assert "Passers-by" in body
    assert "Typical miss (persons)" in body
    for text in (body, plain):
        for name in ("people", "north", "sensor", "last_week", "mae", "acme", "How far off"):
            assert name not in text, name
        assert "Queen Street 30" in text
    assert "for Acme &amp; Sons" in body
    with pytest.raises(DefinitionError, match="no customer 'amce'"):
        monthly(customer_name={"amce": "Acme"})


def test_an_incident_names_what_is_wrong_as_people_do_and_figures_stay_where_programs_look() -> None:
    world = World()
    spec = titled(alarms=[Alarm("far", when="mae > 25", slice="sensor", min_labelled=1)]).spec
    rule: Any = read_rule(spec.alarms[0])
    readings = rule.judge(world.records, spec, day(29))
    assert [reading.title for reading in readings] == [
        "people at sensor north (Queen Street 30): mae > 25",
        "people at sensor south: mae > 25",
    ]
    facts = readings[0].points[-1].facts
    assert (facts["title"], facts["mae"], facts["wape"]) == (f"People {BAD}", "30 (How far off)", "0.3")
    bare = rule.judge(world.records, replace(spec, titles=Titles()), day(29))
    assert bare[0].points[-1].facts["mae"] == "30"
    assert "title" not in bare[0].points[-1].facts
    assert SPEC.titles == Titles()
