"""What stands for a layer of another style while it is checked."""
from typing import Any


class Adapted:
    """A layer of another style as one of ours; ``where``: the names of its parameters."""
    params: Any = ()
    grads: Any = ()
    where: Any = ()
    answers: int | None = None          # how many of the inputs get a gradient; None: all

    def __init__(self, layer):
        self.layer = layer
