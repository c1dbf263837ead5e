from __future__ import annotations

import importlib
import json
import string
from pathlib import Path

import pytest
from benchmarks.case import TRIKK, Case, chosen, sessions, work
from benchmarks.cases import ALL
from benchmarks.samples import Line, Sample, Table, cost, differ, met, ratio
from benchmarks.verdict import Change, Verdict
from benchmarks.ways.steps import complete, redone
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as main
from benchmarks import builds, report


def case(name: str = "x", **more: object) -> Case:
    settings: dict[str, object] = {"about": "{size} rows", "size": 1000, "trikk": work("a:b"), "by": "seconds"}
    return Case(name=name, **{**settings, "floors": {"hand": work("a:c")}, **more})  # type: ignore[arg-type]


def line(label: str, *seconds: float, **more: object) -> Line:
    return Line(label, samples=[[Sample(one, one, 1_000_000)] for one in seconds], **more)  # type: ignore[arg-type]


def table(**costs: tuple[float, float]) -> Table:
    return {name: {TRIKK: line(TRIKK, own), "hand": line("hand", hand)} for name, (own, hand) in costs.items()}


ABOUT = {
    "date": "1 May 2026",
    "machine": {"cpus": 2, "cpu": "C", "memory": 8e9, "system": "L", "python": "3.11", "load_at_start": 0.1,
                "load_at_end": 1.0},
    "minutes": 3, "build": "abc", "versions": {"polars": "2.1"},
}  # fmt: skip


def test_a_ratio_is_of_medians_by_the_cases_measure() -> None:
    lines = {one.label: one for one in (line(TRIKK, 1, 9, 3), line("hand", 2, 2, 2))}
    assert ratio({"x": lines}, case()) == 1.5
    assert ratio({"x": lines}, case(), pick="least") == 0.5
    assert ratio({"x": {TRIKK: lines[TRIKK]}}, case()) is None
    assert ratio({}, case()) is None


def test_what_is_wrong_or_skipped_has_no_figures() -> None:
    assert line("a", 1.0, trouble="another result").median("seconds") is None
    assert line("a", 1.0, skipped="not here").least("cpu") is None


@given(start=st.floats(0.01, 10), step=st.floats(0.01, 1), steps=st.integers(10, 3000), fewer=st.integers(3, 9))
def test_what_a_step_adds_does_not_depend_on_the_start(start: float, step: float, steps: int, fewer: int) -> None:
    chain = case("chain", less="one", size=steps)
    measured = table(one=(start + step, start), chain=(start + step + steps * step, start + 2 * steps * step))
    measured["chain"]["few"] = line("few", start + step + fewer * step, scale=steps / fewer)
    assert ratio(measured, chain) == pytest.approx(0.5, rel=1e-3)
    assert cost(measured, chain, "few", "seconds") == pytest.approx(steps * step, rel=1e-3)
    assert cost(measured, chain, TRIKK, "peak") == 1_000_000


def test_targets_are_met_at_the_limit_and_missed_above_it() -> None:
    assert met(table(x=(1.5, 1.0)), case(target=1.5)) is True
    assert met(table(x=(1.51, 1.0)), case(target=1.5)) is False
    assert met(table(x=(1.5, 1.0)), case()) is None
    assert met({}, case(target=1.5)) is None


@pytest.mark.parametrize(
    ("left", "right", "difference"),
    [
        ({"a": [1.0, "x"]}, {"a": [1.0 + 1e-9, "x"]}, None),
        ({"a": 1.0}, {"a": 1.1}, "[a] is 1.0, not 1.1"),
        ([1, 2], [1], "the result has 2 entries, not 1"),
        ({"a": 1}, {"b": 1}, "the result has ['a'], not ['b']"),
        ("49", "50", "the result is '49', not '50'"),
        (None, 0, "the result is None, not 0"),
    ],
)
def test_two_results_are_the_same_to_a_millionth(left: object, right: object, difference: str | None) -> None:
    assert differ(left, right) == difference


def test_chosen_cases_bring_what_is_taken_off_them() -> None:
    cases = [case("one"), case("chain", less="one"), case("frame"), case("frame-b")]
    assert [one.name for one in chosen(cases, ["chain"])] == ["one", "chain"]
    assert [one.name for one in chosen(cases, ["frame*"])] == ["frame", "frame-b"]
    with pytest.raises(KeyError, match="nothing"):
        chosen(cases, ["nothing"])
    assert [[one.name for one in session] for session in sessions(cases)] == [
        ["one", "chain"],
        ["frame"],
        ["frame-b"],
    ]


def test_every_case_can_be_measured_as_it_is_declared() -> None:
    names = [one.name for one in ALL]
    assert len(names) == len(set(names))
    for session in sessions(ALL):  # or what is taken off would be measured in another minute
        assert all(not one.less or one.less in {each.name for each in session} for one in session)
    for one in ALL:
        assert {field for _, field, *_ in string.Formatter().parse(one.about)} <= {"size", None}
        for way in one.ways(one.peers).values():
            module, _, name = way.function.partition(":")
            assert callable(getattr(importlib.import_module(f"benchmarks.ways.{module}"), name))


