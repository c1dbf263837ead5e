"""MQTT in TLS, with a password and with certificates of clients."""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import Authority
from tests.execution.command import Folder
from tests.publishing.publisher import context_for, rows_for
from tests.servers.mqtt import Mqtt, wait_for

from trikk.core.errors import BrokerError, PermanentError, UsageError
from trikk.publishing import publish
from trikk.runs.context import entered

WRONG = "wr0ng-Passw0rd"


@pytest.fixture(autouse=True)
def password(mqtt_tls: Mqtt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", mqtt_tls.password)


@pytest.fixture
def topic() -> str:
    return "t" + secrets.token_hex(6)


def test_rows_arrive_in_tls_with_a_password(mqtt_tls: Mqtt, topic: str) -> None:
    with mqtt_tls.listening(topic) as found:
        made = publish(rows_for(300), mqtt_tls.address(topic))
        wait_for(found, 300)
    assert len(found) == made["messages"] == 300
    assert made["to"] == f"mqtts://{mqtt_tls.host}/{topic}"


def test_mqtt_5_is_the_same_in_tls(
    mqtt5_tls: Mqtt, topic: str, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = mqtt5_tls.address(topic)
    monkeypatch.setenv("MQTT_PASSWORD", mqtt5_tls.password)
    with mqtt5_tls.listening(topic) as found:
        publish(rows_for(30), to)
        with pytest.raises(PermanentError, match="an authority that is not trusted here"):
            publish(rows_for(3), to.replace(mqtt5_tls.ca, str(stranger.ca)))
        monkeypatch.setenv("MQTT_PASSWORD", WRONG)
        with pytest.raises(PermanentError, match="the broker refuses: ") as caught:
            publish(rows_for(3), to)
        wait_for(found, 30)
    assert len(found) == 30
    assert WRONG not in str(caught.value)


def test_the_authority_may_come_from_the_environment(
    mqtt_tls: Mqtt, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", mqtt_tls.ca)
    publish(rows_for(3), mqtt_tls.address(topic).partition("&ca=")[0])


def test_a_broker_that_wants_a_certificate_gets_it(mqtt_tls: Mqtt, topic: str, authority: Authority) -> None:
    to = mqtt_tls.address(topic).replace(mqtt_tls.host, mqtt_tls.strict)
    mine = authority.issue("client")
    with mqtt_tls.listening(topic) as found:
        publish(rows_for(3), f"{to}&cert={mine.cert}&key={mine.key}")
        wait_for(found, 3)
    assert len(found) == 3
    with pytest.raises(BrokerError, match="does it want a client's certificate"):  # amqtt sends no alert
        publish(rows_for(3), to, patience=0.5)


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
def test_a_broker_that_says_that_it_wants_another_certificate_is_understood(
    mqtt_tls: Mqtt, topic: str, authority: Authority, stranger: Authority, whose: str
) -> None:
    context = authority.issue("broker", ["localhost"]).server(authority.ca)
    wrong = stranger.issue("client")
    options = f"&cert={wrong.cert}&key={wrong.key}" if whose != "nobody's" else ""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            found = context.wrap_socket(server.accept()[0], server_side=True, do_handshake_on_connect=False)
            with pytest.raises(ssl.SSLError):
                found.do_handshake()
            with socket.socket(fileno=found.detach()) as plain:  # what it says is lost if this is closed too soon
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(4096):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        to = mqtt_tls.address(topic).replace(mqtt_tls.host, f"localhost:{server.getsockname()[1]}")
        with pytest.raises(PermanentError, match="it wants a client's certificate") as caught:
            publish(rows_for(3), to + options, patience=20)
        thread.join()
    assert "cert=FILE and key=FILE" in str(caught.value.next)


def test_a_broker_that_is_not_to_be_trusted_gets_nothing_and_says_why(
    mqtt_tls: Mqtt, topic: str, stranger: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    to = mqtt_tls.address(topic)
    cases = {
        "from an authority that is not trusted here": to.replace(mqtt_tls.ca, str(stranger.ca)),
        "not for the name by which it is called": to.replace("localhost", "127.0.0.1"),
    }
    for words, wrong in cases.items():
        context = context_for(tmp_path)
        with entered(context), pytest.raises(PermanentError, match=words) as caught:
            publish(rows_for(3), wrong, patience=20)
        assert "nothing was sent" in str(caught.value.next)
        assert mqtt_tls.password not in told(context, caught.value, caplog)


def test_a_wrong_password_is_told_and_shown_nowhere(
    mqtt_tls: Mqtt,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MQTT_PASSWORD", WRONG)
    context = context_for(tmp_path)
    with entered(context), pytest.raises(PermanentError, match="user") as caught:
        publish(rows_for(3), mqtt_tls.address(topic), patience=20)
    assert WRONG not in told(context, caught.value, caplog)


def test_nothing_that_a_run_leaves_behind_has_the_password(mqtt_tls: Mqtt, topic: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Path(mqtt_tls.ca).read_bytes())
    to = mqtt_tls.address(topic).replace(mqtt_tls.ca, "ca.pem")  # from the project's folder on
    folder = Folder(tmp_path)
    folder.write(
        trikk='name = "city"\n',
        pipelines=f"""
            import polars as pl
            from trikk import pipeline, publish, step

            @step
            def rows() -> pl.DataFrame:
                return pl.DataFrame({{"row": [1]}})

            @pipeline
            def nightly():
                publish(rows(), to={to!r})
        """.replace("\n            ", "\n"),
    )
    for password, code in ((WRONG, 1), (mqtt_tls.password, 0)):
        done = folder.trikk("run", "nightly", MQTT_PASSWORD=password)
        assert done.code == code, done
        left = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert b"nightly" in left
        assert password not in done.out + done.err
        assert password.encode() not in left


def told(context: Any, error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that may be read afterwards."""
    ledger = [f"{entry.kind} {entry.body}" for entry in context.journal.history("")]
    return "\n".join(
        [str(error), repr(error), repr(error.__cause__), repr(error.__context__), caplog.text, *ledger]
    )


def test_a_port_that_wants_tls_and_one_that_does_not_are_told(mqtt_tls: Mqtt, mqtt3: Mqtt, topic: str) -> None:
    plain = mqtt_tls.address(topic).replace("mqtts:", "mqtt:").partition("&ca=")[0]
    with pytest.raises(BrokerError, match="does its port want TLS"):
        publish(rows_for(3), plain, patience=0.5)
    with pytest.raises(BrokerError, match="it answers, but not in TLS"):
        publish(rows_for(3), mqtt_tls.address(topic).replace(mqtt_tls.host, mqtt3.host), patience=0.5)


def test_files_that_can_not_be_used_are_named_before_anything_is_tried(
    mqtt_tls: Mqtt, topic: str, authority: Authority
) -> None:
    locked = authority.issue("locked", passphrase=b"hush")
    to = mqtt_tls.address(topic)
    with pytest.raises(UsageError, match=r"missing\.pem"):
        publish(rows_for(3), to.replace(mqtt_tls.ca, "missing.pem"))
    with pytest.raises(UsageError, match="locked with a pass phrase"):
        publish(rows_for(3), f"{to}&cert={locked.cert}&key={locked.key}")
