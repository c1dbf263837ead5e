from __future__ import annotations

import enum
import random
import textwrap
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest

import trikk.testing
from trikk import PermanentError, Retry, Table, pipeline, step, when
from trikk.core.clock import Clock, SystemClock
from trikk.core.errors import DefinitionError, ParameterError, UnknownName
from trikk.runs.context import step_context
from trikk.storage.stores.local import LocalStore
from trikk.storage.tables.versioned_tables import Tables
from trikk.testing import ManualClock, MemoryJournal, MemoryStore, MemoryTables, run_inline

counts = Table("counts")
predictions = Table("predictions")
THREE = pl.DataFrame({"sensor": ["a", "b", "b"], "people": [1, 2, 3]})


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Made(NamedTuple):
    number: int
    text: str


@step
def as_is(value: Any) -> Any:
    return value


@step
def add(a: int, b: int = 1) -> int:
    return a + b


@step
def numbers(n: int) -> list[int]:
    return list(range(n))


@step
def made() -> Made:
    return Made(1, "one")


@step
def head(rows: pl.DataFrame, n: int) -> pl.DataFrame:
    return rows.head(n)


@step
def height(rows: pd.DataFrame) -> int:
    assert isinstance(rows, pd.DataFrame)
    return len(rows)


@step
def constant(n: int) -> pl.DataFrame:
    return pl.DataFrame({"sensor": ["n"], "people": [n]})


@step
def score(value: float) -> dict[str, float]:
    return {"mae": value}


def test_the_documented_example_works() -> None:
    @step
    def predict(counts: pl.LazyFrame, day: date) -> pl.DataFrame:
        sensors = counts.select("sensor").unique().collect()
        return sensors.join(pl.DataFrame({"hour": list(range(24))}), how="cross").with_columns(day=day)

    @pipeline
    def nightly(day: date) -> None:
        predictions.append(predict(counts, day))

    assert trikk.testing.__doc__ is not None
    example = textwrap.dedent(trikk.testing.__doc__.partition("::\n\n")[2])
    some_counts = pl.DataFrame({"sensor": list(range(21)), "people": 1})
    names: dict[str, Any] = {"nightly": nightly, "date": date, "some_counts": some_counts}
    exec(example, names)
    tests: list[Callable[[], None]] = [f for n, f in names.items() if n.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


def test_everything_that_is_exported_is_there() -> None:
    assert all(hasattr(trikk.testing, name) for name in trikk.testing.__all__)
    assert all(hasattr(trikk, name) for name in trikk.__all__)


def test_values_go_through_a_run_as_they_are() -> None:
    values = [None, True, 1, -2.5, "a", (1, "b"), {"x": [date(2020, 1, 1)]}, Size.LARGE]

    @pipeline
    def p(size: Size, day: date, sizes: list[Size]) -> None:
        for value in values:
            as_is(value)
        as_is.options(name="parameters")([size, day, sizes])

    run = run_inline(p, size=Size.SMALL, day=date(2020, 3, 26), sizes=[Size.LARGE])
    names = ["as_is", *(f"as_is-{i}" for i in range(2, len(values) + 1))]
    assert run.state == "succeeded"
    assert [run.output(name) for name in names] == values
    assert run.output("parameters") == [Size.SMALL, date(2020, 3, 26), [Size.LARGE]]


def test_several_outputs_and_their_parts() -> None:
    @pipeline
    def p() -> None:
        number, text = made()
        add(number, b=2)
        as_is({"all": made(), "text": text})
        as_is((number, [text], (1, 2)))

    run = run_inline(p)
    assert run.output("made") == (1, "one")
    assert run.output("add") == 3
    assert run.output("as_is") == {"all": (1, "one"), "text": "one"}
    assert run.output("as_is-2") == (1, ["one"], (1, 2))


def test_a_map_keeps_the_order_and_may_be_empty() -> None:
    @pipeline
    def p(n: int, given: list[int]) -> None:
        add.map(add.map(numbers(n), b=10))
        add.options(name="fixed").map([1, 2])
        add.options(name="parameter").map(given)
        add.options(name="outputs").map([add(1), add(2)])

    run = run_inline(p, n=3, given=[5])
    assert run.output("add-2") == [11, 12, 13]
    assert [run.output(n) for n in ("fixed", "parameter", "outputs")] == [[2, 3], [6], [3, 4]]
    assert run_inline(p, n=0, given=[]).output("add-2") == []


def test_conditions_decide_and_skips_go_on_along_the_data() -> None:
    @pipeline
    def p(limit: float) -> None:
        found = score(0.5)
        with when(found["mae"] <= limit):
            good = as_is("good")
        with when(found["mae"] > limit):
            bad = as_is("bad")
        as_is.options(name="uses")([good, bad])
        as_is.options(name="comes_after", after=bad)(1)

    run = run_inline(p, limit=1.0)
    states = {name: s.state for name, s in run.run.steps.items()}
    assert states == {
        "score": "succeeded",
        "as_is": "succeeded",
        "as_is-2": "skipped",
        "uses": "skipped",
        "comes_after": "succeeded",
    }
    assert run.run.steps["as_is-2"].reason == "score['mae'] > limit is false (0.5 against 1.0)"
    with pytest.raises(KeyError, match="it is skipped"):
        run.output("uses")


def test_a_condition_that_can_not_be_decided_fails_its_step() -> None:
    @pipeline
    def p() -> None:
        with when(score(0.5)["rmse"] < 1):
            as_is(1)

    run = run_inline(p)
    assert run.state == "failed"
    assert "KeyError: 'rmse'" in (run.error or "")


def test_tables_are_read_as_they_were_and_as_the_run_wrote_them() -> None:
    @pipeline
    def p(n: int) -> None:
        height.options(name="before")(counts)
        counts.append(constant(n))
        height.options(name="after")(counts)
        counts.overwrite(head(counts, 2))
        counts.merge(constant(7), key="sensor")
        height.options(name="end")(counts)

    tables = MemoryTables({"counts": THREE})
    run = run_inline(p, tables=tables, n=5)
    assert [run.output(n) for n in ("before", "after", "end")] == [3, 4, 3]
    assert run.table("counts").rows() == [("a", 1), ("b", 2), ("n", 7)]
    assert tables.version("counts") == 3
    again = run_inline(p, tables=tables, n=5)
    assert again.output("before") == 3
    assert tables.version("counts") == 6


def test_a_run_reads_the_version_that_it_is_locked_to(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))

    @step
    def meddle(n: int) -> int:
        from trikk.storage.tables.table_write import Write

        tables.write("counts", Write("append", THREE), identity="somebody else", origin={})
        return n

    @pipeline
    def p() -> None:
        height.options(name="read", after=meddle(1))(counts)

    from trikk.storage.tables.table_write import Write

    tables.write("counts", Write("append", THREE), identity="before", origin={})
    run = run_inline(p, tables=tables)
    assert run.output("read") == 3
    assert run.table("counts").height == 6


