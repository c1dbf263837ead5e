from __future__ import annotations

import multiprocessing
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.features.conftest import client

from trikk import FeatureTable
from trikk.core.errors import Conflict, StorageError, UnknownName, UsageError
from trikk.features.actions import check_rows
from trikk.features.feature_definition import Definition
from trikk.features.online import open_online
from trikk.features.project_place import Place
from trikk.features.sync import Synced, sync
from trikk.storage.tables.table_write import Write

T0 = datetime(2024, 3, 1, 9, tzinfo=UTC)
LOADS = FeatureTable("loads", entity="line", time="known")
LINES = 300


def rows(value: float, minute: float = 0, lines: int = LINES) -> pl.DataFrame:
    known = T0 + timedelta(minutes=minute)
    return pl.DataFrame({"line": [str(n) for n in range(lines)], "known": known, "load": value})


def put(place: Place, frame: pl.DataFrame, mode: str = "append") -> None:
    key = () if mode == "overwrite" else LOADS.definition.keys
    identity = os.urandom(4).hex()
    place.tables.write("loads", Write(mode, frame, key=key, schema_mode="merge"), identity=identity, origin={})  # type: ignore[arg-type]


def loads(address: str, *lines: str, at: datetime | None = None) -> list[float | None]:
    return [row["load"] for row in LOADS.latest([{"line": line} for line in lines], at=at, online=address)]


def test_a_second_sync_does_nothing_and_a_third_reads_only_what_is_new(place: Place, address: str) -> None:
    put(place, rows(1.0))
    assert sync(LOADS.definition, place, to=address).to_json() | {"at": ""} == {
        "name": "loads", "version": 0, "entities": LINES, "rebuilt": True, "at": "",
    }  # fmt: skip
    assert sync(LOADS.definition, place, to=address).entities == 0
    put(place, rows(2.0, 5, lines=3))
    done = sync(LOADS.definition, place, to=address)
    assert (done.entities, done.rebuilt, done.version) == (3, False, 1)
    assert loads(address, "0", "299", "300") == [2.0, 1.0, None]
    assert open_online(LOADS.definition, place.state_dir, address).count() == LINES


def test_an_older_row_that_comes_later_changes_nothing_online(place: Place, address: str) -> None:
    put(place, rows(2.0, 10))
    sync(LOADS.definition, place, to=address)
    put(place, rows(1.0, 5))
    assert sync(LOADS.definition, place, to=address).rebuilt is False
    assert loads(address, "0") == [2.0]


