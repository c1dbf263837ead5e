"""A notebook executed by papermill in a folder of its own; what there is of it is kept, whatever happens."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from trikk.core.errors import MissingExtra, ProgramFailed, UsageError
from trikk.execution.process_environment import changed_variables
from trikk.runs import logged
from trikk.runs.context import current_step
from trikk.steps.notebooks.parameter_names import check_notebook, check_parameters, file_of, plain, variable
from trikk.steps.scripts.workfolder import (
    code_file,
    code_variables,
    make_room,
    put_inputs,
    take_outputs,
    tidy,
    work_folder,
)

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_START_SECONDS = 60
_INJECTED = "injected-parameters"


@dataclass(slots=True)
class Book:
    """A notebook on its way."""

    path: str  # the author's file, relative to the project
    node: Any  # the notebook, which grows while it is executed
    kernel: str  # the kernel's name
    own_ids: frozenset[str]  # ids of the author's cells
    folder: Path  # where the executed notebook and its page are written

    @property
    def files(self) -> tuple[Path, Path]:
        """The executed notebook and its page."""
        stem = Path(self.path).stem
        return self.folder / f"{stem}.ipynb", self.folder / f"{stem}.html"


def run_notebook(
    path: str, parameters: Mapping[str, object], inputs: Mapping[str, object], outputs: Sequence[str], kernel: str
) -> tuple[Any, ...]:
    """Execute a notebook; arguments as `trikk.notebook` describes them.

    Returns:
        The executed notebook and its page, as Paths, and the outputs.

    Raises:
        UsageError: if there is no such notebook, parameter or kernel.
        ProgramFailed: if a cell fails, naming it, or the kernel dies.
        StorageError: if an output is missing or can't be read.
        MissingExtra: if papermill is not installed.
    """
    check_notebook(path, kernel)
    check_parameters(parameters, inputs)
    source = code_file(path, "notebook")
    values = {name: plain(value) for name, value in parameters.items()}
    values |= {variable(name): file_of(name) for name in inputs}
    with work_folder() as folder:
        work = folder / "work"
        work.mkdir()
        put_inputs(work, {file_of(name): value for name, value in inputs.items()})
        make_room(work, outputs)
        book = _opened(source, path, values, kernel, folder)
        try:
            with _environment(folder), _kept_when_terminated(book):
                _execute(book, work)
        except Exception:
            _try_to_keep(book)
            raise
        _keep(book)
        result = (*book.files, *take_outputs(work, outputs, path))
        tidy(folder, result)
    return result


def _opened(source: Path, path: str, values: dict[str, Any], kernel: str, folder: Path) -> Book:
    """The author's notebook with a cell that sets the parameters."""
    try:
        from papermill.iorw import load_notebook_node
        from papermill.parameterize import parameterize_notebook
    except ImportError:
        raise MissingExtra("a notebook as a step", "notebook") from None
    from trikk.steps.notebooks.kernel import NATIVE

    # `NATIVE` needs no kernel of that name to be installed, in which papermill would look the language up.
    language = "python" if kernel == NATIVE else None
    try:
        node = load_notebook_node(str(source))
        own = frozenset(str(cell["id"]) for cell in node.cells if "id" in cell)
        unknown = _unknown(node, values)
        if not unknown and values:
            node = parameterize_notebook(node, values, kernel_name=kernel, language=language)
    except Exception as error:
        raise UsageError(
            f"{path} can't be used as a notebook: {(str(error).splitlines() or [''])[0]}",
            where=str(source),
            next="open it with Jupyter and save it again",
        ) from error
    if unknown:
        raise UsageError(
            f"{path} has no parameter {unknown[0]!r}",
            where=str(source),
            next='its cell with the tag "parameters" does not name it: correct one of them',
        )
    if overridden := _overridden(node, values):
        raise UsageError(
            f"{path} sets {overridden!r} itself, over the parameter's value",
            where=str(source),
            next='give the cell with its default the tag "parameters": the values come behind it',
        )
    return Book(path, node, kernel, own, folder)


def _unknown(node: Any, values: Mapping[str, object]) -> list[str]:
    """Parameters that the cell for them, if there is one, does not mention at all: names written wrongly."""
    cells = [cell.source for cell in node.cells if "parameters" in cell.metadata.get("tags", [])]
    return [name for name in values if cells and not re.search(rf"\b{name}\b", cells[0])]


