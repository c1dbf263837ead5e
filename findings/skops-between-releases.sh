#!/bin/sh
# skops files outlive a minor release of scikit-learn no better than pickles.
#
# scikit-learn 1.7.2 writes, 1.9.1 reads, skops 0.16.0 and pickle in both. Seen on Python 3.11:
#   HistGradientBoostingRegressor  pickle: ModuleNotFoundError  skops: ModuleNotFoundError  (the module _loss has moved)
#   SimpleImputer                  pickle: AttributeError       skops: AttributeError       (loads, fails at transform)
#   RandomForestRegressor          pickle: equal                skops: equal
# So a store of models gains nothing in lifetime from skops; it gains that reading runs no foreign code.
# Ends with 1 if this changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 1.7.2 1.9.1; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/python" -m pip install --quiet --disable-pip-version-check \
    "scikit-learn==$version" "skops==0.16.0" "numpy==2.3.5" "scipy==1.16.3"
done
cat > "$folder/write.py" <<'PY'
import pickle, sys
import numpy as np, skops.io
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer

rows = np.random.default_rng(0).random((200, 2))
truth = rows[:, 0] * 3
written = {}
for model in (HistGradientBoostingRegressor(max_iter=3), SimpleImputer(), RandomForestRegressor(n_estimators=3)):
    model.fit(rows, truth)
    call = "predict" if hasattr(model, "predict") else "transform"
    written[type(model).__name__] = (call, getattr(model, call)(rows), pickle.dumps(model), skops.io.dumps(model))
pickle.dump((rows, written), open(sys.argv[1], "wb"))
PY
cat > "$folder/read.py" <<'PY'
import pickle, sys, warnings
import numpy as np, skops.io

warnings.simplefilter("ignore")
rows, written = pickle.load(open(sys.argv[1], "rb"))


def outcome(load, call, before):
    try:
        return "equal" if np.array_equal(getattr(load(), call)(rows), before) else "other values"
    except Exception as error:
        return type(error).__name__


seen = {}
for name, (call, before, pickled, skopsed) in written.items():
    trusted = skops.io.get_untrusted_types(data=skopsed)
    seen[name] = (
        outcome(lambda: pickle.loads(pickled), call, before),
        outcome(lambda: skops.io.loads(skopsed, trusted=trusted), call, before),
    )
    print(f"{name:30} pickle: {seen[name][0]:20} skops: {seen[name][1]}")
expected = {
    "HistGradientBoostingRegressor": ("ModuleNotFoundError",) * 2,
    "SimpleImputer": ("AttributeError",) * 2,
    "RandomForestRegressor": ("equal",) * 2,
}
sys.exit(seen != expected)
PY
"$folder/1.7.2/bin/python" "$folder/write.py" "$folder/written"
"$folder/1.9.1/bin/python" "$folder/read.py" "$folder/written"
