"""What a notebook's parameters may be called, and which file each input becomes. Pure."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from datetime import date
from pathlib import PurePosixPath

from trikk.core.errors import UsageError
from trikk.steps.scripts.file_names import check_file_name

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KERNEL = re.compile(r"[A-Za-z0-9._-]{1,100}")


def check_notebook(path: object, kernel: object) -> None:
    """Check a notebook's path and kernel, as far as they are known.

    Raises:
        UsageError: if the path is not that of a notebook inside the project, or the kernel's name can't be one.
    """
    if isinstance(path, str):
        check_file_name(path, "notebook")
        if not path.endswith(".ipynb"):
            raise UsageError(f"{path!r} is not a notebook", next="name a file that ends in .ipynb")
    if isinstance(kernel, str) and not _KERNEL.fullmatch(kernel):
        raise UsageError(f"kernel={kernel[:50]!r} is not a name of a kernel", next='use "python3"')


def check_parameters(parameters: Mapping[str, object], inputs: Mapping[str, object]) -> None:
    """Check that parameters and inputs have names that a variable can have, each only once.

    Raises:
        UsageError: if one has not.
    """
    for name in inputs:
        check_file_name(name, "input")
    # Together, since both become variables of one notebook.
    names = [*parameters, *(variable(name) for name in inputs)]
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name):
            raise UsageError(
                f"a notebook can't have a parameter {str(name)[:50]!r}", next="use letters, digits and _"
            )
        if names.count(name) > 1:
            raise UsageError(f"{name!r} is a parameter and an input, or two inputs", next="rename one")


def variable(name: str) -> str:
    """The parameter that gets the name of an input's file: "people" for "people" and "people.csv"."""
    return PurePosixPath(name).stem


def file_of(name: str) -> str:
    """The file that an input is written to: Parquet if its name does not say otherwise."""
    return name if PurePosixPath(name).suffix else f"{name}.parquet"


def plain(value: object) -> object:
    """A parameter's value as every kernel's language can have it: dates as ISO texts, tuples as lists.

    Raises:
        UsageError: if it is not a plain value.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    raise UsageError(
        f"a {type(value).__name__} can't be a parameter of a notebook", next="pass it as a file: inputs={...}"
    )
