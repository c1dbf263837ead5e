"""The project's code: if it can't be loaded nothing is evaluated or started, and people must know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from trikk.alerts.rules.rule import Kind, Point, Reading, Rule, Scene
from trikk.core.digests import digest_json

SUBJECT = "_project"
"""The subject of what is about the whole project; no pipeline or monitor can be called so."""


class CodeRule(Rule, frozen=True, kw_only=True):
    """Bad is code that can't be loaded."""

    kind: ClassVar[Kind] = Kind.CODE

    def subjects(self, scene: Scene) -> Sequence[str]:  # noqa: ARG002 - whatever there is
        """The project."""
        return [SUBJECT]

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point: bad with the error if the code could not be loaded, good if it could."""
        at, text, facts = scene.now.timestamp(), "the code was loaded", {}
        broken = scene.broken
        if broken is not None:
            text = broken.what
            facts = {"where": broken.where or "-", "next": broken.next or "-"}
        mark = digest_json(text)[:12]
        point = Point(mark, at, at, broken is not None, text, float(broken is not None), facts)
        return [Reading(self, subject, "the project's code can't be loaded", (point,))]
