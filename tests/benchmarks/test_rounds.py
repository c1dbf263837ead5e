"""The loop over real processes, with ways that are written into a package of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.builds import Build
from benchmarks.case import TRIKK, Case, work
from benchmarks.rounds import Plan, measure
from benchmarks.samples import Table, ratio

from benchmarks import rounds

WAYS = """
import contextlib, json, os, pathlib, subprocess, sys, time
from benchmarks.samples import Sample
from benchmarks.ways import Ready, Unavailable

TURNS = pathlib.Path(os.environ["BENCH_WORK"]).parents[1] / "turns.txt"

def add(size, name="trikk", wrong=0):
    def run():
        with TURNS.open("a") as turns:
            turns.write(name + " ")
        time.sleep(0.21)
        return {"sum": sum(range(size)) + wrong}
    return run

def sampled(size, cost):
    return lambda: Sample(cost, cost, 1) + Sample(1.0, 1.0, 5).telling({"sum": sum(range(size))})

def framed(size):
    return Ready(lambda: range(size), lambda result: {"sum": sum(result)})

def prepared(size):
    sums = []
    return Ready(lambda: {"sum": sums.pop()}, before=lambda: time.sleep(0.21) or sums.append(sum(range(size))))

def absent(size):
    raise Unavailable("uv: no such package")

def unimportable(size):
    import no_such_module

def outdated(size):
    from trikk.core import no_such_module

def moved(size):
    import trikk.no_such_module

def failing(size):
    return lambda: 1 / 0

def dying(size):
    return lambda: os._exit(3) if TURNS.exists() else TURNS.touch()

def noisy(size):
    def run():
        print("not JSON")
        subprocess.run(["echo", "nor this"])
    return run

@contextlib.contextmanager
def cleaning(size):
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield lambda: server.poll()
    (TURNS.parent / "cleaned").touch()

def source(size):
    return lambda: (os.environ["BENCH_SOURCE"], os.environ["PYTHONPATH"].split(":")[0])
"""


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes find `ways/probes.py` beside the real ones, and work in a folder of the test."""
    for name in ("WORK", "HOMES", "LOGS"):
        monkeypatch.setattr(rounds, name, tmp_path / name)
    package = tmp_path / "source" / "sitecustomize.py"
    package.parent.mkdir()
    package.write_text(f"import benchmarks.ways\nbenchmarks.ways.__path__.append({str(tmp_path / 'probes')!r})\n")
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes" / "probes.py").write_text(WAYS)


def measured(tmp_path: Path, case: Case, *more: Case, plan: Plan | None = None) -> Table:
    build = Build("test", tmp_path / "source", None)

    def ways(one: Case) -> rounds.Ways:
        return {label: (way, build) for label, way in one.ways(one.peers).items()}

    return measure([case, *more], ways, plan or Plan(2, 0.0, 2), cold=lambda *_: False)


def case_of(trikk: str, *arguments: object, floor: str = "probes:add", **more: object) -> Case:
    floors = {"by hand": work(floor, *(["floor"] if floor == "probes:add" else []))}
    return Case(name="sums", about="", size=10, trikk=work(trikk, *arguments), floors=floors, **more)  # type: ignore[arg-type]


def test_ways_take_turns_back_and_forth(tmp_path: Path) -> None:
    table = measured(tmp_path, case_of("probes:add"), plan=Plan(3, 60.0, 3))
    turns = (tmp_path / "WORK" / "ways" / "turns.txt").read_text().split()
    assert turns == [*["floor", TRIKK] * 2, TRIKK, "floor", "floor", TRIKK]  # first the uncounted ones
    assert [len(line.samples) for line in table["sums"].values()] == [3, 3]
    assert all(0.2 < (line.median("seconds") or 0) < 2 for line in table["sums"].values())


def test_another_result_than_the_floors_does_not_count(tmp_path: Path) -> None:
    table = measured(tmp_path, case_of("probes:add", TRIKK, 1))
    assert table["sums"][TRIKK].trouble == "[sum] is 46, not 45 as 'by hand' has it"
    assert table["sums"][TRIKK].median("cpu") is None
    assert table["sums"]["by hand"].trouble is None


