"""A city's day by hand, one process for each job: `python city_by_hand.py JOB [kept]`, where the job's files are.

The libraries are those of trikk's steps, and so are the files at the end: the table's, the stream's, the model's.
Each is synced where trikk syncs. With `kept` the results between the steps are kept as well, as trikk keeps them:
Arrow IPC in a file that is synced and renamed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import city_work
import lightgbm
import polars as pl
from deltalake import write_deltalake

RUN = "by-hand"


def sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


class Day:
    """The jobs, in the folder of a project of trikk's.

    Args:
        kept: whether results between steps are kept, too.
    """

    def __init__(self, kept: bool) -> None:
        self.folder, self.kept = Path(), kept

    def fill(self) -> None:
        """The departures of nine days, and what was counted on the first eight."""
        for number in range(9):
            day = city_work.FIRST + timedelta(days=number)
            plan = city_work.planned(day, int(os.environ["BENCH_SIZE"]))
            write_deltalake(self.place("departures"), plan, mode="append")
            if day < city_work.DAY:
                write_deltalake(self.place("counts"), city_work.counted(plan, day), mode="append")

    def raw(self) -> None:
        """A day's counts as the counters send them: `counts.csv`."""
        day = city_work.DAY
        plan = city_work.planned(day, int(os.environ["BENCH_SIZE"]))
        city_work.counted(plan, day).write_csv(self.folder / "counts.csv")

    def ingest(self) -> None:
        """The file into the table, if no trip of it comes twice, has no count, or is there already."""
        types = {"trip": pl.Int64, "slot": pl.Datetime("us", "UTC"), "load": pl.Float64}
        rows = pl.read_csv(self.folder / "counts.csv", schema=types)
        key = [city_work.KEY, city_work.SLOT]
        known = self.table("counts").join(rows.lazy(), on=key, how="semi").select(pl.len()).collect().item()
        if known or rows.null_count().sum_horizontal().item() or rows.select(key).is_duplicated().any():
            raise ValueError("the counts are not fit to be taken in")
        self.append("counts", rows)

    def nightly(self) -> None:
        """Features, predictions, the table's next version, the stream."""
        rows = city_work.features(self.table("departures"), self.table("counts"), city_work.DAY)
        self.keep("features", rows)
        booster = lightgbm.Booster(model_file=str(self.folder / "model.txt"))
        values = booster.predict(rows.select(city_work.INPUTS).cast(pl.Float64).to_numpy())
        number = pl.int_range(pl.len()).cast(pl.String).str.zfill(24)
        predicted = rows.select(
            prediction_id=pl.lit(f"{RUN}-") + number,
            trip="trip",
            slot="slot",
            predicted_at=pl.lit(datetime.now(UTC)),
            value=pl.Series(values),
            model=pl.lit("load"),
            model_version=pl.lit(1, pl.Int64),
            run=pl.lit(RUN),
            line="line",
        )
        self.keep("predictions", predicted)
        self.append("predictions", predicted)
        self.publish(predicted)

    def train(self) -> None:
        """Training rows, the model, and what is written down of it."""
        yesterday = city_work.DAY - timedelta(days=1)
        rows = city_work.training(self.table("departures"), self.table("counts"), yesterday)
        self.keep("training", rows)
        booster = city_work.fitted(rows)
        self.store("model.txt", booster.save_model)
        inputs = {name: str(rows[name].dtype) for name in city_work.INPUTS}
        about = json.dumps({"name": "load", "version": 1, "inputs": inputs, "output": "Float64"})
        self.store("model.json", lambda path: path.write_text(about))

    def table(self, name: str) -> pl.LazyFrame:
        """The rows of a table."""
        return pl.scan_delta(self.place(name))

    def place(self, name: str) -> str:
        """Where a table is."""
        return str(self.folder.absolute() / ".trikk" / "tables" / name)

    def append(self, name: str, rows: pl.DataFrame) -> None:
        """A commit, with its files on the disk."""
        place = Path(self.place(name))
        before = set(place.rglob("*"))
        write_deltalake(str(place), rows, mode="append")
        for path in (*(set(place.rglob("*")) - before), place, place / "_delta_log"):
            sync(path)

    def publish(self, rows: pl.DataFrame) -> None:
        """Lines as trikk's stream in a folder has them, and the index that says what counts."""
        folder = self.folder / "stream"
        folder.mkdir(exist_ok=True)
        index = folder / "index.jsonl"
        first = sum(json.loads(line)["count"] for line in index.read_text().splitlines()) if index.exists() else 0
        moment = f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}Z"
        headers = json.dumps({"content-type": "application/json", "trikk-run": RUN, "trikk-model": "load"})
        text = [
            pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ") if dtype.is_temporal() else pl.col(name)
            for name, dtype in rows.schema.items()
        ]
        data = folder / f"{first:012}.jsonl"
        with data.open("wb") as file:
            for start in range(0, rows.height, 5_000):
                part = rows.slice(start, 5_000)
                number = pl.int_range(first + start, first + start + part.height)
                head = pl.struct(
                    offset=number, id=pl.format(f"{RUN}-{{}}", number), key="line"
                ).struct.json_encode()
                value = pl.struct(text).struct.json_encode()
                middle = f',"time":"{moment}","headers":{headers},"value":'
                line = pl.concat_str(head.str.strip_suffix("}"), pl.lit(middle), value, pl.lit("}"))
                part.select(line).write_csv(file, include_header=False, quote_style="never")
            file.flush()
            os.fsync(file.fileno())
        with index.open("a") as file:
            file.write(json.dumps({"first": first, "count": rows.height, "segment": data.name}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        sync(folder)

    def keep(self, name: str, rows: pl.DataFrame) -> None:
        """A result between two steps, if these are kept."""
        if self.kept:
            self.store(f"{name}.arrow", lambda path: rows.write_ipc(path, compat_level=pl.CompatLevel.oldest()))

    def store(self, name: str, write: Callable[[Path], object]) -> None:
        """A file, synced before it has its name."""
        path = self.folder / name
        part = path.with_suffix(".part")
        write(part)
        sync(part)
        part.rename(path)
        sync(path.parent)


if __name__ == "__main__":
    getattr(Day("kept" in sys.argv), sys.argv[1])()
