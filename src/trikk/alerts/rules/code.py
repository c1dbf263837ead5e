"""A reading of the project's code: if it can't be loaded nothing is evaluated or started, and people must know."""

from __future__ import annotations

from datetime import datetime

from trikk.alerts.rules.reading import Point, Reading
from trikk.alerts.rules.rule import Rule
from trikk.core.digests import digest_json
from trikk.core.errors import TrikkError

SUBJECT = "_project"
"""The subject of what is about the whole project; no pipeline or monitor can be called so."""


def of_code(rule: Rule, broken: TrikkError | None, now: datetime) -> Reading:
    """One point: bad with the error if the code could not be loaded, good if it could."""
    at, text = now.timestamp(), "the code was loaded"
    facts = {}
    if broken is not None:
        text = broken.what
        facts = {"where": broken.where or "-", "next": broken.next or "-"}
    mark = digest_json(text)[:12]
    point = Point(mark, at, at, broken is not None, text, float(broken is not None), facts)
    return Reading(rule, SUBJECT, "the project's code can't be loaded", (point,))
