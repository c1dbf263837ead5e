"""What happened to a project, in one order: the story that incidents, models and reports tell apart."""

from __future__ import annotations

from trikk.timeline.happenings import Happening, happenings

__all__ = ["Happening", "happenings"]
