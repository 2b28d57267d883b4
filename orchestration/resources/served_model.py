"""The model that MLflow loads: rows of `features.volatility` in, one prediction a series out.

MLflow copies this file beside the bundle and runs it to load a version, so nothing is pickled.
"""

from pathlib import Path
from typing import Any

import mlflow  # noqa: TID253  # this file is only ever run by MLflow
import pandas as pd

from models.volatility.bundle import load_bundle
from orchestration import served_rows


class ServedBundle(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # a base without types
    def load_context(self, context: Any) -> None:
        self._bundle = load_bundle(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Prediction at the latest row of each series."""
        return served_rows.answer(self._bundle.predict(model_input))


mlflow.models.set_model(ServedBundle())
