from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import cases, figures, jobs, measure, process, report, targets


def line(label: str, *seconds: float, **more: int) -> figures.Line:
    return figures.Line(label, [figures.Outcome(one, one, 1_000_000, **more) for one in seconds])


def table(**by_case: figures.Line) -> figures.Table:
    return {case: {one.label: one} for case, one in by_case.items()}


def run(code: str, folder: Path, **options: object) -> process.Sample:
    command = jobs.Command([sys.executable, "-c", code], folder, {"EXTRA": "1"})
    environ = process.environment(command, folder, folder)
    return process.run(command, environ, folder / "log", timeout=60, **options)  # type: ignore[arg-type]


def test_a_median_leaves_out_what_went_wrong() -> None:
    one = figures.Line(
        "x", [figures.Outcome(1, 0, 0), figures.Outcome(99, 0, 0, trouble="exit code 1"), figures.Outcome(3, 0, 0)]
    )
    assert one.median("seconds") == 2
    assert len(one.good) == 2


def test_a_line_without_a_good_outcome_has_no_median() -> None:
    assert figures.Line("x", [figures.Outcome(1, 0, 0, trouble="exit code 1")]).median("seconds") is None
    assert line("x", 1.0).median("stored") is None


def test_a_ratio_needs_both_sides() -> None:
    assert figures.ratio(3.0, 2.0) == 1.5
    assert figures.ratio(None, 2.0) is None
    assert figures.ratio(3.0, None) is None
    assert figures.ratio(3.0, 0.0) is None


@given(
    start=st.floats(0.01, 10),
    step=st.floats(0.0001, 1),
    steps=st.integers(3, 3000),
    least=st.integers(1, 2),
)
def test_milliseconds_a_step_do_not_depend_on_the_start(start: float, step: float, steps: int, least: int) -> None:
    measured = table(one=line("x", start + least * step), chain50=line("x", start + steps * step))
    found = figures.ms_per_step(measured, "chain50", steps, "x", least)
    assert found == pytest.approx(step * 1000, rel=1e-4)


def test_milliseconds_a_step_are_not_made_up() -> None:
    assert figures.ms_per_step(table(chain50=line("x", 1.0)), "chain50", 50, "x") is None
    assert figures.ms_per_step(table(one=line("x", 1.0)), "one", 1, "x") is None


@given(failed=st.integers(1, 10), repeated=st.integers(0, 9))
def test_steps_redone_are_those_that_had_finished(failed: int, repeated: int) -> None:
    repeated = min(repeated, failed - 1)
    first = list(range(1, failed + 1))
    second = list(range(failed - repeated, 11))
    assert figures.redone(first, second) == repeated
    assert figures.complete(first, second, 10)


def test_a_resume_that_does_not_reach_the_end_is_not_complete() -> None:
    assert not figures.complete([1, 2, 3], [3, 4], 10)
    assert not figures.complete([1, 2, 3], [], 3)
    assert not figures.complete([1, 2, 4], [4, 5], 5)


def test_targets_without_figures_are_not_judged() -> None:
    verdicts = targets.judge({})
    assert len(verdicts) == len(targets.TARGETS)
    assert all(verdict.met is None for verdict in verdicts)


def test_targets_are_met_at_the_limit_and_missed_above_it() -> None:
    measured = table(one=line("trikk", 0.4), chain50=line("trikk", 0.4 + 49 * 0.005))
    measured["import"] = {"trikk": line("trikk", 0.151)}
    met = {verdict.text: verdict.met for verdict in targets.judge(measured)}
    assert met["one step, cold"] is True
    assert met["import trikk"] is False
    assert met["fan50"] is None


def test_targets_show_the_fastest_processes_beside_the_medians() -> None:
    measured: figures.Table = {"import": {"trikk": line("trikk", 0.1, 0.9, 0.9)}}
    found = next(verdict for verdict in targets.judge(measured) if verdict.text == "import trikk")
    assert (found.measured, found.best, found.met) == (0.9, 0.1, False)


def test_a_step_redone_misses_its_target() -> None:
    measured = table(resume10=line("trikk", 0.1, 0.1, redone=0), kill10=line("trikk", 0.1, redone=2))
    measured["resume10"]["trikk"].outcomes.append(figures.Outcome(0.1, 0, 0, redone=1))
    met = {verdict.text: verdict.met for verdict in targets.judge(measured)}
    assert met["resume10: steps redone"] is False
    assert met["kill10: steps redone"] is False


def test_the_frame_is_judged_against_raw_arrow() -> None:
    lines = {one.label: one for one in (line("trikk", 1.2, stored=110), line(targets.ARROW, 1.0, stored=100))}
    found = {verdict.text: verdict.measured for verdict in targets.judge({"frame": lines})}
    assert found["frame: time against raw Arrow IPC in one process"] == pytest.approx(1.2)
    assert found["frame: bytes against raw Arrow IPC"] == pytest.approx(1.1)


def test_every_target_can_be_measured_by_the_lines_that_trikk_has() -> None:
    from benchmarks.contenders.floor import Floor
    from benchmarks.contenders.trikk import Trikk

    full: figures.Table = {
        case.name: {
            entry.label: line(entry.label, 1.0 + case.steps, stored=1, own_peak=1, redone=0)
            for one in (Floor(), Trikk())
            for entry in one.entries(case.name)
        }
        for case in cases.ALL
    }
    assert all(verdict.met is not None for verdict in targets.judge(full))
    assert all(case.reference in full[case.name] for case in cases.ALL)


