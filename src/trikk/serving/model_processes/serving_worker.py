"""A worker's process: one model version, loaded with the code that it was made with, answers batches on a socket.

    front -> worker   {"do": "preload", "modules": [...]}        import libraries ahead of time
                      {"do": "load", ...}                        load a version (a `LoadSpec`) and try it
                      {"do": "answer", "requests": [...]} + bodies
    worker -> front   {"ready": {"modules": [...], "note": ...}} or {"error": {...}}
                      {"answers": [...], "rows": n, "value": type} + bodies, log

It ends when the front hangs up or dies.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from trikk.core.errors import PredictionError, TrikkError
from trikk.core.logs import log_to_stderr
from trikk.execution.workers.child import finish
from trikk.execution.workers.descendants import die_with_parent
from trikk.models.signature import Field
from trikk.models.version import ModelVersion
from trikk.serving.http.bodies import Body
from trikk.serving.model_processes.predictor import Logging, Predictor, Request
from trikk.serving.model_processes.worker_messages import LoadSpec, Message, Order, pack, receive

_TEXTS = ("String", "Categorical")


class Worker:
    """Serves one front until it hangs up."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._predictor: Predictor | None = None

    def serve(self) -> None:
        """Do what the front says until it is gone."""
        while (message := receive(self._sock)) is not None:
            match message.head["do"]:
                case Order.ANSWER:
                    self._answer(message)
                case Order.PRELOAD:
                    _preload(message.head["modules"])
                case Order.LOAD:
                    self._sock.sendall(pack(self._load(LoadSpec.read(message.head))))

    def _load(self, spec: LoadSpec) -> dict[str, Any]:
        try:
            version = ModelVersion.read(spec.version)
            self._predictor = _predictor(spec, version)
            note = _try(self._predictor.model, version)
        except TrikkError as error:
            return {"error": {**error.to_json()}}
        except BaseException as error:  # noqa: BLE001 - the front must hear of it, whatever the author's code raises
            problem = f"version {spec.version['version']} can't be loaded: {type(error).__name__}: {error}"
            return {"error": {"code": "error", "what": problem, "where": None, "next": None}}
        return {"ready": {"modules": _libraries(), "note": note}}

    def _answer(self, message: Message) -> None:
        assert self._predictor is not None
        began = time.perf_counter()
        requests = [
            Request(Body(data, about["type"], about["encoding"]), about["accept"])
            for about, data in zip(message.head["requests"], message.parts, strict=True)
        ]
        done = self._predictor.answer(requests)
        head = {
            "answers": [[a.status, a.content_type, a.rows, a.id] for a in done.answers],
            "rows": done.rows,
            "value": done.value,
            "seconds": time.perf_counter() - began,
        }
        self._sock.sendall(pack(head, [*(a.body for a in done.answers), done.log]))


def _predictor(spec: LoadSpec, version: ModelVersion) -> Predictor:
    from trikk.core.settings import load_settings
    from trikk.execution.code.loading import load
    from trikk.storage.artifacts import Artifacts
    from trikk.storage.stores.locations import open_store

    code = Path(spec.code)
    sys.path.insert(0, spec.code)  # unpickling imports from there what the model was made of
    own = load_settings(code, stored=True)
    codecs = load(own, code).codecs if own.codecs else ()
    log_to_stderr(own)
    model = version.load(Artifacts(open_store(spec.artifacts), codecs))
    logging = None
    if (log := spec.log) is not None:
        logging = Logging(tuple(Field(name, dtype) for name, dtype in log.fields), log.inputs, log.value)
    return Predictor(model, version, logging, max_bytes=spec.max_bytes, max_rows=spec.max_rows)


def _try(model: Any, version: ModelVersion) -> str | None:
    """Predict one made-up row, which also warms up; a note if it failed for what may be a made-up text.

    Raises:
        PredictionError: if the model can't predict a row that fits its signature.
    """
    if version.signature is None:
        return None
    import polars as pl

    from trikk.models.calling.dtypes import dtype_of
    from trikk.models.calling.invoke import predict_values

    values: dict[str, Any] = {"String": "", "Categorical": "", "Boolean": False}
    row = pl.DataFrame(
        [
            pl.Series(f.name, [values.get(f.dtype, 0)]).cast(dtype_of(f.dtype), strict=False)
            for f in version.signature.inputs
        ]
    )
    try:
        for _ in range(3):
            predict_values(model, row, version.signature, allow_nan=True)
    except PredictionError as error:
        if any(field.dtype in _TEXTS for field in version.signature.inputs):
            return f"a row with empty texts can't be predicted: {error.what}"
        raise
    return None


def _preload(modules: list[str]) -> None:
    for name in modules:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def _libraries() -> list[str]:
    """The modules that are imported from installed packages, in the order in which they came."""
    places = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    names = []
    for name, module in list(sys.modules.items()):
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(origin, str) and origin.startswith(places) and not name.startswith("_"):
            names.append(name)
    return names


def main() -> None:
    """`python -m (this module) FD`: a worker for the front at the other end of socket FD."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a Ctrl-C is for the front, which ends its workers when they are done
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(True)
    os.dup2(2, 1)  # what a model prints belongs to the log
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        Worker(socket.socket(fileno=descriptor)).serve()
    finish(0)


if __name__ == "__main__":
    main()
