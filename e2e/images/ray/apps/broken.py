"""A Serve application that never comes up: its constructor fails, as that of a missing model."""

from ray import serve


@serve.deployment
class Broken:
    """Cannot be constructed."""

    def __init__(self) -> None:
        raise RuntimeError("the model cannot be loaded")


app = Broken.bind()
