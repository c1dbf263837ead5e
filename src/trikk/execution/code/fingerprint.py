"""The code that a step reaches inside the project: its own and that of every helper it uses, by content.

Starting from a step's function, the names that its code object uses are looked up as Python would, and every
function, class and plain value of the project's own modules that is found is taken in, again and again: by way of
modules, closures, defaults, partials, lists of functions, and what a function imports itself. A module that is not
imported yet counts as a whole. Comments, formatting and docstrings do not count; a helper three modules away does.

Objects count by what they say of themselves. Where nothing is reached that builds before this rule did not see,
the digest is the one that they gave, so that their cached results stand.
"""

from __future__ import annotations

import ast
import enum
import functools
import inspect
import json
import linecache
import logging
import os
import re
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_json
from trikk.core.errors import UsageError
from trikk.core.values import encode
from trikk.pipeline.pipeline import Pipeline
from trikk.pipeline.step import Step

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+| memory:[0-9a-f]+")
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_VALUE = " -> "
_DEPTH = 4
_LARGE = 1_000  # items of a collection that is searched for code


def step_codes(pipeline: Pipeline, root: Path | None) -> dict[str, str]:
    """For each step of a pipeline the digest of the code that it reaches under `root` (no library, if None)."""
    return {name: code_digest(step.function, root) for name, step in pipeline.steps.items() if step is not None}


def step_parts(pipeline: Pipeline, root: Path | None) -> dict[str, dict[str, str]]:
    """For each step of a pipeline the digests of all parts of the code that it reaches under `root`."""
    return {
        name: {part: digest_json(text) for part, text in _code(step.function, root).items()}
        for name, step in pipeline.steps.items()
        if step is not None
    }


def import_digest(root: Path | None) -> str:
    """The digest of what the project's modules do when they are imported, which makes the values of names."""
    digests: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        file = str(getattr(module, "__file__", None) or "")
        if not file.endswith(".py") or not _is_own(file, root):
            continue
        tree = ast.parse(Path(file).read_bytes())
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
        tree.body = [part for part in tree.body if not isinstance(part, defined)]
        digests[name] = _dumped(tree)
        for _, value in _values(vars(module), set(_names(compile(tree, file, "exec"))), root):
            if isinstance(value, types.FunctionType | type) and _inside(value, root):
                digests |= {part: text for part, text in _code(value, root).items() if _VALUE not in part}
    return digest_json(dict(sorted(digests.items())))


def code_digest(function: Callable[..., Any], root: Path | None) -> str:
    """The digest of a function's code and of what it reaches in modules under `root`."""
    return digest_json(dict(sorted(_code(function, root).items())))


def _code(function: Callable[..., Any], root: Path | None) -> dict[str, str]:
    """By name the syntax of what a function reaches, and the digests of values."""
    parts: dict[str, str] = {}
    queue: list[Any] = [function]
    seen: set[int] = set()
    while queue:
        subject = queue.pop()
        if id(subject) in seen:
            continue
        seen.add(id(subject))
        label = f"{getattr(subject, '__module__', '')}:{getattr(subject, '__qualname__', repr(subject))}"
        while label in parts:  # a decorator's wrapper has the name of what it wraps
            label += "'"
        parts[label] = _source(subject)
        for name, value in _reached(subject, root):
            for number, target in enumerate(_parts(value, root)):
                if isinstance(target, types.FunctionType | type):
                    if _inside(target, root):
                        queue.append(target)
                elif (constant := _constant(target, root)) is not None:
                    parts[f"{label}{_VALUE}{name}{f'.{number}' if number else ''}"] = constant
    return parts


