"""Tags in the forms that services have (a dict, a list of pairs), how they are changed, and JSON in texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Pairs = list[dict[str, str]]


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without those that AWS itself has put there, which nobody can remove."""
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def from_pairs(pairs: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags of a list, without AWS's own."""
    return own_tags({pair["Key"]: pair["Value"] for pair in pairs})


def as_pairs(tags: Mapping[str, str]) -> Pairs:
    """Tags as a list."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def change_tags(
    before: Mapping[str, str],
    after: Mapping[str, str],
    tag: Callable[[dict[str, str]], Any],
    untag: Callable[[list[str]], Any],
) -> None:
    """Bring a resource's tags to what they should be: first add, so that it is never without its owner."""
    if missing := {key: value for key, value in after.items() if before.get(key) != value}:
        tag(missing)
    if surplus := [key for key in own_tags(before) if key not in after]:
        untag(surplus)


def document(text: str) -> Any:
    """A JSON document in a text; the text itself if somebody has written something else there."""
    try:
        return json.loads(text)
    except ValueError:
        return text
