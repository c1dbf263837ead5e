"""A metric of the author's own for A/B: called in a worker, as whatever is the author's, never in the command."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from trikk.core.errors import UsageError
from trikk.execution.step_messages import StepCall
from trikk.models.metrics.by_name import metric_of
from trikk.monitoring.ab.losses import GROUP, OTHER, Extent, each_without
from trikk.monitoring.cases.case_columns import OBSERVED, PREDICTED
from trikk.pipeline.step import Step

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from trikk.execution.project import Project
    from trikk.execution.workers.process_executor import ProcessExecutor

_CASES, _VALUES = "cases.arrow", "values.npy"
_WAIT = 1.0


def without_each(place: str, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
    """A function's value on all cases, and without each of the days, by slice and side, as `LeftOut` wants it.

    Where it raises there is no value; but on all cases together, the error is raised.

    Args:
        place: "module:function" of truths and values, numpy arrays.
        pairs: the cases.
        extent: of their days and slices.
    """
    function = metric_of(place).function
    assert function is not None
    errors: list[Exception] = []

    def values(rows: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        import numpy as np

        metrics = np.full((extent.groups, 2), np.nan)
        for (group,), members in rows.group_by(GROUP, maintain_order=True):
            for side, column in enumerate((PREDICTED, OTHER)):
                try:
                    metrics[int(str(group)), side] = function(
                        members[OBSERVED].to_numpy(), members[column].to_numpy()
                    )
                except Exception as error:  # noqa: BLE001 - an author's function may raise anything
                    errors.append(error)
        # Of a slice or a left-out day, a value may simply not be defined; of everything, the function is at fault.
        if errors and extent.groups == 1 and len(rows) == len(pairs):
            raise errors[0]
        return metrics

    return each_without(values, pairs, extent)


def from_folder(place: str, folder: str, days: int, groups: int) -> None:
    """The step: cases are read from a folder, and values written to it."""
    import numpy as np
    import polars as pl

    pairs = pl.read_ipc(Path(folder) / _CASES)
    np.save(Path(folder) / _VALUES, without_each(place, pairs, Extent(days, groups)))


FROM_FOLDER: Step[..., Any] = Step(from_folder, name="from_folder")


class Workers:
    """Calls authors' functions in workers; the project is imported at the first. Use it in a `with` statement."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._executor: ProcessExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.close()

    def __call__(self, place: str, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
        """As `without_each`.

        Raises:
            ProjectError: if the project can't be imported.
            UsageError: if the function raises, or ends its process.
        """
        import numpy as np

        with tempfile.TemporaryDirectory(prefix="trikk-ab-") as folder:
            # By a file: half a million cases are too much for the JSON of a call.
            pairs.write_ipc(Path(folder) / _CASES)
            self._call(place, {"place": place, "folder": folder, "days": extent.days, "groups": extent.groups})
            values: np.ndarray[Any, Any] = np.load(Path(folder) / _VALUES)
            return values

    def _call(self, place: str, arguments: dict[str, Any]) -> None:
        if self._executor is None:
            from trikk.execution.workers.process_executor import ProcessExecutor

            self._executor = ProcessExecutor(self._project.settings)
            self._executor.graphs()
        given = {name: {"value": value} for name, value in arguments.items()}
        log = str(Path(arguments["folder"]) / "log")  # what the function prints does not belong to the command
        call = StepCall("", "", place, None, 1, given, log=log, ready_made=f"{__name__}:FROM_FOLDER")
        self._executor.start(place, call)
        while not (finished := self._executor.poll(_WAIT)):
            continue
        result = finished[0].result
        if result is None:
            raise _failed(
                place, f"has ended its process (status {os.waitstatus_to_exitcode(finished[0].status)})", ""
            )
        if result.error is not None:
            kind, message = result.error["type"], result.error["message"]
            if kind.rpartition(".")[2] == UsageError.__name__:
                raise UsageError(message.partition("\n")[0], next="name a function at the top level of a module")
            raise _failed(place, f"raised {kind}: {message}", result.error["where"])


def in_process(place: str, pairs: pl.DataFrame, extent: Extent) -> np.ndarray[Any, Any]:
    """As `without_each`, in this process, where it may be; UsageError if the function raises."""
    try:
        return without_each(place, pairs, extent)
    except UsageError:
        raise
    except Exception as error:
        raise _failed(place, f"raised {type(error).__name__}: {error}", "") from error


def _failed(place: str, failure: str, where: str) -> UsageError:
    return UsageError(
        f"the metric {place} {failure}", where=where or None, next="mend it, or compare by another metric"
    )


Call = Callable[[str, "pl.DataFrame", Extent], "np.ndarray[Any, Any]"]
"""`in_process`, or `Workers` of a project."""