def _parts(value: Any, root: Path | None, depth: int = 0) -> Iterator[Any]:
    """A value, or what it is made of where that is code: a partial, a method, a collection, an own object."""
    if isinstance(value, Step):
        value = value.function
    inside: list[Any] = []
    if isinstance(value, functools.partial):
        inside = [value.func, *value.args, *value.keywords.items()]
    elif isinstance(value, types.MethodType):
        inside = [value.__func__, value.__self__]
    elif isinstance(value, types.FunctionType):
        yield value
        inside = [value.__wrapped__] if hasattr(value, "__wrapped__") else []
    elif isinstance(value, dict | list | tuple | set | frozenset) and _has_code(value, root):
        inside = list(value.items() if isinstance(value, dict) else _in_order(value))
    elif not isinstance(value, type | types.ModuleType | enum.Enum) and _inside(type(value), root):
        inside = [type(value), *getattr(value, "__dict__", {}).items()]
    else:
        yield inspect.unwrap(value) if callable(value) and not isinstance(value, type) else value
    for item in inside if depth < _DEPTH else ():
        yield from _parts(item, root, depth + 1)


def _in_order(value: Any) -> Any:
    """The items of a collection, those of a set in an order that is the same in every process."""
    return sorted(value, key=_plainly) if isinstance(value, set | frozenset) else value


def _plainly(value: Any, depth: int = 0) -> str:
    """As `repr`, but with sets in order, and no place in memory."""
    if isinstance(value, dict | list | tuple | set | frozenset) and depth < _DEPTH:
        inside = value.items() if isinstance(value, dict) else value
        texts = [_plainly(item, depth + 1) for item in inside]
        return f"{type(value).__name__}{sorted(texts) if isinstance(value, set | frozenset) else texts}"
    return _ADDRESS.sub("", repr(value))


def _has_code(value: Any, root: Path | None, depth: int = 0) -> bool:
    """Whether a collection, which is not too large to look into, holds code or objects of the project."""
    if isinstance(value, dict | list | tuple | set | frozenset):
        inside = [*value.values()] if isinstance(value, dict) else value
        return depth < _DEPTH and len(value) <= _LARGE and any(_has_code(item, root, depth + 1) for item in inside)
    return callable(value) or (not isinstance(value, enum.Enum) and _inside(type(value), root))


def _inside(subject: Any, root: Path | None) -> bool:
    """Whether a function, a class or a module is the project's."""
    name = subject.__name__ if isinstance(subject, types.ModuleType) else subject.__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return bool(name == "__main__")
    return _is_own(file, root)


@functools.lru_cache(10_000)
def _is_own(file: str, root: Path | None) -> bool:
    path = Path(file)
    if "site-packages" in path.parts or path.is_relative_to(Path(__file__).parents[2]):
        return False
    return path.is_relative_to(root) if root is not None else not file.startswith(_LIBRARIES)


def _source(subject: Any) -> str:
    """The abstract syntax of a function or class without docstrings, or its byte code where there is no source."""
    tree = _tree(subject)
    if tree is not None:
        return _dumped(tree)
    code = getattr(subject, "__code__", None)
    return repr((code.co_code, code.co_consts)) if code else repr(subject)


def _tree(subject: Any) -> ast.Module | None:
    """The syntax of a function or class itself, not of what it wraps; None where there is no source."""
    file = getattr(getattr(subject, "__code__", None), "co_filename", "")
    if file.startswith("<") and file not in linecache.cache:  # a dataclass's __init__: looking costs much
        return None
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(getattr(subject, "__code__", subject))))
    except (OSError, TypeError, SyntaxError):
        return None


