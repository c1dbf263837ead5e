from __future__ import annotations

import pytest

from trikk import pipeline, publish, step
from trikk.core.errors import DefinitionError, UsageError
from trikk.publishing.broker_address import check_address, resolve


def test_an_address_is_taken_apart() -> None:
    found = resolve("kafkas://me:${PW}@a.example:9000,b.example/forecast?mechanism=SCRAM-SHA-512", {"PW": "p:@/x"})
    assert (found.kind, found.secure, found.topic) == ("kafka", True, "forecast")
    assert found.hosts == ("a.example:9000", "b.example:9093")
    assert (found.user, found.password, found.options["mechanism"]) == ("me", "p:@/x", "SCRAM-SHA-512")
    assert found.label == "kafkas://a.example:9000,b.example:9093/forecast"
    assert resolve("mqtt://h/city/{key}/now").topic == "city/{key}/now"
    assert resolve("mqtts://[::1]/t").hosts == ("[::1]:8883",)
    assert resolve("stream:forecast").label == "stream:forecast"


def test_a_whole_address_or_its_hosts_may_come_from_the_environment() -> None:
    assert resolve("${TO}", {"TO": "kafka://u:pw@h/t"}).password == "pw"
    assert resolve("kafka://${HOSTS}/t", {"HOSTS": "a:1,b:2"}).hosts == ("a:1", "b:2")
    with pytest.raises(UsageError, match="variable NOT_SET is not set"):
        resolve("kafka://u:${NOT_SET}@h/t", {})


def test_secrets_are_neither_shown_nor_left_in_texts() -> None:
    found = resolve("kafka://me:${PW}@h/t", {"PW": "hush"})
    assert "hush" not in repr(found)
    assert found.hide("login with hush failed") == "login with *** failed"


@pytest.mark.parametrize("to", ["kafka://me:hush@h/t", "mqtts://me:hush${X}@h/t", "kafka://me:${A}hush@h/t"])
def test_a_password_in_an_address_is_refused_without_repeating_it(to: str) -> None:
    with pytest.raises(UsageError, match="holds a password") as caught:
        check_address(to)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "to",
    [
        "",
        "forecast",
        "http://h/t",
        "kafka:h/t",
        "kafka://h",
        "kafka://h/",
        "kafka:///t",
        "kafka://h/a/b",
        "kafka://h/..",
        "kafka://h:99999/t",
        "kafka://h,/t",
        "kafka://h o/t",
        "kafka://h/t?x=1",
        "kafka://h/t?mechanism=PLAIN2",
        "mqtt://h/a/#",
        "mqtt://h/+/b",
        "mqtt://h/{name}",
        "mqtt://h/$SYS/x",
        "mqtt://h/t?version=4",
        "mqtt://h/t\x00",
        "stream:",
        "stream:../x",
        "stream://x",
        "kafka://h\n/t",
    ],
)
def test_what_is_no_address_is_refused_with_a_hint(to: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_address(to)
    assert caught.value.next


def test_a_wrong_address_is_refused_where_the_pipeline_is_defined() -> None:
    @step
    def rows() -> list[int]:
        return [1]

    with pytest.raises(DefinitionError, match="holds a password") as caught:

        @pipeline
        def p() -> None:
            publish(rows(), "kafka://me:hush@h/t")

    assert "test_address.py" in str(caught.value.where)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("kafka://h/t?ca=ca.pem", "is for TLS"),
        ("mqtt://h/t?cert=me.pem", "is for TLS"),
        ("mqtts://h/t?ca=", "names no file"),
        ("kafkas://h/t?key=me.pem", "of no use without a certificate"),
    ],
)
def test_an_option_for_tls_is_refused_where_it_would_do_nothing(to: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        check_address(to)
    assert caught.value.next


def test_files_for_tls_are_read_from_an_address() -> None:
    assert resolve("kafkas://h/t?ca=${CA}&cert=a&key=b", {"CA": "c"}).files == ("c", "a", "b")
    assert resolve("mqtts://h/t").files == ("", "", "")
