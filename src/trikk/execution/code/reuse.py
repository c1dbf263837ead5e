"""Results of earlier runs for steps that say `cache=True`, found by what they depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trikk.core.errors import TrikkError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.execution.code import caching
from trikk.pipeline.graph import Node
from trikk.runs.journals.journal import Journal
from trikk.runs.run_state import Task
from trikk.storage.artifact import Artifact


class Hit(Record, frozen=True):
    """An earlier result that stands: its run and its outputs."""

    run: str
    outputs: list[dict[str, JSON]]


class Miss(Record, frozen=True):
    """There is none, and why."""

    reason: str


class StepCache:
    """Looks results up and keeps new ones.

    Args:
        journal: where the index is.
        pipeline: the pipeline's name.
        codes: for each step the digest of the code that it reaches.
        verify: raises if an artifact is gone or damaged; one that is not is spared by clean-up from then on.
    """

    def __init__(
        self, journal: Journal, pipeline: str, codes: Mapping[str, str], verify: Callable[[Artifact], None]
    ) -> None:
        self.journal = journal
        self.pipeline = pipeline
        self.codes = codes
        self.verify = verify
        self._asked: dict[Task, tuple[str, caching.Components]] = {}

    def find(self, task: Task, node: Node, arguments: Mapping[str, Any]) -> Hit | Miss:
        """An earlier result of this step with these arguments."""
        assert node.cache is not None
        components = caching.components(self.codes.get(node.name, ""), arguments, node.cache, node.outputs)
        key = caching.cache_key(self.pipeline, node.name, components)
        self._asked[task] = (key, components)
        entry: Any = self.journal.cache_get(key)
        if entry is not None and self._is_whole(entry["outputs"]):
            return Hit(entry["run"], entry["outputs"])
        latest: Any = entry or self.journal.cache_latest(self.pipeline, node.name)
        return Miss(caching.first_difference(latest["components"] if latest else None, components))

    def keep(self, task: Task, run: str, outputs: list[dict[str, JSON]], *, at: float) -> None:
        """Keep a result for later runs, if `find` was asked for it."""
        if task in self._asked:
            key, components = self._asked.pop(task)
            entry: dict[str, Any] = {"run": run, "outputs": outputs, "components": components}
            self.journal.cache_put(key, self.pipeline, task[0], entry, at=at)

    def _is_whole(self, outputs: list[dict[str, Any]]) -> bool:
        try:
            for output in outputs:
                self.verify(Artifact.read(output))
        except TrikkError:
            return False
        return True
