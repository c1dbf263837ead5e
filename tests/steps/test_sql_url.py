from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trikk.core.errors import UsageError
from trikk.steps.databases.database_url import resolve
from trikk.steps.databases.sql_step import check_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:${PASSWORD}@host/db",
        "postgresql://reader@host/db",
        "postgresql://host/db?password=${P}",
        "redshift://reader:${P}@host:5439/db",
        "${WAREHOUSE}",
        "sqlite:///a.db",
        "duckdb://",
        "postgresql://${USER}:${P}@${HOST}/db",
    ],
)
def test_addresses_without_a_secret_are_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:hunter2@host/db",
        "postgres://reader:hunter2@host",
        "redshift://reader:hunter2@host/db",
        "postgresql://reader:hunter2${X}@host/db",
        "postgresql://reader:hunter2/x@host/db",
        "postgresql://reader:hun@ter2@host/db",
        "postgresql://host/db?password=hunter2",
        "postgresql://host/db?sslmode=require&sslpassword=hunter2",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as error:
        check_url(url)
    assert "hunter2" not in str(error.value)
    assert error.value.next is not None
    assert "${NAME}" in error.value.next


@pytest.mark.parametrize("url", ["", "host/db", "mysql://host/db", "file:///etc/passwd", "secret:pw@host"])
def test_unknown_kinds_of_databases_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(UsageError, match="NOT_THERE"):
        resolve("postgresql://u:${NOT_THERE}@h/d", {})
    with pytest.raises(UsageError, match="EMPTY"):
        resolve("postgresql://u:${EMPTY}@h/d", {"EMPTY": ""})


def test_a_whole_address_may_come_from_the_environment_and_is_never_shown() -> None:
    found = resolve("${W}", {"W": "postgresql://u:hunter%402@h/d"})
    assert found.text == "postgresql://u:hunter%402@h/d"
    for secret in ("hunter%402", "hunter@2", found.text):
        assert secret not in found.hide(f"failed with {secret}!")
    assert "hunter" not in repr(found)


@given(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=30))
def test_any_password_arrives_whole_and_is_hidden(password: str) -> None:
    from urllib.parse import unquote, urlsplit

    found = resolve("postgresql://u:${P}@host:5432/db", {"P": password})
    assert unquote(urlsplit(found.text).password or "") == password
    assert urlsplit(found.text).hostname == "host"
    assert password not in found.hide(f"<<{found.text}>>").replace("***", "") or len(password) < 4