def test_a_retry_waits_by_the_clock_and_takes_no_time() -> None:
    tries = []

    @step(retry=Retry(4, delay="10s", factor=2, max_delay="30s", jitter=0))
    def flaky() -> int:
        tries.append(1)
        if len(tries) < 4:
            raise ConnectionError("away")
        return len(tries)

    @pipeline
    def p() -> None:
        flaky()

    clock = ManualClock()
    before = clock.monotonic()
    run = run_inline(p, clock=clock)
    assert run.output("flaky") == 4
    delays = [event.body["retry_in"] for event in run.events if event.kind == "step.failed"]
    assert delays == [10, 20, 30]
    assert clock.monotonic() - before >= sum(delays)


@pytest.mark.parametrize("error", [PermanentError("no"), KeyError("no")])
def test_what_is_not_to_be_tried_again_is_not(error: Exception) -> None:
    tries = []

    @step(retry=Retry(4, on=ValueError))
    def broken() -> None:
        tries.append(1)
        raise error

    @pipeline
    def p() -> None:
        broken()

    assert run_inline(p).state == "failed"
    assert len(tries) == 1


def test_a_failure_names_its_step_and_what_needed_it_waits() -> None:
    @step
    def broken() -> int:
        raise ValueError("no rows")

    @pipeline
    def p() -> None:
        add(broken())
        as_is(1)

    run = run_inline(p, keep_going=True)
    assert run.state == "failed"
    assert str(run.error).startswith("step broken: ValueError: no rows (")
    assert [run.run.steps[n].state for n in ("broken", "add", "as_is")] == ["failed", "waiting", "succeeded"]


