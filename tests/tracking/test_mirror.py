"""What is mirrored, in which order and how often, against a server in memory that fails on demand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.command import Folder

import trikk.tracking.mlflow.mirror as mirrors
from trikk.core.errors import UsageError
from trikk.execution.project import Project
from trikk.models.registry import Registry
from trikk.models.version import ModelVersion
from trikk.runs.journals.journal import Event
from trikk.runs.run_state import RunState
from trikk.testing import ManualClock
from trikk.tracking.fold import RunRecord
from trikk.tracking.mlflow.mirror import Away, Mirror, Refused
from trikk.tracking.mlflow.run_content import RunContent, content_of, fit_name
from trikk.tracking.mlflow.target import check_uri

URI = "http://server"


class Memory:
    """A server that keeps what it is given and lets `before` fail."""

    def __init__(self) -> None:
        self.runs: dict[str, RunContent] = {}
        self.versions: dict[tuple[str, int], str] = {}
        self.aliases: dict[tuple[str, str, str], str | None] = {}
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    def put_run(self, content: RunContent) -> str:
        self._call(f"run {content.run}")
        self.runs[content.run] = content
        return f"mlflow-{content.run}"

    def put_version(self, version: ModelVersion, run: str) -> str:
        self._call(f"version {version.reference} of {run}")
        return self.versions.setdefault((version.name, version.version), str(len(self.versions) + 1))

    def put_alias(self, model: str, alias: str, environment: str, version: str | None) -> None:
        self._call(f"alias {model}@{alias}")
        self.aliases[model, environment, alias] = version

    def _call(self, about: str) -> None:
        self.calls.append(about)
        self.before(about)


@pytest.fixture
def project(folder: Folder) -> Project:
    return Project.open(folder.root)


def raising(error: Exception, about: str, times: int = 1_000) -> Callable[[str], None]:
    left = [times]

    def before(call: str) -> None:
        if about in call and left[0] > 0:
            left[0] -= 1
            raise error

    return before


def train(folder: Folder, count: int) -> list[str]:
    return [folder.good("run", "train", "-p", f"weeks={n}")["id"] for n in range(count)]


def test_every_run_that_is_over_is_copied_once_the_oldest_first(folder: Folder, project: Project) -> None:
    runs = train(folder, 2)
    project.journal.create("going", "train", {}, at=1.0)
    server = Memory()
    done = Mirror(project, URI, server).copy()
    assert done.runs == runs
    assert (done.left, done.away, done.refused) == (0, None, [])
    assert Mirror(project, URI + "/", server).copy().runs == []
    assert len(server.calls) == 2
    assert Mirror(project, "http://another", Memory()).copy().runs == runs
    content = server.runs[runs[1]]
    assert (content.experiment, content.status) == ("tracked/train", "FINISHED")
    assert content.params["weeks"] == "1"
    assert content.params["days"] == "[1, 2]"
    assert content.params["depth"] == "3"
    assert [(m.key, m.step) for m in content.metrics] == [("loss", 0), ("loss", 1), ("loss", 2), ("error", 0)]
    assert set(content.files) == {"notes"}


def test_a_server_that_is_away_is_asked_a_few_times_and_the_next_call_goes_on(
    folder: Folder, project: Project
) -> None:
    clock = ManualClock()
    runs = train(folder, 3)
    server = Memory()
    server.before = raising(Away("it is away"), runs[1])
    done = Mirror(project, URI, server, attempts=3, clock=clock).copy()
    assert (done.runs, done.left, done.away) == (runs[:1], 2, "it is away")
    assert clock.slept == [1.0, 2.0]
    server.before = raising(Away("it is away"), runs[1], times=2)
    assert Mirror(project, URI, server, attempts=3, clock=clock).copy().runs == runs[1:]


def test_what_the_server_refuses_keeps_nothing_else_back(folder: Folder, project: Project) -> None:
    runs = train(folder, 3)
    server = Memory()
    server.before = raising(Refused("no such thing"), runs[1])
    done = Mirror(project, URI, server).copy()
    assert (done.runs, done.refused, done.left) == ([runs[0], runs[2]], ["no such thing"], 0)
    server.before = lambda _: None
    assert Mirror(project, URI, server).copy().runs == [runs[1]]


def test_a_run_that_was_resumed_is_copied_again_as_it_is_then(folder: Folder, project: Project) -> None:
    folder.touch("quick")
    (run,) = (folder.good("run", "slowly", "-p", "n=1")["id"],)
    server = Memory()
    assert Mirror(project, URI, server).copy().runs == [run]
    project.journal.append(run, "run.resumed", {}, at=1.0)
    assert Mirror(project, URI, server).copy().runs == []
    project.journal.append(run, "run.failed", {"error": "later"}, at=2.0)
    assert Mirror(project, URI, server).copy().runs == [run]
    assert server.runs[run].status == "FAILED"


def test_models_follow_their_runs_and_aliases_their_holders(folder: Folder, project: Project) -> None:
    first, second = train(folder, 2)
    ledger: Any = project.journal
    registry = Registry(ledger)
    artifact = project.artifacts.save(1)
    for run in (first, second):
        registry.register(ModelVersion("people", 0, artifact, run=run, created=1.0))
    registry.register(ModelVersion("people", 0, artifact, run="elsewhere", created=1.0))
    registry.move("people", "champion", 1, "main", by="me", why="first", at=2.0)
    server = Memory()
    done = Mirror(project, URI, server).copy([first])
    assert (done.models, done.aliases) == (["people:1"], ["people@champion"])
    assert server.aliases == {("people", "main", "champion"): "1"}
    registry.move("people", "champion", 2, "main", by="me", why="better", at=3.0)
    server.before = raising(Refused("not yet"), "version people:2", times=1)
    done = Mirror(project, URI, server).copy()
    assert (done.runs, done.models, done.refused) == ([second], [], ["not yet"])
    done = Mirror(project, URI, server).copy()
    assert (done.models, done.aliases) == (["people:2"], ["people@champion"])
    assert server.aliases == {("people", "main", "champion"): "2"}
    assert Mirror(project, URI, server).copy().to_json() == mirrors.Mirrored().to_json()


@pytest.mark.parametrize("uri", ["http://me:secret@host", "", "http://[", "no-scheme"])
def test_an_address_with_a_password_or_without_a_scheme_is_refused(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_uri(uri)
    assert "secret" not in str(caught.value)


def test_the_command_says_what_it_needs(folder: Folder) -> None:
    assert "server" in folder.refused("mirror", "mlflow")["what"]
    folder.refused("mirror", "other")
    assert folder.refused("mirror", "mlflow", "--to", "http://me:secret@host:1")["code"] == "usage"
    try:
        import mlflow  # noqa: F401
    except ImportError:
        error = folder.refused("mirror", "mlflow", "--to", "http://127.0.0.1:9")
        assert (error["code"], error["next"]) == ("missing-extra", "pip install 'trikk[mlflow]'")


def test_a_server_in_the_settings_can_not_fail_or_slow_a_run(folder: Folder) -> None:
    (folder.root / "trikk.toml").write_text('name = "tracked"\n[tracking]\nmlflow = "http://127.0.0.1:9"\n')
    assert folder.good("run", "train")["state"] == "succeeded"
    (folder.root / "trikk.toml").write_text('name = "tracked"\n[tracking]\nmlflow = "${NOWHERE}"\n')
    assert folder.good("run", "train")["state"] == "succeeded"
    (folder.root / "trikk.toml").write_text("[tracking]\nother = 1\n")
    assert folder.refused("run", "train")["code"] == "project"


names = st.text(min_size=1, max_size=300)


@given(st.dictionaries(names, st.floats(), max_size=5), st.dictionaries(names, st.text(max_size=7000), max_size=3))
def test_names_and_values_are_as_mlflow_takes_them_and_none_is_lost(
    metrics: dict[str, float], params: dict[str, str]
) -> None:
    from trikk.runs import logged

    events = [logged.metric(n, v, index=None, at=0.0) for n, v in metrics.items()]
    events += [logged.param(n, v) for n, v in params.items()]
    about: dict[str, Any] = {"step": "s", "item": None, "attempt": 1}
    record = RunRecord.fold("r", [Event(n, "r", k, 0.0, {**about, **b}) for n, (k, b) in enumerate(events)])
    content = content_of("p", RunState("r", pipeline="train", state="succeeded"), record)
    assert len({m.key for m in content.metrics}) == len(metrics)
    assert len(content.params) == len(params)
    for name in [*content.params, *(m.key for m in content.metrics)]:
        assert len(name) <= 250
        assert fit_name(name) == name
    assert all(len(text) <= 6000 for text in content.params.values())
    kept = sorted((m.value for m in content.metrics), key=repr)
    assert [repr(v) for v in kept] == [repr(v) for v in sorted(metrics.values(), key=repr)]
    assert not any(math.isnan(m.timestamp) for m in content.metrics)
