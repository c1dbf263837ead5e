"""Messages as the lines of a stream's file, made a column at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from trikk.publishing.broker_messages import Messages

_ROWS = 20_000


def encode_lines(messages: Messages, first: int, moment: float) -> Iterator[bytes]:
    """The lines, some thousand at a time.

    Args:
        messages: their values are JSON.
        first: the offset of the first.
        moment: when they are appended, in seconds since 1970.

    Returns:
        `{"offset":0,"id":"...","key":null,"time":"...Z","headers":{...},"value":{...}}` and a newline, for each.
    """
    import polars as pl

    time = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    shared = pl.Series(
        [json.dumps(dict(kind), ensure_ascii=False, separators=(",", ":")) for kind in messages.kinds],
        dtype=pl.String,
    )
    for start in range(0, len(messages), _ROWS):
        count = min(_ROWS, len(messages) - start)
        rows = pl.DataFrame(
            {
                "offset": pl.int_range(first + start, first + start + count, eager=True),
                "id": messages.ids(start, start + count),
                "key": pl.Series([None] * count, dtype=pl.String)
                if messages.keys is None
                else messages.keys.slice(start, count),
            }
        )
        if messages.kind_of is None:
            headers = pl.lit(shared[0])
        else:
            headers = pl.lit(shared.gather(messages.kind_of.slice(start, count)))
        head = pl.struct(pl.all()).struct.json_encode().str.strip_suffix("}")
        value = pl.lit(messages.values.slice(start, count))
        parts = [head, pl.lit(f',"time":"{time}","headers":'), headers, pl.lit(',"value":'), value, pl.lit("}\n")]
        yield rows.select(pl.concat_str(parts).str.join("")).item().encode()
