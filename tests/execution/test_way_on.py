"""The last line after a blocked gate is the command that helps once the rows are mended."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tests.execution.command import Folder

CODE = """
import polars as pl
from trikk import Table, pipeline, quality_gate, step
from trikk.quality import not_null

@step
def load() -> pl.DataFrame:
    return pl.read_csv("in.csv")

@step
def clean(rows: pl.DataFrame) -> pl.DataFrame:
    return rows

@step
def join(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([left, right])

@pipeline
def of_a_step():
    quality_gate(clean(load()), [not_null("a")])

@pipeline
def of_a_table():
    quality_gate(Table("t"), [not_null("a")])

@pipeline
def of_both():
    quality_gate(join(clean(load()), Table("t")), [not_null("a")])

@pipeline
def of_what_it_wrote():
    counts = Table("own")
    counts.append(load())
    quality_gate(counts, [not_null("a")])
"""
BAD, GOOD = "a,b\n1,1\n,2\n", "a,b\n1,1\n2,2\n"


def helps(folder: Folder, pipeline: str) -> list[str]:
    """The words of the command after a run that was blocked; the same at the end of `show`."""
    done = folder.trikk("run", pipeline)
    assert done.code == 1
    command = done.err.splitlines()[-1].removeprefix("  next: ")
    assert folder.trikk("show", "last").out.splitlines()[-1].endswith(command)
    return command.split()[1:]


def test_the_command_brings_the_gate_other_rows(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(trikk='name = "g"\n', pipelines=CODE)
    (tmp_path / "in.csv").write_text(BAD)
    assert folder.trikk("ingest", "t", "in.csv").code == 0
    step, table, both, own = (
        helps(folder, name) for name in ("of_a_step", "of_a_table", "of_both", "of_what_it_wrote")
    )
    assert step[2:] == ["--again", "load"]
    assert table[2:] == ["--with-current-data"]
    assert both[2:] == ["--with-current-data", "--again", "load"]
    assert own[2:] == ["--with-current-code"]
    (tmp_path / "in.csv").write_text(GOOD)
    pl.read_csv(tmp_path / "in.csv").write_delta(str(tmp_path / ".trikk" / "tables" / "t"), mode="overwrite")
    for command in (step, table, both):
        done = folder.trikk(*command)
        assert done.code == 0, done
