"""A gate as a step: what waits for it, what is kept, what it is given, and what a block does to the run."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk import Pipeline, Retry, Table, pipeline, quality_gate, step, when
from trikk.core.errors import DefinitionError
from trikk.quality import between, fresh, holds, like, not_null, one_of, refers_to, row_count, unique
from trikk.storage.artifact import Artifact
from trikk.testing import run_inline
from trikk.testing.inline_run import InlineRun

counts = Table("counts")
sensors = Table("sensors")
GOOD = pl.DataFrame({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0], "day": [date(2024, 5, 1)] * 3})
SENSORS = pl.DataFrame({"id": [1, 2, 3, 4]})


@step
def clean(counts: pl.LazyFrame) -> pl.DataFrame:
    return counts.collect()


@step
def halves(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return rows.head(2), rows.tail(1)


@step
def fit(rows: pl.DataFrame) -> float:
    return float(rows["x"].sum())


@step
def send(model: float) -> float:
    return model


@step
def tell(result: dict[str, Any]) -> str:
    return str(result["verdict"])


@step
def part(n: int) -> pl.DataFrame:
    return GOOD.with_columns(x=pl.col("x") + n)


def run(made: Pipeline, rows: pl.DataFrame = GOOD, **parameters: Any) -> InlineRun:
    return run_inline(made, tables={"counts": rows, "sensors": SENSORS}, parameters=parameters)


def states(done: InlineRun) -> dict[str, str]:
    return {name: found.state for name, found in done.run.steps.items()}


def after(made: Pipeline) -> dict[str, list[str]]:
    return {name: list(node.after) for name, node in made.graph.nodes.items() if node.after}


@pipeline
def nightly(least: int = 1, low: float = 0.0, day: date = date(2024, 5, 1)) -> None:
    rows = clean(counts)
    quality_gate(
        rows,
        [
            not_null("id"),
            row_count(least),
            between("x", low, severity="warn"),
            fresh("day", "1d", now=day),
            refers_to("id", sensors),
            like("x", counts),
            holds(pl.col("x") < 100),
            one_of("id", [1, 2, 3, 4]),
        ],
    )
    fit(rows)


def test_a_gate_that_passes_gives_its_result_and_the_steps_below_go_on() -> None:
    done = run(nightly)
    assert done.state == "succeeded", done.error
    found = done.output("quality_gate")
    assert (found["verdict"], found["rows"]) == ("passed", 3)
    assert done.output("fit") == 6.0


def test_a_block_fails_the_run_at_the_gate_and_nothing_below_begins() -> None:
    done = run(nightly, GOOD.with_columns(id=pl.Series([1, None, 9])))
    assert done.state == "failed"
    assert done.error is not None
    assert (
        "blocked by 3 of 8 checks: not_null(id) on 1 of 3 rows, refers_to(id) on 1 of 3 rows,"
        " one_of(id) on 1 of 3 rows" in done.error
    )
    assert states(done) == {"clean": "succeeded", "quality_gate": "failed", "fit": "waiting"}


@pytest.mark.parametrize("parameters", [{"least": 4}, {"day": date(2024, 5, 9)}])
def test_limits_and_moments_can_be_parameters(parameters: dict[str, Any]) -> None:
    assert run(nightly, **parameters).state == "failed"
    assert run(nightly, low=2.0).output("quality_gate")["verdict"] == "warned"


def test_tables_that_checks_refer_to_are_read_at_the_version_of_the_run() -> None:
    assert nightly.graph.tables_read() == ("counts", "sensors")


def kept(done: InlineRun) -> tuple[dict[str, Any], dict[str, Any]]:
    logged = {e.body["name"]: e.body for e in done.events if e.kind == "artifact.logged"}
    checked: Any = next(e.body for e in done.events if e.kind == "quality.checked")
    assert set(logged) == {"quality_gate.json", "quality_gate.html"}
    return logged, checked


def test_result_and_report_are_kept_also_where_the_gate_blocks() -> None:
    for rows in (GOOD, GOOD.with_columns(id=pl.lit(17))):
        done = run(nightly, rows)
        logged, checked = kept(done)
        data: Any = done.artifacts.load(Artifact.read(logged["quality_gate.json"]["artifact"]))
        assert data["verdict"] == checked["verdict"] == ("passed" if rows is GOOD else "blocked")
        page: Path = done.artifacts.load(Artifact.read(logged["quality_gate.html"]["artifact"]))
        assert page.name == "quality_gate.html"
        assert "one_of(id)" in page.read_text()


def test_the_run_s_journal_holds_what_was_found_but_no_rows() -> None:
    _, checked = kept(run(nightly, GOOD.with_columns(id=pl.lit(987654))))
    assert checked["verdict"] == "blocked"
    assert "987654" not in json.dumps(checked["checks"])
    assert [check["failing"] for check in checked["checks"] if check["name"] == "one_of(id)"] == [3]


def test_a_block_is_not_tried_again() -> None:
    @pipeline(retry=Retry(attempts=3))
    def stubborn() -> None:
        quality_gate(counts, row_count(9))

    done = run(stubborn)
    assert done.run.steps["quality_gate"].attempts == 1


def test_what_uses_the_rows_below_a_gate_waits_for_it_and_nothing_else_does() -> None:
    @pipeline
    def mixed() -> None:
        rows = clean(counts)
        early = fit(rows)
        quality_gate(rows, not_null("id"), name="gate")
        send(early)
        counts.append(rows)
        fit.options(name="other")(clean(sensors))

    assert after(mixed) == {"send": ["gate"], "append_counts": ["gate"]}


def test_a_gate_of_a_table_holds_back_what_reads_it_below() -> None:
    @pipeline
    def table() -> None:
        before = clean(counts)
        quality_gate(counts, not_null("id"))
        clean(counts)
        fit(before)
        clean(sensors)

    assert after(table) == {"clean-2": ["quality_gate"], "fit": ["quality_gate"]}


def test_a_gate_of_one_output_does_not_hold_back_the_other() -> None:
    @pipeline
    def parts() -> None:
        train, test = halves(clean(counts))
        quality_gate(test, row_count(1))
        fit(train)
        fit(test)

    assert after(parts) == {"fit-2": ["quality_gate"]}


def test_gates_are_numbered_named_and_can_wait_themselves() -> None:
    @pipeline
    def several() -> None:
        rows = clean(counts)
        quality_gate(rows, row_count(1))
        quality_gate(rows, unique("id"))
        quality_gate(sensors, row_count(1), name="known", after=rows)

    assert list(several.graph.nodes) == ["clean", "quality_gate", "quality_gate-2", "known"]
    assert after(several) == {"quality_gate-2": ["quality_gate"], "known": ["clean"]}
    assert run(several).state == "succeeded"


def test_conditions_can_ask_the_result() -> None:
    @pipeline
    def asking() -> None:
        seen = quality_gate(counts, [between("x", 2, severity="warn")])
        with when(seen["warned"]):
            tell(seen)

    assert run(asking).output("tell") == "warned"
    assert states(run(asking, GOOD.filter(pl.col("x") > 1)))["tell"] == "skipped"


def test_the_list_that_a_mapped_step_gives_is_gated_as_one_frame() -> None:
    @pipeline
    def mapped() -> None:
        quality_gate(part.map([0, 1, 2]), [row_count(9, 9), holds(lambda rows: rows.collect()["x"].max() == 5)])

    assert run(mapped).state == "succeeded"


def test_a_gate_is_given_rows_and_nothing_else() -> None:
    def number() -> None:
        quality_gate(fit(clean(counts)), not_null("id"))

    def constant() -> None:
        quality_gate(3, not_null("id"))

    def literal() -> None:
        quality_gate(counts, refers_to("id", SENSORS))

    def passed_on() -> None:
        fit(quality_gate(clean(counts), not_null("id")))

    for wrong in (number, constant, literal, passed_on):
        with pytest.raises(DefinitionError) as caught:
            pipeline(wrong)  # type: ignore[arg-type]
        assert str(caught.value.where).startswith(__file__)
