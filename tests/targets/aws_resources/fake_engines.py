"""SageMaker's and Step Functions' StartExecution on loopback, as documented: a token, or a name, starts once.

moto's ignore both: there one token starts two executions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT = "111122223333"


class FakeEngines(ThreadingHTTPServer):
    """What was started: by token, what it was started with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.started: dict[str, dict[str, Any]] = {}
        self.calls: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, action: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append(request)
        key = "ClientRequestToken" if action == "StartPipelineExecution" else "name"
        token = request.pop(key)
        assert 32 <= len(token) <= 80
        if self.started.setdefault(token, request) != request:
            return 400, {"__type": "ConflictException", "message": "another request has this token"}
        number = f"{list(self.started).index(token):012d}"
        if key == "name":
            return 200, {
                "executionArn": f"arn:aws:states:eu-west-1:{ACCOUNT}:execution:machine:{token}",
                "startDate": 1,
            }
        arn = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:pipeline/{request['PipelineName']}/execution/{number}"
        return 200, {"PipelineExecutionArn": arn}


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngines

    def do_POST(self) -> None:
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.answer(action, request)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def fake_engines() -> Iterator[FakeEngines]:
    server = FakeEngines()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
