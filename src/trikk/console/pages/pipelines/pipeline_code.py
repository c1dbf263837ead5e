"""The code of a pipeline and its steps, as it is in the project's folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trikk.core.settings import Settings
from trikk.pipeline.graph import Graph

_LINES, _BYTES = 400, 1_000_000  # of a function; of a file
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Source:
    """One function.

    Attributes:
        name: the step, or the pipeline, that it is.
        where: its file within the project, and its first line.
        text: its lines.
        is_cut: whether there are more.
    """

    name: str
    where: str
    text: str
    is_cut: bool = False


def definition(settings: Settings, graph: Graph) -> list[Source]:
    """The functions of a pipeline and its steps, as far as they are the project's own; the pipeline's first."""
    files = _Files(settings.root)
    nodes = list(graph.nodes.values())
    steps = {node.function: node.name for node in reversed(nodes)}  # many steps may be of one function
    own = [files.around(graph.pipeline, node.where) for node in nodes[:1]]
    own += [files.function(steps[function], function) for function in dict.fromkeys(n.function for n in nodes)]
    return list({source.where: source for source in own if source is not None}.values())


class _Files:
    """Modules of a project, each read once. What lies outside of its folder is not read."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._read: dict[Path, tuple[list[str], ast.Module] | None] = {}

    def function(self, name: str, function: str) -> Source | None:
        """A function by its `module:qualname`."""
        module, _, qualname = function.partition(":")
        stem = Path(*module.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if (read := self._of(path)) is not None:
                wanted = [part for part in qualname.split(".") if part != "<locals>"]
                return self._source(name, path, read[0], _named(read[1], wanted))
        return None

    def around(self, name: str, where: str) -> Source | None:
        """The function that a `file:line` is in."""
        file, _, number = where.rpartition(":")
        path = Path(file)
        read = self._of(path)
        if read is None or not number.isdigit():
            return None
        line = int(number)
        holding = [n for n in _functions(read[1]) if n.lineno <= line <= (n.end_lineno or n.lineno)]
        return self._source(name, path, read[0], max(holding, key=lambda n: n.lineno, default=None))

    def _source(self, name: str, path: Path, lines: list[str], node: _Function | None) -> Source | None:
        if node is None:
            return None
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        last = node.end_lineno or node.lineno
        shown = lines[first - 1 : min(last, first - 1 + _LINES)]
        return Source(name, f"{path.as_posix()}:{first}", "\n".join(shown), is_cut=last - first >= _LINES)

    def _of(self, path: Path) -> tuple[list[str], ast.Module] | None:
        if path not in self._read:
            self._read[path] = self._parsed(path)
        return self._read[path]

    def _parsed(self, path: Path) -> tuple[list[str], ast.Module] | None:
        try:
            whole = (self._root / path).resolve()
            if not whole.is_relative_to(self._root) or whole.suffix != ".py" or whole.stat().st_size > _BYTES:
                return None
            text = whole.read_text(encoding="utf-8")
            return text.splitlines(), ast.parse(text)
        except (OSError, ValueError, SyntaxError, RecursionError):  # it may be written at this very moment
            return None


def _functions(tree: ast.AST) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _named(tree: ast.AST, names: list[str]) -> _Function | None:
    """What has such a qualified name; the last one, where several have it."""
    node: ast.AST = tree
    for name in names:
        inner = [n for n in ast.walk(node) if isinstance(n, _Function) and n.name == name and n is not node]
        if not inner:
            return None
        node = inner[-1]
    return node if isinstance(node, _Function) else None
