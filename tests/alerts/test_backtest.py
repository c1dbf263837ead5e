"""The past replayed: only what was known then is used, and the sweep says what the life-cycle does."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerts.backtest_past import (
    FIRST,
    SPEC,
    day,
    evening,
    figures,
    midnight,
    record,
    row,
    row_of,
    rule,
    watched,
)

from trikk.alerts.backtest.answer import Backtest
from trikk.alerts.backtest.bounds import Accepted
from trikk.alerts.backtest.figure_sweep import FigureSweep
from trikk.alerts.backtest.night_replay import Episode, replay
from trikk.alerts.backtest.outcomes import outcome
from trikk.alerts.backtest.past import Days, Known, Night, known_of, nights
from trikk.alerts.backtest.question import Question, choose
from trikk.alerts.backtest.runner import answer
from trikk.alerts.backtest.template import Template
from trikk.alerts.rules.labels import LabelRule
from trikk.core.errors import UnknownName, UsageError
from trikk.monitoring.cases.windows import WindowState
from trikk.monitoring.figures.records import WindowRecord
from trikk.monitoring.figures.window_figures import Figures

ZONE = ZoneInfo("UTC")
ACCEPTED = Accepted.of("1/month")


def over(count: int) -> list[Night]:
    return nights(FIRST, day(count - 1), [evening(n) for n in range(count)], ZONE)


def shown(episodes: list[Episode]) -> list[tuple[date, date | None]]:
    return [(e.opened.day, e.resolved.day if e.resolved else None) for e in episodes]


def asked(records: list[WindowRecord], question: Question, evaluated: list[float] | None = None) -> Backtest:
    chosen = choose(question, SPEC, [])
    times = sorted({r.at for r in records}) if evaluated is None else evaluated
    return answer(question, SPEC, chosen, known_of(records, SPEC), times)


def test_an_incident_opens_on_the_night_after_the_bad_day_and_resolves_on_the_night_after_the_good_one():
    known = known_of(watched([0.1, 0.1, 0.5, 0.6, 0.1, 0.1]), SPEC)
    found = replay(known, SPEC, rule("wape > 0.3"), over(7))
    assert shown(found) == [(day(3), day(5))]
    assert found[0].days == 2
    assert "wape > 0.3" in found[0].why
    assert found[0].point.mark == "2020-03-03"


def test_two_windows_in_a_row_open_and_resolve_where_two_are_asked_for():
    wapes = [0.1, 0.5, 0.1, 0.5, 0.5, 0.1, 0.5, 0.1, 0.1, 0.1]
    found = replay(known_of(watched(wapes), SPEC), SPEC, rule("wape > 0.3", windows=2), over(11))
    assert shown(found) == [(day(5), day(9))]


def test_a_figure_that_was_corrected_later_alarms_only_later():
    records = [record(2, 0.1, evening(3)), record(2, 0.9, evening(6)), *watched([0.1, 0.1])]
    found = replay(known_of(records, SPEC), SPEC, rule("wape > 0.3"), over(8))
    assert shown(found) == [(day(6), None)]


def test_a_history_evaluated_at_once_is_taken_to_be_known_when_labels_were_due():
    wapes = [0.1] * 5 + [0.9] + [0.1] * 5
    late = evening(400)
    known = known_of([record(n, wape, late) for n, wape in enumerate(wapes)], SPEC)
    assert [one.assumed for one in known] == [True] * 11
    assert known[5].since == midnight(7).timestamp()  # the day's end and a day of delay
    found = replay(known, SPEC, rule("wape > 0.3"), nights(FIRST, day(12), [], ZONE))
    assert shown(found) == [(day(6), day(7))]


def test_what_was_restated_after_a_late_evaluation_is_known_from_its_own_time():
    known = known_of([record(0, 0.1, evening(300)), record(0, 0.9, evening(310))], SPEC)
    assert [(one.assumed, one.since) for one in known] == [
        (True, midnight(2).timestamp()),
        (False, evening(310)),
    ]


def test_a_night_is_the_days_last_evaluation_or_its_end():
    found = nights(FIRST, day(1), [evening(0) - 7200, evening(0)], ZONE)
    assert [night.moment for night in found] == [
        midnight(1).replace(day=1, hour=23, minute=59),
        midnight(2),
    ]
    local = nights(FIRST, FIRST, [], ZoneInfo("Pacific/Auckland"))
    assert local[0].moment.astimezone(UTC).hour == 11


def test_labels_that_did_not_come_can_be_replayed_too():
    records = [record(0, None, evening(2), state="overdue", labelled=3), record(1, 0.1, evening(3))]
    labels = LabelRule(name="labels", monitor="people")
    assert shown(replay(known_of(records, SPEC), SPEC, labels, over(5))) == [(day(2), day(3))]


WAPE = st.one_of(st.none(), st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.9]))
ESTIMATE = st.one_of(st.none(), st.sampled_from([5.0, 20.0, 40.0]))
WHEN = st.sampled_from(
    [
        "wape > X",
        "wape >= X",
        "mae > X * baseline",
        "not wape <= X",
        "mae > X and wape > 0.1",
        "estimated(mae) > 40 * X",
        "mae > X * estimated",
    ]
)


@st.composite
def pasts(draw: st.DrawFn) -> list[WindowRecord]:
    """Days evaluated on time, late, several times or never; figures change, labels are missing."""
    found = []
    for number in range(draw(st.integers(1, 18))):
        at = number + draw(st.sampled_from([-1, 0, 0, 0, 1, 1, 2, 5, 30]))
        for _ in range(draw(st.integers(0, 3))):
            state = draw(st.sampled_from(["partial", "final", "final", "overdue"]))
            labelled = draw(st.sampled_from([432, 432, 300, 10]))
            parts = tuple(
                figures(draw(WAPE), labelled=labelled, slice_="sensor", value=name, expected=draw(ESTIMATE))
                for name in draw(st.lists(st.sampled_from(["north", "south"]), unique=True))
            )
            given_: dict[str, Any] = {"state": state, "labelled": labelled, "expected": draw(ESTIMATE)}
            found.append(record(number, draw(WAPE), evening(at), parts=parts, **given_))
            at += draw(st.integers(1, 4))
    return found


RULES = st.fixed_dictionaries(
    {
        "windows": st.integers(1, 3),
        "cooldown": st.sampled_from(["6h", "1d", "3d", "10d"]),
        "slice": st.sampled_from(["", "sensor"]),
    }
)


@given(pasts(), WHEN, RULES, st.sampled_from([0.07, 0.1, 0.2, 0.4, 1.0, 7.0]))
@settings(max_examples=25, deadline=None)
def test_the_sweep_opens_and_resolves_just_as_the_life_cycle_does(past, when, given_, threshold):
    known, template = known_of(past, SPEC), Template.of(when)
    checked = rule(template.at(threshold), **given_)
    sweep = FigureSweep(known, SPEC, checked, template, over(24))
    swept = sweep.spans(sweep.sights(threshold))
    by_cause = {
        cause: [(s.opened.night.day, s.resolved.day if s.resolved else None) for s in spans]
        for cause, spans in swept.items()
        if spans
    }
    episodes = replay(known, SPEC, checked, over(24))
    opened = sorted((s.opened.night.day, s.opened.start, s.opened.at) for spans in swept.values() for s in spans)
    assert opened == sorted((e.opened.day, e.start, e.end) for e in episodes)
    causes = {e.cause for e in episodes}
    assert by_cause == {cause: shown([e for e in episodes if e.cause == cause]) for cause in causes}


@st.composite
def half_known(draw: st.DrawFn) -> list[WindowRecord]:
    """The same days; of some only one metric is known, so that the number decides whether they can be judged."""

    def without(one: Figures) -> Figures:
        unknown = draw(st.sampled_from(["", "", "wape", "mae"]))
        metrics = {name: None if name == unknown else value for name, value in one.metrics.items()}
        return replace(one, metrics=metrics, own=dict(metrics))

    return [replace(one, figures=tuple(map(without, one.figures))) for one in draw(pasts())]


@given(
    half_known(),
    st.sampled_from(
        ["wape > X", "mae > 100 * X or wape > 0.4", "mae > 100 * X and wape > 0.1", "wape > X * usual"]
    ),
    RULES,
    st.lists(st.sampled_from([0.07, 0.1, 0.2, 0.4, 1.0, 2.0]), min_size=1, max_size=2, unique=True),
    st.integers(1, 20),
)
@settings(max_examples=25, deadline=None)
def test_each_row_of_the_table_counts_the_incidents_of_the_life_cycle_with_its_number(
    past, when, given_, numbers, event
):
    known, template, good, events = (
        known_of(past, SPEC),
        Template.of(when),
        Days(FIRST, day(event - 1)),
        [day(event)],
    )
    sweep = FigureSweep(known, SPEC, rule(template.at(1.0), **given_), template, over(24))
    for number in numbers:
        episodes = replay(known, *sweep.with_number(number), over(24))
        assert row(outcome(sweep, number, good, events, ACCEPTED)) == row_of(episodes, over(24), good, events)


@pytest.mark.parametrize(("cooldown", "opened"), [("6h", [2, 4, 8]), ("2d", [2, 8]), ("30d", [2])])
def test_the_sweep_keeps_to_the_cool_down_as_the_life_cycle_does(cooldown, opened):
    known = known_of(watched([0.1, 0.5, 0.1, 0.5, 0.1, 0.1, 0.1, 0.5, 0.1]), SPEC)
    template, checked = Template.of("wape > X"), rule("wape > 0.3", cooldown=cooldown)
    sweep = FigureSweep(known, SPEC, checked, template, over(10))
    (spans,) = sweep.spans(sweep.sights(0.3)).values()
    assert [span.opened.night.day for span in spans] == [day(n) for n in opened]
    assert [e.opened.day for e in replay(known, SPEC, checked, over(10))] == [day(n) for n in opened]


def until(episodes: list[Episode], last: date) -> list[Any]:
    """What had happened by a night."""
    return [
        (e.cause, e.opened, e.why, (e.resolved, e.why_resolved) if e.resolved and e.resolved.day <= last else None)
        for e in episodes
        if e.opened.day <= last
    ]


@given(pasts(), RULES, st.integers(0, 20), st.data())
@settings(max_examples=25, deadline=None)
def test_nothing_that_was_not_known_yet_changes_anything(past, given_, number, data):
    known = known_of(past, SPEC)
    moment = over(24)[number].moment.timestamp()
    changed: list[Known] = []
    for one in known:
        if one.since <= moment:
            changed.append(one)
        elif data.draw(st.booleans()):
            other = data.draw(WAPE)
            changed.append(
                replace(one, record=replace(one.record, figures=(figures(other),), state=WindowState.FINAL))
            )
    checked = rule("wape > 0.25", **given_)
    before, after = (until(replay(k, SPEC, checked, over(24)), day(number)) for k in (known, changed))
    assert before == after


@given(pasts(), st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_a_record_made_later_is_not_known_unless_nobody_watched(past, number):
    moment = over(24)[number].moment.timestamp()
    for one in known_of(past, SPEC):
        assert one.since >= one.record.at or one.assumed
        if one.assumed and one.since <= moment:
            assert moment >= one.record.end.timestamp() + SPEC.delay


@given(pasts(), st.sampled_from(["wape > X", "mae > X * baseline"]), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_a_higher_threshold_never_has_more_nights_with_an_alarm_and_an_endless_one_has_none(past, when, windows):
    template = Template.of(when)
    sweep = FigureSweep(known_of(past, SPEC), SPEC, rule(template.at(1.0), windows=windows), template, over(24))
    tried = [0.01, 0.07, 0.1, 0.15, 0.25, 0.4, 0.6, 2.0, 10.0, 1e200]
    found = [outcome(sweep, x, Days(FIRST, day(30)), [], ACCEPTED).alarm_nights for x in tried]
    assert found[-1] == 0
    newest = [[sight.at for sight in seen] for seen in sweep.sights(1.0).values()]
    if all(ends == sorted(ends) for ends in newest):  # else see the next test
        assert all(a >= b for a, b in itertools.pairwise(found))


def test_what_was_resolved_by_a_window_that_lost_its_labels_is_not_opened_by_an_older_one():
    past = [
        record(1, 0.5, evening(2)),
        record(3, 0.1, evening(4)),  # resolves what the lower threshold opened
        *(record(3, 0.1, evening(5), state="partial", labelled=10), record(1, 0.9, evening(5))),
    ]
    known, template = known_of(past, SPEC), Template.of("wape > X")
    sweep = FigureSweep(known, SPEC, rule("wape > 0.6"), template, over(8))
    assert shown(replay(known, SPEC, rule("wape > 0.3"), over(8))) == [(day(2), day(4))]
    assert shown(replay(known, SPEC, rule("wape > 0.6"), over(8))) == [(day(5), None)]
    found = [outcome(sweep, x, Days(FIRST, day(30)), [], ACCEPTED).alarm_nights for x in (0.3, 0.6)]
    assert found == [2, 3]  # so a higher threshold can have more nights


def test_the_answer_tells_false_alarms_apart_and_when_an_event_was_met():
    wapes = [0.1 + n % 5 / 100 for n in range(30)] + [0.4, 0.6, 0.6, 0.1, 0.1]
    wapes[10] = 0.9
    question = Question("people", when="wape > 0.3", good=Days(FIRST, day(28)), events=(day(30),))
    found = asked(watched(wapes), question)
    assert found.episodes is not None
    assert [found.is_false(e) for e in found.episodes] == [True, False]
    own = next(one for one in found.outcomes if one.threshold == 0.3)
    assert (own.false_alarms, own.alarms, own.false_nights) == (1, 2, 1)
    assert (own.detections[0].days, own.detections[0].early) == (1, False)
    assert found.suggestion is not None
    assert found.suggestion.threshold == 0.9
    assert "missed 2020-03-31" in found.suggestion.why


def test_x_is_filled_in_with_what_is_suggested():
    question = Question("people", metric="mae", good=Days(FIRST, day(40)))
    found = asked(watched([0.1 + n % 7 / 100 for n in range(40)] + [0.5] * 3), question)
    assert found.template == "mae > X * baseline"
    assert found.rule.when == "mae > 0.8 * baseline"
    assert found.episodes is not None
    assert shown(list(found.episodes)) == [(day(41), None)]


def test_a_threshold_is_found_for_what_should_be_high_as_well():
    records = [
        replace(one, figures=(replace(one.figures[0], labelled=432 - 10 * (n % 7)),))
        for n, one in enumerate(watched([0.1] * 40))
    ]
    found = asked(records, Question("people", when="labelled < X", good=Days(FIRST, day(40))))
    assert found.suggestion is not None
    assert found.suggestion.threshold == 372


def test_a_rule_against_what_is_usual_is_swept_too():
    wapes = [0.1 + n % 5 / 100 for n in range(40)] + [0.5] * 3
    found = asked(watched(wapes), Question("people", when="wape > 1.3 * usual", good=Days(FIRST, day(38))))
    assert found.suggestion is not None
    assert found.suggestion.threshold is not None
    assert 1.0 < found.suggestion.threshold < 1.3
    assert found.episodes is not None
    assert [e.opened.day for e in found.episodes if not found.is_false(e)] == [day(41)]


def test_an_estimate_is_met_before_its_window_begins_and_counts_for_that_window():
    past = []
    for number in range(30):
        ahead = {"labelled": 0, "state": "pending", "expected": 40.0 if number == 26 else 10.0 + number % 5}
        past += [record(number, None, evening(number - 1), **ahead), record(number, 0.1, evening(number + 1))]
    question = Question("people", when="estimated(mae) > X", good=Days(FIRST, day(25)), events=(day(26),))
    found = asked(past, question)
    assert found.suggestion is not None
    assert found.suggestion.threshold == 14
    assert found.over[0].day == day(-1)
    assert [(e.opened.day, found.is_false(e)) for e in found.episodes or ()] == [(day(25), False)]
    assert (found.detections[0].days, found.detections[0].early) == (-1, False)


def test_a_window_that_nobody_labelled_leaves_nothing_to_judge():
    with pytest.raises(UsageError, match="none has labels"):
        asked([record(0, None, evening(0), labelled=0)], Question("people", when="wape > X"))


def test_two_numbers_need_an_x_and_are_replayed_without_one():
    past = watched([0.1] * 20 + [0.5])
    found = asked(past, Question("people", when="wape > 0.3 and mae > 10"))
    assert not found.outcomes
    assert "write X in its place" in found.notes[-1]
    assert found.episodes is not None
    assert len(found.episodes) == 1
    with pytest.raises(UsageError, match="not clear which number"):
        asked(past, Question("people", when="wape > X and mae > X"))


def test_a_number_that_is_no_threshold_is_refused():
    past = watched([0.1] * 5)
    with pytest.raises(UsageError, match="compare by"):
        Template.of("wape == 0.1") and asked(past, Question("people", when="wape == 0.1"))
    with pytest.raises(UsageError, match="not in proportion"):
        asked(past, Question("people", when="mae / X > baseline"))


def test_the_rule_is_the_alarm_then_the_condition_then_the_metric():
    alarms = [rule("wape > 0.3", windows=2), LabelRule(name="labels")]
    assert choose(Question("people"), SPEC, alarms).rule.windows == 2
    assert choose(Question("people", windows=3), SPEC, alarms).rule.windows == 3
    assert choose(Question("people"), SPEC, []).text == "wape > X * baseline"
    chosen = choose(Question("people", when="mae > X for 4 windows"), SPEC, alarms)
    assert (chosen.rule.windows, chosen.text) == (4, "mae > X")
    with pytest.raises(UnknownName):
        choose(Question("people", alarm="loss"), SPEC, alarms)
    with pytest.raises(UsageError, match="at once"):
        choose(Question("people", alarm="loss", metric="mae"), SPEC, alarms)
    with pytest.raises(UsageError, match="does not measure"):
        choose(Question("people", when="rmse > X"), SPEC, alarms)
