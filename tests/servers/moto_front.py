"""moto, in an application that answers the few calls of Terraform's AWS provider that moto does not know."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.moto import MotoServer
from tests.servers.shared import answers, free_ports, launch, shared, stop

_SECONDS = 60
Answer = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def moto_front(tmp_path_factory: pytest.TempPathFactory) -> MotoServer:
    """The server; the test is skipped, with the reason, where it can't be had."""
    pytest.importorskip("moto.server", reason="no moto server", exc_type=ImportError)
    try:
        return MotoServer(shared(tmp_path_factory.getbasetemp(), "moto-front", _start))
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no moto server: {error}")


def _start(folder: Path, owner: int) -> tuple[str, subprocess.Popen[bytes]]:
    [port] = free_ports(1)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); "]
    command[-1] += f"from tests.servers.moto_front import serve; serve({port})"
    process = launch(command, folder / "log", owner)
    if not answers(process, port, _SECONDS):
        stop(process)
        raise RuntimeError("it did not start")
    return f"http://127.0.0.1:{port}", process


def serve(port: int) -> None:
    """Serve until the process ends."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    _complete_functions()
    # moto reads no conditions of a bucket's policy: a Deny for plain HTTP would refuse every object.
    FakeBucket.get_permission = lambda self, action, resource: PermissionResult.NEUTRAL
    moto = DomainDispatcherApplication(create_backend_app)

    def front(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = _ANSWERS.get(environ.get("HTTP_X_AMZ_TARGET", ""))
        if answer is None:
            return moto(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = json.dumps(answer(json.loads(environ["wsgi.input"].read(length)))).encode()
        start_response(
            "200 OK", [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
        )
        return [body]

    run_simple("127.0.0.1", port, front, threaded=True)


def _complete_functions() -> None:
    """Have moto give back of a function what it is told and drops."""
    from moto.awslambda.models import LambdaFunction

    begin, describe = LambdaFunction.__init__, LambdaFunction.get_configuration

    def remember(self: Any, account_id: str, spec: dict[str, Any], *rest: Any, **more: Any) -> None:
        begin(self, account_id, spec, *rest, **more)
        self.dropped = {key: spec[key] for key in ("DeadLetterConfig", "LoggingConfig") if key in spec}

    def completed(self: Any, *rest: Any, **more: Any) -> dict[str, Any]:
        return {**describe(self, *rest, **more), **self.dropped}

    LambdaFunction.__init__, LambdaFunction.get_configuration = remember, completed  # type: ignore[method-assign]


def _delete_model_package_group(request: dict[str, Any]) -> dict[str, Any]:
    from moto.sagemaker.models import sagemaker_backends

    for regions in sagemaker_backends.values():
        for backend in regions.values():
            backend.model_package_groups.pop(request["ModelPackageGroupName"], None)
    return {}


_ANSWERS: dict[str, Answer] = {"SageMaker.DeleteModelPackageGroup": _delete_model_package_group}
