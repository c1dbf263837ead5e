"""A model of another model's error: what it expects to be wrong by, row by row, before the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_MOST_CATEGORIES = 255  # what histogram gradient boosting can take


@dataclass(slots=True)
class ErrorModel:
    """Expects absolute errors, from what a model was given and what it predicted.

    Direct loss estimation (NannyML's documentation, "How it works: DLE"): a second model learns the first one's
    loss on rows that the first has not seen. It sees trouble that comes with the inputs; a truth that begins to
    depend on them in another way, it can't see.

    Attributes:
        columns: the inputs that are used; those that are neither numbers, truth values nor text are left out.
        texts: for each text column its values, in the order of their codes.
        boosting: the fitted model; None if every error was 0.
    """

    columns: list[str] = field(default_factory=list)
    texts: dict[str, dict[str, int]] = field(default_factory=dict)
    boosting: Any = None

    def fit(self, inputs: pl.DataFrame, values: pl.Series, truth: pl.Series) -> ErrorModel:
        """Learn from rows with a truth.

        Poisson's deviance is least at the mean, as a squared error is, and never expects less than no error.

        Raises:
            MissingExtra: if scikit-learn is not there.
        """
        import numpy as np
        import polars as pl

        try:
            from sklearn.ensemble import HistGradientBoostingRegressor
        except ImportError as error:
            raise MissingExtra("estimating errors", "sklearn") from error
        self.columns = [name for name, dtype in inputs.schema.items() if _usable(dtype)]
        self.texts = {}
        for name in self.columns:
            if not (inputs.schema[name].is_numeric() or str(inputs.schema[name]) == "Boolean"):
                common = inputs[name].cast(pl.String).drop_nulls().value_counts(sort=True)[name]
                self.texts[name] = {
                    value: code for code, value in enumerate(sorted(common.head(_MOST_CATEGORIES)))
                }
        errors = np.abs(values.cast(pl.Float64).to_numpy() - truth.cast(pl.Float64).to_numpy())
        if not errors.sum() > 0:
            self.boosting = None
            return self
        categorical = [number for number, name in enumerate(self.columns) if name in self.texts]
        self.boosting = HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=0.05,
            max_iter=150,
            max_leaf_nodes=15,
            min_samples_leaf=30,
            categorical_features=categorical or None,
            early_stopping=False,
            random_state=0,
        ).fit(self._matrix(inputs, values), errors)
        return self

    def expect(self, inputs: pl.DataFrame, values: pl.Series) -> pl.Series:
        """The expected absolute error of each row: Float64 "expected_error", as long as the inputs."""
        import polars as pl

        if self.boosting is None or not inputs.height:
            return pl.Series("expected_error", [0.0] * inputs.height, dtype=pl.Float64)
        return pl.Series("expected_error", self.boosting.predict(self._matrix(inputs, values)))

    def _matrix(self, inputs: pl.DataFrame, values: pl.Series) -> np.ndarray[Any, Any]:
        import numpy as np
        import polars as pl

        columns: Sequence[pl.Expr] = [
            pl.col(name).cast(pl.String).replace_strict(self.texts[name], default=None, return_dtype=pl.Float64)
            if name in self.texts
            else pl.col(name).cast(pl.Float64)
            for name in self.columns
        ]
        matrix = inputs.select(columns).to_numpy() if columns else np.empty((inputs.height, 0))
        return np.column_stack([matrix, values.cast(pl.Float64).to_numpy()])


def _usable(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or str(dtype).split("(")[0] in ("Boolean", "String", "Categorical", "Enum")
