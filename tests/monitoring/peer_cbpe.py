"""Runs in the environment of NannyML: reads CSV files, prints its confidence-based estimates as JSON."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # else it reports each call to its makers
METRICS = ["roc_auc", "f1", "precision", "recall", "accuracy", "average_precision"]


def main():
    import pandas as pd
    from nannyml import CBPE

    folder = Path(sys.argv[1])
    found = {}
    for case in json.loads((folder / "cases.json").read_text()):
        reference, analysis = (pd.read_csv(folder / f"{case['name']}-{part}.csv") for part in ("before", "after"))
        estimator = CBPE(
            problem_type=case["problem"],
            y_pred_proba=case["probability"],
            y_pred="said",
            y_true="truth",
            metrics=METRICS,
            chunk_size=case["chunk"],
        )
        estimator.fit(reference)
        result = estimator.estimate(analysis.drop(columns="truth")).filter(period="analysis").to_df()
        found[case["name"]] = {metric: result[metric]["value"].tolist() for metric in METRICS}
        calibrators = getattr(estimator, "_calibrators", {})
        found[case["name"]]["calibrated"] = (
            [name for name, one in calibrators.items() if type(one).__name__ != "NoopCalibrator"]
            if calibrators
            else bool(estimator.needs_calibration)
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
