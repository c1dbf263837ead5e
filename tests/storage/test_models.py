from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.storage.pickles import Moved, written_under

from trikk.core.errors import CodecError, PredictionError
from trikk.models.calling.invoke import predict_values
from trikk.storage.artifact_compare import compare
from trikk.storage.artifacts import Artifacts
from trikk.storage.codecs.pickled import note_of
from trikk.storage.stores.memory_store import MemoryStore

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
        "from trikk.storage.artifacts import Artifacts\n"
        "from trikk.storage.stores.memory_store import MemoryStore\n"
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


def test_what_another_scikit_learn_wrote_and_can_not_be_read_names_both_versions(
    artifacts: Artifacts,
) -> None:
    import sklearn

    with pytest.raises(CodecError) as caught:
        artifacts.load(written_under(artifacts, Moved(), sklearn="1.7.2"))
    assert f"written under scikit-learn 1.7.2 (here: {sklearn.__version__})" in caught.value.what
    assert "No module named 'sklearn._loss_of_old'" in caught.value.what
    assert "pip install 'scikit-learn==1.7.2'" in str(caught.value.next)
    assert "run the step that made it again" in str(caught.value.next)
    patch = ".".join([*sklearn.__version__.split(".")[:2], "99"])
    with pytest.raises(CodecError, match="can't be read: ModuleNotFoundError") as caught:
        artifacts.load(written_under(artifacts, Moved(), sklearn=patch))
    assert "make its class importable" in str(caught.value.next), "a patch release moves no class"


def test_a_package_that_is_gone_is_named(artifacts: Artifacts) -> None:
    with pytest.raises(CodecError, match=r"numqy 3.1 \(here: not installed\)") as caught:
        artifacts.load(written_under(artifacts, Moved(), numqy="3.1"))
    assert "'numqy==3.1'" in str(caught.value.next)


def test_a_model_that_fails_on_rows_says_that_it_was_written_under_another_version(artifacts: Artifacts) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(SimpleImputer(), LinearRegression()).fit(ROWS, TARGET)
    del model[0]._fill_dtype  # which scikit-learn 1.7 did not have
    with pytest.warns(UserWarning, match="written under scikit-learn 1.7.2"):
        loaded = artifacts.load(written_under(artifacts, model, sklearn="1.7.2"))
    with pytest.raises(PredictionError, match="_fill_dtype") as caught:
        predict_values(loaded, pl.DataFrame(ROWS, ["a", "b", "c"]))
    assert "written under scikit-learn 1.7.2" in str(caught.value.next)
    assert "pip install 'scikit-learn==1.7.2'" in str(caught.value.next)


@dataclass
class Wrapped:
    """An author's class without a hash, as dataclasses are."""

    factor: float

    def predict(self, rows: pl.DataFrame) -> Any:
        raise AttributeError("no such thing")


def test_a_class_without_a_hash_says_so_too_and_only_for_itself(artifacts: Artifacts) -> None:
    with pytest.warns(UserWarning, match="written under scikit-learn 1.7.2"):
        loaded = artifacts.load(written_under(artifacts, Wrapped(2), sklearn="1.7.2"))
    with pytest.raises(PredictionError, match="no such thing") as caught:
        predict_values(loaded, pl.DataFrame(ROWS, ["a", "b", "c"]))
    assert "pip install 'scikit-learn==1.7.2'" in str(caught.value.next)
    assert note_of(Wrapped(2)) is None
