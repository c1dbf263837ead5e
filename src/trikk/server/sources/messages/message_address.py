"""Addresses that messages are read from: as those to publish to, and with `+` and `#` in topics of MQTT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trikk.publishing.broker_address import MQTT_WILDCARD, Address, resolve

_WORDS = {"+": "trikk-any-level", "#": "trikk-any-levels"}


def reading_address(written: str, environment: Mapping[str, str] | None = None) -> Address:
    """Read an address; arguments and errors as of `resolve`."""
    if not written.startswith("mqtt"):
        return resolve(written, environment)
    plain, question, options = written.partition("?")
    # `resolve` takes what can be published to; so each wildcard is a word in the meantime.
    address = resolve(MQTT_WILDCARD.sub(lambda m: _WORDS[m[0]], plain) + question + options, environment)
    levels = {word: wildcard for wildcard, word in _WORDS.items()}
    return replace(address, topic="/".join(levels.get(level, level) for level in address.topic.split("/")))
