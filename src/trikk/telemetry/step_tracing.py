"""A step's place in its run's trace: what its process, and the programs that it starts, are told of it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from trikk.telemetry.span_records import NOT_SAMPLED, SAMPLED, span_of, trace_of, traceparent
from trikk.telemetry.trace_settings import is_sampled

if TYPE_CHECKING:
    from trikk.telemetry.authors_spans import StepProvider


class StepTracer:
    """What a host makes once, and each of its workers uses for its own step.

    Where nothing that is imported has to do with OpenTelemetry, its SDK is not either: each fork of a larger
    process takes longer, and there would be no spans but those that the driver makes.

    Args:
        code: the folder that the project's code was imported from.
    """

    def __init__(self, code: Path) -> None:
        self._provider: StepProvider | None = None
        if _is_used(code):
            with contextlib.suppress(ImportError):  # the driver says so
                from trikk.telemetry.authors_spans import StepProvider

                self._provider = StepProvider()

    def trace(self, run: str) -> str:
        """The id of a run's trace."""
        return trace_of(run)

    def enter(self, run: str, step: str, item: int | None, attempt: int, log: Path | None) -> None:
        """Be within an attempt's span until this process ends; `log` is the attempt's, if it has one.

        Programs that the step starts are told by the variable TRACEPARENT, as OpenTelemetry's propagators read it.
        """
        within, span = trace_of(run), span_of(run, step, item, attempt)
        flags = SAMPLED if is_sampled(within) else NOT_SAMPLED
        os.environ["TRACEPARENT"] = traceparent(within, span, flags)
        if self._provider is not None:
            self._provider.enter(within, span, flags, log)


def _is_used(code: Path) -> bool:
    """Whether OpenTelemetry is imported, or some of the project's code, imported by now, may do so later."""
    if "opentelemetry.trace" in sys.modules:
        return True
    files = [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    own = (file for file in files if file.suffix == ".py" and file.is_relative_to(code))
    return any(b"opentelemetry" in file.read_bytes() for file in own)
