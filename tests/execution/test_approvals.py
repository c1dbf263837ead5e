"""Steps that ask people: what a driver does, how a decision gets into a run, and that each counts once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trikk import approval, pipeline, step, when
from trikk.core.errors import ApprovalExpired, Conflict, DefinitionError, RunError, UnknownName, UsageError
from trikk.execution.approvals.approvals_memory import ApprovalsMemory
from trikk.execution.approvals.decisions import asked_document, decide, expire, open_approvals
from trikk.pipeline.pipeline import Pipeline
from trikk.runs.approval_state import BY_EXPIRY
from trikk.runs.journals.journal import Event
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.runs.run_state import RunState
from trikk.testing import ManualClock, run_inline
from trikk.testing.inline_run import InlineRun

ROOT = Path(__file__).parents[2]


@step
def train(seed: int) -> dict[str, float]:
    return {"mae": 10.0 + seed}


@step
def publish(score: dict[str, float]) -> str:
    return f"published {score['mae']}"


@step
def tell(text: str) -> str:
    return text


@pipeline
def nightly(seed: int = 1) -> None:
    score = train(seed)
    ok = approval("publish the model?", shows={"mae": score["mae"], "seed": seed}, expires="3d")
    with when(ok):
        publish(score)
    with when(~ok):
        tell("nobody wants it")


@pipeline
def strict() -> None:
    score = train(1)
    ok = approval("publish?", name="sign-off", on_refusal="fail", after=score)
    publish(score, after=ok)


@pipeline
def after_yes() -> None:
    score = train(1)
    ok = approval("publish?", after=score)
    publish(score, after=ok)
    tell.options(name="aside")("runs anyway")


def states(run: InlineRun) -> dict[str, str]:
    return {name: str(one.state) for name, one in run.run.steps.items()}


def waiting(pipeline: Pipeline = nightly) -> tuple[InlineRun, ManualClock]:
    """A run that waits, and its clock."""
    clock = ManualClock()
    return run_inline(pipeline, clock=clock), clock


def say(
    run: InlineRun, clock: ManualClock, *, approved: bool = True, by: str = "anna", why: str = "good"
) -> RunState:
    return decide(run.journal, run.run.id, approved=approved, by=by, why=why, now=clock.now())


def test_a_run_waits_when_nothing_else_is_left_to_do() -> None:
    run, clock = waiting()
    assert run.state == "waiting"
    assert states(run) == {"train": "succeeded", "approval": "waiting", "publish": "waiting", "tell": "waiting"}
    kinds = [event.kind for event in run.events]
    assert kinds[-2:] == ["approval.asked", "run.waiting"]
    assert run.events[-1].body == {"steps": ["approval"], "until": clock.now() + 3 * 86400}
    assert run.journal.row(run.run.id).state == "waiting"
    assert run.journal.check() == []
    ((state, asked),) = open_approvals(run.journal)
    assert (state.id, asked.question, asked.shown) == (run.run.id, "publish the model?", {"mae": 11.0, "seed": 1})


def test_runs_that_wait_for_their_first_start_are_not_read_for_what_they_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, _ = waiting()
    run.journal.create("r99", "train", {"parameters": {}, "origin": {}}, at=1.0)
    events, read = run.journal.events, list[str]()

    def counted(run_id: str, *, after: int = 0) -> list[Event]:
        read.append(run_id)
        return events(run_id, after=after)

    monkeypatch.setattr(run.journal, "events", counted)
    assert len(list(open_approvals(run.journal))) == 1
    assert read == [run.run.id]


def test_what_runs_ask_is_kept_in_memory_and_read_anew_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, clock = waiting()
    memory, events, read = ApprovalsMemory(run.journal), run.journal.events, list[tuple[str, int]]()

    def counted(run_id: str, *, after: int = 0) -> list[Event]:
        read.append((run_id, after))
        return events(run_id, after=after)

    monkeypatch.setattr(run.journal, "events", counted)
    ((state, approval_),) = open_approvals(run.journal)
    read.clear()
    assert memory.documents(9) == [asked_document(state, approval_)]
    assert memory.documents(9) == memory.documents(1) == [asked_document(state, approval_)]
    assert memory.documents(0) == []
    assert read == [(run.run.id, 0)]
    say(run, clock)
    read.clear()
    assert memory.documents(9) == []
    last = run.journal.append(run.run.id, "note", {}, at=clock.now()).seq
    assert memory.documents(9) == memory.documents(9) == []
    assert [after for _, after in read[1:]] == [last - 1, last]  # what goes on is read on


def test_what_waits_for_a_yes_runs_after_one_and_is_skipped_after_a_no() -> None:
    yes, no = run_inline(nightly, decisions={"approval": True}), run_inline(nightly, decisions={"approval": False})
    assert (yes.state, no.state) == ("succeeded", "succeeded")
    assert (yes.output("approval"), no.output("approval")) == (True, False)
    assert states(yes) == {
        "train": "succeeded",
        "approval": "succeeded",
        "publish": "succeeded",
        "tell": "skipped",
    }
    assert states(no) == {"train": "succeeded", "approval": "succeeded", "publish": "skipped", "tell": "succeeded"}
    assert yes.journal.check() == []


def test_a_step_after_a_refused_approval_is_skipped_too() -> None:
    refused = run_inline(after_yes, decisions={"approval": False})
    assert refused.state == "succeeded"
    assert states(refused) == {
        "train": "succeeded",
        "aside": "succeeded",
        "approval": "succeeded",
        "publish": "skipped",
    }


def test_a_refusal_fails_the_run_where_it_is_to() -> None:
    refused = run_inline(strict, decisions={"sign-off": False})
    assert (refused.state, refused.error) == ("failed", "step sign-off: refused by run_inline")
    assert states(refused)["publish"] == "waiting"
    assert run_inline(strict, decisions={"sign-off": True}).output("publish") == "published 11.0"


def test_a_decision_queues_the_run_and_says_who_when_and_why() -> None:
    run, clock = waiting()
    clock.advance(3600)
    state = say(run, clock)
    assert state.state == run.journal.row(run.run.id).state == "queued"
    decided = state.approvals["approval"]
    assert (decided.approved, decided.by, decided.why, decided.at) == (True, "anna", "good", clock.now())
    assert run.journal.check() == []
    assert list(open_approvals(run.journal)) == []


def test_of_two_deciders_the_second_is_told_and_nothing_of_it_is_written() -> None:
    run, clock = waiting()
    say(run, clock)
    before = run.journal.events(run.run.id)
    with pytest.raises(RunError, match=r"approval of run .* was approved by anna: good at"):
        say(run, clock, approved=False, by="bo")
    say(run, clock)  # who is not sure that it arrived says the same again
    assert run.journal.events(run.run.id) == before


def test_a_decision_at_the_same_moment_as_another_is_no_second_one() -> None:
    run, clock = waiting()

    class Slow(MemoryJournal):
        """A journal that somebody else is faster at."""

        def append(self, run: str, kind: str, body: Any, **more: Any) -> Any:
            other = {"step": "approval", "approved": False, "by": "bo", "why": "bad"}
            behind.append(run, kind, other, at=clock.now())
            return behind.append(run, kind, body, **more)

        def events(self, run: str, *, after: int = 0) -> Any:
            return behind.events(run, after=after)

    behind = run.journal
    with pytest.raises(RunError, match="was refused by bo: bad"):
        decide(Slow(), run.run.id, approved=True, by="anna", why="good", now=clock.now())
    assert [e.body["by"] for e in behind.events(run.run.id) if e.kind == "approval.decided"] == ["bo"]


def test_a_decision_that_comes_while_the_driver_leaves_is_not_lost() -> None:
    clock = ManualClock()

    class Late(MemoryJournal):
        """A journal in which somebody decides just before the driver writes that the run waits."""

        def append(self, run: str, kind: str, body: Any, **more: Any) -> Any:
            if kind == "run.waiting" and not decided:
                decided.append(decide(self, run, approved=True, by="anna", why="good", now=clock.now()))
            return super().append(run, kind, body, **more)

    decided: list[RunState] = []
    run = run_inline(nightly, journal=Late(), clock=clock)
    assert run.state == "succeeded"
    assert decided[0].state == "running"
    assert "run.waiting" not in [event.kind for event in run.events]
    assert run.output("publish") == "published 11.0"


def test_an_event_after_one_that_is_not_the_last_is_refused() -> None:
    run, clock = waiting()
    with pytest.raises(Conflict):
        run.journal.append(run.run.id, "metric.logged", {}, at=clock.now(), after=run.events[-2].seq)
    assert run.journal.events(run.run.id) == run.events


def test_a_question_expires_as_declared_whoever_looks_first() -> None:
    run, clock = waiting()
    clock.advance(3 * 86400 - 1)
    assert expire(run.journal, clock.now()) == []
    clock.advance(1)
    assert expire(run.journal, clock.now()) == [run.run.id]
    assert expire(run.journal, clock.now()) == []
    state = RunState.fold(run.run.id, run.journal.events(run.run.id))
    assert (state.state, state.approvals["approval"].approved, state.approvals["approval"].by) == (
        "queued",
        False,
        BY_EXPIRY,
    )
    late, clock = waiting()
    clock.advance(4 * 86400)
    with pytest.raises(ApprovalExpired, match="was refused by expiry"):
        say(late, clock)
    assert late.journal.row(late.run.id).state == "queued"


def test_a_question_may_be_approved_by_its_expiry_while_other_steps_run() -> None:
    @step
    def long() -> int:
        clock.advance(100)
        return 1

    @pipeline
    def patient() -> None:
        ok = approval("go on?", expires=60, on_expiry="approve")
        long()
        with when(ok):
            tell("on")

    clock = ManualClock()
    run = run_inline(patient, clock=clock)
    assert run.output("tell") == "on"
    assert run.run.approvals["approval"].by == BY_EXPIRY


def test_a_cancelled_run_withdraws_what_it_asked() -> None:
    run, clock = waiting()
    run.journal.append(run.run.id, "run.cancelled", {"error": "cancelled by bo"}, at=clock.now())
    with pytest.raises(RunError, match="asks nothing"):
        say(run, clock)
    assert list(open_approvals(run.journal)) == []


def test_of_runs_that_ask_nothing_no_events_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = waiting()
    run.journal.create("busy", "nightly", {}, at=1.0)
    run.journal.append("busy", "run.started", {}, at=2.0)
    read, events = [], run.journal.events
    monkeypatch.setattr(run.journal, "events", lambda name: read.append(name) or events(name))
    assert [state.id for state, _ in open_approvals(run.journal)] == [run.run.id] == read


@pytest.mark.parametrize(
    ("step", "why", "error"),
    [("approval", " ", UsageError), ("train", "good", UnknownName)],
)
def test_a_decision_without_a_reason_or_a_question_is_refused(step: str, why: str, error: type[Exception]) -> None:
    run, clock = waiting()
    with pytest.raises(error):
        decide(run.journal, run.run.id, step, approved=True, by="anna", why=why, now=clock.now())
    assert run.journal.events(run.run.id) == run.events


def test_of_several_questions_the_step_is_named() -> None:
    @pipeline
    def twice() -> None:
        for name in ("north", "south"):
            with when(approval(f"publish {name}?", name=name)):
                tell.options(name=f"tell-{name}")(name)

    run, clock = waiting(twice)
    with pytest.raises(RunError, match="asks several things") as caught:
        say(run, clock)
    assert caught.value.next == "name the step: north, south"
    state = decide(run.journal, run.run.id, "south", approved=True, by="anna", why="good", now=clock.now())
    assert [approval.step for approval in state.open_approvals()] == ["north"]


def test_run_inline_names_a_step_that_asks_nothing() -> None:
    with pytest.raises(UnknownName, match="aproval"):
        run_inline(nightly, decisions={"aproval": True})


def wrong(body: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        pipeline(body)
    assert caught.value.where
    assert caught.value.next
    return caught.value


def test_an_approval_that_nothing_waits_for_is_refused() -> None:
    def careless() -> None:
        approval("publish?")
        publish(train(1))

    assert "nothing in pipeline careless waits for approval" in wrong(careless).what


def test_the_last_step_may_ask_if_a_refusal_fails_the_run() -> None:
    @pipeline
    def signed() -> None:
        approval("all well?", on_refusal="fail", after=train(1))

    assert run_inline(signed, decisions={"approval": False}).state == "failed"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"question": " "}, "is no question"),
        ({"question": "a\nb"}, "is no question"),
        ({"expires": "soon"}, "is not a length of time"),
        ({"expires": 0}, "expires at once"),
        ({"on_expiry": "shrug", "expires": 1}, "on_expiry='shrug'"),
        ({"on_expiry": "approve"}, "without an expiry"),
        ({"on_refusal": "cry"}, "on_refusal='cry'"),
        ({"name": "a/b"}, "a/b"),
    ],
)
def test_what_can_not_be_asked_is_refused_with_its_line(options: dict[str, Any], problem: str) -> None:
    def asking() -> None:
        question = options.get("question", "publish?")
        more = {name: value for name, value in options.items() if name != "question"}
        with when(approval(question, **more)):
            tell("yes")

    assert problem in wrong(asking).what


def test_outside_of_a_pipeline_nobody_is_asked() -> None:
    with pytest.raises(DefinitionError, match="outside of a pipeline"):
        approval("publish?")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What processes left that were killed before each of their writes."""
    folder = tmp_path_factory.mktemp("approvals")
    command = [sys.executable, "-m", "tests.execution.approval_processes", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_whenever_a_driver_is_killed_a_run_asks_once_and_loses_no_decision(killed: dict[str, Any]) -> None:
    for phase in ("asking", "going on"):
        runs = killed[phase]
        assert len(runs) > 3
        assert [one["killed"] for one in runs] == [True] * (len(runs) - 1) + [False]
        for one in runs:
            assert one["state"] == "succeeded", one
            assert (one["kinds"].count("approval.asked"), one["kinds"].count("approval.decided")) == (1, 1)
            assert one["published"] in (1, 2)  # twice only where the step itself was in the middle


def test_of_several_processes_at_once_one_decides(killed: dict[str, Any]) -> None:
    for one in killed["at once"]:
        assert one["said"].count("decided") == 1
        assert one["said"].count("told") == 3
        assert one["kinds"].count("approval.decided") == 1
