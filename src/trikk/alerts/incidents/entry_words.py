"""What happened to an incident, entry by entry in words, for commands and pages alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def entry_in_words(entry: Mapping[str, Any], moment: Callable[[float], str]) -> str:
    """One entry of an incident's timeline, as `Book.entries` gives it; `moment` writes a time."""
    kind = entry["kind"].rpartition(".")[2]
    why = f": {' '.join(entry['why'].split())}" if entry.get("why") else ""
    if entry["kind"].startswith("message."):
        attempt = f", attempt {entry['attempt']}" if entry.get("attempt", 1) > 1 else ""
        digest = f" (in a digest of {entry['digest']})" if entry.get("digest") else ""
        verb = {"sending": "sending", "failed": "not delivered", "given_up": "given up"}.get(kind, kind)
        why = "" if kind == "sending" else why
        return f"{verb} {entry['message']} on {entry['channel']}{attempt}{digest}{why}"
    if entry["kind"].startswith("start."):
        run = f"run {entry['run']} {entry['state']}" if entry.get("run") else kind
        return f"{entry['pipeline']} {'is being started' if kind == 'claimed' else run}{why}"
    by = f" by {entry['by']}" if entry.get("by") else ""
    people = f" (told: {', '.join(entry['tell']) or 'nobody'})" if "tell" in entry else ""
    mute = entry.get("mute")
    until = f" until {moment(mute['until'])}" if mute else ""
    if mute and kind != "muted":  # it was muted when it was opened
        return f"{kind}{why} (muted by {mute['by']}{until})"
    return f"{kind}{by}{until}{why}{people}"


def is_of_way(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is about a message or a run on its way, and not about the incident itself."""
    return str(entry["kind"]).startswith(("message.", "start."))
