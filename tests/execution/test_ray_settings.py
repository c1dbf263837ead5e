"""What is said before any cluster is asked, and what is made of what nodes say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.execution.command import Folder

from trikk.core.errors import ProjectError, UsageError
from trikk.core.package import __version__
from trikk.core.settings import load_settings
from trikk.execution.ray.ray_messages import NodeView
from trikk.execution.ray.ray_settings import RaySettings, ray_settings
from trikk.execution.ray.reach import Reach
from trikk.runs.journals.lease import Holder


def settings_of(section: str) -> RaySettings:
    Path("trikk.toml").write_text(section)
    return ray_settings(load_settings(Path.cwd()))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_section_is_read_with_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEAD", "10.0.0.7")
    found = settings_of('[targets.ray]\naddress = "ray://${HEAD}:10001"\nmax_parallel = 9\n')
    assert found == RaySettings("ray://10.0.0.7:10001", 9)
    assert settings_of('[targets.ray]\naddress = "auto"\n') == RaySettings("auto")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("", "does not say where"),
        ("[targets.ray]\n", "does not say where"),
        ('[targets]\nray = "auto"\n', "does not say where"),
        ("[targets.ray]\naddress = 7\n", "targets.ray.address = 7"),
        ('[targets.ray]\naddress = "http://head:8265"\n', "is no cluster's"),
        ('[targets.ray]\naddress = "head"\n', "is no cluster's"),
        ('[targets.ray]\naddress = "${NOWHERE}"\n', "NOWHERE"),
        ('[targets.ray]\naddress = "auto"\nadress = "auto"\n', "'targets.ray.adress'"),
        ('[targets.ray]\naddress = "auto"\nmax_parallel = 0\n', "targets.ray.max_parallel = 0"),
    ],
)
def test_a_wrong_section_is_refused(section: str, said: str) -> None:
    with pytest.raises(ProjectError) as refused:
        settings_of(section)
    assert said in refused.value.what
    assert refused.value.next


def test_without_ray_the_command_says_what_to_install(folder: Folder) -> None:
    folder.write(trikk='pipelines = ["pipelines"]\n[targets.ray]\naddress = "auto"\n')
    assert folder.refused("run", "long", "--target", "ray")["next"] == "pip install 'trikk[ray]'"
    assert folder.refused("run", "long", "--target", "ray", "--inline")["code"] == "usage"


def view(**what: object) -> NodeView:
    given = {"boot": Holder.current().boot, "version": __version__, "missing": [], "error": None, **what}
    return NodeView("10.0.0.8", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "what", "mend"),
    [
        ({"missing": ["artifacts", "tables"]}, "project's artifacts", 'artifacts = "s3://...'),
        ({"missing": ["tables"]}, "project's tables", 'tables = "s3://...'),
        ({"missing": ["journal"]}, "project's journal", "trikk copy"),
        ({"boot": "another"}, "is another machine, and the journal is a file", "postgresql://"),
        ({"version": "0.0.1"}, "has trikk 0.0.1", "the same version"),
        ({"error": "no module named numpy"}, "can't run the project's code: no module named numpy", "install"),
    ],
)
def test_a_node_that_can_not_do_it_is_named(here: Path, seen: dict[str, object], what: str, mend: str) -> None:
    Path("trikk.toml").write_text("")
    reach = Reach(load_settings(here))
    reach.setup("0" * 64)
    with pytest.raises(UsageError) as refused:
        reach.check([view(), view(**seen)])
    assert refused.value.what.startswith("node 10.0.0.8 of the Ray cluster: ")
    assert what in refused.value.what
    assert mend in str(refused.value.next)
    reach.close()
    assert not [*here.glob(".trikk/**/.ray-*")]


def test_marks_are_where_folders_are_and_addresses_travel_as_written(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "do not send this")
    Path("trikk.toml").write_text(
        '[storage]\nartifacts = "s3://bucket/a"\ntables = "shared"\njournal = "postgresql://u:${PASSWORD}@db/city"\n'
    )
    reach = Reach(load_settings(here))
    setup = reach.setup("0" * 64)
    assert {kind: Path(mark).parent for kind, mark in setup.marks.items()} == {
        "project": here / ".trikk",
        "tables": here / "shared",
    }
    assert all(Path(mark).exists() for mark in setup.marks.values())
    assert b"do not send this" not in setup.to_bytes()
    assert setup.places["tables"] == str(here / "shared")
    # another machine may have what is shared by mounts and a database
    reach.check([view(boot="another", missing=["project"])])
    reach.close()
    monkeypatch.setenv("TRIKK_JOURNAL", "postgresql://u:s3cretpass@db/city")
    with pytest.raises(UsageError, match="holds a password"):
        Reach(load_settings(here)).setup("0" * 64)
