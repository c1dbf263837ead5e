"""Addresses with variables: what is refused in plain, and what becomes of a value with any character in it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import ProjectError, UsageError
from trikk.core.network.addresses import encoded_names, fill, holds_secret, refuse_secrets
from trikk.core.settings import load_settings

IN_PLAIN = [
    "postgresql://u:hunter2@h/d",
    "postgresql://u:hun/ter2@h/d",
    "postgresql://u:hun#ter2@h/d",
    "postgresql://u:hun?ter2@h/d",
    "postgresql://u:hun@ter2@h/d",
    "postgresql://u:hunter2${X}@h/d",
    "postgresql://h/d?password=hunter2",
    "postgresql://h/d?sslmode=require&sslpassword=hunter2",
    "smtp://u:hunter2@h:25",
    "redis://:hunter2@h/0",
    "s3://AKIAIOSFODNN7EXAMPLE:hunter2@bucket",
    "s3://key:hunter2@bucket/x",
    "http://user:hunter2@mlflow:5000",
    "https://ghp_hunter2hunter2hunter2@h/x",
    "https://c.example.com/?token=hunter2",
    "kafka://u:hunter2@h/t",
    "duckdb:///md:?motherduck_token=hunter2",
    "https://x.blob.example/?sig=hunter2",
    "Bearer hunter2",
    "Authorization: bearer hunter2${X}",
    "json://h/hook?+Authorization=hunter2",
]
BY_REFERENCE = [
    "postgresql://u@h/d",
    "postgresql://u:${P}@${H}:5432/d?sslmode=verify-full&sslrootcert=ca.pem&sslkey=k.pem&passfile=/x/p",
    "postgresql://u:${P}@h1:5432,h2:5433/d",
    "kafkas://a:9092,b:9092/t?ca=certs/ca.pem&cert=c.pem&key=k.pem&mechanism=SCRAM-SHA-512",
    "mqtt://h:1883/city/{key}/a@b",
    "redis://[::1]:6379/0",
    "smtp://me:${P}@127.0.0.1:25?ca=x",
    "s3://bucket/prefix",
    "https://console.example.com/incidents",
    "https://h:8443/@user",
    "sqlite:///a.db",
    "${WHOLE}",
    "some text: a@b",
    "Authorization: Bearer ${T}",
    "json://h/hook?+Authorization=${T}",
]
TOKENS = [
    "slack://tokenA/tokenB/tokenC/#ml",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ml",
    "slack://${A}/tokenB/#ml",
    "slack://bot@tokenA/tokenB/tokenC",
    "discord://webhook_id/webhook_token",
    "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "https://hooks.slack.com/services/T000/B000/XXXX",
    "https://discord.com/api/webhooks/123/abc-DEF",
    "jsons://hooks.example.com/services/T1JJ3T3L2",
    "json://h/hook?token=abc",
    "json://user:pw@h/hook",
    "mailto://u:hunter2@h.example",
    "mailtos://u@h.example?pass=hunter2",
    "pover://user@token",
    "twilio://AC123:token@+1555/+1666",
    "gotify://push.example.com/AbcToken",
    "matrix://token@matrix.org/#room",
    "sendgrid://SG.abcDEF.xyz:from@example.com/to@example.com",
    "sns://AKIAIOSFODNN7EXAMPLE/secret/us-east-1/topic",
    "msteams://org@a/b/c",
    "ntfy://x8Hs9kQ2",
    "ntfys://ntfy.example.com/x8Hs9kQ2",
    "spush://apikey1",
    "prowl://secretword",
    "zulip://bot@org/a6k4fkTOKEN/stream",
    "slack://${A}/TIiajkdnlazk",
    "pover://${USER}@${A}/X9-device",
]
CHANNELS = [
    "slack://${T}/#ml",
    "slack://${A}/${B}/${C}/#ml",
    "slack://bot@${T}/@me",
    "mailtos://${U}:${P}@example.com?to=team@example.com",
    "mailto://127.0.0.1:2525?from=trikk@example.com&to=team@example.com&mode=insecure",
    "json://127.0.0.1:8080/hook",
    "jsons://localhost:1/${TOKEN}",
    "json://user:${T}@h/alerts/v1",
    "tgram://${T}/-100123",
    "twilio://${S}:${T}@+15551234567/+15557654321",
    "gotify://push.example.com/${T}",
    "matrix://me:${P}@matrix.org/#room",
    "file:alerts.jsonl",
    "sns:arn:aws:sns:eu-central-1:123456789012:ml",
    "https://hooks.slack.com/services/${A}/${B}/${C}",
    "ntfy://topic",
    "ntfy://city-buses-2",
    "ntfys://ntfy.example.com/ml",
    "ntfys://${T}@ntfy.example.com/ml",
    "slack://${T}/ml",
    "slack://${A}/${B}/${C}/ml-alerts",
    "zulip://bot@city/${T}/stream",
    "pover://${USER}@${TOKEN}/phone",
    "rocket://bot:${P}@chat.example.com/alerts",
]


@pytest.mark.parametrize("text", IN_PLAIN)
def test_a_secret_in_plain_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_secrets(text, "storage.journal")
    assert "hunter" not in str(refused.value)
    assert "${NAME}" in str(refused.value.next)


@pytest.mark.parametrize("text", BY_REFERENCE)
def test_an_address_without_one_is_taken(text: str) -> None:
    assert not holds_secret(text)


@pytest.mark.parametrize("text", TOKENS)
def test_tokens_in_a_channels_address_are_secrets(text: str, tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text(f'name = "x"\n[alerts.channels]\nteam = "{text}"\n')
    with pytest.raises(ProjectError, match=r"alerts\.channels\.team") as refused:
        load_settings(tmp_path)
    assert text not in str(refused.value)
    assert "${NAME}" in str(refused.value.next)
    assert load_settings(tmp_path, stored=True).alerts["channels"]["team"] == text  # what ran once can be replayed


@pytest.mark.parametrize("text", CHANNELS)
def test_channels_whose_tokens_stand_by_reference_are_taken(text: str) -> None:
    refuse_secrets(text, "team", channel=True)


@pytest.mark.parametrize(
    "place",
    ["storage.journal", "storage.tables", "reports.smtp", "alerts.url", "tracking.mlflow", "storage.artifacts"],
)
def test_trikk_toml_may_hold_no_password_anywhere(place: str, tmp_path: Path) -> None:
    section, key = place.split(".")
    (tmp_path / "trikk.toml").write_text(f'name = "x"\n[{section}]\n{key} = "smtp://me:hunter2@h:25"\n')
    with pytest.raises(ProjectError, match=place) as refused:
        load_settings(tmp_path)
    assert "hunter2" not in str(refused.value)


ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(value=ANY)
def test_any_value_arrives_whole_and_nothing_of_it_is_a_host(value: str) -> None:
    known = {"P": value, "H": "db.example:5432"}
    found = fill("postgresql://u:${P}@${H}/${P}?options=${P}", known)
    parts = urlsplit(found.text)
    assert (parts.hostname, parts.port) == ("db.example", 5432)
    assert unquote(parts.password or "") == unquote(parts.path[1:]) == value
    assert unquote(parts.query.removeprefix("options=")) == value
    assert found.text.isascii()
    assert found.hide(found.text).count("***") >= 3
    assert value not in repr(found) or len(value) < 4


@given(value=ANY)
def test_what_is_no_url_takes_a_value_as_it_is(value: str) -> None:
    for written in ("s3://bucket/${P}/x", "/data/${P}", "file:${P}", "Bearer ${P}", "${P}/s3://x"):
        assert fill(written, {"P": value}).text == written.replace("${P}", value)


@pytest.mark.parametrize("host", ["me@h", "h/d", "h?x", "h h", "hö"])
def test_a_variable_for_a_host_holds_nothing_else(host: str) -> None:
    with pytest.raises(UsageError, match="HOST") as refused:
        fill("postgresql://u:${P}@${HOST}/d", {"P": "x", "HOST": host})
    assert host not in str(refused.value)


@pytest.mark.parametrize("value", ["u:p@ss@h/d", "u:p/w@h/d", "u:p#w@h/d", "u:p%w@h/d", "u:p w@h/d"])
def test_a_whole_address_whose_password_is_not_encoded_is_refused_without_it(value: str) -> None:
    with pytest.raises(UsageError, match="WHOLE") as refused:
        fill("${WHOLE}", {"WHOLE": f"postgresql://{value}"})
    assert value.split("@")[0] not in str(refused.value)
    assert "%40" in str(refused.value.next)


def test_a_missing_variable_is_named_with_its_place() -> None:
    with pytest.raises(UsageError, match="NOT_THERE") as missing:
        fill("redis://:${NOT_THERE}@h/0", {})
    assert missing.value.where == "redis://:${NOT_THERE}@h/0"


def test_a_login_that_fails_hints_at_a_variable_that_was_encoded_by_hand() -> None:
    assert "MAIL" in encoded_names("smtp://me:${MAIL}@h", {"MAIL": "p%40ss"})
    assert encoded_names("smtp://me:${MAIL}@h", {"MAIL": "p@ss%"}) == ""
    assert encoded_names("${MAIL}", {"MAIL": "smtp://me:p%40ss@h"}) == ""
