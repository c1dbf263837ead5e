"""The project's code: if it can't be loaded nothing is evaluated or started, and people must know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from trikk.alerts.rules.rule import SOON, Kind, Point, Reading, Rule, Scene
from trikk.alerts.rules.serving.server_rules import code_trouble
from trikk.core.digests import digest_json

SUBJECT = "_project"
"""The subject of what is about the whole project; no pipeline or monitor can be called so."""


class CodeRule(Rule, frozen=True, kw_only=True):
    """Bad is code that can't be loaded."""

    kind: ClassVar[Kind] = Kind.CODE
    cooldown: float = SOON

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
        elif elsewhere := code_trouble(scene):
            # On another machine, or since this process has begun to look.
            server, says = elsewhere
            text, facts = says["what"], {"where": says["where"] or "-", "next": says["next"] or "-"}
            facts["server"] = server.holder.host
        mark = digest_json(text)[:12]
        point = Point(mark, at, at, bool(facts), text, float(bool(facts)), facts)
        return [Reading(self, subject, "the project's code can't be loaded", (point,))]
