"""Runs in the environment of Evidently or NannyML: reads CSV files, prints that library's numbers as JSON."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")


def evidently(reference, current, category):
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    kinds = {"categorical_columns" if category else "numerical_columns": ["v"]}
    names = ["jensenshannon", "psi"] if category else ["ks", "wasserstein"]
    data = [Dataset.from_pandas(frame, DataDefinition(**kinds)) for frame in (current, reference)]
    report = Report([ValueDrift(column="v", method=name) for name in names]).run(*data)
    return {name: float(m["value"]) for name, m in zip(names, report.dict()["metrics"], strict=True)}


def nannyml(reference, current, category):
    from nannyml.chunk import SizeBasedChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import ConstantThreshold

    kind = FeatureType.CATEGORICAL if category else FeatureType.CONTINUOUS
    names = ["jensen_shannon", "chi2"] if category else ["kolmogorov_smirnov", "wasserstein"]
    found = {}
    for name in names:
        options = {"chunker": SizeBasedChunker(10**9), "threshold": ConstantThreshold(lower=None, upper=1e9)}
        method = MethodFactory.create(name, kind, **options)
        found[name] = float(method.fit(reference["v"]).calculate(current["v"]))
    return found


def main():
    import pandas as pd

    library, folder = sys.argv[1:]
    found = {}
    for case in json.loads(Path(folder, "cases.json").read_text()):
        frames = [pd.read_csv(f"{folder}/{case['name']}-{side}.csv") for side in ("reference", "current")]
        found[case["name"]] = globals()[library](*frames, case["category"])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
