"""The code that a step reaches inside the project: its own and that of every helper it uses, by content.

Starting from a step's function, the names that its code object uses are looked up as Python would, and every
function, class and plain value of the project's own modules that is found is taken in, again and again. Comments,
formatting and docstrings do not count; a helper three modules away does.
"""

from __future__ import annotations

import ast
import enum
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_json
from trikk.core.errors import UsageError
from trikk.core.values import encode
from trikk.pipeline.pipeline import Pipeline
from trikk.pipeline.step import Step


def step_codes(pipeline: Pipeline, root: Path | None) -> dict[str, str]:
    """For each step of a pipeline the digest of the code that it reaches under `root` (anywhere, if None)."""
    return {name: code_digest(step.function, root) for name, step in pipeline.steps.items() if step is not None}


def code_digest(function: Callable[..., Any], root: Path | None) -> str:
    """The digest of a function's code and of what it reaches in modules under `root`."""
    found: dict[str, str] = {}
    queue: list[Any] = [function]
    while queue:
        thing = queue.pop()
        label = f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', repr(thing))}"
        if label in found:
            continue
        found[label] = _source(thing)
        for name, value in _reached(thing):
            target = _unwrapped(value)
            if isinstance(target, types.FunctionType | type):
                if _inside(target, root):
                    queue.append(target)
            elif (constant := _constant(target)) is not None:
                found[f"{label} -> {name}"] = constant
    return digest_json(dict(sorted(found.items())))


def _unwrapped(value: Any) -> Any:
    if isinstance(value, Step):
        return value.function
    return inspect.unwrap(value) if callable(value) else value


def _inside(thing: Any, root: Path | None) -> bool:
    module = sys.modules.get(thing.__module__)
    file = getattr(module, "__file__", None)
    if file is None:
        return bool(thing.__module__ == "__main__")
    path = Path(file)
    if "site-packages" in path.parts or path.is_relative_to(Path(__file__).parents[1]):
        return False
    return root is None or path.is_relative_to(root)


def _source(thing: Any) -> str:
    """The abstract syntax of a function or class without docstrings, or its byte code where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        code = getattr(thing, "__code__", None)
        return repr((code.co_code, code.co_consts)) if code else repr(thing)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            if isinstance(node, ast.FunctionDef):
                node.decorator_list = []
    return ast.dump(tree)


def _reached(thing: Any) -> Iterator[tuple[str, Any]]:
    """Names that a function or class uses, with the values they have in its module."""
    if isinstance(thing, type):
        yield from ((base.__name__, base) for base in thing.__bases__)
        for name, member in vars(thing).items():
            inner = getattr(member, "__func__", member)
            inner = inner.fget if isinstance(inner, property) else inner
            if isinstance(inner, types.FunctionType):
                yield from ((f"{name}.{n}", v) for n, v in _reached(inner))
        return
    code = getattr(thing, "__code__", None)
    if code is None:
        return
    names = set(_names(code))
    scope = thing.__globals__
    for name in sorted(names & scope.keys()):
        value = scope[name]
        yield name, value
        if isinstance(value, types.ModuleType):
            yield from ((f"{name}.{n}", vars(value)[n]) for n in sorted(names & vars(value).keys()))
    for name, cell in zip(code.co_freevars, thing.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # not bound yet


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _constant(value: Any) -> str | None:
    if isinstance(value, enum.Enum):
        return repr(value)
    try:
        return digest_json(encode(value))
    except UsageError:
        return None
