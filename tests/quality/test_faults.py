"""Bad rows, bad checks: every failure is told, and the other checks still run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trikk.core.errors import CodecError, PermanentError, StorageError
from trikk.quality import (
    GateBlocked,
    between,
    fresh,
    has_columns,
    holds,
    like,
    matches,
    not_null,
    one_of,
    quality_gate,
    refers_to,
    row_count,
    unique,
)

ROWS = pl.DataFrame({"id": [1, 2, 2, None], "x": [1.0, None, 3.0, 4.0], "t": ["a", "b", "c", None]})


def boom(*_: object) -> Any:
    raise ValueError("boom\n" * 200)


def found_by(check: Any, rows: Any = ROWS, **options: Any) -> dict[str, Any]:
    """The result of a check that fails, between two that pass."""
    with pytest.raises(GateBlocked) as caught:
        quality_gate(rows, [row_count(0), check, holds(pl.len() >= 0)], **options)
    first, found, last = caught.value.result["checks"]
    assert first["passed"]
    assert last["passed"]
    json.dumps(caught.value.result, allow_nan=False)
    result: dict[str, Any] = found
    return result


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (not_null("nope"), "there is no column nope; there are: id, x, t"),
        (not_null("*"), "takes the name * for a pattern"),
        (unique("^i.*$"), "for a pattern"),
        (holds(lambda _: (_ for _ in ()).throw(ValueError("\0 \ud800 é"))), "ValueError: \\x00 \\ud800 é"),
        (fresh("t", "1h"), "t is String, not a date or time"),
        (matches("id", "1"), "id is Int64, not text"),
        (matches("t", "(unclosed"), "regex"),
        (between("t", 1, 2), "cannot compare string with numeric"),
        (one_of("id", ["a"]), "is_in"),
        (one_of("t", ["a", 1]), "TypeError"),
        (refers_to("id", pl.DataFrame({"no": [1]})), "the reference has no column id; it has: no"),
        (refers_to("id", pl.DataFrame({"id": ["1"]})), "is_in"),
        (holds(pl.col("nope") > 1), "there is no column nope; there are: id, x, t"),
        (holds("nope > 1"), "there is no column nope; there are: id, x, t"),
        (holds("id >"), "SQL"),
        (holds(pl.col("id") + 1), "it gives Int64, neither true nor false"),
        (holds(pl.col("id").map_elements(boom, return_dtype=pl.Boolean)), "boom"),
        (holds(pl.col("t").cast(pl.Int64, strict=True) > 1), "conversion"),
        (holds(boom), "ValueError: boom"),
        (holds(lambda rows: rows.collect().height), "it returned int"),
        (holds(lambda rows: rows.filter(pl.col("nope"))), "nope"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_check_that_can_not_run_counts_as_failed_and_stops_no_other(check: Any, why: str) -> None:
    found = found_by(check)
    assert found["ran"] is False
    assert found["observed"].startswith("could not run: ")
    assert why in found["observed"]
    assert "\n" not in found["observed"]
    assert len(found["observed"]) < 400
    assert found["sample"] == []


@pytest.mark.parametrize(
    "check",
    [
        not_null("id"),
        unique("id"),
        between("x", 0),
        one_of("t", ["a"]),
        matches("t", "a"),
        refers_to("id", ROWS),
        like("x", ROWS),
        holds("id > 0"),
    ],
    ids=lambda check: check.kind,
)
def test_no_rows_are_a_failure_unless_they_are_allowed(check: Any) -> None:
    empty = ROWS.clear()
    assert found_by(check, empty)["observed"] == "no rows"
    assert quality_gate(empty, [check, row_count(0)], allow_empty=True)["rows"] == 0


def test_a_frame_without_columns_is_judged_too() -> None:
    with pytest.raises(GateBlocked) as caught:
        quality_gate(pl.DataFrame(), [has_columns(["id"]), not_null("id"), row_count(1)])
    told = [check["observed"] for check in caught.value.result["checks"]]
    assert told == ["no column id", "could not run: there is no column id; there are: none", "0 rows"]


def test_rows_that_can_not_be_read_are_no_verdict_and_may_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no parquet")
    with pytest.raises(StorageError, match="could not run") as caught:
        quality_gate(pl.scan_parquet(tmp_path / "rows.parquet"), [not_null("id"), row_count(0)])
    assert not isinstance(caught.value, PermanentError)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(CodecError):
        quality_gate(3, [row_count(0)])


def test_a_blocked_gate_is_a_permanent_error_with_the_whole_result() -> None:
    with pytest.raises(PermanentError) as caught:
        quality_gate(ROWS, [not_null("id"), between("x", 0, severity="warn")])
    assert isinstance(caught.value, GateBlocked)
    assert caught.value.what.splitlines()[0] == "blocked by 1 of 2 checks: not_null(id) on 1 of 4 rows"
    assert [check["passed"] for check in caught.value.result["checks"]] == [False, True]


def test_warnings_and_information_let_the_rows_pass() -> None:
    found = quality_gate(ROWS, [not_null("id", severity="warn"), unique("id", severity="info")])
    assert (found["verdict"], found["passed"], found["warned"]) == ("warned", True, True)
    assert quality_gate(ROWS, [unique("id", severity="info")])["verdict"] == "passed"


def test_failing_rows_are_kept_up_to_a_number_with_the_column_in_question_first() -> None:
    rows = pl.DataFrame({"id": range(100), "x": [-1.0] * 100})
    found = found_by(between("x", 0), rows)
    assert found["sample"] == [{"x": -1.0, "id": n} for n in range(5)]
    assert found_by(between("x", 0), rows, sample=2)["sample"] == [{"x": -1.0, "id": 0}, {"x": -1.0, "id": 1}]


def test_no_value_of_a_row_is_kept_if_none_may_be() -> None:
    rows = pl.DataFrame({"id": ["secret-1", "secret-1"], "x": [7.25, 7.25]})
    checks = [unique("id"), between("x", 0, 1), one_of("id", ["a"]), matches("id", "b"), holds("x < 1")]
    with pytest.raises(GateBlocked) as caught:
        quality_gate(rows, checks, sample=0)
    text = json.dumps(caught.value.result)
    assert all(check["failing"] for check in caught.value.result["checks"])
    assert "secret" not in text
    assert "7.25" not in text


def test_repeated_values_are_shown_once_with_their_number_the_most_frequent_first() -> None:
    rows = pl.DataFrame({"k": [3, 1, 1, 2, 2, 2, 4], "v": range(7)})
    assert found_by(unique("k"), rows)["sample"] == [{"k": 2, "times": 3}, {"k": 1, "times": 2}]


def test_long_texts_wide_rows_and_odd_values_are_cut_and_written_out() -> None:
    rows = pl.DataFrame({"t": ["x" * 5000]}).with_columns(
        pl.lit(float("inf")).alias("f"),
        pl.lit(b"\x00\xff").alias("b"),
        *(pl.lit(n).alias(f"c{n}") for n in range(40)),
    )
    sample = found_by(matches("t", "y"), rows)["sample"][0]
    assert len(sample) == 12
    assert len(sample["t"]) == 83
    assert sample["f"] == "inf"
    assert sample["b"] == "b'\\x00\\xff'"


def test_a_statement_of_the_whole_frame_is_told_from_one_of_its_rows() -> None:
    assert quality_gate(ROWS, [holds(pl.col("x").mean() > 2)])["checks"][0]["failing"] is None
    assert found_by(holds(pl.col("x").mean() > 3))["share"] is None
    found = found_by(holds(pl.col("x").filter(pl.col("x") > 9).max() > 3))  # of no row
    assert (found["failing"], found["observed"].partition(":")[0]) == (None, "it is null, neither true nor false")
    assert found_by(holds(lambda rows: rows.collect().height == 3))["observed"] == "it is not so"
    assert found_by(holds(pl.all().is_not_null()))["failing"] == 2


def test_the_rows_are_read_once_where_all_is_well() -> None:
    reads = []

    def counted(frame: pl.DataFrame) -> pl.DataFrame:
        reads.append(frame.height)
        return frame

    lazy = ROWS.lazy().map_batches(counted, schema=ROWS.schema)
    quality_gate(
        lazy, [row_count(1), unique("t", "x"), between("x", 0), one_of("t", list("abc")), holds("id > 0")]
    )
    assert reads == [4]
