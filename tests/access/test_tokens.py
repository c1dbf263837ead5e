"""Tokens: what counts, what does not any more, and what is kept of them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from trikk.access.audit import read_page, recorded
from trikk.access.doorkeeping import Doorkeeping
from trikk.access.guard import Guard
from trikk.access.identity import EVERYWHERE, Identity, IdentityKind, Role
from trikk.access.tokens import SUBJECT, Tokens, begin_session, create, revoke
from trikk.core.errors import Conflict, UnknownName, UsageError
from trikk.runs.journals.memory_journal import MemoryJournal
from trikk.testing.manual_clock import ManualClock
from trikk.web.refused import Refused

NOW = 1_000_000.0


def refusal(tokens: Tokens, shown: str, environment: str = "main", now: float = NOW) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        tokens.check(shown, environment, now)
    return refused.value.status, refused.value.what


def test_a_token_counts_until_it_expires_or_is_revoked_and_only_where_it_is_for() -> None:
    ledger = MemoryJournal()
    here, shown = create(ledger, "ci", Role.OPERATOR, environment="main", by="anna", now=NOW, lasts=10.0)
    _, everywhere = create(ledger, "backup", Role.VIEWER, environment=EVERYWHERE, by="anna", now=NOW, lasts=None)
    tokens = Tokens(ledger).look()
    assert tokens.check(shown, "main", NOW + 9.9).identity.role is Role.OPERATOR
    assert tokens.check(everywhere, "other", NOW + 1e9).name == "backup"
    assert refusal(tokens, shown, "other") == (403, "the token ci is for environment main, and this is other")
    assert refusal(tokens, shown, now=NOW + 10.0) == (401, "the token ci has expired")
    # Nothing of a token's name or state is told to somebody who has not its secret.
    wrong = shown[:-1] + ("0" if shown[-1] != "0" else "1")
    for nothing in (wrong, "", "trikk_", shown.upper(), f" {shown}", "trikk_" + "é" * 70, "x" * 100_000):
        assert refusal(tokens, nothing) == (401, "this token is not known here")
    revoke(ledger, "ci", by="anna", now=NOW + 1)
    assert tokens.check(shown, "main", NOW + 2)  # nobody has looked yet
    assert refusal(tokens.look(), shown, now=NOW + 2) == (401, "the token ci was revoked")
    assert revoke(ledger, here.id, by="somebody", now=NOW + 5).revoked == NOW + 1  # as it was before
    # What is kept does not tell what is shown.
    kept = repr(ledger.entries(SUBJECT))
    assert shown not in kept
    assert shown.rpartition("_")[2] not in kept


def test_a_name_has_one_valid_token_whoever_makes_them_at_once() -> None:
    ledger = MemoryJournal()
    outcomes: list[str] = []

    def make() -> None:
        try:
            create(ledger, "ci", Role.VIEWER, environment="main", by="x", now=NOW, lasts=5.0)
        except Conflict:
            outcomes.append("refused")
        else:
            outcomes.append("made")

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["refused"] * 7
    create(ledger, "ci", Role.ADMIN, environment="main", by="x", now=NOW + 5, lasts=5.0)  # the first has expired
    tokens = Tokens(ledger).look()
    assert tokens.named("ci", NOW + 6).role is Role.ADMIN
    assert [t.role for t in tokens.valid("main", NOW + 6)] == [Role.ADMIN]
    with pytest.raises(UnknownName, match="cj"):
        revoke(ledger, "cj", by="x", now=NOW)


@pytest.mark.parametrize(
    ("name", "environment", "lasts"),
    [
        ("../x", "main", 1.0), ("", "main", 1.0), ("local", "main", 1.0), ("a" * 101, "main", 1.0),
        ("ci", "a b", 1.0), ("ci", "", 1.0), ("ci", "main", 0.0), ("ci", "main", 1e12),
        ("ci", "main", float("nan")),
    ],
)  # fmt: skip
def test_a_token_that_can_not_be_is_refused_before_anything_is_written(
    name: str, environment: str, lasts: float
) -> None:
    ledger = MemoryJournal()
    with pytest.raises(UsageError):
        create(ledger, name, Role.VIEWER, environment=environment, by="x", now=NOW, lasts=lasts)
    assert ledger.subjects() == []


def test_each_role_includes_those_before_it() -> None:
    assert [[role.may(needed) for needed in Role] for role in Role] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]


def test_a_token_of_a_role_that_is_not_known_counts_nowhere_and_keeps_nobody_out() -> None:
    ledger = MemoryJournal()
    _, shown = create(ledger, "ci", Role.ADMIN, environment="main", by="x", now=NOW, lasts=5.0)
    body = {**ledger.entries(SUBJECT)[0].body, "id": "a" * 12, "role": "emperor"}
    ledger.add(SUBJECT, "token.created", body, at=NOW)
    tokens = Tokens(ledger).look()
    assert tokens.check(shown, "main", NOW)
    assert refusal(tokens, shown.replace(shown[6:18], "a" * 12))[0] == 401


def test_who_shows_a_whole_token_to_revoke_it_revokes_it_and_writes_no_secret_down() -> None:
    ledger, clock = MemoryJournal(), ManualClock(0.0)
    token, shown = create(ledger, "ci", Role.OPERATOR, environment="main", by="me", now=0.0, lasts=None)
    me = Identity("me", IdentityKind.COMMAND, Role.ADMIN)
    with recorded(ledger, me, "oslo", "revoke_token", {"name": shown}, clock):
        assert revoke(ledger, shown, by="me", now=1.0).id == token.id
    with pytest.raises(UnknownName), recorded(ledger, me, f"a {shown}", "x", {"why": f"{shown} leaked"}, clock):
        raise UnknownName("token", shown, [])
    secret = shown.rpartition("_")[2]
    assert all(secret not in str(entry.body) for entry in ledger.history(""))
    assert [line.target for line in read_page(ledger, 1).lines] == [{"why": f"trikk_{token.id}_*** leaked"}]


def test_of_people_who_sign_in_a_server_knows_those_sessions_alone_that_count() -> None:
    ledger, person = MemoryJournal(), Identity("anna@example.com", IdentityKind.PERSON, Role.VIEWER, "main")
    _, shown = create(ledger, "ci", Role.VIEWER, environment="main", by="anna", now=NOW, lasts=1.0)
    ended = [begin_session(ledger, person, by="", now=NOW, lasts=10.0)[0] for _ in range(3)]
    revoke(ledger, ended[0].id, by="anna", now=NOW + 1)
    lasting, cookie = begin_session(ledger, person, by="", now=NOW, lasts=100.0)
    tokens = Tokens(ledger).look()
    tokens.forget_sessions(NOW + 10.0)
    assert [token.name for token in tokens.listed()] == ["ci", "anna@example.com"]
    assert tokens.check(cookie, "main", NOW + 10.0, IdentityKind.PERSON) == lasting
    assert refusal(tokens, shown, now=NOW + 10.0) == (401, "the token ci has expired")  # programs are told why
    revoke(ledger, ended[1].id, by="anna", now=NOW + 11)
    assert tokens.look().get(ended[1].id) is None


def test_what_goes_on_for_a_person_ends_with_their_session(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, clock = MemoryJournal(), ManualClock(NOW)
    person = Identity("anna@example.com", IdentityKind.PERSON, Role.VIEWER, "main")
    session, _ = begin_session(ledger, person, by="", now=NOW, lasts=100.0)
    monkeypatch.setattr("trikk.access.guard._LOOK", 0.01)
    guard = Guard(ledger, "main", Doorkeeping(), clock, sign_in=True)
    guard.begin()

    async def follow() -> bool:
        answering = asyncio.ensure_future(asyncio.sleep(30))
        waiting = asyncio.create_task(guard.while_valid(session.identity, answering))
        looking = asyncio.create_task(guard.keep_looking())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        revoke(ledger, session.id, by="anna", now=clock.now())
        came_to_its_end = await asyncio.wait_for(waiting, 10)
        looking.cancel()
        return came_to_its_end

    assert asyncio.run(follow()) is False
    guard.close()
