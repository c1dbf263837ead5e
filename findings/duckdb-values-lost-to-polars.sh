#!/bin/sh
# duckdb 2.0.0 with polars 2.1.0, Python 3.11: values that change without an error on their way through Arrow.
#
#   time '24:00:00'          a valid TIME of DuckDB    arrives as null
#   timetz '04:00:00+02'     TIME WITH TIME ZONE       arrives as 04:00:00, the offset is gone
#   '101'::bit               BIT                       arrives as Binary b'\x05\xfd': the padded inner form
#
# Seen on 29 November 2026; ends with another code than 0 if one of these is no longer so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.0 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" - 2>/dev/null <<'EOF'
import datetime

import duckdb
import polars as pl


def read(value):
    return pl.DataFrame(duckdb.sql(f"select {value} as v"))["v"]


seen = {
    "time '24:00:00'": (read("time '24:00:00'")[0], None),
    "timetz '04:00:00+02'": (read("timetz '04:00:00+02'")[0], datetime.time(4)),
    "'101'::bit": (read("'101'::bit")[0], b"\x05\xfd"),
}
for query, (value, expected) in seen.items():
    print(f"{query:24} {value!r}", flush=True)
raise SystemExit(any(value != expected for value, expected in seen.values()))
EOF
