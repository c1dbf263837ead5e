"""Kafka in TLS, with passwords and with certificates of clients; the server is the one of the other tests."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.publishing.kills import check_each_once, finish, kill_at, new_topic, topic_of
from tests.publishing.publisher import context_for, rows_for
from tests.servers.kafka import USER, Kafka

from trikk.core.errors import BrokerError, PermanentError, UsageError
from trikk.publishing import publish
from trikk.runs.context import entered

WRONG = "wr0ng-Passw0rd"


@pytest.fixture
def topic(kafka: Kafka) -> str:
    if not kafka.tls:
        pytest.skip("no certificates: cryptography is not installed")
    return topic_of(new_topic(kafka))


@pytest.fixture
def ca(kafka: Kafka) -> Path:
    return Path(kafka.folder) / "certificates" / "ca.pem"


@pytest.fixture(autouse=True)
def password(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", kafka.password)


def with_password(kafka: Kafka, topic: str, *options: str, host: str | None = None) -> str:
    options = tuple(option for option in options if option)
    address = f"kafkas://{USER}:${{KAFKA_PASSWORD}}@{host or kafka.locked_tls}/{topic}"
    return f"{address}?{'&'.join(options)}" if options else address


def test_a_publisher_with_a_password_is_killed_and_resumed_and_each_message_is_there_once(
    kafka: Kafka, topic: str, ca: Path, tmp_path: Path
) -> None:
    to = with_password(kafka, topic, f"ca={ca}")
    kill_at(tmp_path, to, 5_500, "sent")
    finish(tmp_path, to, 5_500)
    check_each_once(kafka, f"kafka://{kafka.host}/{topic}", 5_500)


def test_a_password_that_the_broker_never_sees_is_proven_by_scram(kafka: Kafka, topic: str, ca: Path) -> None:
    from confluent_kafka.admin import (
        ScramCredentialInfo,
        ScramMechanism,
        UserScramCredentialUpsertion,
    )

    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    made = UserScramCredentialUpsertion(USER, info, kafka.password.encode())
    admin = kafka.admin()
    admin.alter_user_scram_credentials([made])[USER].result(timeout=30)
    to = with_password(kafka, topic, f"ca={ca}", "mechanism=SCRAM-SHA-512")
    assert publish(rows_for(3), to)["to"] == f"kafkas://{kafka.locked_tls}/{topic}"
    with pytest.raises(PermanentError, match="does not know this kind of password") as caught:
        publish(rows_for(3), to.replace("SHA-512", "SHA-256"))
    assert "it knows PLAIN,SCRAM-SHA-512" in str(caught.value.next)
    assert len(kafka.read(topic)) == 3


@pytest.mark.parametrize("apart", [True, False])
def test_a_client_with_a_certificate_needs_no_password(kafka: Kafka, topic: str, ca: Path, apart: bool) -> None:
    mine = ca.with_name("client.pem"), ca.with_name("client-key.pem")
    options = f"cert={mine[0]}&key={mine[1]}" if apart else f"cert={ca.with_name('client-both.pem')}"
    publish(rows_for(3), f"kafkas://{kafka.tls}/{topic}?ca={ca}&{options}")
    assert len(kafka.read(topic)) == 3


def test_a_client_without_the_certificate_that_the_broker_wants_is_told_so(
    kafka: Kafka, topic: str, ca: Path, stranger: Authority
) -> None:
    wrong = stranger.issue("client")
    for options in (f"ca={ca}", f"ca={ca}&cert={wrong.cert}&key={wrong.key}"):
        with pytest.raises(PermanentError, match="it wants a client's certificate") as caught:
            publish(rows_for(3), f"kafkas://{kafka.tls}/{topic}?{options}")
        assert "cert=FILE and key=FILE" in str(caught.value.next)
    assert kafka.read(topic) == []


def test_the_authority_may_come_from_the_environment(
    kafka: Kafka, topic: str, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    publish(rows_for(3), with_password(kafka, topic))
    assert len(kafka.read(topic)) == 3


def test_a_broker_that_is_not_to_be_trusted_gets_no_password_and_says_why(
    kafka: Kafka, topic: str, ca: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    host = kafka.locked_tls.replace("localhost", "127.0.0.1")
    cases = {
        "from an authority that is not trusted here": with_password(kafka, topic),
        "not for the name by which it is called": with_password(kafka, topic, f"ca={ca}", host=host),
    }
    for words, to in cases.items():
        context = context_for(tmp_path)
        with entered(context), pytest.raises(PermanentError, match=words) as caught:
            publish(rows_for(3), to, patience=20)
        assert "3 of 3 messages wait" in str(caught.value.next)
        assert ("SSL_CERT_FILE" in str(caught.value.next)) == ("authority" in words)
        assert kafka.password not in told(context, caught.value, caplog)
    assert kafka.read(topic) == []


def test_a_wrong_password_is_told_and_shown_nowhere(
    kafka: Kafka,
    topic: str,
    ca: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KAFKA_PASSWORD", WRONG)
    for mechanism in ("", "mechanism=SCRAM-SHA-512"):
        context = context_for(tmp_path)
        with (
            entered(context),
            pytest.raises(PermanentError, match="does not know the user, or not this password") as caught,
        ):
            publish(rows_for(3), with_password(kafka, topic, f"ca={ca}", mechanism), patience=20)
        assert WRONG not in told(context, caught.value, caplog)
    assert WRONG not in "".join(capfd.readouterr())


def told(context: Any, error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that may be read afterwards."""
    ledger = [f"{entry.kind} {entry.body}" for entry in context.journal.history("")]
    return "\n".join(
        [str(error), repr(error), repr(error.__cause__), repr(error.__context__), caplog.text, *ledger]
    )


def test_a_broker_that_wants_tls_and_one_that_does_not_are_told_from_one_that_is_away(
    kafka: Kafka, topic: str, ca: Path
) -> None:
    with pytest.raises(BrokerError, match=r"does its port want TLS \(kafkas://\)"):
        publish(rows_for(3), f"kafka://{kafka.locked_tls}/{topic}", patience=0.5)
    with pytest.raises(BrokerError, match="PLAINTEXT"):
        publish(rows_for(3), with_password(kafka, topic, f"ca={ca}", host=kafka.locked), patience=0.5)


def test_files_that_can_not_be_used_are_named_before_anything_is_tried(
    kafka: Kafka, topic: str, ca: Path, tmp_path: Path
) -> None:
    locked = shutil.copy(ca.with_name("client.pem"), tmp_path / "client.pem")
    for option in ("ca=missing.pem", f"ca={ca.with_name('client-key.pem')}", f"ca={ca}&cert={locked}"):
        with pytest.raises(UsageError, match=r"missing\.pem|client-key\.pem|client\.pem") as caught:
            publish(rows_for(3), with_password(kafka, topic, option))
        assert caught.value.next