@pytest.mark.parametrize("value", ["text", None, 1.5, True])
def test_a_result_of_another_type_fails_the_step(value: Any) -> None:
    @step
    def wrong() -> int:
        return value

    @pipeline
    def p() -> None:
        wrong()

    run = run_inline(p)
    assert run.state == "failed"
    assert "where int is declared" in (run.error or "")


def test_the_seed_decides_what_luck_gives() -> None:
    @step
    def luck() -> list[float]:
        return [random.random(), float(np.random.rand())]

    @pipeline
    def p() -> None:
        luck()
        luck()

    one, same, other = (run_inline(p, seed=s) for s in (1, 1, 2))
    assert one.output("luck") == same.output("luck") != other.output("luck")
    assert one.output("luck") != one.output("luck-2")


def test_parameters_may_have_the_names_of_options() -> None:
    @pipeline
    def p(seed: int, tables: list[str], n: int) -> None:
        as_is([seed, tables, n])

    run = run_inline(p, parameters={"seed": 7, "tables": ["t"]}, n=1)
    assert run.output("as_is") == [7, ["t"], 1]


def test_wrong_requests_are_refused_before_anything_runs() -> None:
    @pipeline
    def p(n: int) -> None:
        head(counts, n)

    journal = MemoryJournal()
    with pytest.raises(ParameterError, match="m: no such parameter"):
        run_inline(p, n=1, m=2, tables={"counts": THREE}, journal=journal)
    with pytest.raises(ParameterError, match="n: missing"):
        run_inline(p, tables={"counts": THREE}, journal=journal)
    with pytest.raises(ParameterError, match="does not fit"):
        run_inline(p, n="1", tables={"counts": THREE}, journal=journal)
    with pytest.raises(UnknownName, match="no table 'counts'"):
        run_inline(p, n=1, journal=journal)
    with pytest.raises(DefinitionError, match="is not called"):
        p(n=1)
    assert journal.runs() == []


def test_nothing_is_written_to_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def p() -> None:
        counts.append(constant(1))

    monkeypatch.chdir(tmp_path)
    assert run_inline(p).state == "succeeded"
    assert list(tmp_path.iterdir()) == []


def test_real_parts_can_be_used_instead(tmp_path: Path) -> None:
    @pipeline
    def p() -> None:
        counts.append(constant(1))

    journal, store, tables = MemoryJournal(), LocalStore(tmp_path / "store"), Tables(str(tmp_path / "tables"))
    run = run_inline(p, journal=journal, store=store, tables=tables, clock=SystemClock())
    assert run.table("counts").height == 1
    assert journal.row(run.run.id).state == "succeeded"
    assert journal.check() == []
    assert [stored.size for stored in store.list()] == [run.run.steps["constant"].outputs[0]["size"]]
    assert run_inline(p, store=MemoryStore()).run.steps["constant"].outputs == run.run.steps["constant"].outputs


def test_a_manual_clock_stands_still_but_for_what_it_is_told() -> None:
    clock = ManualClock(now=100)
    held: Clock = clock
    held.sleep(5)
    held.sleep(-1)
    clock.advance(2)
    assert (clock.now(), clock.monotonic(), clock.slept) == (107, 7, [5, -1])
    clock.jump(-50)
    assert (clock.now(), clock.monotonic()) == (57, 7)
    real = time.monotonic()
    clock.sleep(10**9)
    assert time.monotonic() - real < 60


def test_a_frame_inside_a_result_arrives_as_the_kind_that_is_asked_for():
    @step
    def both() -> dict[str, pl.DataFrame]:
        return {"x": pl.DataFrame({"n": [1, 2]})}

    @step
    def lazy(rows: pl.LazyFrame) -> str:
        return type(rows).__name__

    @pipeline
    def picking():
        lazy(both()["x"])

    assert run_inline(picking).output("lazy") == "LazyFrame"


def test_what_a_run_writes_down_has_the_time_of_its_clock() -> None:
    @step
    def note() -> float:
        return step_context("this test").time()

    @pipeline
    def noting() -> None:
        note()

    done = run_inline(noting, clock=ManualClock(1000.0))
    assert done.state == "succeeded", done.error
    assert done.output("note") == 1000.0
