"""`python -m trikk.targets.sagemaker.local.definition_command FILE`: carries out any pipeline definition here."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from trikk.core.errors import TrikkError, UsageError
from trikk.targets.sagemaker.local.containers.bucket_transfer import S3Access
from trikk.targets.sagemaker.local.definition.pipeline_definition import read_definition
from trikk.targets.sagemaker.local.definition.step_order import OVER, ExecutionPhase, StepPhase
from trikk.targets.sagemaker.local.execution_surroundings import job_environment, needing, stopping
from trikk.targets.sagemaker.local.local_execution import LocalExecution, LocalSettings
from trikk.targets.sagemaker.local.object_server import ObjectServer

_EXIT = {ExecutionPhase.SUCCEEDED: 0, ExecutionPhase.COMPLETED_WITH_FAILURES: 0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry a definition out; 0 if it succeeded, 1 if it failed or was stopped, 2 for wrong usage."""
    given = _parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        with _server(given.data) as (server, access), _folder(given.logs) as folder:
            execution = LocalExecution(
                read_definition(_text(given.definition)),
                given.definition.stem,
                dict(given.parameter),
                secrets.token_hex(6),
                LocalSettings(folder, access, job_environment(access), dict(given.function), Path.cwd()),
                lambda name: _say(execution, name),
            )
            with stopping(execution), needing(server, execution):
                phase = execution.run()
            described = execution.describe()
            print(f"{phase}: {described.get('FailureReason', described['PipelineExecutionArn'])}")  # noqa: T201
            return _EXIT.get(phase, 1)
    except TrikkError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def _say(execution: LocalExecution, name: str) -> None:
    step = next((each for each in execution.list_steps() if each["StepName"] == name), None)
    if step is not None and StepPhase(step["StepStatus"]) in (*OVER, StepPhase.EXECUTING):
        print(f"  {name}: {step['StepStatus']} {step.get('FailureReason', '')}".rstrip(), flush=True)  # noqa: T201


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} can't be read: {error}", next="name a file with a pipeline definition"
        ) from error


@contextlib.contextmanager
def _server(data: Path | None) -> Iterator[tuple[ObjectServer | None, S3Access]]:
    if data is None:
        yield None, S3Access(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""))
        return
    server = ObjectServer(data.absolute())
    with server as access:
        yield server, access


@contextlib.contextmanager
def _folder(logs: Path | None) -> Iterator[Path]:
    if logs is not None:
        yield logs.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="trikk-definition-") as folder:
        yield Path(folder)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m trikk.targets.sagemaker.local.definition_command")
    parser.add_argument("definition", type=Path, help="a JSON file with a pipeline definition")
    for short, long, meaning in (
        ("-p", "--parameter", "a parameter; repeatable"),
        ("-f", "--function", "a handler module:function in the place of a Lambda function; repeatable"),
    ):
        parser.add_argument(
            short, long, type=_pair, action="append", default=[], metavar="NAME=VALUE", help=meaning
        )
    parser.add_argument("--data", type=Path, help="start an S3 server with its data here; else AWS_ENDPOINT_URL")
    parser.add_argument("--logs", type=Path, help="a folder for what containers print; else none is kept")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
