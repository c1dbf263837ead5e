"""`cache=True`: when an earlier result stands, and what a miss names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder, make_folder, steps_of


@pytest.fixture
def data(tmp_path: Path) -> Folder:
    folder = make_folder(tmp_path / "data", "data_project")
    run = folder.good("run", "cached")
    assert steps_of(run)["costly"]["outputs"][0]["summary"]["value"] == 103
    return folder


def outcome(folder: Folder, *arguments: str, **variables: str) -> tuple[bool, str]:
    """Whether the step was cached, and why or why not."""
    done = folder.end(folder.start("run", "cached", *arguments, "--json", **variables))
    assert done.code == 0, done
    events = folder.trikk("show", "last", "--events").json["events"]
    found = [e for e in events if e["kind"] in ("step.cached", "step.cache_missed")]
    assert len(found) == 1
    assert steps_of(done.json)["costly"]["reused"] is (found[0]["kind"] == "step.cached")
    return found[0]["kind"] == "step.cached", found[0]["body"]["reason"]


def edit(folder: Folder, file: str, old: str, new: str) -> None:
    path = folder.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


HITS: dict[str, Callable[[Folder], Any]] = {
    "nothing": lambda f: None,
    "comment": lambda f: edit(f, "deep.py", "# a comment", "# another comment"),
    "docstring": lambda f: edit(f, "helpers.py", "Between the", "Among the"),
    "unrelated function": lambda f: edit(f, "helpers.py", "return 1", "return 2"),
    "another step": lambda f: edit(f, "pipelines.py", "return rows.height", "return rows.height + 1"),
}


@pytest.mark.parametrize("change", HITS)
def test_what_does_not_matter_is_a_hit(data: Folder, change: str) -> None:
    HITS[change](data)
    hit, reason = outcome(data)
    assert hit, reason
    assert data.lines("ran") == ["costly"]


MISSES: dict[str, tuple[Callable[[Folder], Any], list[str], str]] = {
    "its own code": (lambda f: edit(f, "pipelines.py", "+ sum(numbers)", "- sum(numbers)"), [], "code"),
    "a helper two modules away": (lambda f: edit(f, "deep.py", "100", "101"), [], "code"),
    "a parameter": (lambda f: None, ["-p", "n=2"], "argument 'n'"),
    "an input": (lambda f: None, ["-p", "m=4"], "argument 'numbers'"),
    "the environment": (lambda f: None, ["TUNING"], "environment variable TUNING"),
}


@pytest.mark.parametrize("change", MISSES)
def test_a_miss_names_what_has_changed(data: Folder, change: str) -> None:
    prepare, arguments, words = MISSES[change]
    prepare(data)
    if arguments == ["TUNING"]:
        hit, reason = outcome(data, TUNING="1")
    else:
        hit, reason = outcome(data, *arguments)
    assert not hit
    assert reason.endswith("changed")
    assert words in reason
    assert data.lines("ran") == ["costly", "costly"]


def test_a_result_that_is_gone_is_a_miss(data: Folder) -> None:
    digest = steps_of(data.good("show", "last"))["costly"]["outputs"][0]["digest"]
    next((data.root / ".trikk" / "artifacts").rglob(f"*{digest[2:]}")).unlink()
    assert outcome(data) == (False, "its artifact is gone")
    assert outcome(data)[0] is True


def test_a_replay_takes_nothing_from_the_cache(data: Folder) -> None:
    assert outcome(data)[0] is True
    assert data.good("replay", "last")["identical"] is True
    assert data.lines("ran") == ["costly", "costly"]
