"""Commands around a project: init and doctor."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trikk.cli.printing import echo, json_option, print_json
from trikk.cli.server_option import or_by_server
from trikk.core.errors import UnknownName, UsageError
from trikk.core.settings import FILE
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.execution.upkeep.project_check import Finding

_PIPELINES = '''"""The project's pipelines. Try: trikk run hello -p name=you; then trikk show last."""

from trikk import Table, pipeline, step

greetings = Table("greetings")


@step
def greet(name: str) -> dict[str, str]:
    print(f"greeting {name}")
    return {"name": name, "text": f"Hello, {name}!"}


@step
def rows(greeting: dict[str, str]) -> "pl.DataFrame":
    return pl.DataFrame([greeting])


@pipeline
def hello(name: str = "world"):
    """Greet someone, and keep the greeting in a table."""
    greetings.append(rows(greet(name)))
'''.replace("from trikk", "import polars as pl\n\nfrom trikk", 1).replace('"pl.DataFrame"', "pl.DataFrame")

_IGNORED = """# What trikk keeps beside the code: runs, artifacts, tables
.trikk/
__pycache__/
"""


def examples_folder() -> Path:
    """Where the examples are: inside the installed package, or beside its source."""
    package = Path(__file__).parents[1]
    # A wheel brings them; in a checkout they stand beside src.
    installed = package / "examples"
    return installed if installed.is_dir() else package.parents[1] / "examples"


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--example", metavar="NAME", help="Copy an example: city, trip_loads, pumps or device_release.")
def init(folder: str, example: str | None) -> None:
    """Make a project in DIR, which must not hold one yet."""
    # The system refuses it with an error that names no file.
    if "\0" in folder:
        raise UsageError("a folder's name can't hold a NUL")
    target = Path(folder)
    try:
        if (target / FILE).exists():
            raise UsageError(f"{target} is a trikk project already", next="choose another folder")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} is not an empty folder", next="choose another one")
    except OSError as error:
        raise UsageError(f"{target} can't be made: {error.strerror}", next="choose another folder") from error
    if example is None:
        _write_new(target)
    else:
        _copy_example(example, target)
    echo(f"made {target}; next: cd {target} && trikk pipelines")


def _write_new(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        # The folder's name goes into TOML between quotes.
        name = re.sub(r"[^\w .-]", "-", target.resolve().name)
        (target / FILE).write_text(f'name = "{name}"\npipelines = ["pipelines"]\n')
        (target / "pipelines.py").write_text(_PIPELINES)
        (target / ".gitignore").write_text(_IGNORED)
    except OSError as error:
        raise UsageError(f"{target} can't be made: {error.strerror}", next="choose another folder") from error


def _copy_example(example: str, target: Path) -> None:
    folder = examples_folder()
    known = sorted(p.parent.name for p in folder.glob(f"*/{FILE}"))
    if example not in known:
        raise UnknownName("example", example, known)
    # What somebody's own runs of the example have left beside it.
    left_out = shutil.ignore_patterns("__pycache__", ".trikk", "*.pyc")
    try:
        shutil.copytree(folder / example, target, ignore=left_out, dirs_exist_ok=True)
        (target / ".gitignore").write_text(_IGNORED)
    except OSError as error:
        raise UsageError(f"{target} can't be made: {error}", next="choose another folder") from error


def _doctor_by_server(client: Client, as_json: bool) -> int:
    from trikk.execution.upkeep.project_check import Finding

    return _print_findings(map(Finding.read, client.doctor()["findings"]), as_json=as_json)


@click.command()
@json_option
@or_by_server(_doctor_by_server)
def doctor(as_json: bool) -> int:
    """Check settings, code, names, journal, artifacts, tables and channels; exit code 1 if anything is wrong."""
    from trikk.server.declaration_check import check_project

    return _print_findings(check_project(Project.open()), as_json=as_json)


def _print_findings(findings: Iterable[Finding], *, as_json: bool) -> int:
    printed = []
    for finding in findings:
        printed.append(finding)
        # As soon as it is there: on a large project the next may take minutes.
        if not as_json:
            echo(f"{'ok  ' if finding.good else 'BAD '} {finding.subject}: {finding.text}")
            if finding.next:
                echo(f"       next: {finding.next}")
    healthy = all(finding.good for finding in printed)
    if as_json:
        print_json({"healthy": healthy, "findings": [finding.to_json() for finding in printed]})
    return 0 if healthy else 1
