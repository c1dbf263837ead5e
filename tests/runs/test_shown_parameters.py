"""Parameters on one line, as people read them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from trikk.runs.shown_parameters import parameters_text


def test_parameters_are_shown_as_json_has_them_and_an_event_as_people_know_it() -> None:
    event = {"id": "2026-11-30T03:00:00+00:00", "kind": "cron", "at": "2026-11-30T03:00:00Z"}
    file = {"id": "inbox/oslo.csv@0123456789abcdef", "kind": "file-arrived", "at": "2026-11-30T03:00:00Z"}
    given = {"day": "2026-11-30", "flag": True, "none": None, "names": ["a", "b"], "event": event, "file": file}
    text = parameters_text(given, ZoneInfo("Europe/Oslo"))
    assert text == (
        'day=2026-11-30 flag=true none=null names=["a", "b"] event=2026-11-30 04:00 CET file=inbox/oslo.csv'
    )
    assert parameters_text({"text": "x" * 100 + "\n"}, ZoneInfo("UTC")) == f"text={'x' * 57}..."
