"""What a page says of the form that led to it."""

from __future__ import annotations

SAID = {
    "start_run": "The run is queued.",
    "cancel_run": "The run is being cancelled.",
    "resume_run": "The run is resumed.",
    "replay_run": "The replay is queued.",
    "approve": "Approved.",
    "refuse": "Refused.",
    "begin_backfill": "The backfill has begun.",
    "pause_backfill": "The backfill is paused.",
    "resume_backfill": "The backfill is resumed.",
    "cancel_backfill": "The backfill is cancelled.",
    "fire_trigger": "The trigger was fired.",
    "pause_trigger": "The trigger is paused.",
    "unpause_trigger": "The trigger fires again.",
    "retry_set_aside": "What was set aside is tried again.",
    "drop_set_aside": "What was set aside is dropped.",
    "promote_model": "The alias was moved.",
    "roll_back_model": "The alias was moved back.",
    "approve_model": "The version is approved.",
    "acknowledge_incident": "The incident is acknowledged.",
    "resolve_incident": "The incident is resolved.",
    "mute_incident": "The incident is muted.",
    "unmute_incident": "People are told of the incident again.",
    "note_incident": "The note is kept.",
    "subscribe": "Subscribed; who has not agreed is asked by mail.",
    "unsubscribe": "The subscription has ended.",
    "send_reports": "What was outstanding was sent; below is what has not come yet.",
    "test_channel": "A test message was handed over.",
    "revoke_token": "The token is revoked.",
}
