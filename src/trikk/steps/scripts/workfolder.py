"""The folder in which a script or notebook works: files put into it, files taken out of it, none beside it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from trikk.core.errors import StorageError, TrikkError, UsageError
from trikk.core.settings import FILE, load_settings
from trikk.runs.bundle import source_files
from trikk.runs.context import current_step
from trikk.steps.scripts.file_names import check_file_name

if TYPE_CHECKING:
    import polars as pl

_ROWS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@contextmanager
def work_folder() -> Iterator[Path]:
    """A new, empty folder, removed after a failure.

    In a run it is removed when the step's results are stored, too; outside of one that is for `tidy`.
    """
    step = current_step()
    if step is not None:
        yield step.artifacts.scratch()
        return
    folder = Path(tempfile.mkdtemp(prefix="trikk-work-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def tidy(folder: Path, given: object) -> None:
    """Outside of a run, remove a folder unless files in it were given to the caller."""
    values = given if isinstance(given, tuple | list) else (given,)
    if current_step() is None and not any(isinstance(value, Path) for value in values):
        shutil.rmtree(folder, ignore_errors=True)


def code_folder() -> Path:
    """The folder that the project's code is imported from: the project's own, or a restored bundle in a replay."""
    for entry in sys.path:
        if entry and Path(entry, FILE).is_file():
            return Path(entry)
    step = current_step()
    return step.root if step is not None else Path.cwd()


def code_variables() -> dict[str, str]:
    """What a program is told of the project's code: where it is, and that its modules can be imported."""
    root = str(code_folder())
    return {
        "TRIKK_CODE": root,
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


def code_file(name: str, kind: str) -> Path:
    """A file of the project's code, by its path relative to the project's folder.

    Raises:
        UsageError: if there is no such file, its name leads outside, or a run's code does not include it.
    """
    check_file_name(name, kind)
    root = code_folder()
    path = root / name
    if not path.is_file():
        raise UsageError(
            f"there is no {kind} {name!r} in the project's code",
            where=str(path),
            next="check its path relative to trikk.toml, and that code = [...] there includes it",
        )
    if (root / FILE).is_file() and path not in set(source_files(root, load_settings(root, stored=True).code)):
        pattern = f"**/*{path.suffix}" if path.suffix else name
        raise UsageError(
            f"{name!r} is not part of a run's code, so that no replay would have it",
            where=str(path),
            next=f'add it to trikk.toml: code = ["{pattern}"] (links and files over 10 MB can\'t be code)',
        )
    return path


def put_inputs(folder: Path, inputs: Mapping[str, object]) -> None:
    """Write each input under its name.

    A name's ending gives the form: rows as .parquet, .csv, .jsonl or .ndjson; a plain value as .json; a text or
    bytes as anything else. A Path is copied, a folder with all that is in it.

    Raises:
        UsageError: if a value can't be written in that form.
    """
    for name, value in inputs.items():
        check_file_name(name, "input")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _put(path, value)
        except TrikkError:
            raise
        except Exception as error:
            raise UsageError(
                f"input {name!r} can't be written: {(str(error).splitlines() or [''])[0]}",
                where=name,
                next="give what that kind of file can hold",
            ) from error


def _put(path: Path, value: Any) -> None:
    suffix = path.suffix.lower()
    if isinstance(value, Path):
        if value.is_dir():
            shutil.copytree(value, path)
        else:
            shutil.copyfile(value, path)
    elif suffix in _ROWS:
        rows = _lazy(value)
        sinks: dict[str, Callable[[Path], object]]
        sinks = {"parquet": rows.sink_parquet, "csv": rows.sink_csv, "jsonl": rows.sink_ndjson}
        sinks[_ROWS[suffix]](path)
    elif suffix == ".json":
        path.write_text(json.dumps(value, ensure_ascii=False, default=_as_text), "utf-8")
    elif isinstance(value, bytes):
        path.write_bytes(value)
    elif isinstance(value, str):
        path.write_text(value, "utf-8")
    else:
        raise UsageError(
            f"input {path.name!r} can't hold a {type(value).__name__}",
            next="use .parquet, .csv or .jsonl for rows, .json for plain values; texts and bytes go anywhere",
        )


def _lazy(value: Any) -> pl.LazyFrame:
    import polars as pl

    from trikk.storage.frames import rows_of

    return value if isinstance(value, pl.LazyFrame) else rows_of(value).lazy()


def _as_text(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"JSON has no {type(value).__name__}")


def make_room(folder: Path, names: Sequence[str]) -> None:
    """Make the folders into which outputs will be written; a name that ends with / is one itself."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)


def take_outputs(folder: Path, names: Sequence[str], maker: str) -> list[Any]:
    """What was written under each name: rows as polars DataFrame, .json as its value, anything else as a Path.

    Raises:
        StorageError: if one is missing, lies outside of the folder, or can't be read.
    """
    return [_take(folder, name, maker) for name in names]


def _take(folder: Path, name: str, maker: str) -> Any:
    from trikk.storage.ingest.reader import Reading, read_parts, united

    check_file_name(name, "output")
    path = folder / name
    if not path.exists():
        raise StorageError(
            f"{maker} has not written {name!r}",
            where=name,
            next=f"it wrote {_listed(folder)}; write it into the folder in which it works",
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StorageError(f"output {name!r} is a link that leads outside", where=name, next="write a file there")
    kind = _ROWS.get(path.suffix.lower())
    if path.is_dir():
        return path
    if not path.is_file():
        raise StorageError(
            f"output {name!r} is neither a file nor a folder", where=name, next="write a file there"
        )
    if kind is not None:
        reading = Reading()
        rows = united(read_parts(path, kind, "", name, reading), reading)
        for doubt in rows.doubts:
            print(f"{name}: {doubt}")  # noqa: T201 - into the step's log
        return rows.frame
    if path.suffix.lower() == ".json":
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise StorageError(f"the output {name!r} is not JSON: {error}", where=name, next="mend it") from None
    return path


def _listed(folder: Path) -> str:
    names = sorted(PurePosixPath(p.relative_to(folder)).as_posix() for p in folder.rglob("*") if p.is_file())
    return (", ".join(names[:10]) + (", ..." if len(names) > 10 else "")) or "no file"
