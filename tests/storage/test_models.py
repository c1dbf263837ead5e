from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from trikk.storage.artifacts import Artifacts
from trikk.storage.compare import compare
from trikk.storage.memory import MemoryStore

RANDOM = np.random.default_rng(7)
ROWS = RANDOM.normal(size=(200, 3))
TARGET = ROWS[:, 0] * 2 + RANDOM.normal(size=200) / 10


@pytest.fixture
def artifacts() -> Artifacts:
    return Artifacts(MemoryStore())


def booster(rounds: int = 10, **parameters: Any) -> Any:
    import lightgbm

    data = lightgbm.Dataset(ROWS, TARGET, free_raw_data=False)
    settings = {"objective": "regression", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}
    return lightgbm.train(settings, data, num_boost_round=rounds)


def test_a_booster_comes_back_as_text_and_predicts_equally(artifacts: Artifacts) -> None:
    model = booster()
    artifact = artifacts.save(model)
    assert artifact.codec == "lightgbm"
    assert artifact.summary["trees"] == 10
    np.testing.assert_array_equal(artifacts.load(artifact).predict(ROWS), model.predict(ROWS))
    assert artifacts.store.fetch(artifact.digest).read_bytes().startswith(b"tree\n")


def test_an_early_stopped_booster_predicts_equally(artifacts: Artifacts) -> None:
    model = booster()
    model.best_iteration = 4
    loaded = artifacts.load(artifacts.save(model))
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))
    assert loaded.best_iteration == 4


def test_two_boosters_are_compared_by_line(artifacts: Artifacts) -> None:
    found = compare(artifacts, artifacts.save(booster()), artifacts.save(booster(learning_rate=0.2)))
    assert found.verdict == "different"
    assert found.facts["line"]


def test_a_lightgbm_regressor_comes_back_as_itself(artifacts: Artifacts) -> None:
    import lightgbm

    model = lightgbm.LGBMRegressor(n_estimators=10, n_jobs=1, verbosity=-1).fit(ROWS, TARGET)
    artifact = artifacts.save(model)
    loaded = artifacts.load(artifact)
    assert type(loaded) is lightgbm.LGBMRegressor
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))
    packages: Any = artifact.summary["packages"]
    assert packages["lightgbm"] == lightgbm.__version__


def test_a_scikit_learn_model_is_stamped_and_predicts_equally(artifacts: Artifacts) -> None:
    import sklearn
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(ROWS, TARGET)
    artifact = artifacts.save(model)
    np.testing.assert_array_equal(artifacts.load(artifact).predict(ROWS), model.predict(ROWS))
    packages: Any = artifact.summary["packages"]
    assert packages["sklearn"] == sklearn.__version__
    assert packages["numpy"] == np.__version__


@pytest.mark.parametrize("kind", ["lightgbm.LGBMRegressor", "sklearn.ensemble.HistGradientBoostingRegressor"])
def test_the_same_fit_in_two_processes_gives_the_same_bytes(kind: str) -> None:
    module, _, name = kind.rpartition(".")
    keywords = {"LGBMRegressor": "n_estimators=5, n_jobs=1, verbosity=-1, random_state=0"}.get(
        name, "max_iter=5, random_state=0"
    )
    code = (
        f"import numpy as np\nfrom {module} import {name}\n"
        "from trikk.storage.artifacts import Artifacts\nfrom trikk.storage.memory import MemoryStore\n"
        "rows = np.random.default_rng(1).normal(size=(100, 3))\n"
        f"print(Artifacts(MemoryStore()).save({name}({keywords}).fit(rows, rows[:, 0])).digest)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1