def test_a_result_is_made_plain_outside_the_timed_part(tmp_path: Path) -> None:
    line = measured(tmp_path, case_of("probes:framed"))["sums"][TRIKK]
    assert line.trouble is None
    assert (line.median("seconds") or 1) < 0.01
    assert len(line.samples[0]) > 1  # what is short is done several times in a round


def test_what_prepares_a_run_is_not_timed(tmp_path: Path) -> None:
    line = measured(tmp_path, case_of("probes:prepared"))["sums"][TRIKK]
    assert line.trouble is None
    assert (line.median("seconds") or 1) < 0.01


@pytest.mark.parametrize(
    ("way", "reason"), [("absent", "uv: no such package"), ("unimportable", "No module named 'no_such_module'")]
)
def test_a_missing_peer_is_skipped_with_the_reason_and_the_others_go_on(
    tmp_path: Path, way: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = measured(tmp_path, case_of("probes:add", peers={"peer": work(f"probes:{way}")}))
    assert table["sums"]["peer"].skipped == reason
    assert table["sums"][TRIKK].median("cpu") is not None
    assert f"skipped: {reason}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("failing", "ZeroDivisionError: division by zero"),
        ("dying", "died, see"),
        ("outdated", "ImportError: cannot import name 'no_such_module'"),
        ("moved", "No module named 'trikk.no_such_module'"),
    ],
)
def test_what_fails_or_dies_is_noted_and_goes_no_further(tmp_path: Path, way: str, reason: str) -> None:
    table = measured(tmp_path, case_of("probes:add", peers={"peer": work(f"probes:{way}")}))
    assert str(table["sums"]["peer"].trouble).startswith(reason)
    assert table["sums"]["peer"].median("cpu") is None
    assert table["sums"][TRIKK].trouble is None


def test_what_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TIMEOUT", 0.05)
    assert "took longer than" in str(measured(tmp_path, case_of("probes:add"))["sums"][TRIKK].trouble)


def test_a_case_that_waits_for_the_clock_has_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "TIMEOUT", 0.05)
    assert measured(tmp_path, case_of("probes:add", patience=60))["sums"][TRIKK].samples
    patient = measured(tmp_path, case_of("probes:add", patience=0.05))["sums"][TRIKK]
    assert patient.trouble == f"took longer than 0.05 s, see {tmp_path / 'LOGS' / 'sums-trikk.txt'}"


def test_what_a_run_has_measured_itself_counts(tmp_path: Path) -> None:
    case = case_of("probes:sampled", 3.0, floor="probes:framed", by="seconds")
    line = measured(tmp_path, case)["sums"][TRIKK]
    assert (line.median("seconds"), line.median("peak")) == (4.0, 5)


def test_output_of_the_work_does_not_disturb(tmp_path: Path) -> None:
    assert measured(tmp_path, case_of("probes:noisy"))["sums"][TRIKK].trouble is None
    assert "not JSON" in (tmp_path / "LOGS" / "sums-trikk.txt").read_text()


def test_a_way_cleans_up_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    measured(tmp_path, case_of("probes:cleaning", floor="probes:noisy"))
    ways = tmp_path / "WORK" / "ways"
    assert (ways / "cleaned").exists()
    assert rounds.process.survivors(ways) == []
    assert not list((ways / "sums").iterdir())


def test_each_build_has_its_own_source(tmp_path: Path) -> None:
    case = case_of("probes:source")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sitecustomize.py").write_text((tmp_path / "source" / "sitecustomize.py").read_text())

    def ways(one: Case) -> rounds.Ways:
        return {name: (one.trikk, Build(name, tmp_path / name, None)) for name in ("one", "two")}

    line = measure([case], ways, Plan(1, 0.0, 1), cold=lambda *_: False)["sums"]["two"]
    assert str(line.trouble).startswith(f"[0] is '{tmp_path}/two', not '{tmp_path}/one'")


def test_what_is_taken_off_is_measured_in_the_same_rounds(tmp_path: Path) -> None:
    start = case_of("probes:sampled", 1.0, floor="probes:framed", by="seconds")
    whole = Case(
        name="whole", about="", size=10, trikk=work("probes:sampled", 5.0), by="seconds", less="sums",
        floors={"twice": work("probes:sampled", 2.0, size=5)},
    )  # fmt: skip
    table = measured(tmp_path, start, whole)
    # 6 - 2 seconds of ten, against twice (3 - 2) of five each
    assert ratio(table, whole) == pytest.approx(2.0)