def _overridden(node: Any, values: Mapping[str, object]) -> str:
    """A parameter that a cell sets where none has the tag: the values stand in front of all cells then."""
    if any("parameters" in _tags(cell) for cell in node.cells):
        return ""
    code = "\n".join(
        cell.source for cell in node.cells if cell.cell_type == "code" and _INJECTED not in _tags(cell)
    )
    return next((n for n in values if re.search(rf"^{n}\s*(?::[^=\n]*)?(?:=(?!=)|<-)", code, re.MULTILINE)), "")


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _execute(book: Book, work: Path) -> None:
    """Execute the cells up to the first that fails; raises what `run_notebook` says."""
    import zmq
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill.engines import NBClientEngine
    from papermill.utils import chdir
    from traitlets.config import Config

    from trikk.steps.notebooks.kernel import Manager

    settings = {"connection_file": str(book.folder / "kernel.json")}
    # Else other users of the machine could read and send on the kernel's ports.
    if zmq.has("curve"):
        settings["transport_encryption"] = "auto"
    try:
        with chdir(str(work)):
            NBClientEngine.execute_notebook(
                book.node,
                book.kernel,
                progress_bar=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
                start_timeout=_START_SECONDS,
                record_timing=False,
                kernel_manager_class=Manager,
                config=Config({"Manager": settings}),
            )
    except NoSuchKernel:
        known = ", ".join(sorted(KernelSpecManager().find_kernel_specs())) or "none"
        raise UsageError(
            f"there is no kernel {book.kernel!r}", where=book.path, next=f"install it, or use one of: {known}"
        ) from None
    except DeadKernelError:
        running = _of_status(book, "running") or _of_status(book, "completed")
        raise _failure(book, running, "the kernel died", "most often memory ran out") from None
    except RuntimeError as error:
        raise _failure(book, None, "the kernel did not start or answer", str(error)) from error
    failed = next((cell for cell in book.node.cells if cell.metadata.papermill.exception), None)
    if failed is not None:
        _refuse_failed(book, failed)


def _of_status(book: Book, status: str) -> Any:
    return next((c for c in reversed(book.node.cells) if c.metadata.papermill.get("status") == status), None)


def _refuse_failed(book: Book, cell: Any) -> None:
    error = next((output for output in cell.outputs if output.output_type == "error"), None)
    if error is None:
        raise _failure(book, cell, "the cell failed", "its output says more")
    if error.ename == "SystemExit" and error.evalue in ("", "0", "None"):
        return
    print(_COLOURS.sub("", "\n".join(error.traceback)), file=sys.stderr)  # noqa: T201 - the step's log
    raise _failure(book, cell, error.ename, error.evalue)


def _failure(book: Book, cell: Any, problem: str, detail: str) -> ProgramFailed:
    where = book.path if cell is None else f"{book.path}, {_place(book, cell)}"
    line = "" if cell is None else _first_line(cell.source)
    text = f"{where}: {problem}" + (f": {detail[:1000]}" if detail else "")
    return ProgramFailed(
        text + (f"\n  line: {line}" if line else ""),
        where=where,
        next="the notebook as far as it went is kept with the run; mend that cell",
    )


def _place(book: Book, cell: Any) -> str:
    """The cell's number in the author's file, from 1, all kinds of cells counted."""
    if _INJECTED in cell.metadata.get("tags", []):
        return "the cell with the parameters"
    before = [c for c in book.node.cells if _INJECTED not in c.metadata.get("tags", [])]
    number = next(place for place, candidate in enumerate(before, start=1) if candidate is cell)
    return f"cell {number}"


def _first_line(source: str) -> str:
    lines = (line.strip() for line in source.splitlines())
    return next((line[:200] for line in lines if line and not line.startswith("#")), "")


def _keep(book: Book) -> None:
    """Write the notebook and its page as they are now; in a run, log both, so that they outlive a failure."""
    import copy

    from nbformat import v4

    from trikk.steps.notebooks.notebook_page import settle, write_page

    # A copy: the notebook may go on being executed, as at a signal.
    node = copy.deepcopy(book.node)
    settle(node, book.own_ids)
    path, page = book.files
    form: Any = v4
    path.write_text(form.writes(node) + "\n", "utf-8")
    _log(path, "file")
    write_page(node, Path(book.path).stem, page)
    _log(page, "report")


def _log(file: Path, kind: str) -> None:
    step = current_step()
    if step is not None:
        step.record(*logged.artifact(file.name, kind, step.artifacts.save(file)))


def _try_to_keep(book: Book) -> None:
    """After a failure, which matters more than one of keeping the notebook."""
    try:
        _keep(book)
    except Exception as error:  # noqa: BLE001 - whatever it is, the first error is the one to tell
        print(f"{book.path} could not be kept as far as it went: {error}", file=sys.stderr)  # noqa: T201


@contextmanager
def _kept_when_terminated(book: Book) -> Iterator[None]:
    """At SIGTERM, as at a time-out, there are seconds left to keep what there is; then it ends as it would."""
    if current_step() is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminated(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
        # First: a second signal ends it at once.
        signal.signal(number, signal.SIG_DFL)
        _try_to_keep(book)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """What the kernel inherits: the project's modules can be imported, a user's own start-up files are not run."""
    with changed_variables({**code_variables(), "IPYTHONDIR": str(folder / "ipython")}):
        yield