def test_chosen_cases_bring_those_they_need() -> None:
    assert [case.name for case in cases.chosen(["chain2000"])] == ["one", "chain50", "chain2000"]
    assert [case.name for case in cases.chosen(["help"])] == ["help"]
    assert cases.chosen([]) == list(cases.ALL)
    with pytest.raises(KeyError):
        cases.chosen(["nothing"])


def test_a_table_is_aligned_and_without_empty_columns() -> None:
    text = report.table_text([("", "seconds", "never", "n"), ("trikk", "0.5", "", "3"), ("x", "12.25", "", "3")])
    lines = text.splitlines()
    assert len({len(one) for one in lines}) == 1
    assert "never" not in text
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == ["trikk", "0.5", "3"]


def test_the_report_of_a_case_gives_ratios_and_troubles() -> None:
    case = cases.BY_NAME["chain50"]
    measured = table(one=line("trikk", 0.25))
    measured["chain50"] = {
        "trikk": line("trikk", 0.5),
        case.reference: line(case.reference, 0.25),
        "broken": figures.Line("broken", [figures.Outcome(0, 0, 0, trouble="exit code 1")]),
    }
    text = report.case_text(case, measured, {})
    row = next(one for one in text.splitlines() if one.startswith("| trikk"))
    assert "2.00" in row
    assert f"{0.25 / 49 * 1000:.2f}" in row
    assert "- broken: exit code 1" in text


def test_a_chain_that_takes_no_longer_than_a_step_is_called_noise() -> None:
    case = cases.BY_NAME["chain50"]
    measured = table(one=line("prefect", 7.3), chain50=line("prefect", 7.2))
    assert "noise" in report.case_text(case, measured, {})
    assert "noise" not in report.case_text(case, table(chain50=line("prefect", 7.2)), {})


def test_the_summary_has_every_contender_and_the_cases_that_several_have() -> None:
    measured: figures.Table = {"one": {name: line(name, 2.0, 1.0, 3.0) for name in ("a", "b", "c")}}
    measured["memory"] = {"a": line("a", 1.0)}
    measured["help"] = {name: line(name, 0.5) for name in ("a", "b", "d")}
    text = report.summary_text(measured)
    assert "memory" not in text
    assert [row.split()[1] for row in text.splitlines()[4:]] == ["a", "b", "c", "d"]
    assert "2.00 (1.00)" in text


def test_the_report_can_be_written_as_json() -> None:
    measured = table(resume10=line("trikk", 0.1, redone=0, left=0))
    written = report.to_json(measured, targets.judge(measured), {"machine": {"cpus": 2}})
    assert json.loads(json.dumps(written))["cases"]["resume10"]["lines"][0]["outcomes"][0]["redone"] == 0


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytearray(300_000_000)'], check=True)"
    sample = run(code, tmp_path, watch_memory=True)
    assert sample.code == 0
    assert sample.peak > 250_000_000
    assert sample.own_peak is not None
    assert sample.own_peak < 150_000_000


def test_a_process_gets_a_bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    sample = run("import os; print(sorted(os.environ))", tmp_path)
    assert sample.code == 0
    names = (tmp_path / "log").read_text()
    assert "SECRET" not in names
    assert "EXTRA" in names
    assert "DO_NOT_TRACK" in names


def test_a_process_that_hangs_is_killed_when_told_and_its_children_are_found(tmp_path: Path) -> None:
    code = (
        "import pathlib, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'], start_new_session=True)\n"
        "pathlib.Path('reached').touch(); time.sleep(100)"
    )
    sample = run(code, tmp_path, kill_when=(tmp_path / "reached").exists)
    assert sample.code == -9
    left = process.survivors(tmp_path)
    assert len(left) == 1
    process.end(left)


def test_a_result_that_is_wrong_or_missing_does_not_count(tmp_path: Path) -> None:
    assert measure.wrong_result(tmp_path, None) is None
    assert "no result" in str(measure.wrong_result(tmp_path, "50"))
    (tmp_path / "result.txt").write_text("49")
    assert measure.wrong_result(tmp_path, "50") == "the result is 49, not 50"
    assert measure.wrong_result(tmp_path, "49") is None


def test_only_regular_files_are_counted_as_kept(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "a")
    assert measure.size(tmp_path) == 5
    assert measure.size(None) is None


def test_rounds_are_interleaved_and_slow_lines_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("WORK", "HOMES", "LOGS"):
        monkeypatch.setattr(measure, name, tmp_path / name)

    def job(label: str) -> object:
        def prepare(folder: Path) -> jobs.Job:
            order.append(label)
            return jobs.Job(jobs.Command([sys.executable, "-c", "pass"], folder))

        return prepare

    class Two:
        name = "two"

        def ready(self) -> None:
            return None

        def versions(self) -> dict[str, str]:
            return {}

        def entries(self, case: str) -> list[jobs.Entry]:
            return [jobs.Entry("fast", job("fast")), jobs.Entry("slow", job("slow"), runs=1)]  # type: ignore[arg-type]

    found = measure.interleaved([cases.BY_NAME["help"]], [Two()], 2)
    assert order == ["fast", "slow", "fast"]
    assert len(found["help"]["fast"].good) == 2
    assert list((tmp_path / "WORK" / "help").iterdir()) == []


def test_one_contenders_trouble_is_noted_and_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORK", "HOMES", "LOGS"):
        monkeypatch.setattr(measure, name, tmp_path / name)

    def prepare(folder: Path) -> jobs.Job:
        raise OSError("no room")

    assert measure.once("help", jobs.Entry("broken", prepare)).trouble == "OSError: no room"
    failing = jobs.Entry(
        "failing", lambda folder: jobs.Job(jobs.Command([sys.executable, "-c", "raise SystemExit(3)"], folder))
    )
    assert str(measure.once("help", failing).trouble).startswith("exit code 3")
