#!/bin/sh
# NannyML's CBPE says 0 with an alert where nothing can be estimated, and nan without one where it could.
#
# nannyml 0.13.1, pandas 2.3.3, scikit-learn 1.9.1. Seen on Python 3.11:
#   a chunk in which no case is predicted positive: precision 0.0, f1 0.0, alert True, though neither is defined
#   (the same model on a busy chunk: precision 0.64, f1 0.53, no alert)
#   probabilities of three classes rounded to three digits: roc_auc and its alert are nan, while average_precision
#   of the same rows is 0.70. The estimate does not need rows that sum to 1 exactly; scikit-learn's realized AUC
#   does, and its error takes the estimate along and is only logged.
# Ends with 1 if this changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check \
  "nannyml==0.13.1" "pandas==2.3.3" "scikit-learn==1.9.1" "setuptools<80" statsmodels "kaleido==0.2.1"
cat > "$folder/seen.py" <<'PY'
import math, os, sys, warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # else fit and estimate call the makers' server
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from nannyml import CBPE

generator = np.random.default_rng(0)


def estimated(kind, probability, metrics, before, after):
    cbpe = CBPE(problem_type=f"classification_{kind}", y_pred_proba=probability, y_pred="said", y_true="truth",
                metrics=metrics, chunk_size=500)
    cbpe.fit(before.copy())
    found = cbpe.estimate(after.copy()).filter(period="analysis").to_df()
    return {name: (float(found[name]["value"].iloc[0]), found[name]["alert"].iloc[0]) for name in metrics}


def binary(rows):
    score = 1 / (1 + np.exp(-generator.normal(-1.5, 1.5, rows)))
    return pd.DataFrame({"p": score, "said": (score >= 0.5) * 1, "truth": (generator.random(rows) < score) * 1})


def three(rows):
    score = generator.dirichlet([0.7, 0.9, 0.6], rows)
    truth = (generator.random((rows, 1)) > score.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    names = np.array(["a", "b", "c"])
    columns = dict(zip(["p_a", "p_b", "p_c"], score.T))
    return pd.DataFrame({**columns, "said": names[score.argmax(axis=1)], "truth": names[truth]})


before, after = binary(4000), binary(4000)
busy = estimated("binary", "p", ["precision", "f1"], before, after[:500])
quiet = estimated("binary", "p", ["precision", "f1"], before, after[after.said == 0][:500])
print("busy  ", busy)
print("quiet ", quiet)
columns = {name: f"p_{name}" for name in "abc"}
before, after = three(4000), three(500)
whole = estimated("multiclass", columns, ["roc_auc", "average_precision"], before, after)
rounded = estimated("multiclass", columns, ["roc_auc", "average_precision"], before, after.round(3))
print("whole  ", whole)
print("rounded", rounded)
same = quiet == {"precision": (0.0, True), "f1": (0.0, True)} and not busy["precision"][1]
same = same and math.isnan(rounded["roc_auc"][0]) and not math.isnan(whole["roc_auc"][0])
same = same and not math.isnan(rounded["average_precision"][0]) and rounded["roc_auc"][1] is not True
sys.exit(not same)
PY
"$folder/env/bin/python" "$folder/seen.py" 2>/dev/null
