"""With --json each command prints one JSON document on stdout; other tools rely on what is in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.execution.command import Folder, make_folder, until

RUN = {"id", "pipeline", "state", "parameters", "steps"}
STEP = {"name", "state", "attempts", "reused"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A project with a table and a run."""
    folder = make_folder(tmp_path_factory.mktemp("data"), "data_project")
    (folder.root / "one.csv").write_text("sensor,n,day,share\na,1,2020-03-02,0.5\nb,2,2020-03-03,NaN\n")
    folder.good("ingest", "counts", "one.csv")
    folder.good("run", "nightly", "-p", "factor=2")
    return folder


def test_a_run_is_told_with_its_steps(shared: Folder) -> None:
    run = shared.good("run", "texts", "-p", "value=hello")
    assert set(run) >= RUN
    assert (run["pipeline"], run["state"], run["parameters"]) == ("texts", "succeeded", {"value": "hello"})
    assert [set(step) >= STEP for step in run["steps"]] == [True]
    assert run["steps"][0]["attempts"] == 1
    assert shared.good("show", run["id"]) == run


def test_runs_are_listed_the_newest_first_and_filtered(shared: Folder) -> None:
    first = shared.good("run", "texts", "-p", "value=1")["id"]
    second = shared.failed("run", "faulty", "-p", "kind=raise")["id"]
    rows = shared.good("runs")["runs"]
    assert [row["id"] for row in rows][:2] == [second, first]
    assert set(rows[0]) >= {"id", "pipeline", "state", "parameters", "created", "error"}
    assert {r["pipeline"] for r in shared.good("runs", "--pipeline", "texts")["runs"]} == {"texts"}
    assert {r["state"] for r in shared.good("runs", "--state", "failed")["runs"]} == {"failed"}
    assert len(shared.good("runs", "-n", "1")["runs"]) == 1
    assert len(shared.good("runs", "--all")["runs"]) >= 2
    assert shared.refused("runs", "--state", "broken")["code"] == "usage"


def test_a_run_is_found_by_the_beginning_of_its_id_and_as_last(shared: Folder) -> None:
    run = shared.good("run", "texts", "-p", "value=2")["id"]
    assert shared.good("show", run[:9])["id"] == run
    assert shared.good("show", "last")["id"] == run


def test_pipelines_are_told_with_parameters_and_steps(shared: Folder) -> None:
    found = {g["pipeline"]: g for g in shared.good("pipelines")["pipelines"]}
    assert found["texts"]["doc"] == "Keeps a text."
    assert [n["name"] for n in found["texts"]["nodes"]] == ["text"]
    one = shared.good("pipelines", "night")
    assert [p["name"] for p in one["parameters"]] == ["day"]
    assert shared.refused("pipelines", "nigth")["next"] == "did you mean night?"


def test_tables_are_told_with_rows_and_history(data: Folder) -> None:
    listed = data.good("tables")["tables"]
    assert [t["name"] for t in listed] == ["counts", "sums"]
    one = data.good("tables", "counts", "-n", "1")
    assert (one["rows"], one["version"], len(one["head"])) == (2, 0, 1)
    assert one["head"][0]["day"] == "2020-03-02"
    written = data.good("tables", "sums")["history"][0]
    assert written["run"] == data.good("runs", "--pipeline", "nightly")["runs"][0]["id"]
    assert data.good("tables", "counts", "--version", "0")["rows"] == 2
    assert data.trikk("tables", "counts", "--version", "99", "--json").error["code"] == "version-missing"
    assert data.refused("tables", "cuonts")["next"] == "did you mean counts?"


def test_ingest_gc_doctor_and_init_tell_what_they_did(data: Folder, tmp_path: Path) -> None:
    report = data.good("ingest", "more", "one.csv")
    assert (report["rows"], report["version"], len(report["files"])) == (2, 0, 1)
    assert set(data.good("gc", "--dry-run")) >= {
        "kept",
        "forgotten",
        "artifacts",
        "bytes",
        "table_files",
        "reasons",
    }
    health = data.good("doctor")
    assert health["healthy"] is True
    assert {f["subject"] for f in health["findings"]} >= {"machine", "pipelines", "journal", "artifacts"}
    assert "nope.csv" in data.trikk("ingest", "more", "nope.csv", "--json").error["what"]
    assert data.good("tables", "more", "-n", "0")["version"] == 0


