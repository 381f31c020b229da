"""A search in three stages: Pipeline (takes HTTP) → Embedder (CPU) → Ranker (a share of a GPU).

The "models" are toys in pure Python; what is real is how the stages are placed, scaled and wired.

    POST /search  {"query": "blue whale", "docs": ["a whale song", "a red car"]}
"""

import asyncio
import hashlib
import math
import os
import socket
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from ray import serve
from ray.serve.handle import DeploymentHandle

DIMENSIONS = 64

Vector = list[float]

http = FastAPI(title="Toy search")


class Search(BaseModel):
    """What a client asks."""

    query: str
    docs: list[str] = Field(max_length=1000)


def pod() -> str:
    """The pod that this replica runs in."""
    return os.environ.get("RAY_CLOUD_INSTANCE_ID") or socket.gethostname()


def embed(text: str) -> Vector:
    """Count hashed words and scale the result to length 1, so that a dot product is a cosine."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
        vector[int.from_bytes(digest) % DIMENSIONS] += 1.0
    length = math.hypot(*vector)
    return [x / length for x in vector] if length else vector


@serve.deployment
class Embedder:
    """Turns texts into vectors; needs CPUs."""

    async def embed(self, texts: list[str]) -> tuple[list[Vector], str]:
        """The vector of each text, and the pod that computed them."""
        return [embed(text) for text in texts], pod()


@serve.deployment(ray_actor_options={"num_gpus": 0.5, "num_cpus": 0})
class Ranker:
    """Scores documents against a query; needs a share of a GPU."""

    def __init__(self) -> None:
        self._model = "toy-1"

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take the name of the model from the deployment's user_config."""
        self._model = str(config.get("model", "toy-1"))

    async def rank(self, query: Vector, docs: list[Vector]) -> tuple[list[float], str, str]:
        """The score of each document, the model that gave it, and the pod."""
        scores = [sum(q * d for q, d in zip(query, doc, strict=True)) for doc in docs]
        return scores, self._model, pod()


@serve.deployment
@serve.ingress(http)
class Pipeline:
    """The front door: embeds the texts, has them ranked, and answers with the best."""

    def __init__(self, embedder: DeploymentHandle, ranker: DeploymentHandle) -> None:
        self._embedder = embedder
        self._ranker = ranker
        self._top = 3

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take the number of results from the deployment's user_config."""
        self._top = int(config.get("top", 3))

    @http.post("/search")
    async def search(self, search: Search) -> dict[str, Any]:
        """Answer with the best documents, best first."""
        (query_vectors, _), (doc_vectors, embedder_pod) = await asyncio.gather(
            self._embedder.embed.remote([search.query]),
            self._embedder.embed.remote(search.docs),
        )
        scores, model, ranker_pod = await self._ranker.rank.remote(query_vectors[0], doc_vectors)
        ranked = sorted(
            zip(search.docs, scores, strict=True), key=lambda pair: pair[1], reverse=True
        )
        return {
            "model": model,
            "results": [
                {"doc": doc, "score": round(score, 4)} for doc, score in ranked[: self._top]
            ],
            "pods": {"pipeline": pod(), "embedder": embedder_pod, "ranker": ranker_pod},
            "cluster": os.environ.get("RAY_CLUSTER_NAME"),
        }


app = Pipeline.bind(Embedder.bind(), Ranker.bind())
