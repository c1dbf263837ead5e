from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from polars.testing import assert_frame_equal
from tests.features.strategies import MINUTE, START, VALUES, Case, cases, minutes

from trikk.features.cells import dump, survivors
from trikk.features.join import join_as_of
from trikk.features.online import open_online
from trikk.features.project_place import Place
from trikk.features.serve import Server
from trikk.features.sync import sync
from trikk.storage.tables.table_write import Write

ZONE = "zoneinfo.ZoneInfo(key='UTC')"
TOGETHER = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Case, list[tuple[int, datetime]], list[datetime]]:
    """Facts, the parts in which they come to the table with the moment of each sync, and moments to ask for."""
    case = draw(cases().filter(lambda c: bool(c.facts and c.moments)))
    cuts = sorted(draw(st.sets(st.integers(1, len(case.facts)), max_size=3)) | {len(case.facts)})
    return (
        case,
        [(cut, draw(minutes)) for cut in cuts],
        draw(st.lists(st.integers(0, 20).map(lambda n: START + n * MINUTE), max_size=4)),
    )


@given(histories())
@TOGETHER
def test_a_value_at_serving_is_the_value_at_training(
    place: Place, address: str, fresh_names: Callable[[], str], history: tuple[Case, list, list]
) -> None:
    case, parts, moments = history
    definition = replace(case.definition, name=fresh_names())
    online = address.replace("online.db", f"{definition.name}.db")
    store = open_online(definition, place.state_dir, online)
    server = Server(definition, store)
    before, horizon = 0, START
    for cut, moment in parts:
        write = Write("append", case.frame(case.facts[before:cut]), key=definition.keys)
        place.tables.write(definition.name, write, identity=f"part-{cut}", origin={})
        done = sync(definition, place, at=moment, to=online)
        assert done.rebuilt is (before == 0)
        before, horizon = cut, max(horizon, moment)
        known = case.frame(case.facts[:cut])
        for at in [horizon, *(m for m in moments if m >= horizon)]:
            keys = case.rows().with_columns(at=pl.lit(at))
            trained = join_as_of(definition, keys, known, on="at", features=VALUES).drop("at")
            served = server.frame(keys, at, VALUES)
            assert_frame_equal(served, trained, check_exact=True)
            dicts = server.rows(keys.select("line", "stop").to_dicts(), at, VALUES)
            assert repr(dicts) == repr(trained.to_dicts()).replace(ZONE, "datetime.timezone.utc")


versions = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True, max_size=8).map(
    lambda pairs: [[available, rank, [f"{available}/{rank}"]] for available, rank in pairs]
)


@given(versions, versions, st.integers(0, 6), st.integers(0, 6))
def test_what_a_cell_keeps_does_not_depend_on_when_its_rows_came(a: list, b: list, first: int, later: int) -> None:
    b = [one for one in b if one not in a]
    horizon = max(first, later)
    in_parts = survivors([*survivors(a, first), *b], horizon)
    assert dump(in_parts) == dump(survivors([*a, *b], horizon))
