"""How often somebody may do something."""

from __future__ import annotations

import pytest

from trikk.web.rate_limits import RateLimit, network_of


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    limit = RateLimit(2.0, 3)
    assert [limit.wait("a", 100.0) for _ in range(3)] == [0.0] * 3
    assert limit.wait("a", 100.0) == pytest.approx(0.5)
    assert limit.wait("b", 100.0) == 0.0  # another caller is another matter
    assert limit.wait("a", 100.5) == 0.0
    assert limit.wait("a", 100.6) == pytest.approx(0.4)  # what was refused has not counted
    allowed = sum(limit.wait("a", 101.0 + i / 100) == 0.0 for i in range(1000))
    assert 20 <= allowed <= 22  # ten seconds at two
    assert [limit.wait("a", 1000.0) for _ in range(4)].count(0.0) == 3  # rest is not saved up


def test_those_that_are_remembered_are_bounded() -> None:
    limit = RateLimit(1.0, 1, most=100)
    for number in range(10_000):
        limit.wait(f"caller {number}", 1.0)
    assert len(limit._until) == 100
    assert limit.wait("caller 9999", 1.0) > 0


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_an_address_counts_with_its_neighbours_where_one_customer_has_many(address: str, caller: str) -> None:
    assert network_of(address) == caller
