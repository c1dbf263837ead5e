"""The model that every server of the endpoint benchmark serves: fitted anew in each environment, always the same.

python endpoint_model.py mlflow FOLDER    saves it as an MLflow model
python endpoint_model.py floor PORT       serves it as simply as can be: no checks, no batches, no log
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

NAMES = [f"f{number}" for number in range(8)]


def fitted() -> tuple[HistGradientBoostingRegressor, np.ndarray]:
    """A regressor with 100 trees over eight numbers, and the rows that it was fitted on."""
    random = np.random.default_rng(0)
    rows = random.random((20_000, len(NAMES)))
    target = rows @ np.arange(len(NAMES)) + random.normal(scale=0.1, size=len(rows))
    return HistGradientBoostingRegressor(max_iter=100, random_state=0).fit(rows, target), rows


def save(folder: str) -> None:
    """Save it as MLflow does, with a signature, so that requests are checked."""
    import mlflow
    import pandas as pd

    model, rows = fitted()
    frame = pd.DataFrame(rows[:100], columns=NAMES)
    warnings.simplefilter("ignore")
    signature = mlflow.models.infer_signature(frame, model.predict(rows[:100]))
    trusted = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
    mlflow.sklearn.save_model(model, folder, signature=signature, skops_trusted_types=trusted)


def serve(port: int) -> None:
    """Answer each request with one call of the model, in the server's own process."""
    import uvicorn
    from threadpoolctl import threadpool_limits

    model, _ = fitted()
    threadpool_limits(1)

    async def app(_: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        values = []
        if body:
            rows = [[row[name] for name in NAMES] for row in json.loads(body)["instances"]]
            values = model.predict(np.array(rows)).tolist()
        answer = json.dumps({"predictions": values}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    uvicorn.run(
        app, port=port, loop="asyncio", http="httptools", lifespan="off", access_log=False, log_level="error"
    )


if __name__ == "__main__":
    if sys.argv[1] == "mlflow":
        save(sys.argv[2])
    else:
        serve(int(sys.argv[2]))
