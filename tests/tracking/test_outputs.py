from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import Folder
from tests.tracking.conftest import RUN

import trikk
from trikk.core.errors import UsageError
from trikk.runs.context import StepContext, entered
from trikk.runs.journals.journal import Journal
from trikk.storage.artifacts import Artifacts
from trikk.tracking.fold import read_record
from trikk.tracking.run_artifacts import export, file_name

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
Make = Callable[..., StepContext]


class Colour(Enum):
    RED = 1


class Unplain:
    """Pickled."""

    def __reduce__(self) -> Any:
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    ("ending", "read"),
    [
        (".parquet", pl.read_parquet),
        (".csv", pl.read_csv),
        (".json", pl.read_json),
        (".ndjson", pl.read_ndjson),
        (".arrow", pl.read_ipc),
    ],
)
def test_a_frame_is_written_in_the_format_of_the_paths_ending(
    artifacts: Artifacts, tmp_path: Path, ending: str, read: Callable[..., pl.DataFrame]
) -> None:
    written = export(artifacts, artifacts.save(FRAME), tmp_path / f"frame{ending}")
    assert read(written).equals(FRAME)


def test_an_export_is_whole_or_not_there(artifacts: Artifacts, tmp_path: Path) -> None:
    frame = artifacts.save(FRAME)
    nested = artifacts.save(pl.DataFrame({"a": [[1], [2]]}))
    value = artifacts.save({"a": 1})
    for artifact, name in ((frame, "x.xls"), (nested, "x.csv"), (value, "x.csv")):
        with pytest.raises(UsageError):
            export(artifacts, artifact, tmp_path / name)
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        export(artifacts, frame, taken)
    assert taken.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir() if p.is_file() and p.suffix != ".db"] == ["taken.csv"]


def test_plain_data_becomes_json_for_people(artifacts: Artifacts, tmp_path: Path) -> None:
    value = {"day": dt.date(2020, 3, 2), "pair": (1, float("nan")), "$": "dollar", "colour": Colour.RED}
    value["took"] = dt.timedelta(minutes=90)
    path = export(artifacts, artifacts.save(value), tmp_path / "value.json")
    shown = {"day": "2020-03-02", "pair": [1, "nan"], "$": "dollar", "colour": "RED", "took": "1:30:00"}
    assert json.loads(path.read_text()) == shown
    page = export(artifacts, artifacts.save("<html>"), tmp_path / "page.html")
    assert page.read_text() == "<html>"


def test_nothing_is_unpickled_by_an_export(
    artifacts: Artifacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = artifacts.save(Unplain())
    path = export(artifacts, artifact, tmp_path / file_name(artifact, "model"))
    assert path.name == "model.pickle"
    assert path.read_bytes() == artifacts.store.fetch(artifact.digest).read_bytes()
    assert capsys.readouterr().out == ""


def test_a_list_or_dict_becomes_a_folder(artifacts: Artifacts, tmp_path: Path) -> None:
    artifact = artifacts.save({"north": FRAME, "south": [FRAME, {"n": 1}]})
    folder = export(artifacts, artifact, tmp_path / "both")
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == ["north.parquet", "south/0.parquet", "south/1.json"]
    inside = export(artifacts, artifacts.save({"../evil": FRAME}), tmp_path / "evil")
    assert [p.name for p in inside.iterdir()] == [".._evil.parquet"]
    with pytest.raises(UsageError, match="two items"):
        export(artifacts, artifacts.save({"a/b": FRAME, "a_b": FRAME}), tmp_path / "same")
    assert not (tmp_path / "same").exists()


def test_figures_are_files_that_say_what_they_are(a_step: Make, journal: Journal, artifacts: Artifacts) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    drawn, axes = pyplot.subplots()
    axes.plot([1, 2])

    class Plotly:
        def write_html(self, path: str) -> None:
            Path(path).write_text("<html>plotly")

    with entered(a_step()):
        trikk.log_figure("line", drawn)
        trikk.log_figure("again", axes)
        trikk.log_figure("inner/line.svg", drawn)
        trikk.log_figure("page", Plotly())
        trikk.log_figure("bytes", b"\xff\xd8\xff\xe0")
        for wrong, name in ((object(), "x"), (drawn, "x.doc"), (Path("nowhere.png"), "x")):
            with pytest.raises(UsageError, match="figure x"):
                trikk.log_figure(name, wrong)
    pyplot.close(drawn)
    found = {name: s.entries[-1].artifact for name, s in read_record(journal, RUN).files().items()}
    names = {name: artifact.summary["name"] for name, artifact in found.items()}
    assert names == {
        "line": "line.png",
        "again": "again.png",
        "inner/line.svg": "line.svg",
        "page": "page.html",
        "bytes": "bytes.jpg",
    }
    assert found["line"].digest == found["again"].digest
    assert artifacts.load(found["line"]).read_bytes().startswith(b"\x89PNG")
    artifacts.release()


def test_artifacts_lists_what_a_run_made_and_logged_and_writes_it(folder: Folder, tmp_path: Path) -> None:
    run = folder.good("run", "made")["id"]
    found = folder.good("artifacts", run)["artifacts"]
    assert [a["name"] for a in found] == [
        "item",
        "item[0]",
        "item[1]",
        "item[2]",
        "things.0",
        "things.1",
        "note.txt",
        "report.html",
        "dot.png",
    ]
    assert {a["kind"] for a in found} == {"output", "file", "report", "figure"}
    folder.good("artifacts", run, "things.0", "--out", str(tmp_path / "a.csv"))
    assert pl.read_csv(tmp_path / "a.csv").rows() == [(1, "x"), (2, "y")]
    folder.good("artifacts", "last", "note.txt", "--out", str(tmp_path / "note"))
    assert (tmp_path / "note").read_text() == "a note"
    assert folder.good("artifacts", run, "things.0")["preview"]["rows"] == 2
    assert "note.txt" in folder.refused("artifacts", run, "note.text")["next"]
    assert "already" in folder.refused("artifacts", run, "note.txt", "--out", str(tmp_path / "note"))["what"]
    folder.refused("artifacts", run, "--out", "x")
    assert "browser" in folder.refused("artifacts", run, "things.1", "--open")["what"]
    opened = folder.trikk("artifacts", run, "report.html", "--open", "--json", BROWSER="true %s")
    assert Path(opened.json["path"]).read_text() == "<html>"
    shown = folder.trikk("artifacts", run).out
    assert shown.splitlines()[0].split() == ["NAME", "STEP", "KIND", "WHAT", "SIZE"]
