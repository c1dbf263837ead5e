"""Rules on drift replayed: as the alarm itself saw its days, and what other limits would have done."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerts.backtest_days import column, compared, declared, drift_rule, watched_days
from tests.alerts.backtest_past import FIRST, SPEC, day, evening, midnight, row, row_of, rule

from trikk.alerts.backtest.answer import Backtest
from trikk.alerts.backtest.bounds import Accepted
from trikk.alerts.backtest.columns import ColumnSeen, OnEvent
from trikk.alerts.backtest.drift_sweep import DriftSweep, Limits
from trikk.alerts.backtest.night_replay import Episode, past_of, readings, replay
from trikk.alerts.backtest.outcomes import outcome
from trikk.alerts.backtest.past import Days, Night, days_known, nights
from trikk.alerts.backtest.question import Question, choose
from trikk.alerts.backtest.runner import answer
from trikk.alerts.rules.drift import DriftRule
from trikk.core.errors import UnknownName, UsageError
from trikk.monitoring.day_drift.drift_definition import Drift
from trikk.monitoring.day_drift.drift_records import DriftRecord, DriftRecords
from trikk.monitoring.figures.records import Records
from trikk.runs.journals.memory_journal import MemoryJournal

ZONE = ZoneInfo("UTC")
CALM = [(0.05 + n % 4 / 100, 0.06 + n % 5 / 100) for n in range(30)]


def over(count: int) -> list[Night]:
    return nights(FIRST, day(count - 1), [evening(n) for n in range(count)], ZONE)


def shown(episodes: list[Episode] | tuple[Episode, ...] | None) -> list[tuple[date, date | None]]:
    return [(e.opened.day, e.resolved.day if e.resolved else None) for e in episodes or ()]


def asked(records: list[DriftRecord], question: Question, drift: Drift | None = None) -> Backtest:
    spec = declared(drift)
    evaluated = sorted({r.at for r in records})
    return answer(question, spec, choose(question, spec, [drift_rule()]), days_known(records, spec), evaluated)


def test_predictions_alarm_on_the_night_before_and_truths_on_the_night_after_their_day() -> None:
    calm = (0.1, 0.1)
    past = watched_days([*[calm] * 5, (0.1, 0.5), *[calm] * 3, (0.6, 0.1), *[calm] * 3])
    found = replay(days_known(past, declared()), declared(), drift_rule(), over(13))
    assert shown(found) == [(day(6), day(7)), (day(8), day(11))]
    assert found[0].why.startswith("day 2020-03-06: drift: 1 of 2 columns; most truth: wasserstein 0.5 is 0.25")
    assert found[0].messages == 2


def test_days_that_were_compared_all_at_once_are_taken_to_be_known_when_labels_were_due() -> None:
    late = evening(400)
    records = [compared(n, {"prediction": 0.5 if n == 5 else 0.1, "truth": 0.1}, late) for n in range(8)]
    known = days_known(records, declared())
    assert [(one.assumed, one.since) for one in known[5:6]] == [(True, midnight(7).timestamp())]
    assert shown(replay(known, declared(), drift_rule(), nights(FIRST, day(9), [], ZONE))) == [(day(6), day(7))]
    bare = days_known([compared(0, {"prediction": 0.1}, late)], declared())
    assert bare[0].since == midnight(1).timestamp()


EFFECT = st.one_of(st.none(), st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.9]))
LIMITS = st.sampled_from([(), ("wasserstein",), ("error",), ("truth",), ("missing",), ("error", "wasserstein")])
RULES = st.fixed_dictionaries(
    {"windows": st.integers(1, 3), "cooldown": st.sampled_from(["6h", "1d", "3d", "10d"])}
)


@st.composite
def pasts(draw: st.DrawFn) -> list[DriftRecord]:
    """Days compared ahead, on time, late, several times or never; some say nothing, some values are missing."""
    found = []
    number = 0
    while number < draw(st.integers(1, 16)):
        at = number + draw(st.sampled_from([-2, -1, 0, 1, 1, 2, 5, 30]))
        for _ in range(draw(st.integers(0, 3))):
            columns = [
                column(
                    name,
                    draw(EFFECT),
                    Drift(),
                    p_value=draw(st.sampled_from([0.0, 0.0, 0.05, 0.5])),
                    missing=draw(st.sampled_from([0.0, 0.05, 0.1, 0.3])),
                    missing_p=draw(st.sampled_from([None, 0.0, 0.9])),
                )
                for name in ("prediction", "truth", "error")
            ]
            found.append(
                compared(number, columns, evening(at), settled=draw(st.sampled_from([True, True, False])))
            )
            at += draw(st.integers(1, 4))
        number += draw(st.sampled_from([1, 1, 1, 1, 83, 84, 85]))
    return found


def both(
    past: list[DriftRecord], limits: Limits, checked: DriftRule, threshold: float, of: list[Night]
) -> list[Episode]:
    """The incidents of the replay, which are those of the sweep."""
    spec = declared()
    known = days_known(past, spec)
    sweep = DriftSweep(known, spec, checked, limits, of)
    (spans,) = sweep.spans(sweep.sights(threshold)).values()
    episodes = replay(known, *sweep.with_number(threshold), of)
    assert [(s.opened.night.day, s.resolved.day if s.resolved else None) for s in spans] == shown(episodes)
    assert [(s.opened.start, s.opened.at) for s in spans] == [(e.start, e.end) for e in episodes]
    good, events = Days(FIRST, day(8)), [day(9)]
    counted = row(outcome(sweep, threshold, good, events, Accepted.of("1/month")))
    assert counted == row_of(episodes, of, good, events)
    return episodes


@given(pasts(), LIMITS, RULES, st.sampled_from([0.04, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5]))
@settings(max_examples=60, deadline=None)
def test_the_sweep_opens_and_resolves_just_as_the_life_cycle_does(past, names, given_, threshold):
    last = max((date.fromisoformat(r.label) for r in past), default=FIRST)
    try:
        limits = Limits.of(Drift(), names, past)
    except (UnknownName, UsageError):
        return
    both(past, limits, drift_rule(**given_), threshold, over((last - FIRST).days + 5))


@pytest.mark.parametrize(("threshold", "alarms"), [(0.3, 1), (0.301, 0)])
def test_a_day_drifts_at_the_limit_itself(threshold: float, alarms: int) -> None:
    past = watched_days([(0.1, 0.1), (0.1, 0.3), (0.1, 0.1)])
    limits = Limits.of(Drift(), ["wasserstein"], past)
    assert len(both(past, limits, drift_rule(), threshold, over(5))) == alarms


@pytest.mark.parametrize(("apart", "alarms"), [(83, 1), (84, 0), (85, 0)])
def test_a_night_looks_across_83_days_that_say_nothing_and_no_more(apart: int, alarms: int) -> None:
    past = [compared(n, {"prediction": 0.5}, evening(n + 1)) for n in (0, apart)]
    waiting = compared(42, {"prediction": 0.1}, evening(41), settled=False)
    limits = Limits.of(Drift(), [], past)
    for days in (past, [*past, waiting]):
        assert len(both(days, limits, drift_rule(windows=2), 0.25, over(apart + 3))) == alarms
    assert len(both(past[:1], limits, drift_rule(), 0.25, over(apart)[-2:-1])) == alarms


@given(pasts())
@settings(max_examples=30, deadline=None)
def test_a_night_shows_what_the_alarm_saw_then(past):
    past = [r for r in past if r.at < r.end.timestamp() + 2 * 86400]
    spec, now = declared(), over(20)[12]
    ledger = MemoryJournal()
    for number, one in enumerate(sorted(past, key=lambda r: r.at)):
        if one.at <= now.moment.timestamp():
            DriftRecords(ledger, "people").put(one, identity=str(number))
    (then,) = drift_rule().judge(Records(ledger, "people"), spec, now.moment)
    (seen,) = readings(past_of(days_known(past, spec), spec, drift_rule()), spec, drift_rule(), now)
    assert seen == then


def test_a_limit_is_found_and_written_as_it_is_declared() -> None:
    past = watched_days([*CALM, (0.08, 0.4), (0.4, 0.5), (0.1, 0.1), (0.1, 0.1)])
    question = Question("people", alarm="drift", good=Days(FIRST, day(29)), events=(day(30),))
    found = asked(past, question)
    assert (found.template, found.shown, found.held) == ("X for wasserstein", "wasserstein 0.25", 0.25)
    assert shown(found.episodes) == [(day(30), day(33))]
    assert found.detections[0].days == 0
    assert found.suggestion is not None
    assert (found.suggestion.verdict, found.suggestion.when) == ("tentative", "wasserstein 0.101")
    assert found.write == 'drift=Drift(thresholds={"wasserstein": 0.101})'
    assert "All from here to wasserstein 0.25 meet the events on the same nights" in found.suggestion.why
    assert found.columns[0] == ColumnSeen(
        "truth", "wasserstein", 0.25, 30, 0, 0.1, found.columns[0].largest_day, (OnEvent(day(30), 0.4),)
    )


def test_several_limits_are_multiplied_together_and_each_can_be_found_alone() -> None:
    errors = [0.2 + n % 6 / 100 for n in range(30)]
    past = [compared(n, {"prediction": p, "error": errors[n]}, evening(n + 1)) for n, (p, _) in enumerate(CALM)]
    question = Question("people", limits=(), alarm="drift", good=Days(FIRST, day(40)))
    found = asked(past, question)
    assert found.template == "X times error 0.35, wasserstein 0.25"
    assert found.suggestion is not None
    assert found.suggestion.threshold == 0.715
    assert found.write == 'drift=Drift(thresholds={"error": 0.2502, "wasserstein": 0.1787})'
    alone = asked(past, replace(question, limits=("prediction",)))
    assert alone.write == 'drift=Drift(thresholds={"prediction": 0.0801})'
    told = asked(past, replace(question, limits=("error=0.21",)), Drift(thresholds={"ks": 0.3}))
    assert told.shown == "error 0.21"
    assert told.episodes
    assert '"ks": 0.3' in told.write


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (("psi",), UnknownName),
        (("truth=much",), UsageError),
        (("truth=0",), UsageError),
        (("truth=inf",), UsageError),
    ],
)
def test_a_limit_that_is_none_is_refused(limits: tuple[str, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(watched_days(CALM), Question("people", limits=limits))


def test_days_of_other_limits_are_judged_by_the_present_ones_and_those_of_another_method_are_told() -> None:
    old = watched_days(CALM, Drift(thresholds={"wasserstein": 0.05}))
    assert {r.verdict for r in old if r.settled} == {"drift"}
    assert asked(old, Question("people", alarm="drift")).episodes == ()
    other = watched_days(CALM, Drift(alpha=0.01))
    found = asked(other, Question("people", alarm="drift"))
    assert "30 days were compared in another way than now" in " ".join(found.notes)
    anew = [compared(n, {"prediction": 0.5 if n == 5 else 0.1}, evening(50)) for n in range(30)]
    found = asked([*other, *anew], Question("people", alarm="drift"))
    assert (found.recorded, found.assumed) == (0, 30)
    assert shown(found.episodes) == [(day(6), day(7))]


def test_records_of_before_bases_and_missing_values_were_kept_are_read() -> None:
    drift = Drift()
    columns = [column("prediction", 0.1, drift, missing=0.3, missing_p=0.001)]
    data = compared(3, columns, evening(4), drift=drift).to_json()
    del data["basis"], data["columns"][0]["missing_adjusted"]  # type: ignore[index, attr-defined, call-overload]
    data["columns"][0]["of_a_later_trikk"] = 1  # type: ignore[index, call-overload]
    old = DriftRecord.read(data)
    assert (old.verdict, old.basis) == ("drift", "")
    past = [*watched_days(CALM[:3]), old]
    assert asked(past, Question("people", alarm="drift")).episodes
    assert asked(past, Question("people", limits=("missing=0.31",))).episodes == ()
    assert asked(past, Question("people", limits=("missing=0.29",))).episodes


def test_what_became_known_after_the_last_night_changes_nothing() -> None:
    past = watched_days([*CALM, (0.4, 0.5)])
    question = Question("people", alarm="drift", last=day(25), events=(day(24),))
    until = [one for one in past if one.at <= evening(25)]
    assert asked(past, question).to_json() == asked(until, question).to_json()


def test_what_does_not_go_with_a_rule_is_refused() -> None:
    spec, alarms = declared(), [drift_rule(), rule("wape > 0.3")]
    for wrong in (
        Question("people", alarm="drift", slice="sensor"),
        Question("people", alarm="drift", window="day"),
        Question("people", alarm="drift", min_labelled=5),
        Question("people", when="wape > X", limits=("ks",)),
        Question("people", alarm="backtest", limits=("ks",)),
    ):
        with pytest.raises(UsageError):
            choose(wrong, spec, alarms)
    with pytest.raises(UsageError, match="declares no drift"):
        choose(Question("people", alarm="drift"), SPEC, alarms)
    assert choose(Question("people", limits=("ks",)), spec, []).rule.kind == "drift"


def test_days_that_nobody_compared_leave_nothing_to_judge() -> None:
    with pytest.raises(UsageError, match="could be judged yet"):
        asked([compared(0, {"prediction": None}, evening(0))], Question("people", alarm="drift"))
    waiting = [compared(n, {"prediction": 0.01}, evening(n), settled=False) for n in range(3)]
    found = asked(waiting, Question("people", alarm="drift", accepted=Accepted.of("0.1")))
    assert found.episodes == ()
    assert found.suggestion is not None
    assert found.suggestion.verdict == "not enough history"
