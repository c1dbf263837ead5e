"""What a project's trikk.toml says of alerts.

    [alerts]
    url = "https://trikk.example.com"         # where `trikk serve` is reached; messages link to it
    digest = 5                                # more messages than that at once become one
    defaults = true                           # the rules that hold without being written: see `DEFAULTS`

    [alerts.channels]
    team = "slack://${SLACK_TOKEN}/#ml"       # any address of Apprise; ${NAME} from the environment
    mail = "mailtos://${MAIL_USER}:${MAIL_PASSWORD}@example.com?to=team@example.com"
    topic = "sns:arn:aws:sns:eu-central-1:123456789012:ml"
    duty = "topic:oncall"                     # those who subscribe to it: trikk subscribe oncall ADDRESS
    book = "file:alerts.jsonl"                # a line for each message; "file:alerts": a mail file for each

    [alerts.routes]
    alarm = ["team", "mail"]                  # a severity that is not named goes to every channel
    info = ["book"]
    escalation = ["topic"]                    # in addition, when nobody has acted

    [[alerts.rule]]
    name = "late"
    kind = "run did not come"
    pipeline = "nightly"
    by = "04:30"

    [[alerts.rule]]
    name = "dear"
    kind = "cost more than"                   # [costs] has the prices
    costs_more_than = 2.5
    per = "day"

    [[alerts.rule]]
    name = "silent"
    kind = "data did not come"
    table = "readings"
    time = "at"
    slice = "device"
    within = "2h"

The channel `file` is there without being written (`file:.trikk/alerts`), and gets everything if there is no other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trikk.alerts.rules.code import CodeRule
from trikk.alerts.rules.kinds import checked
from trikk.alerts.rules.labels import LabelRule
from trikk.alerts.rules.rule import DAY, Rule
from trikk.alerts.rules.runs import AskRule, FailureRule
from trikk.alerts.rules.serving.server_rules import AwayRule, SetAsideRule, TroubleRule
from trikk.alerts.rules.serving.stream_rules import LateRule
from trikk.alerts.rules.serving.trigger_rules import TickRule, UsualRule, WaitRule
from trikk.core.errors import ProjectError, UsageError
from trikk.core.names import check_name
from trikk.core.settings import FILE, Settings

FILE_CHANNEL = "file"
ESCALATION = "escalation"
DEFAULTS: tuple[Rule, ...] = (
    FailureRule(name="failed", escalate_after=DAY),
    AskRule(name="asks", escalate_after=DAY),
    LabelRule(name="labels"),
    CodeRule(name="code", escalate_after=DAY),
    TickRule(name="came", escalate_after=DAY),
    UsualRule(name="usual"),
    WaitRule(name="waits"),
    AwayRule(name="away", escalate_after=DAY),
    TroubleRule(name="trouble", escalate_after=DAY),
    LateRule(name="late", escalate_after=DAY),
    SetAsideRule(name="set_aside"),
)
_KEYS = ("url", "digest", "defaults", "channels", "routes", "rule")
_ROUTES = ("info", "warning", "alarm", ESCALATION)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|\$\{")


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """The section, checked."""

    rules: tuple[Rule, ...]  # those of trikk.toml and the defaults; monitors bring their own
    channels: Mapping[str, str]  # addresses by name, variables not filled in
    routes: Mapping[str, tuple[str, ...]]  # names of channels by severity
    url: str = ""  # where `trikk serve` is reached; "" for nowhere
    digest: int = 5  # how many messages at once are sent one by one on a channel

    def route(self, severity: str, *, escalated: bool = False) -> tuple[str, ...]:
        """The channels that a message of a severity goes to, each once."""
        # An empty list is a wish for silence; a severity that is not named goes everywhere.
        given = self.routes.get(severity)
        plain = (
            given if given is not None else tuple(n for n in self.channels if n != FILE_CHANNEL or self._is_bare)
        )
        more = self.routes.get(ESCALATION, ()) if escalated else ()
        return tuple(dict.fromkeys([*plain, *more]))

    @property
    def _is_bare(self) -> bool:
        return len(self.channels) == 1


def alert_settings(settings: Settings) -> AlertSettings:
    """Read and check the section.

    Raises:
        ProjectError: if something in it is wrong.
    """
    data = settings.alerts
    try:
        return _read(data)
    except ProjectError:
        raise
    except UsageError as error:
        raise ProjectError(error.what, where=str(settings.root / FILE), next=error.next) from error


def _read(data: Mapping[str, Any]) -> AlertSettings:
    unknown = sorted(set(data) - set(_KEYS))
    if unknown:
        raise UsageError(f"[alerts] has no setting {unknown[0]!r}", next=f"there are: {', '.join(_KEYS)}")
    digest = data.get("digest", 5)
    if isinstance(digest, bool) or not isinstance(digest, int) or digest < 1:
        raise UsageError(f"alerts.digest = {digest!r}", next="use a whole number of at least 1")
    url = data.get("url", "")
    if not isinstance(url, str) or (url and not url.startswith(("http://", "https://"))):
        raise UsageError(f"alerts.url = {url!r}", next='write url = "https://..."')
    # Channels before routes, which name them.
    channels = _channels(data.get("channels", {}))
    return AlertSettings(
        _rules(data), channels, _routes(data.get("routes", {}), channels), url.rstrip("/"), digest
    )


def _channels(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise UsageError(
            "alerts.channels must be a section", next='[alerts.channels], below it team = "slack://..."'
        )
    for name, address in given.items():
        check_name("channel", name)
        if not isinstance(address, str) or not _SCHEME.match(address):
            # the address itself may be a secret, so that it is not shown
            raise UsageError(
                f"channel {name} is not an address", next='such as "mailto://...", "slack://...", "file:alerts"'
            )
    # First and always there, so that no message is lost in a project without channels; an own `file` replaces it.
    return {FILE_CHANNEL: "file:.trikk/alerts", **given}


def _routes(given: Any, channels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, dict):
        raise UsageError("alerts.routes must be a section", next='[alerts.routes], below it alarm = ["team"]')
    for severity, names in given.items():
        if severity not in _ROUTES:
            raise UsageError(f"alerts.routes has {severity!r}", next=f"use {', '.join(_ROUTES)}")
        if not isinstance(names, list):
            raise UsageError(f"alerts.routes.{severity} is not a list", next=f'write {severity} = ["team"]')
        for name in names:
            if name not in channels:
                raise UsageError(
                    f"alerts.routes.{severity} names the channel {name!r}, which is not there",
                    next=f"there are: {', '.join(channels)}",
                )
    return {severity: tuple(names) for severity, names in given.items()}


def _rules(data: Mapping[str, Any]) -> tuple[Rule, ...]:
    given = data.get("rule", [])
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise UsageError("alerts.rule must be a list of sections", next="write [[alerts.rule]] above each rule")
    rules = [checked(one) for one in given]
    for rule in rules:
        same = [r for r in rules if (r.name, r.subject) == (rule.name, rule.subject)]
        if len(same) > 1:
            raise UsageError(f"two rules are named {rule.name!r}", next="rename one")
        if rule.needs_subject and not rule.subject:
            raise UsageError(f"rule {rule.name} does not say whose figures", next='add monitor = "..."')
    wants = data.get("defaults", True)
    if not isinstance(wants, bool):
        raise UsageError(f"alerts.defaults = {wants!r}", next="write true or false")
    # A general rule of one's own takes a default's place; one on a single pipeline leaves it for the others.
    general = {rule.kind for rule in rules if not rule.subject}
    return (*rules, *(rule for rule in DEFAULTS if wants and rule.kind not in general))
