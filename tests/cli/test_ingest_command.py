"""`trikk ingest` as it is typed: what it prints, and which options exclude each other."""

from __future__ import annotations

from tests.execution.command import Folder

CSV = "day,line,load\n2020-03-01,007,12\n2020-03-01,10A,31\n\n"


def write(folder: Folder, name: str, text: str) -> None:
    (folder.root / name).write_text(text)


def test_corrections_and_repetitions_say_what_is_new(folder: Folder) -> None:
    write(folder, "a.csv", CSV)
    first = folder.trikk("ingest", "loads", "a.csv", "--key", "day,line")
    assert "2 new: 2 of 2 rows from 1 file into loads, version 0" in first.out
    assert "columns: day Date, line String, load Int64" in first.out
    assert "'10A' (a.csv line 3) is not a number" in first.out
    assert "1 blank line left out" in first.out
    write(folder, "b.csv", "line,day,load\n007,2020-03-01,13\n4,2020-03-02,5\n")
    kept = folder.trikk("ingest", "loads", "b.csv", "--key", "day,line")
    assert "day=2020-03-01, line=007 has load 12 and 13" in kept.out
    assert "--merge" in kept.out
    merge = ("ingest", "loads", "b.csv", "--key", "day,line", "--merge")
    assert "0 new, 1 changed" in folder.trikk(*merge).out
    assert "0 new, 0 changed from 1 file: loads stays at version 2" in folder.trikk(*merge).out
    report = folder.good(*merge)
    assert (report["new"], report["changed"], report["equal"], report["version"]) == (0, 0, 2, 2)


def test_files_without_a_key_types_and_texts_for_nothing(folder: Folder) -> None:
    write(folder, "a.csv", "id;x\n1;NA\n2;\n")
    refused = folder.refused("ingest", "t", "a.csv", code=1)
    assert "--separator ';'" in refused["next"]
    how = ("ingest", "t", "a.csv", "--separator", ";", "--null", "NA", "--types", "x=Float64,id=String")
    assert folder.good(*how)["columns"] == {"id": "String", "x": "Float64"}
    assert "0 new, 0 changed: the rows of 1 file are in t since version 0" in folder.trikk(*how).out
    assert folder.good(*how, "--again")["version"] == 1
    write(folder, "b.csv", "id\tx\n1\t2\n")
    assert r"--separator '\t'" in folder.refused("ingest", "u", "b.csv", code=1)["next"]
    assert folder.good("ingest", "u", "b.csv", "--separator", r"\t")["columns"] == {"id": "Int64", "x": "Int64"}
    for wrong in (["--merge"], ["--merge", "--overwrite", "--key", "id"], ["--types", "x"], ["--types", "x=int"]):
        folder.refused("ingest", "t", "a.csv", *wrong)


def test_no_rows_make_no_table_and_no_version(folder: Folder) -> None:
    write(folder, "none.csv", "id,x\n")
    assert "0 rows from 1 file: nothing to make table t of" in folder.trikk("ingest", "t", "none.csv").out
    assert folder.good("ingest", "t", "none.csv")["version"] is None
    write(folder, "one.csv", "id,x\n1,a\n")
    assert folder.good("ingest", "t", "one.csv", "--key", "id")["version"] == 0
    for more in ((), ("--key", "id"), ("--key", "id", "--merge"), ("--again",)):
        report = folder.good("ingest", "t", "none.csv", *more)
        assert (report["new"], report["version"]) == (0, 0)
    assert folder.good("ingest", "t", "one.csv", "none.csv", "--key", "id")["version"] == 0


def test_a_duplicate_that_contradicts_is_told_apart_from_an_equal_one(folder: Folder) -> None:
    write(folder, "a.csv", "id,x\n1,a\n1,a\n2,b\n2,c\n")
    report = folder.good("ingest", "t", "a.csv", "--key", "id")
    assert (report["new"], report["equal"], report["different"]) == (2, 1, 1)
    write(folder, "b.csv", "id,x\n1,a\n2,c\n")
    again = folder.trikk("ingest", "t", "b.csv", "--key", "id").out
    assert "left out 1 whose key was there with the same values" in again
    assert "left out 1 whose key was there with other values" in again
    assert "id=2 has x b and c" in again
