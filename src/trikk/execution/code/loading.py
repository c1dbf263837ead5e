"""The author's modules: importing them as a user of Python would, with errors that point into their code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from trikk.core.errors import ProjectError, TrikkError, UnknownName
from trikk.core.settings import Settings
from trikk.core.values import JSON
from trikk.execution.workers.traces import class_of, headline, own_line, text_of
from trikk.pipeline.pipeline import Pipeline


@dataclass(slots=True)
class Loaded:
    """A project's pipelines by name, its own codecs, and the folder that its code is in."""

    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    codecs: list[Any] = field(default_factory=list)
    folder: Path = field(default_factory=Path.cwd)

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name; UnknownName, with close matches, if there is none."""
        if name not in self.pipelines:
            raise UnknownName("pipeline", name, self.pipelines)
        return self.pipelines[name]

    def triggers(self) -> list[dict[str, JSON]]:
        """What starts the pipelines' runs, as JSON: pipeline, trigger, where."""
        prefix = f"{self.folder}{os.sep}"
        return [
            {"pipeline": name, "trigger": trigger.to_json(), "where": pipeline.where.removeprefix(prefix)}
            for name, pipeline in self.pipelines.items()
            for trigger in pipeline.triggers
        ]


def load(settings: Settings, code: Path | None = None) -> Loaded:
    """Import the modules that trikk.toml names and collect the pipelines in them.

    What they print goes to stderr, since stdout belongs to the command.

    Args:
        settings: the project.
        code: the folder to import from; the project's own if not given, or a restored bundle.

    Raises:
        ProjectError: if a module can't be imported, or two pipelines have one name.
        DefinitionError: if a pipeline is written wrongly.
    """
    root = str(code or settings.root)
    if sys.path[:1] != [root]:
        sys.path.insert(0, root)
    loaded = Loaded(folder=Path(root))
    with redirect_stdout(sys.stderr):
        modules = [_import(name, settings, root) for name in settings.pipelines]
        loaded.codecs = [_codec(spec, settings, root) for spec in settings.codecs]
    for pipeline in _pipelines(modules):
        first = loaded.pipelines.setdefault(pipeline.name, pipeline)
        if first is not pipeline:
            raise ProjectError(
                f"two pipelines are named {pipeline.name!r}",
                where=f"{first.where} and {pipeline.where}",
                next="give one of them another name",
            )
        # Not of a run's code as it was: a pool may have been dropped since, and is not what the run is about.
        if Path(root) == settings.root:
            _check_pools(pipeline, settings)
    return loaded


def _check_pools(pipeline: Pipeline, settings: Settings) -> None:
    for pool in pipeline.graph.pools:
        if pool not in settings.pools:
            raise ProjectError(
                f"pipeline {pipeline.name} names pool {pool}, which trikk.toml does not have",
                where=pipeline.where,
                next=f"write below [pools]: {pool} = 1",
            )


def _pipelines(modules: Iterable[ModuleType]) -> Iterable[Pipeline]:
    """The pipelines in these modules and, for packages, in the modules below that they have imported.

    A value whose class has `trikk_pipelines` brings pipelines of its own, as a monitor does.
    """
    for module in modules:
        for member in (module, *_below(module)):
            for value in list(vars(member).values()):
                if isinstance(value, Pipeline):
                    yield value
                elif callable(more := getattr(type(value), "trikk_pipelines", None)):
                    yield from more(value)


def _below(module: ModuleType) -> list[ModuleType]:
    if not hasattr(module, "__path__"):
        return []  # to go through all modules writes to each, and a template shares its pages with a nursery
    below = module.__name__ + "."
    return [m for name, m in list(sys.modules.items()) if name.startswith(below) and m is not None]


def _import(name: str, settings: Settings, root: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except TrikkError:
        raise
    except ModuleNotFoundError as error:
        if error.name == name:
            raise ProjectError(
                f"trikk.toml names the module {name!r}, which is not in {settings.root}",
                where=str(settings.root / "trikk.toml"),
                next=f"write {name}.py, or name your module: pipelines = [...]",
            ) from error
        raise _broken(name, error, root) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(name, error, root) from error


def _broken(name: str, error: BaseException, root: str) -> ProjectError:
    line = own_line(error, Path(root))
    where = str(Path(root) / line.partition(" in ")[0]) if line else f"module {name}"
    mend = "mend this line and try again"
    if isinstance(error, ModuleNotFoundError):
        mend = f"install what provides {error.name!r}, or correct the name"
    said = str(error) if isinstance(error, SystemExit) else text_of(error)
    text = headline({"kind": "raised", "type": class_of(error), "message": said})
    return ProjectError(f"module {name!r} can't be imported: {text}", where=where, next=mend)


def _codec(spec: str, settings: Settings, root: str) -> Any:
    module, _, name = spec.partition(":")
    codec = getattr(_import(module, settings, root), name, None)
    if codec is None:
        raise ProjectError(f"codec {spec!r} is not there", next='write codecs = ["module:Class"]')
    try:
        return codec()
    except Exception as error:
        raise _broken(module, error, root) from error
