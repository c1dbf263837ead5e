"""Bad rows set aside: what goes on, what the table keeps and why, and what blocks all the same."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trikk import Pipeline, Table, pipeline, quality_gate, step, when
from trikk.core.errors import DefinitionError
from trikk.quality import GateBlocked, between, fresh, holds, matches, not_null, refers_to, row_count, unique
from trikk.quality.quarantine import SCHEMA
from trikk.testing import run_inline
from trikk.testing.inline_run import InlineRun

rejected = Table("rejected")
counts = Table("counts")
ROWS = pl.DataFrame({"id": [1, 2, 2, None, 3], "x": [1.0, 2.0, 3.0, 4.0, math.nan], "t": list("abcde")})


@step
def load() -> pl.DataFrame:
    return ROWS


@step
def shapes() -> pl.DataFrame:
    return pl.DataFrame({"when": [datetime(2024, 5, 1, tzinfo=UTC)], "id": ["no number"], "d": [date(2024, 5, 1)]})


@step
def fit(rows: pl.DataFrame) -> list[Any]:
    return rows["id"].to_list()


@step
def tell(result: dict[str, Any]) -> int:
    return int(result["set_aside"])


@pipeline
def nightly(at_most: float = 1.0) -> None:
    good, _, seen = quality_gate(
        load(),
        [not_null("id"), unique("id"), between("x", 0, 9), row_count(2), matches("t", "[a-d]", severity="warn")],
        quarantine=rejected,
        at_most=at_most,
        name="rows_ok",
    )
    fit(good)
    with when(seen["warned"]):
        tell(seen)


def run(made: Pipeline, **parameters: Any) -> InlineRun:
    return run_inline(made, tables={"counts": ROWS}, parameters=parameters)


def states(done: InlineRun) -> dict[str, str]:
    return {name: found.state for name, found in done.run.steps.items()}


def test_bad_rows_go_to_the_table_with_the_reason_and_the_run_goes_on_with_the_rest() -> None:
    done = run(nightly)
    assert done.state == "succeeded", done.error
    assert done.output("fit") == [1, 2]
    assert done.output("tell") == 3
    found = done.table("rejected")
    assert found.columns == ["at", "run", "pipeline", "gate", "reason", "row"]
    assert found["reason"].to_list() == ["unique(id)", "not_null(id)", "between(x)"]
    assert [json.loads(text) for text in found["row"]] == [
        {"id": 2, "x": 3.0, "t": "c"},
        {"id": None, "x": 4.0, "t": "d"},
        {"id": 3, "x": "NaN", "t": "e"},
    ]
    assert set(found.select("run", "pipeline", "gate").iter_rows()) == {(done.run.id, "nightly", "rows_ok")}
    assert found["at"].unique().to_list() == [datetime.fromtimestamp(done.run.created, UTC)]


def test_the_result_the_journal_and_the_report_say_what_was_set_aside() -> None:
    done = run(nightly)
    body: Any = next(e.body for e in done.events if e.kind == "quality.checked")
    assert (body["verdict"], body["passed"], body["warned"], body["set_aside"]) == ("warned", True, True, 3)
    aside = {check["name"]: check.get("set_aside") for check in body["checks"]}
    assert aside["unique(id)"] is True
    assert aside["matches(t)"] is None
    logged = {e.body["name"]: e.body["artifact"] for e in done.events if e.kind == "artifact.logged"}
    from trikk.storage.artifact import Artifact

    page = done.artifacts.load(Artifact.read(logged["quality-rows_ok.html"]))  # type: ignore[arg-type]
    assert "3 rows are set aside" in page.read_text()
    notes = [e.body["note"] for e in done.events if e.kind == "step.succeeded" and "note" in e.body]
    assert notes[0].startswith(
        "3 of 5 rows set aside: 4 of 6 checks failed: not_null(id) on 1 of 5 rows, unique(id)"
    )


def test_more_bad_rows_than_the_share_block_and_nothing_is_set_aside() -> None:
    assert run(nightly, at_most=0.6).state == "succeeded"
    done = run(nightly, at_most=0.5)
    assert states(done)["rows_ok"] == "failed"
    assert "quarantine on 3 of 5 rows" in str(done.error)
    assert states(done)["append_rejected"] == "waiting"
    body: Any = next(e.body for e in done.events if e.kind == "quality.checked")
    assert body["set_aside"] == 0


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (row_count(9), "row_count"),
        (holds(pl.col("x").sum() > 1e9), "holds"),
        (holds(lambda rows: rows.filter(pl.col("x") > 1)), "holds"),
        (fresh("day", "1h"), "fresh"),
        (between("nope", 0), "could not run"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_concerns_the_whole_frame_or_can_not_run_still_blocks(check: Any, words: str) -> None:
    rows = ROWS.with_columns(day=date(2020, 1, 1), x=pl.col("x").fill_nan(0))
    with pytest.raises(GateBlocked, match=words) as caught:
        quality_gate(rows, [not_null("id"), check], quarantine=rejected)
    assert caught.value.result["set_aside"] == 0


def test_a_gate_that_leaves_no_row_blocks_unless_it_may() -> None:
    bad = ROWS.with_columns(id=pl.lit(None, dtype=pl.Int64))
    with pytest.raises(GateBlocked, match="some rows left"):
        quality_gate(bad, not_null("id"), quarantine=rejected)
    good, aside, result = quality_gate(bad, not_null("id"), quarantine=rejected, allow_empty=True)
    assert (good.height, aside.height, result["set_aside"]) == (0, 5, 5)
    assert good.schema == bad.schema
    with pytest.raises(GateBlocked, match="no rows"):
        quality_gate(ROWS.clear(), not_null("id"), quarantine=rejected)


def test_without_bad_rows_nothing_is_written() -> None:
    @pipeline
    def clean() -> None:
        sorted_rows = quality_gate(load(), [row_count(1), not_null("t")], quarantine=rejected)
        fit(sorted_rows.good)

    done = run(clean)
    assert states(done)["append_rejected"] == "skipped"
    assert done.output("fit") == ROWS["id"].to_list()


def test_rows_that_a_check_allows_are_set_aside_as_well_and_the_line_says_so() -> None:
    @pipeline
    def lenient() -> None:
        good, _, _ = quality_gate(load(), not_null("id", allow=0.5), quarantine=rejected)
        fit(good)

    done = run(lenient)
    assert done.output("fit") == [1, 2, 2, 3]
    notes = [e.body["note"] for e in done.events if e.kind == "step.succeeded" and "note" in e.body]
    assert notes == ["1 of 5 rows set aside: all of 2 checks passed"]
    assert done.output("quality_gate")[2]["warned"]


def test_gates_of_any_columns_share_one_table() -> None:
    @pipeline
    def several() -> None:
        quality_gate(load(), not_null("id"), quarantine=rejected)
        late = between("d", date(2025, 1, 1))
        quality_gate(shapes(), late, quarantine=rejected, allow_empty=True, name="days")

    done = run(several)
    assert done.state == "succeeded", done.error
    found = done.table("rejected")
    assert found["gate"].to_list() == ["quality_gate", "days"]
    row = {"when": "2024-05-01T00:00:00+00:00", "id": "no number", "d": "2024-05-01"}
    assert json.loads(found["row"][1]) == row


def test_a_step_below_can_not_be_given_the_bad_rows_by_mistake() -> None:
    def whole() -> None:
        rows = load()
        quality_gate(rows, not_null("id"), quarantine=rejected)
        fit(rows)

    def table() -> None:
        quality_gate(counts, not_null("id"), quarantine=rejected)
        fit(counts)

    for wrong in (whole, table):
        with pytest.raises(DefinitionError, match="bad ones among them"):
            pipeline(wrong)

    @pipeline
    def mended() -> None:
        fit(counts)
        good, _, _ = quality_gate(counts, [not_null("id"), between("x", 0, 9)], quarantine=rejected)
        counts.overwrite(good)
        fit.options(name="again")(counts)

    done = run(mended)
    assert done.state == "succeeded", done.error
    assert done.output("again") == [1, 2, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"quarantine": "rejected"},
        {"at_most": 0.5},
        {"quarantine": rejected, "at_most": 1.5},
        {"quarantine": rejected, "at_most": True},
    ],
)
def test_wrong_options_are_refused_where_they_are_written(options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        quality_gate(ROWS, not_null("id"), **options)
    assert str(caught.value.where).startswith(__file__)


def test_the_good_rows_are_of_the_kind_of_frame_that_was_given() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"id": pd.array([1, None], dtype="Int64"), "c": pd.Categorical(["a", "b"])}, index=[5, 7])
    good = quality_gate(frame, not_null("id"), quarantine=rejected).good
    pd.testing.assert_frame_equal(good, frame.loc[[5]])
    arrow = quality_gate(ROWS.to_arrow(), not_null("id"), quarantine=rejected).good
    assert type(arrow).__name__ == "Table"
    assert arrow.num_rows == 4
    assert isinstance(quality_gate(ROWS.lazy(), not_null("id"), quarantine=rejected).good, pl.LazyFrame)
    parts = [ROWS.head(2), ROWS.tail(3)]
    assert quality_gate(parts, not_null("id"), quarantine=rejected).good.collect().height == 4


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        ([2**63 - 1, -(2**63)], pl.Int64, [2**63 - 1, -(2**63)]),
        ([2**64 - 1], pl.UInt64, [2**64 - 1]),
        ([2**100], pl.Int128, [2**100]),
        ([0.1, 1e300, 5e-324, -math.inf], pl.Float64, [0.1, 1e300, 5e-324, "-inf"]),
        (["1.10", "12345678901234567890.12"], pl.Decimal(38, 2), ["1.10", "12345678901234567890.12"]),
        ([1_700_000_000_123_456_789], pl.Datetime("ns"), ["2023-11-14T22:13:20.123456789"]),
        ([1, -60_000_000_001], pl.Duration("ns"), ["PT0.000000001S", "-PT1M0.000000001S"]),
        ([1, 86_399_999_999_999], pl.Time, ["00:00:00.000000001", "23:59:59.999999999"]),
        ([-800_000, 2**31 - 1], pl.Date, ["-0221-09-04", str(2**31 - 1)]),
        ([9 * 10**18, 0], pl.Datetime("us"), [str(9 * 10**18), "1970-01-01T00:00:00"]),
        ([b"\x00\xff", b""], pl.Binary, ["AP8=", ""]),
        (["a", "b"], pl.Categorical, ["a", "b"]),
        (["b", "a"], pl.Enum(["b", "a"]), ["b", "a"]),
        (['"\\\n\x00\x1b\u2028é}', '{"":null}'], pl.String, ['"\\\n\x00\x1b\u2028é}', '{"":null}']),
        ([[1.5, None, math.nan], []], pl.List(pl.Float64), [[1.5, None, "NaN"], []]),
        ([[[1], None], [[2], []]], pl.Array(pl.List(pl.Int64), 2), [[[1], None], [[2], []]]),
        (
            [{'a"b': [{"t": date(1, 1, 1)}]}],
            pl.Struct({'a"b': pl.List(pl.Struct({"t": pl.Date}))}),
            [{'a"b': [{"t": "0001-01-01"}]}],
        ),
        ([{}], pl.Struct({}), [{}]),
        ([None, None], pl.Null, [None, None]),
        ([True, False], pl.Boolean, [True, False]),
    ],
    ids=lambda value: str(value) if not isinstance(value, list) else "",
)  # fmt: skip
def test_no_type_loses_anything_on_its_way_to_json(values: list[Any], dtype: Any, wanted: list[Any]) -> None:
    base = pl.Series(dtype=dtype).dtype
    plain = pl.String if base.is_decimal() else pl.Int64 if base.is_temporal() else base
    column = pl.Series("v", [*values, None], dtype=plain).cast(base)
    rows = column.to_frame().with_columns(id=pl.lit(None, dtype=pl.Int64))
    aside = quality_gate(rows, not_null("id"), quarantine=rejected, allow_empty=True).rejected
    assert [json.loads(text) for text in aside["row"]] == [{"v": v, "id": None} for v in [*wanted, None]]


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [
        (datetime(2024, 4, 6, 13, 30, tzinfo=UTC), "2024-04-07T02:30:00+13:00"),  # half past two, twice
        (datetime(2024, 4, 6, 14, 30, tzinfo=UTC), "2024-04-07T02:30:00+12:00"),
        (datetime(1850, 1, 1, tzinfo=UTC), "1850-01-01T11:39:04+11:39:04"),
    ],
)
def test_a_moment_keeps_its_zone_s_offset(moment: datetime, wanted: str) -> None:
    at = pl.Series([moment], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Pacific/Auckland")
    rows = pl.DataFrame({"id": [None], "at": at})
    aside = quality_gate(rows, not_null("id"), quarantine=rejected, allow_empty=True).rejected
    assert json.loads(aside["row"][0])["at"] == wanted
    assert datetime.fromisoformat(wanted) == moment


def test_periods_and_intervals_of_pandas_keep_what_they_are_made_of() -> None:
    pd = pytest.importorskip("pandas")
    periods, intervals = pd.period_range("2024-01", periods=2, freq="M"), pd.interval_range(0, 2)
    rows = pd.DataFrame({"id": pd.array([1, None], dtype="Int64"), "p": periods, "i": intervals})
    good, aside, _ = quality_gate(rows, not_null("id"), quarantine=rejected)
    assert json.loads(aside["row"][0]) == {"id": None, "p": 649, "i": {"left": 1, "right": 2}}
    assert good.equals(rows.head(1))


def test_a_gate_of_whole_checks_only_sets_nothing_aside() -> None:
    good, aside, result = quality_gate(ROWS, row_count(1), quarantine=rejected)
    assert (good.height, aside.height, result["verdict"], result["set_aside"]) == (5, 0, "passed", 0)
    assert aside.schema == pl.Schema(SCHEMA)


def test_values_of_every_type_become_json() -> None:
    rows = pl.DataFrame({
        "id": [None],
        "b": [b"\x00\xff"],
        "dec": [Decimal("1.50")],
        "took": [timedelta(hours=1)],
        "inside": [[{"a": math.inf, "at": date(2024, 5, 1)}]],
        "reason": ["theirs"],
        "big": [2**63 - 1],
    })  # fmt: skip
    aside = quality_gate(rows, not_null("id"), quarantine=rejected, allow_empty=True).rejected
    assert json.loads(aside["row"][0]) == {
        "id": None, "b": "AP8=", "dec": "1.50", "took": "PT1H", "inside": [{"a": "inf", "at": "2024-05-01"}],
        "reason": "theirs", "big": 2**63 - 1,
    }  # fmt: skip
    assert aside["reason"].to_list() == ["not_null(id)"]


KEYS, NUMBERS = st.none() | st.integers(0, 3), st.none() | st.sampled_from([0.0, 1.0, 9.0, math.nan])
FRAMES = st.lists(
    st.tuples(KEYS, NUMBERS, st.integers(0, 2)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@example([(0, 0.0, 1), (0, 0.0, 0), (0, None, 0)])
@given(FRAMES)
def test_good_and_rejected_are_the_rows_and_every_good_row_passes(rows: list[Any]) -> None:
    frame = pl.DataFrame(rows, schema={"k": pl.Int64, "x": pl.Float64, "g": pl.Int64}, orient="row")
    frame = frame.with_row_index("n")
    checks = [
        not_null("k"),
        between("x", 0, 5, allow=0.5),
        unique("k", "g"),
        unique("x"),
        refers_to("g", pl.DataFrame({"g": [0, 1]})),
        holds("k < 3"),
    ]
    good, aside, result = quality_gate(frame, checks, quarantine=rejected, allow_empty=True)
    gone = [json.loads(text)["n"] for text in aside["row"]]
    assert sorted([*good["n"], *gone]) == list(range(len(rows)))
    assert result["set_aside"] == len(gone)
    assert quality_gate(good, checks, allow_empty=True)["verdict"] == "passed"
    repeats = [n for n, reason in zip(gone, aside["reason"], strict=True) if reason.startswith("unique")]
    whole = frame.filter(pl.col("n").is_in([*good["n"], *repeats]))
    for n, reason in zip(gone, aside["reason"], strict=True):  # of a row before it that is whole, set aside or not
        alone = quality_gate(
            pl.concat([whole.filter(pl.col("n") < n), frame[n]]),
            [c for c in checks if c.name in reason.split("; ")][:1],
            quarantine=rejected,
            allow_empty=True,
        )
        assert alone.result["set_aside"] >= 1