def _dumped(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            if isinstance(node, ast.FunctionDef):
                node.decorator_list = []
    return ast.dump(tree)


def _reached(subject: Any, root: Path | None) -> Iterator[tuple[str, Any]]:
    """Names that a function or class uses, with the values they have in its module."""
    if isinstance(subject, type):
        yield from ((base.__name__, base) for base in subject.__bases__)
        for name, member in vars(subject).items():
            inner = getattr(member, "__func__", member)
            inner = inner.fget if isinstance(inner, property) else inner
            if isinstance(inner, types.FunctionType):
                yield from ((f"{name}.{n}", v) for n, v in _reached(inner, root))
        return
    code = getattr(subject, "__code__", None)
    if code is None:
        return
    names = set(_names(code))
    yield from _values(subject.__globals__, names, root)
    for name, cell in zip(code.co_freevars, subject.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # not bound yet
    tree = _tree(subject)
    yield from _defaults(subject, tree)
    if tree is not None:
        yield from _imported(tree, subject, names, root)


def _defaults(subject: Any, tree: ast.Module | None) -> Iterator[tuple[str, Any]]:
    """The values of a function's defaults, unless all are written out in it."""
    definition = tree.body[0] if tree is not None and tree.body else None
    if isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef) and definition.name == subject.__name__:
        written = [*definition.args.defaults, *filter(None, definition.args.kw_defaults)]
        if all(isinstance(default, ast.Constant) for default in written):
            return
    yield from ((f"default {number}", value) for number, value in enumerate(subject.__defaults__ or ()))
    yield from ((f"default {name}", value) for name, value in sorted((subject.__kwdefaults__ or {}).items()))


def _values(
    scope: Mapping[str, Any], names: set[str], root: Path | None, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Of the names those that a scope has, and what modules among them have; of libraries plain values."""
    is_own = not prefix or _is_own(str(scope.get("__file__") or ""), root)
    for name in sorted(names & scope.keys()):
        value = scope[name]
        if is_own or _is_plain(value):
            yield f"{prefix}{name}", value
        deeper = isinstance(value, types.ModuleType) and (not prefix or _inside(value, root))
        if deeper and prefix.count(".") < _DEPTH:
            yield from _values(vars(value), names, root, f"{prefix}{name}.")


def _imported(tree: ast.Module, subject: Any, names: set[str], root: Path | None) -> Iterator[tuple[str, Any]]:
    """What a function imports itself: of loaded modules what it names, of others of the project the text."""
    for module, wanted in _imports(tree, str(subject.__globals__.get("__package__") or "")):
        loaded = sys.modules.get(module)
        if loaded is not None and _inside(loaded, root):
            yield from _values(vars(loaded), names | wanted, root, f"{module}.")
        elif loaded is None and (text := _text(module, root or Path(sys.path[0]))):
            yield f"import {module}", text


def _imports(tree: ast.AST, package: str) -> Iterator[tuple[str, set[str]]]:
    """The modules that code imports, with the names that it takes from them; a name may be a module itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, set()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module, {alias.name for alias in node.names}
            yield from ((f"{module}.{alias.name}", set()) for alias in node.names)


def _text(module: str, folder: Path) -> str:
    """The syntax of a module's file in a folder and of the modules there that it imports; "" if there is none."""
    parts: dict[str, str] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        place = folder.joinpath(*name.split("."))
        file = next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)
        if name in parts or file is None:
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        parts[name] = _dumped(tree)
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        queue += [one for one, _ in _imports(tree, package)]
    return digest_json(dict(sorted(parts.items()))) if parts else ""


def _names(code: types.CodeType) -> Iterator[str]:
    for one in _codes(code):
        yield from one.co_names


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _constant(value: Any, root: Path | None) -> str | None:
    if isinstance(value, enum.Enum):
        return repr(value)
    try:
        data = encode(value)
    except (UsageError, RecursionError):
        text = _shown(value)
        return None if text is None else digest_json(_without(root, text))
    text = json.dumps(data)
    return digest_json(_without(root, text) if str(root) in text else data)


def _is_plain(value: Any) -> bool:
    try:
        encode(value)
    except (UsageError, RecursionError):
        return False
    return True


def _without(root: Path | None, text: str) -> str:
    """A text without the folder of the code, which is another one for a bundle that is laid out."""
    return text if root is None else text.replace(str(root), "")


def _shown(value: Any) -> str | None:
    """What an object says of itself, such as an expression or a pattern; None for what is no part of a result."""
    if isinstance(value, types.ModuleType | logging.Logger | type(os.environ)) or callable(value):
        return None
    if getattr(type(value), "__repr__") is getattr(object, "__repr__"):  # noqa: B009 - mypy takes them for others
        return None
    try:
        return _plainly(value)
    except Exception:  # noqa: BLE001 - the author's __repr__ may do anything
        return None
