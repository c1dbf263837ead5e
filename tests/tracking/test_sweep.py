from __future__ import annotations

import os
import signal
from typing import Any

import polars as pl
import pytest
from tests.execution.command import Folder, until

from trikk.tracking.propose import Optuna
from trikk.tracking.space import Choices, Range, Space


def runs_of(folder: Folder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = folder.good("runs", "--all")["runs"]
    return found


def ingest(folder: Folder) -> None:
    pl.DataFrame({"people": [1, 2, 3]}).write_csv(folder.root / "counts.csv")
    folder.good("ingest", "counts", "counts.csv")


def test_a_grid_makes_one_run_each_and_ranks_them(folder: Folder) -> None:
    found = folder.good(
        "sweep", "train", "-p", "learning_rate=0.05,0.1", "-p", "weeks=8,9", "-p", "days=7", "--metric", "error"
    )
    assert [t["parameters"] for t in found["trials"]] == [
        {"learning_rate": 0.1, "weeks": 8},
        {"learning_rate": 0.1, "weeks": 9},
        {"learning_rate": 0.05, "weeks": 8},
        {"learning_rate": 0.05, "weeks": 9},
    ]
    assert [t["rank"] for t in found["trials"]] == [1, 2, 3, 4]
    assert found["best"] == found["trials"][0]
    rows = {row["id"]: row for row in runs_of(folder)}
    assert set(rows) == {t["run"] for t in found["trials"]}
    assert all(row["parameters"]["days"] == [7] for row in rows.values())
    for trial in found["trials"]:
        assert rows[trial["run"]]["origin"] == {"kind": "sweep", "sweep": found["sweep"], "trial": trial["number"]}
    again = folder.good("sweep", "--resume", found["sweep"])
    assert again == found
    assert len(runs_of(folder)) == 4


def test_all_trials_have_the_same_data_code_and_seed_though_they_change_the_data(folder: Folder) -> None:
    ingest(folder)
    done = folder.trikk("sweep", "moving", "-p", "factor=1,2,13,3", "--metric", "total", "--maximize", "--json")
    assert done.code == 0
    found = done.json
    assert [(t["parameters"]["factor"], t["value"], t["rank"]) for t in found["trials"]] == [
        (3.0, 18.0, 1),
        (2.0, 12.0, 2),
        (1.0, 6.0, 3),
        (13.0, None, None),
    ]
    assert found["trials"][3]["state"] == "failed"
    assert "unlucky" in found["trials"][3]["why"]
    locks = [folder.good("show", t["run"])["lock"] for t in found["trials"]]
    assert {lock["tables"]["counts"] for lock in locks} == {0}
    assert len({(lock["code"], lock["seed"], lock["packages"]) for lock in locks}) == 1
    text = folder.trikk("sweep", "--resume", found["sweep"]).out.splitlines()
    assert text[0].split() == ["RANK", "total", "factor", "STATE", "TOOK", "RUN"]
    assert text[1].split()[:3] == ["1", "18", "3"]


def test_optuna_searches_ranges_and_choices(folder: Folder) -> None:
    pytest.importorskip("optuna")
    arguments = ["-p", "learning_rate=log:0.01..1", "-p", "weeks=4..12", "-p", "loss=SQUARED,ABSOLUTE"]
    found = folder.good("sweep", "train", *arguments, "--metric", "fit.mae", "--optuna", "5", "--parallel", "1")
    assert len(found["trials"]) == 5
    for trial in found["trials"]:
        assert 0.01 <= trial["parameters"]["learning_rate"] <= 1
        assert trial["parameters"]["weeks"] in range(4, 13)
        assert trial["parameters"]["loss"] in ("SQUARED", "ABSOLUTE")
    values = [t["value"] for t in found["trials"]]
    assert values == sorted(values)
    assert folder.good("sweep", "--resume", found["sweep"]) == found


def test_optuna_takes_in_the_trials_of_a_search_that_was_stopped() -> None:
    pytest.importorskip("optuna")
    space = Space({"rate": Range(0.0, 1.0, whole=False, log=False), "kind": Choices((None, [1]))})
    fresh, resumed = (Optuna(space, 20, 7, maximize=False) for _ in range(2))
    for number in range(15):
        proposed = fresh.next()
        assert proposed is not None
        assert proposed[0] == number
        value = None if number == 3 else float(str(proposed[1]["rate"]))
        fresh.tell(number, value)
        if number != 5:  # one that nobody wrote down
            resumed.known(number, proposed[1], value)
    assert [t.value for t in resumed._study.trials if t.value is not None] == [
        t.value for t in fresh._study.trials if t.value is not None and t.number != 5
    ]
    left = []
    while (proposed := resumed.next()) is not None:
        left.append(proposed)
    assert [number for number, _ in left] == [15, 16, 17, 18, 19, 20]
    assert {type(p["kind"]) for _, p in left} <= {type(None), list}


def test_what_can_not_be_searched_is_refused_before_anything_runs(folder: Folder) -> None:
    good = ["-p", "weeks=1,2", "--metric", "error"]
    assert folder.refused("sweep", "trainn", *good)["code"] == "unknown-name"
    assert "range" in folder.refused("sweep", "train", "-p", "weeks=1..2", "--metric", "error")["what"]
    folder.refused("sweep", "train", "-p", "weeks=1", "--metric", "error")
    folder.refused("sweep", "train", "-p", "weeks=1,2")
    folder.refused("sweep", "moving", "-p", "factor=1,2", "--metric", "x", code=1)  # there is no table
    folder.refused("sweep", "tried", *good)
    folder.refused("sweep", "--resume", "nothing")
    folder.refused("sweep", "--resume", "x", "--metric", "error")
    assert runs_of(folder) == []


def test_a_metric_that_no_run_has_ranks_nothing_and_says_what_there_is(folder: Folder) -> None:
    done = folder.trikk("sweep", "train", "-p", "weeks=1,2", "--metric", "rmse", "--json")
    assert done.code == 1
    assert {t["rank"] for t in done.json["trials"]} == {None}
    assert "loss, error, fit.KEY" in done.json["trials"][0]["why"]
    nan = folder.trikk("sweep", "train", "-p", "weeks=1,2", "--metric", "fit.again", "--json")
    assert [(t["value"], t["rank"]) for t in nan.json["trials"]] == [("nan", None)] * 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_search_that_was_stopped_goes_on_with_what_is_missing(folder: Folder, number: int) -> None:
    process = folder.start("sweep", "slowly", "-p", "n=1,2,3", "--metric", "n", "--parallel", "2", "--json")
    until(lambda: (folder.root / "started-1").exists() and (folder.root / "started-2").exists())
    (sweep,) = {row["origin"]["sweep"] for row in runs_of(folder)}
    assert "another process" in folder.refused("sweep", "--resume", str(sweep), code=1)["what"]
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    states = {row["state"] for row in runs_of(folder)}
    assert states == ({"running"} if number == signal.SIGKILL else {"cancelled"})
    folder.touch("quick")
    found = folder.good("sweep", "--resume", str(sweep))
    assert [(t["parameters"]["n"], t["rank"]) for t in found["trials"]] == [(1, 1), (2, 2), (3, 3)]
    rows = runs_of(folder)
    assert len(rows) == 3
    assert {row["state"] for row in rows} == {"succeeded"}


def test_a_search_does_not_go_on_with_other_code(folder: Folder) -> None:
    found = folder.good("sweep", "train", "-p", "weeks=1,2", "--metric", "error")
    with (folder.root / "pipelines.py").open("a") as code:
        code.write("\nmore = 1\n")
    assert "code" in folder.refused("sweep", "--resume", found["sweep"], code=1)["what"]
