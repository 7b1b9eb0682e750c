"""Dropout: noise that makes a network spread its knowledge."""
import numpy as np

from ..common import checks
from ..common.layer import Layer, Renamed
from ..common.rng import generator
from ..common.types import Seed


class Dropout(Layer):
    """While training each value is zero with probability p, and the survivors are divided by 1 - p
    ("inverted" dropout), so that the expected value stays the same and prediction needs no
    correction.

        y = x · m,    m = 0 with probability p, else 1 / (1 - p)

    Backward: the same factors, for the same values,

        dL/dx = dL/dy · m

    ``forward(x, mask)`` takes a mask of booleans in the shape of x, True where a value stays, in
    place of a random one: so a course's numbers can be made again. backward then returns (dL/dx,
    None). In evaluation mode (``training`` False) y = x. Shapes: any. The generator is kept in
    ``buffers["rng"]``. Source: Srivastava et al., Dropout: a simple way to prevent neural networks
    from overfitting (2014).

    >>> layer = Dropout(p=0.5, rng=0)
    >>> layer.forward(np.ones((1, 6)))
    array([[2., 2., 2., 0., 0., 0.]])
    >>> layer.backward(np.ones((1, 6)))
    array([[2., 2., 2., 0., 0., 0.]])
    """
    shapes = "x (...), mask? bool (...) -> y (...)"

    dropout_ratio, rate = Renamed("p"), Renamed("p")

    def __init__(self, p: float = 0.5, rng: Seed = None) -> None:
        """p: the share dropped, 0 <= p < 1. rng: a Generator, a seed or None."""
        super().__init__()
        self.p = share("Dropout", "p", p)
        self.buffers["rng"] = generator("Dropout", rng)

    def forward(self, x, mask=None):
        if mask is not None:
            keep = mask
        elif self.training:
            # the same values in every dtype
            keep = self.buffers["rng"].random(x.shape, np.float32) >= self.p
        m = keep * x.dtype.type(1 / (1 - self.p)) if self.training else np.ones(x.shape, x.dtype)
        self.cache = m, mask is not None
        return x * m

    def backward(self, dout):
        m, masked = self.cache
        return (dout * m, None) if masked else dout * m


def share(who, name, p):
    """The share that is dropped, a number of at least 0 and below 1."""
    expected = f"be the share dropped, 0 <= {name} < 1"
    return checks.number(who, name, p, 0, np.nextafter(1, 0), expected)
