"""What the sample applications are asked, and what of their answers counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """A request to a sample application."""

    path: str = "/"
    body: Any = None

    @property
    def method(self) -> str:
        """A GET where there is nothing to send."""
        return "GET" if self.body is None else "POST"


SEARCH = Question(
    "/search",
    {"query": "blue whale", "docs": ["a whale song", "a red car", "the blue whale"]},
)
PREDICT = Question("/predict", {"input": "hello"})
GREET = Question()

OF_SAMPLE: Mapping[str, Question] = {
    "minimal": GREET,
    "pipeline-cpu-gpu": SEARCH,
    "guide": PREDICT,
}
