import argparse
import json
from pathlib import Path

import polars as pl

given = argparse.ArgumentParser()
given.add_argument("--day")
day = given.parse_args().day
rows = pl.read_parquet("rows.parquet")
rows.head(1).write_parquet("first.parquet")
rows.tail(-1).write_ndjson("rest.jsonl")
Path("facts.json").write_text(json.dumps({"day": day, "rows": rows.height}))
Path("nötes.txt").write_text("ø\n")