def test_the_summary_has_a_row_for_each_case_with_its_verdict() -> None:
    text = report.summary_text([case("x", target=1.2), case("y"), case("z")], table(x=(3.0, 2.0), y=(1.0, 2.0)))
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]
    assert rows[2] == ["`x`", "1,000 rows", "s", "3.00", "2.00", "hand", "1.50", "1.2", "missed"]
    assert rows[3] == ["`y`", "1,000 rows", "s", "1.00", "2.00", "hand", "0.500", "", ""]
    assert len({len(row) for row in text.splitlines()}) == 1


def test_losses_come_with_their_reason_and_with_who_is_ahead() -> None:
    measured = table(x=(3.0, 2.0), y=(2.1, 2.0), z=(9.0, 2.0))
    measured["x"] |= {"peer": line("peer", 1.0), "slow": line("slow", 8.0), "off": line("off", 1.0, trouble="no")}
    text = report.losses_text([case("x", why="It syncs."), case("y"), case("z", why="It forks.")], measured)
    assert text.splitlines() == [
        "- `z`, 4.50 x hand. It forks.",
        "- `x`, 1.50 x hand. It syncs. Also ahead, in the same unit: peer 0.500.",
    ]


def test_ways_that_failed_or_were_skipped_are_named_with_the_reason() -> None:
    measured = table(x=(3.0, 2.0))
    measured["x"] |= {"a": line("a", 1.0, trouble="exit code | 1"), "b": line("b", skipped="uv: no")}
    text = report.ways_text([case()], measured)
    assert "failed: exit code \\| 1" in text
    assert "skipped: uv: no" in text


def test_the_page_gets_what_was_measured_between_its_marks() -> None:
    text = report.page_text([case()], table(x=(3.0, 2.0)), ABOUT)
    page = report.splice("a\n<!-- measured -->\nold\n<!-- end of measured -->\nb\n", "measured", text)
    assert page.startswith("a\n<!-- measured -->\n\n1 May 2026: 2 CPUs")
    assert "old" not in page
    assert page.endswith("<!-- end of measured -->\nb\n")
    assert report.splice(page, "measured", text) == page
    with pytest.raises(ValueError, match="each once"):
        report.splice("a", "measured", text)


@pytest.mark.parametrize("block", ["measured", "peers"])
def test_the_documentation_has_a_place_for_what_is_measured(block: str) -> None:
    page = (builds.REPOSITORY / "docs" / "benchmarks.md").read_text()
    assert "what was measured" in report.splice(page, block, "what was measured")


def test_the_report_can_be_written_as_json() -> None:
    written = json.loads(json.dumps(report.to_json([case(target=1)], table(x=(3.0, 2.0)), ABOUT)))
    assert written["cases"]["x"]["met"] is False
    assert written["cases"]["x"]["ways"][TRIKK]["rounds"][0][0]["seconds"] == 3.0


def test_a_comparison_says_slower_by_how_much() -> None:
    measured: Table = {
        "x": {"old": line("old", *[1.0] * 6), "new": line("new", *[1.5] * 6)},
        "y": {"old": line("old", *[1.0] * 6), "new": line("new", *[1.0] * 6)},
        "z": {"old": line("old", skipped="cannot import name 'x'"), "new": line("new", *[1.0] * 6)},
    }
    cases = [case(name) for name in "xyz"]
    verdicts = report.compared(cases, measured)
    rows = report.comparison_text(cases, measured, verdicts).splitlines()[2:]
    assert "slower by 1.50 (CPU), slower by 1.50 (wall)" in rows[0]
    assert "no difference beyond the noise" in rows[1]
    assert "old: cannot import name 'x'" in rows[2]
    faster = {"cpu": Verdict(Change.FASTER, 0.5, 0.5, 0.1), "peak": Verdict(Change.SLOWER, 2.0, 2.0, 0.1)}
    assert report.verdict_text(faster) == "faster by 2.00 (CPU), more memory by 2.00"


@given(failed=st.integers(1, 10), repeated=st.integers(0, 9))
def test_steps_redone_are_those_that_had_finished(failed: int, repeated: int) -> None:
    repeated = min(repeated, failed - 1)
    first, second = list(range(1, failed + 1)), list(range(failed - repeated, 11))
    assert redone(first, second) == repeated
    assert complete(first, second, 10)


def test_a_second_try_that_does_not_reach_the_end_is_not_complete() -> None:
    assert not complete([1, 2, 3], [3, 4], 10)
    assert not complete([1, 2, 3], [], 3)
    assert not complete([1, 2, 4], [4, 5], 5)


def test_a_build_to_compare_with_is_a_commit_or_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "WORK", tmp_path)
    commit = builds.earlier("HEAD")
    assert (commit.source / "trikk" / "__init__.py").exists()
    assert commit.requirements
    folder = builds.earlier(str(builds.REPOSITORY))
    assert (folder.source / "trikk" / "__init__.py").exists()
    with pytest.raises(builds.NoBuild, match="nosuch is no commit here"):
        builds.earlier("nosuch")


def test_wrong_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, text in (
        (["--only", "nosuch"], "no case is called 'nosuch'"),
        (["--only", "one", "--page", "x"], "--page takes"),
    ):
        with pytest.raises(SystemExit) as error:
            main.main(wrong)
        assert error.value.code == 2
        assert text in capsys.readouterr().err
