"""Evidently's report over two Parquet files, in its own environment: prints seconds and its numbers as JSON."""

from __future__ import annotations

import json
import sys
import time
import warnings

warnings.simplefilter("ignore")


def main() -> None:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    folder = sys.argv[1]
    methods = json.loads(sys.argv[2])
    reference, current = (pd.read_parquet(f"{folder}/{side}.parquet") for side in ("reference", "current"))
    kinds = DataDefinition(
        numerical_columns=[name for name, method in methods.items() if method == "wasserstein"],
        categorical_columns=[name for name, method in methods.items() if method == "jensenshannon"],
    )
    started, cpu = time.perf_counter(), time.process_time()
    before, after = (Dataset.from_pandas(frame, kinds) for frame in (reference, current))
    report = Report([ValueDrift(column=name, method=method) for name, method in methods.items()]).run(
        after, before
    )
    values = [float(metric["value"]) for metric in report.dict()["metrics"]]
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "values": dict(zip(methods, values, strict=True))}))


if __name__ == "__main__":
    main()
