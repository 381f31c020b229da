"""The application of the guide: one model that wants a whole GPU.

POST /predict  {"input": "…"}
"""

import os
import socket
from typing import Any

from fastapi import FastAPI
from ray import serve

http_app = FastAPI()


class Upper:
    """Stands for a model: cheap to load, and its answer is easy to check."""

    def run(self, value: object) -> str:
        """The input in capitals."""
        return str(value).upper()


def load_model() -> Upper:
    """Load the model; the place for the expensive work of a real one."""
    return Upper()


@serve.deployment(num_replicas=3, ray_actor_options={"num_cpus": 2, "num_gpus": 1})
@serve.ingress(http_app)
class MyModel:
    """Predicts. The number of replicas and their resources are overridden in serveConfigV2."""

    def __init__(self) -> None:
        self.model = load_model()

    @http_app.post("/predict")
    async def predict(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer with the model's result, and with who computed it."""
        return {
            "result": self.model.run(payload["input"]),
            "pod": os.environ.get("RAY_CLOUD_INSTANCE_ID") or socket.gethostname(),
            "cluster": os.environ.get("RAY_CLUSTER_NAME"),
        }


app = MyModel.bind()
