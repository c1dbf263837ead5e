"""Luigi: `luigi --module luigi_flow TASK --local-scheduler`. Each task writes a LocalTarget of its own."""

from __future__ import annotations

from typing import Any

import luigi
import workload


class Number(luigi.Task):
    """A task that leaves an integer in a text file."""

    number = luigi.IntParameter(default=0)

    def output(self) -> Any:
        return luigi.LocalTarget(str(workload.folder() / f"{self.task_family}-{self.number}.txt"))

    def before(self) -> int:
        with self.input().open() as stored:
            return int(stored.read())

    def keep(self, value: int) -> None:
        with self.output().open("w") as out:
            out.write(str(value))


class Chain(Number):
    """Task `number` of a chain adds 1 to the one before it; `end` names the last."""

    end = luigi.IntParameter()

    def requires(self) -> Any:
        return Chain(number=self.number - 1, end=self.end) if self.number > 1 else []

    def run(self) -> None:
        value = (self.before() if self.number > 1 else 0) + 1
        self.keep(workload.last(value) if self.number == self.end else value)


class First(Number):
    """What all fifty start from."""

    def run(self) -> None:
        self.keep(1)


class Branch(Number):
    """One of the fifty."""

    def requires(self) -> Any:
        return First()

    def run(self) -> None:
        self.keep(self.before() + self.number)


class Fan(Number):
    """Sums the fifty."""

    def requires(self) -> Any:
        return [Branch(number=number) for number in range(workload.WIDTH)]

    def run(self) -> None:
        self.keep(workload.last(sum(_read(target) for target in self.input())))


def _read(target: Any) -> int:
    with target.open() as stored:
        return int(stored.read())


class Delicate(Number):
    """Ten steps, one of which fails or hangs the first time."""

    def requires(self) -> Any:
        return Delicate(number=self.number - 1) if self.number > 1 else []

    def run(self) -> None:
        self.keep(workload.delicate(self.number, self.before() if self.number > 1 else 0))


class Made(luigi.Task):
    """The frame; Luigi has no serializer, so the user picks one: Parquet."""

    def output(self) -> Any:
        return luigi.LocalTarget(str(workload.folder() / f"{self.task_family}.parquet"))

    def keep(self, frame: Any) -> None:
        with self.output().temporary_path() as path:
            frame.to_parquet(path)

    def run(self) -> None:
        self.keep(workload.pandas_frame())


class Transformed(Made):
    """The frame, changed."""

    def requires(self) -> Any:
        return Made()

    def run(self) -> None:
        import pandas as pd

        self.keep(workload.pandas_transform(pd.read_parquet(self.input().path)))


class Consumed(luigi.Task):
    """Two sums of it."""

    def requires(self) -> Any:
        return Transformed()

    def output(self) -> Any:
        return luigi.LocalTarget(str(workload.folder() / "consumed.txt"))

    def run(self) -> None:
        import pandas as pd

        with self.output().open("w") as out:
            out.write(str(workload.pandas_consume(pd.read_parquet(self.input().path))))