@pytest.mark.parametrize("mode", ["merge", "overwrite"])
def test_rewritten_history_is_read_anew(place: Place, address: str, mode: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    put(place, rows(7.0, lines=2), mode)
    assert sync(LOADS.definition, place, to=address).rebuilt
    assert loads(address, "0", "1", "2") == [7.0, 7.0, 1.0 if mode == "merge" else None]


def test_a_table_that_gets_a_time_zone_is_served_from_its_new_times(place: Place, address: str) -> None:
    put(place, rows(1.0).with_columns(pl.col("known").dt.replace_time_zone(None)))
    sync(LOADS.definition, place, at=datetime(2999, 1, 1), to=address)  # noqa: DTZ001
    put(place, rows(2.0), "overwrite")
    assert sync(LOADS.definition, place, to=address).rebuilt
    assert loads(address, "0") == [2.0]


def test_a_new_column_is_served_after_the_sync_that_brings_it(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    assert LOADS.latest([{"line": "0"}], online=address) == [{"line": "0", "load": 1.0}]
    put(place, rows(2.0, 5, lines=1).with_columns(trend=pl.lit("up")))
    sync(LOADS.definition, place, to=address)
    keys = [{"line": "0"}, {"line": "1"}]
    assert LOADS.latest(keys, online=address) == [
        {"line": "0", "load": 2.0, "trend": "up"},
        {"line": "1", "load": 1.0, "trend": None},
    ]


def test_a_value_not_yet_available_hides_no_other_until_it_is(place: Place, address: str) -> None:
    put(place, rows(1.0))
    put(place, rows(2.0, 10))
    sync(LOADS.definition, place, at=T0 + timedelta(minutes=5), to=address)
    for minute, value in [(5, 1.0), (9.9, 1.0), (10, 2.0)]:
        assert loads(address, "0", at=T0 + timedelta(minutes=minute)) == [value]
    with pytest.raises(UsageError, match="answers from 2024-03-01T09:05:00"):
        loads(address, "0", at=T0)


def test_a_store_filled_under_another_definition_is_refused_then_filled_anew(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    other = FeatureTable("loads", entity="line", time="known", ttl="1m", online=address)
    with pytest.raises(UsageError, match="under another definition"):
        other.latest([{"line": "0"}])
    assert sync(other.definition, place).rebuilt
    assert other.latest([{"line": "0"}]) == [{"line": "0", "load": None}]


def test_a_file_that_holds_another_feature_table_is_not_filled_with_this_one(place: Place, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/online.db"
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    other = FeatureTable("delays", entity=["line", "stop"], time="known", online=address)
    frame = pl.DataFrame({"line": ["0"], "stop": ["a"], "known": [T0], "delay": [3.0]})
    place.tables.write("delays", Write("append", frame), identity="by hand", origin={})
    for ask in (
        lambda: sync(other.definition, place),
        lambda: sync(other.definition, place, rebuild=True),
        lambda: other.latest([{"line": "0", "stop": "a"}]),
    ):
        with pytest.raises(UsageError, match="holds feature table loads, not delays"):
            ask()
    assert loads(address, "0") == [1.0]


def test_what_is_not_there_is_said(place: Place, address: str) -> None:
    with pytest.raises(UnknownName, match="no table 'loads'"):
        sync(LOADS.definition, place, to=address)
    with pytest.raises(UsageError, match="is not online"):
        loads(address, "0")


def test_rows_that_contradict_what_is_online_stop_the_sync_and_change_nothing(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    place.tables.write("loads", Write("append", rows(2.0, lines=1)), identity="by hand", origin={})
    with pytest.raises(UsageError, match=r"contradict each other: .*\[\"0\"\]"):
        sync(LOADS.definition, place, to=address)
    assert loads(address, "0") == [1.0]


def test_a_sync_that_was_overtaken_changes_nothing(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    store = open_online(LOADS.definition, place.state_dir, address)
    state = store.state()
    assert state is not None
    with pytest.raises(Conflict):
        store.replace(None, "other", [("x", "[]")])
    with pytest.raises(Conflict):
        store.update("other", "third", [("x", "[]")], lambda *_: "[]")
    assert (store.state(), store.count()) == (state, LINES)


def test_keys_of_a_wrong_type_are_refused_by_name(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    for keys, message in [
        ([{"line": 4}], r"key 'line' is 4, a int; the feature table has String"),
        ([{"lin": "4"}], r"a key has no 'line'"),
        (pl.DataFrame({"line": [4]}), r"'line' is Int64 here and String in the feature table"),
        ({"line": "4"}, r"takes a list of keys"),
    ]:
        with pytest.raises(UsageError, match=message):
            LOADS.latest(keys, online=address)
    with pytest.raises(UnknownName, match="no feature 'laod'"):
        LOADS.latest([{"line": "4"}], features=["laod"], online=address)
    with pytest.raises(UsageError, match="has no time zone"):
        LOADS.latest([{"line": "4"}], at=T0.replace(tzinfo=None), online=address)
    assert LOADS.latest([{"line": None}], online=address) == [{"line": None, "load": None}]
    assert LOADS.latest([], online=address) == []


def test_times_without_a_zone_are_served_only_for_a_given_moment(place: Place, address: str) -> None:
    put(place, rows(1.0).with_columns(pl.col("known").dt.replace_time_zone(None)))
    with pytest.raises(UsageError, match="not known which are past"):
        sync(LOADS.definition, place, to=address)
    moment = T0.replace(tzinfo=None)
    sync(LOADS.definition, place, at=moment, to=address)
    assert loads(address, "0", at=moment) == [1.0]
    with pytest.raises(UsageError, match="not known which are past"):
        loads(address, "0")


def _sync_for_ever(place: Place, address: str) -> None:
    for number in range(1_000_000):
        put(place, rows(float(number), number / 60), "overwrite" if number % 3 == 0 else "append")
        sync(LOADS.definition, place, to=address)


def test_readers_see_a_sync_as_a_whole_also_when_it_is_killed(place: Place, address: str) -> None:
    put(place, rows(-1.0))
    sync(LOADS.definition, place, to=address)
    keys = [{"line": str(n)} for n in range(LINES)]
    seen: set[float] = set()
    context = multiprocessing.get_context("spawn")
    place = replace(place, journal=None)
    writer = context.Process(target=_sync_for_ever, args=(place, address))
    writer.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(seen) < 6:
        values = {row["load"] for row in LOADS.latest(keys, online=address)}
        assert len(values) == 1
        seen |= values
    time.sleep(random.random() * 0.05)
    writer.kill()
    writer.join()
    assert len(seen) >= 6
    sync(LOADS.definition, place, to=address)
    newest = place.tables.scan("loads").select(pl.col("load").sort_by("known").last()).collect().item()
    assert set(loads(address, *[str(n) for n in range(LINES)])) == {newest}


def test_threads_share_one_feature_table(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    got: list[list[float | None]] = []
    threads = [threading.Thread(target=lambda: got.append(loads(address, "0", "1"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [[1.0, 1.0]] * 4


def test_several_syncs_at_once_do_the_work_once(place: Place, address: str) -> None:
    done: list[Synced] = []

    def run() -> None:
        done.append(sync(LOADS.definition, place, to=address))

    for version in range(3):
        put(place, rows(float(version), version))
        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(one.entities for one in done) == [0] * 6 + [LINES] * 3
    assert loads(address, "0") == [2.0]


def test_a_request_that_was_under_way_during_a_sync_is_answered(place: Place, address: str) -> None:
    asked = datetime.now(UTC)
    put(place, rows(1.0).with_columns(known=pl.lit(asked - timedelta(minutes=1))))
    put(place, rows(2.0).with_columns(known=pl.lit(asked + timedelta(milliseconds=1))))
    sync(LOADS.definition, place, to=address)
    assert loads(address, "0", at=asked) == [1.0]
    assert loads(address, "0", at=asked + timedelta(seconds=1)) == [2.0]


def test_a_sync_that_fails_half_way_leaves_nothing_behind(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    store = open_online(LOADS.definition, place.state_dir, address)
    state = store.state()

    def cells() -> Iterator[tuple[str, str]]:
        yield from ((str(n), "[]") for n in range(2_500))
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        store.replace(state, "other", cells())
    with pytest.raises(RuntimeError, match="half way"):
        store.update(state or "", "other", cells(), lambda _entity, _old, new: new)
    assert (store.state(), store.count()) == (state, LINES)
    if address.startswith("redis"):
        assert client(address).keys("*") == ["trikk:features:{loads}"]


def test_a_file_that_is_no_online_store_is_left_alone(place: Place, tmp_path: Path) -> None:
    put(place, rows(1.0))
    other = tmp_path / "mine.db"
    with sqlite3.connect(other) as link:
        link.execute("CREATE TABLE mine (x)")
    link.close()
    with pytest.raises(StorageError, match="is not an online store of trikk"):
        sync(LOADS.definition, place, to=f"sqlite:///{other}")
    other.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StorageError, match="can't be read or written"):
        sync(LOADS.definition, place, to=f"sqlite:///{other}")
    assert other.read_bytes() == b"rubbish" * 1000


def test_a_file_that_was_removed_and_filled_again_is_served_at_once(place: Place, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/online.db"
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    assert loads(address, "0") == [1.0]
    for file in tmp_path.glob("online.db*"):
        file.unlink()
    put(place, rows(2.0, 5))
    sync(LOADS.definition, place, to=address)
    assert loads(address, "0") == [2.0]


def test_no_password_is_in_an_error_nor_in_what_is_kept(
    place: Place, redis_server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    address: str = redis_server.template("FEATURES_PASSWORD")  # type: ignore[attr-defined]
    definition = Definition.read({**LOADS.definition.to_json(), "online": address})
    put(place, rows(1.0))
    for password in ("wr0ng/p@ss", ""):
        monkeypatch.setenv("FEATURES_PASSWORD", password)
        with pytest.raises((StorageError, UsageError)) as caught:
            sync(definition, place)
        assert "wr0ng" not in str(caught.value)
        assert "FEATURES_PASSWORD" in str(caught.value)
    monkeypatch.setenv("FEATURES_PASSWORD", "s3cr3t/p@ss:w%rd")
    sync(definition, place)
    link = client(address)
    assert "s3cr3t" not in str(link.hgetall("trikk:features:{loads}"))


def test_a_redis_that_is_away_is_an_error_worth_another_attempt(place: Place) -> None:
    put(place, rows(1.0))
    with pytest.raises(StorageError, match="can't be reached"):
        sync(LOADS.definition, place, to="redis://127.0.0.1:1/0")


def test_a_damaged_state_is_said_and_mended_by_a_rebuild(place: Place, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/online.db"
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    with sqlite3.connect(tmp_path / "online.db") as link:
        link.execute("UPDATE state SET body = '{}'")
    link.close()
    with pytest.raises(StorageError, match="can't be read"):
        sync(LOADS.definition, place, to=address)
    assert sync(LOADS.definition, place, to=address, rebuild=True).rebuilt
    assert loads(address, "0") == [1.0]


def test_a_table_without_rows_is_served_as_nulls(place: Place, address: str) -> None:
    put(place, rows(1.0).head(0))
    assert sync(LOADS.definition, place, to=address).entities == 0
    assert loads(address, "0") == [None]
    put(place, rows(1.0))
    assert sync(LOADS.definition, place, to=address).rebuilt is False
    assert loads(address, "0") == [1.0]


def test_a_store_that_was_synced_for_a_moment_to_come_does_not_answer_for_now(place: Place, address: str) -> None:
    put(place, rows(1.0))
    sync(LOADS.definition, place, at=datetime.now(UTC) + timedelta(days=1), to=address)
    with pytest.raises(UsageError, match="which is to come"):
        loads(address, "0")
    sync(LOADS.definition, place, to=address, rebuild=True)
    assert loads(address, "0") == [1.0]


def test_a_forked_reader_opens_its_own_connection(place: Place, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/online.db"
    put(place, rows(1.0))
    sync(LOADS.definition, place, to=address)
    server = LOADS._server(address)
    assert server.rows([{"line": "0"}], None, None)[0]["load"] == 1.0
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, repr(server.rows([{"line": "1"}], None, None)[0]["load"]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 100) == b"1.0"
    os.close(reader)
    assert server.rows([{"line": "2"}], None, None)[0]["load"] == 1.0


def test_days_booleans_and_numbers_name_entities_too(place: Place, address: str) -> None:
    table = FeatureTable("loads", entity=["day", "open", "stop"], time="known", online=address)
    entity = {"day": date(1960, 2, 29), "open": True, "stop": -7}
    frame = pl.DataFrame({**{k: [v] for k, v in entity.items()}, "known": T0, "load": 1.0})
    place.tables.write("loads", Write("append", frame), identity="1", origin={})
    sync(table.definition, place)
    numpy_key = {**entity, "stop": np.int16(-7)}
    assert table.latest([entity, numpy_key, {**entity, "open": False}]) == [
        {**entity, "load": 1.0},
        {**numpy_key, "load": 1.0},
        {**entity, "open": False, "load": None},
    ]
    assert table.latest(frame.select(list(entity)))["load"].to_list() == [1.0]
    for wrong in ({"day": T0}, {"open": 1}, {"stop": True}, {"stop": 7.0}):
        with pytest.raises(UsageError, match=f"key '{next(iter(wrong))}' is "):
            table.latest([{**entity, **wrong}])


def test_many_new_rows_are_written_as_a_whole_new_set(
    place: Place, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trikk.features.sync._FEW", LINES - 1)
    put(place, rows(1.0, lines=LINES + 1))
    sync(LOADS.definition, place, to=address)
    put(place, rows(2.0, 5))
    assert sync(LOADS.definition, place, to=address).rebuilt
    assert loads(address, "0", str(LINES)) == [2.0, 1.0]


def test_a_feature_that_can_not_be_served_is_named(place: Place, address: str) -> None:
    put(place, rows(1.0).with_columns(both=pl.struct("load")))
    with pytest.raises(UsageError, match=r"feature 'both' is Struct\(.*can't be served"):
        sync(LOADS.definition, place, to=address)
    with pytest.raises(UsageError, match="feature 'both'"):
        check_rows(rows(1.0).with_columns(both=pl.struct("load")), LOADS.definition.to_json())
