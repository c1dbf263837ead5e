from __future__ import annotations

import base64
import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError, WebhookRefused
from trikk.server.sources.payloads import LARGEST
from trikk.server.sources.webhook_signature import TOLERANCE, read_secret, sign, verify

KEY = secrets.token_bytes(32)
NOW = 1_700_000_000


def headers(body: bytes, *, key: bytes = KEY, message_id: str = "msg_1", at: int = NOW) -> dict[str, str]:
    signature = sign(key, message_id, at, body)
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def test_the_example_of_the_scheme_is_accepted() -> None:
    # Of the libraries of Standard Webhooks, which sign it so.
    key = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "orders")
    event = verify(
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        [key],
        1614265330.5,
        hook="orders",
    )
    assert (event.id, event.payload, event.at.timestamp()) == (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        {"test": 2432232314},
        1614265330,
    )


@pytest.mark.parametrize(("body", "payload"), [(b"", None), (b"[1]", [1]), ("så".encode(), "så"), (b"{", "{")])
def test_a_body_is_json_or_text(body: bytes, payload: object) -> None:
    assert verify(headers(body), body, [KEY], NOW, hook="orders").payload == payload


@given(st.integers(0, 31), st.integers(1, 255), st.sampled_from(["id", "timestamp", "signature", "body"]))
def test_whatever_is_changed_is_refused(at: int, flip: int, part: str) -> None:
    body = b'{"order": 17, "amount": 200.50}'
    sent, changed = headers(body), body
    if part == "body":
        at %= len(body)
        changed = body[:at] + bytes([body[at] ^ flip]) + body[at + 1 :]
    elif part == "signature":
        raw = bytearray(base64.b64decode(sent["webhook-signature"][3:]))
        raw[at] ^= flip
        sent["webhook-signature"] = "v1," + base64.b64encode(raw).decode()
    elif part == "id":
        sent["webhook-id"] += chr(ord("a") + flip % 26)
    else:
        sent["webhook-timestamp"] = str(NOW + flip)
    with pytest.raises(WebhookRefused, match="none of the signatures is right"):
        verify(sent, changed, [KEY], NOW, hook="orders")


@pytest.mark.parametrize("late", [-TOLERANCE, 0, TOLERANCE])
def test_a_call_within_the_window_is_accepted(late: float) -> None:
    assert verify(headers(b"1"), b"1", [KEY], NOW + late, hook="orders").id == "msg_1"


@pytest.mark.parametrize(("late", "word"), [(-TOLERANCE - 1, "in the future"), (TOLERANCE + 1, "old")])
def test_a_call_outside_of_the_window_is_refused(late: float, word: str) -> None:
    with pytest.raises(WebhookRefused, match=word):
        verify(headers(b"1"), b"1", [KEY], NOW + late, hook="orders")


def test_while_a_secret_is_exchanged_either_signs() -> None:
    new = secrets.token_bytes(32)
    assert verify(headers(b"1"), b"1", [new, KEY], NOW, hook="orders").id == "msg_1"
    both = headers(b"1")
    both["webhook-signature"] = f"v1a,xyz v1,AAAA {sign(new, 'msg_1', NOW, b'1')} {both['webhook-signature']}"
    assert verify(both, b"1", [new], NOW, hook="orders").id == "msg_1"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    sent = headers(b"1")
    del sent[name]
    with pytest.raises(WebhookRefused, match=f"{name} is missing"):
        verify(sent, b"1", [KEY], NOW, hook="orders")


@pytest.mark.parametrize("bad", ["a.b", "a b", "å", "x" * 201, "a\x1b[2J"])
def test_an_id_that_could_be_read_in_two_ways_or_hides_is_refused(bad: str) -> None:
    with pytest.raises(WebhookRefused, match="webhook-id is not"):
        verify(headers(b"1", message_id=bad), b"1", [KEY], NOW, hook="orders")


@pytest.mark.parametrize("bad", ["now", "-1", "1.5", "\u0661\u0667", "9" * 40])
def test_a_time_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(WebhookRefused, match="is not a number of seconds"):
        verify(headers(b"1") | {"webhook-timestamp": bad}, b"1", [KEY], NOW, hook="orders")


@pytest.mark.parametrize("body", [b"\xff", b"x" * (LARGEST + 1)])
def test_a_body_that_no_run_can_be_told_of_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookRefused, match="the body can't be taken"):
        verify(headers(body), body, [KEY], NOW, hook="orders")


def test_no_error_holds_the_secret_or_the_right_signature() -> None:
    secret, body = base64.b64encode(KEY).decode(), json.dumps({"a": 1}).encode()
    for sent in (headers(body, key=b"x" * 32), headers(body, at=1), headers(body) | {"webhook-id": "other"}):
        with pytest.raises(WebhookRefused) as refused:
            verify(sent, body, [KEY], NOW, hook="orders")
        text = str(refused.value)
        assert secret not in text
        assert sign(KEY, sent["webhook-id"], int(sent["webhook-timestamp"]), body)[3:] not in text


@pytest.mark.parametrize("text", ["", "hunter2", "whsec_", base64.b64encode(b"short").decode(), "not base64!" * 9])
def test_a_weak_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="webhook orders") as refused:
        read_secret(text, "orders")
    assert not text or text not in str(refused.value)
