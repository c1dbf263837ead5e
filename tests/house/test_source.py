"""The shape of the source: names that say what they hold, short functions, small folders, no circles."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "trikk"
FILLERS = {
    "found", "made", "told", "held", "got", "taken", "begun", "ended", "looked", "asked", "tried",
    "thing", "things", "other", "others", "what", "which", "here", "there",
}  # fmt: skip
# Of all assignments, for where the word is the field's own, such as the `other` side of a comparison.
MOST_FILLERS = 0.005
LONGEST_FUNCTION = 60  # lines, its docstring among them
LARGEST_FOLDER = 15  # modules


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module, by its dotted name."""
    trees = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        trees[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return trees


def assigned_names() -> Iterator[tuple[str, ast.Name]]:
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield module, node


def test_locals_say_what_they_hold() -> None:
    count, fillers = 0, []
    for module, node in assigned_names():
        count += 1
        if node.id in FILLERS:
            fillers.append(f"{module}:{node.lineno} {node.id}")
    assert len(fillers) <= MOST_FILLERS * count, f"{len(fillers)} of {count}: {fillers}"


def test_functions_are_short() -> None:
    long = {
        f"{module}:{node.name}": lines
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not long


def test_folders_are_small() -> None:
    sizes = Counter(path.parent for path in SOURCE.rglob("*.py"))
    assert {str(folder): size for folder, size in sizes.items() if size > LARGEST_FOLDER} == {}


def test_no_two_modules_have_one_name() -> None:
    by_name = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        if path.stem != "__init__":
            by_name[path.stem].append(str(path.relative_to(SOURCE)))
    assert {name: paths for name, paths in by_name.items() if len(paths) > 1} == {}


def test_no_module_imports_itself_by_way_of_others() -> None:
    needs = {module: set(imported_modules(tree)) - {module} for module, tree in modules().items()}
    while needs:
        needed = set().union(*needs.values())
        outer = {module for module, own in needs.items() if not own & needs.keys() or module not in needed}
        if not outer:
            break
        needs = {module: own for module, own in needs.items() if module not in outer}
    assert needs == {}, "these import each other in a circle, or lie between two circles"


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """What a module imports, wherever in it the import stands: a late one hides a circle, it doesn't open it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