def test_a_step_shows_what_it_made_and_numbers_that_json_does_not_know_are_null(
    data: Folder, shared: Folder
) -> None:
    shown = data.good("show", "last", "summed")
    assert shown["previews"][0]["rows"] == 2
    assert shown["previews"][0]["head"][0] == {"sensor": "a", "n": 2}
    text = data.trikk("show", "last", "summed").out
    assert "DataFrame, 2 rows x 2" in text
    assert "sensor: String" in text
    shared.good("run", "nan")
    shared.good("show", "last")
    shared.good("show", "last", "not_a_number")


def test_logs_are_told_and_followed(folder: Folder) -> None:
    folder.write(
        pipelines="import time\nfrom trikk import pipeline, step\nfrom pathlib import Path\n"
        "@step\ndef talks() -> int:\n    print('begin')\n"
        "    while not Path('go').exists():\n        time.sleep(0.01)\n    print('end')\n    return 1\n"
        "@pipeline\ndef p():\n    talks()\n"
    )
    run = folder.start("run", "p", "--json")
    until(lambda: list((folder.root / ".trikk" / "runs").glob("*/talks.1.log")))
    follower = folder.start("logs", "last", "talks", "-f")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "begin\n"
    folder.touch("go")
    assert folder.end(follower).out == "end\n"
    found = folder.end(run).json
    assert folder.good("logs", "last")["logs"][0]["text"] == "begin\nend\n"
    assert folder.trikk("logs", found["id"]).out == "--- talks ---\nbegin\nend\n"
    assert folder.refused("logs", "last", "-f")["code"] == "usage"
    assert folder.refused("logs", "last", "tlaks")["next"] == "did you mean talks?"


WRONG = [
    ["run"],
    ["run", "texts", "--nope"],
    ["run", "texts", "-p", "value"],
    ["run", "texts", "-p", "=x"],
    ["run", "texts", "-p", "value=1", "-p", "value=2"],
    ["run", "texts"],
    ["run", "texts", "-p", "valu=1"],
    ["run", "mapped", "-p", "n=many"],
    ["run", "hangs", "-p", "deaf=perhaps"],
    ["run", "night", "-p", "day=2020-02-30"],
    ["run", "conditions", "-p", "mood=SAD"],
    ["run", "texts", "-p", "value=\udcff"],
    ["run", "txets", "-p", "value=1"],
    ["run", "texts", "--max-parallel", "0", "-p", "value=1"],
    ["show", "nosuchrun"],
    ["resume", "nosuchrun"],
    ["replay", "nosuchrun"],
    ["cancel", "nosuchrun"],
    ["logs", "nosuchrun"],
    ["tables", "nosuchtable"],
    ["gc", "--grace", "soon"],
    ["gc", "--keep-last", "0"],
    ["rusn"],
    ["-C", "/no/such/folder", "runs"],
    [],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_request_is_refused_as_json_too(shared: Folder, arguments: list[str]) -> None:
    if arguments:
        shared.refused(*arguments)
    else:
        assert shared.trikk("--json").code == 2


def test_nothing_was_started_by_wrong_requests(folder: Folder) -> None:
    for arguments in WRONG[5:8]:
        folder.refused(*arguments)
    assert folder.good("runs") == {"runs": []}


def test_stdout_that_is_closed_early_is_no_stack_trace(shared: Folder) -> None:
    process = shared.start("pipelines", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


def test_output_that_is_not_utf_8_is_json_all_the_same(shared: Folder) -> None:
    for encoding in ("ascii", "latin-1"):
        done = shared.end(
            shared.start("run", "texts", "-p", "value=blåbær \u2028", "--json", PYTHONIOENCODING=encoding)
        )
        assert done.code == 0, done
        assert done.json["parameters"] == {"value": "blåbær \u2028"}
    assert shared.trikk("show", "last", PYTHONIOENCODING="ascii").code == 0
    assert shared.trikk("runs", PYTHONIOENCODING="ascii").code == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_works_without_its_standard_streams(shared: Folder, closed: str) -> None:
    line = f"{sys.executable} -m trikk.cli.main run texts -p value=closed {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=shared.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert shared.good("show", "last")["parameters"] == {"value": "closed"}


def test_values_are_shown_as_people_write_them(shared: Folder) -> None:
    shared.good("run", "nan")
    assert '{"a": NaN, "b": Infinity}' in shared.trikk("show", "last").out
    shared.good("run", "conditions", "-p", "mood=BAD")
    shown = shared.trikk("show", "last").out
    assert '"BAD"' in shown
    assert "mood == Mood.GOOD is false" in shown
    assert "$" not in shown
