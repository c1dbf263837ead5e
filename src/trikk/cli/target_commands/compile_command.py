"""`trikk compile`: a pipeline in an engine's own format, for people, for files, and for Terraform."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from trikk.cli.printing import echo, print_json
from trikk.core.errors import TrikkError, UsageError
from trikk.core.text import shorten
from trikk.execution.project import Project
from trikk.targets.target_port import target_named, target_names

_QUERY = ("pipeline", "environment")


@click.command("compile")
@click.argument("target", type=click.Choice(target_names()), metavar="TARGET")
@click.argument("pipeline", required=False)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it into this file.")
@click.option("--upload", is_flag=True, help="Put the project's code and the graph where jobs fetch them, too.")
@click.option("--external", is_flag=True, help="Speak the protocol of Terraform's external data source.")
def compile(target: str, pipeline: str | None, output: Path | None, upload: bool, external: bool) -> int:  # noqa: A001
    """Print PIPELINE as a document of TARGET (sagemaker, stepfunctions, airflow, terraform), and nothing else.

    The same code and settings give the same bytes. With --external a JSON object on standard input may name the
    pipeline and the environment; a flat object with the keys definition and sha256 is printed.
    """
    if external:
        return _external(target, pipeline, upload=upload)
    if pipeline is None:
        raise UsageError("which pipeline?", next=f"trikk compile {target} PIPELINE; trikk pipelines lists them")
    document = _document(target, pipeline, upload=upload)
    if output is None:
        sys.stdout.buffer.write(f"{document}\n".encode())  # as bytes: no terminal's encoding changes it
    else:
        try:
            output.write_text(f"{document}\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{output} can't be written: {error.strerror}", next="choose another file") from error
    return 0


def _document(target: str, pipeline: str, *, upload: bool) -> str:
    from trikk.cli.target_commands import compile_source

    project = Project.open()
    (source,) = compile_source.sources(project, pipeline)
    document = target_named(target).document(source)
    if upload:
        compile_source.upload(project, source, target)
    return document


def _external(target: str, pipeline: str | None, *, upload: bool) -> int:
    """Answer Terraform: one object in, one flat object of texts out; of an error one line on standard error.

    Source: https://registry.terraform.io/providers/hashicorp/external/latest/docs/data-sources/external
    """
    try:
        query = _query(sys.stdin.read())
        named = query.get("pipeline", pipeline)
        if named is None:
            raise UsageError("no pipeline was named", next='query = {pipeline = "..."}')
        if "environment" in query:
            os.environ["TRIKK_ENVIRONMENT"] = query["environment"]
        document = _document(target, named, upload=upload)
    except TrikkError as error:
        line = "; ".join(filter(None, (error.what, error.where, error.next)))
        echo(" ".join(line.split()), err=True)
        return 1
    digest = hashlib.sha256(document.encode()).hexdigest()
    print_json({"definition": document, "sha256": digest})
    return 0


def _query(text: str) -> dict[str, str]:
    try:
        query: Any = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise UsageError(
            "what came on standard input is no JSON", next="use Terraform's external data source"
        ) from None
    if not isinstance(query, dict) or not all(isinstance(value, str) for value in query.values()):
        raise UsageError("the query is no object of texts", next='query = {pipeline = "nightly"}')
    if unknown := sorted(set(query) - set(_QUERY)):
        raise UsageError(
            f"the query has the unknown key {shorten(unknown[0], 60)}", next=f"there are: {', '.join(_QUERY)}"
        )
    return {key: value for key, value in query.items() if value}
