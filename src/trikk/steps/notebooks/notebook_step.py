"""`notebook("report.ipynb", {...})`: a notebook of the project as a step, kept as it was executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trikk.core.durations import Duration
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Resources, Retry
from trikk.pipeline.step import Step
from trikk.steps.notebooks.parameter_names import check_notebook, check_parameters
from trikk.steps.scripts.command_line import refuse_addresses
from trikk.steps.scripts.file_names import check_file_name


class Executed(NamedTuple):
    """What came of a notebook.

    Attributes:
        notebook: the executed notebook, a Path.
        html: the same as a page that needs nothing else, a Path.
        files: its outputs by file name: rows, plain values, Paths.
    """

    notebook: Any
    html: Any
    files: dict[str, Any]


def _run(
    path: str, parameters: dict[str, Any], inputs: dict[str, Any], outputs: list[str], kernel: str
) -> tuple[Any, ...]:
    from trikk.steps.notebooks.notebook_run import run_notebook

    return run_notebook(path, parameters, inputs, outputs, kernel)


_NOTEBOOK: Step[..., Any] = Step(_run, name="notebook")


def notebook(
    path: str,
    parameters: Mapping[str, object] | None = None,
    *,
    inputs: Mapping[str, object] | None = None,
    outputs: str | Sequence[str] = (),
    kernel: str = "python3",
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
    resources: Resources | None = None,
) -> Executed:
    """Execute a notebook, as a step, in an empty folder of its own.

    The notebook as it was executed, and its HTML page, are also logged to the run when a cell fails.

    Args:
        path: the notebook, relative to the project's folder.
        parameters: values for the cell with the tag "parameters": plain ones, parameters of the pipeline, outputs
            of steps; a date arrives as its ISO text.
        inputs: rows and other values by name: "people" is written as people.parquet, "people.csv" in that form;
            the file's name is passed as the parameter `people`.
        outputs: names of files that it writes into the folder: .parquet, .csv and .jsonl are read as rows, .json
            as its value, anything else is kept as a file.
        kernel: the Jupyter kernel; "python3" is the Python that trikk itself runs with.
        name: the step's name; "notebook", "notebook-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take; the kernel is ended then.
        resources: a `Resources`; one core if not given.

    Returns:
        Its `.notebook`, `.html` and `.files[name]`. Outside of a pipeline it is executed at once.

    Raises:
        DefinitionError: if an argument is wrong.
    """
    names = [outputs] if isinstance(outputs, str) else list(outputs)
    with defining():
        check_notebook(path, kernel)
        check_parameters(parameters or {}, inputs or {})
        refuse_addresses(dict(parameters or {}), "a parameter of the notebook")
        for file in names:
            check_file_name(file, "output")
    step = _NOTEBOOK.options(name=name, after=after, retry=retry, timeout=timeout, resources=resources)
    kinds: Any = (Path, Path, *(Any for _ in names))
    step.types = {**step.types, "return": tuple[kinds]}  # each output is an artifact of its own
    book, page, *files = step(path, dict(parameters or {}), dict(inputs or {}), names, kernel)
    return Executed(book, page, dict(zip(names, files, strict=True)))
