from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from trikk.storage.positions import Advance, Overtaken
from trikk.storage.tables.versioned_tables import Tables, Write

ORIGIN = {"run": "r", "step": "s"}
FIRST, SECOND = "kafka/cluster/topic/0", "kafka/cluster/topic/1"


def rows(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"n": numbers}, schema={"n": pl.Int64})


def test_positions_are_there_with_the_rows_and_each_piece_is_written_once(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    assert tables.positions("t", [FIRST, SECOND]) == {FIRST: None, SECOND: None}
    for number in range(60):  # over a checkpoint
        before = tables.positions("t", [FIRST])[FIRST]
        write = Write("append", rows(number), positions=(Advance(FIRST, before, number + 1),))
        assert not tables.write("t", write, identity=f"run/{number}", origin=ORIGIN).repeated
    assert tables.positions("t", [FIRST, SECOND]) == {FIRST: 60, SECOND: None}
    # The same write again is found, though its position has passed; another from there is refused.
    assert tables.write("t", write, identity="run/59", origin=ORIGIN).repeated
    with pytest.raises(Overtaken, match="at 59, and the table is at 60"):
        tables.write("t", write, identity="other", origin=ORIGIN)
    # No rows, as where all messages were set aside, move it on as well; so do a merge and an overwrite.
    for mode, key in (("append", ()), ("merge", ("n",)), ("overwrite", ())):
        at = tables.positions("t", [FIRST])[FIRST]
        assert at is not None
        empty = Write(mode, rows(*range(at - 60)), key, positions=(Advance(FIRST, at, at + 1),))  # type: ignore[arg-type]
        tables.write("t", empty, identity=mode, origin=ORIGIN)
    assert tables.positions("t", [FIRST])[FIRST] == 63
    assert tables.scan("t").collect()["n"].to_list() == [0, 1]


@pytest.mark.parametrize("key", [(), ("n",)])
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_of_those_that_read_from_one_place_one_writes(tmp_path: Path, mode: str, key: tuple[str, ...]) -> None:
    if mode == "merge" and not key:
        key = ("n",)
    tables = Tables(str(tmp_path))
    start = Write("append", rows(0), positions=(Advance(FIRST, None, 1),))
    tables.write("t", start, identity="start", origin=ORIGIN)

    def contend(writer: int) -> bool:
        write = Write(mode, rows(1), key, positions=(Advance(FIRST, 1, 2),))  # type: ignore[arg-type]
        try:
            tables.write("t", write, identity=f"writer/{writer}", origin=ORIGIN)
        except Overtaken:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(contend, range(4))) == 1
    assert tables.scan("t").collect()["n"].to_list() == [0, 1]
