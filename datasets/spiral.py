"""The spiral: points in the plane whose classes no straight line can separate."""
import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Pair, Seed


def make_spiral(
    n_per_class: int = 100, classes: int = 3, noise: float = 0.2, rng: Seed = None
) -> Pair:
    """Points in the plane, each class an arm of a spiral with n = ``n_per_class`` points.

    The i-th point of class c, i = 1..n, with ε drawn from the standard normal distribution:

        r = i / n,    θ = 2π c / classes + 4 r + noise · ε,    x = (r sin θ, r cos θ).

    So the arms leave the origin at equal angles and turn by 4 rad on their way to the unit circle.

    Returns x (N, 2) float32 and t (N,) int64, labels 0..classes-1, N = n · classes, in random
    order. ``rng`` is a numpy.random.Generator, a seed or None. Raises TypeError or ValueError for
    counts that are not positive integers and a noise below 0. Source: Saito, Deep Learning from
    Scratch 2, chapter 1 (there three arms, 4 rad apart).

    >>> x, t = make_spiral(n_per_class=2, classes=2, noise=0.0, rng=0)
    >>> t
    array([1, 0, 0, 1])
    >>> np.hypot(*x.T).round(3)
    array([0.5, 0.5, 1. , 1. ], dtype=float32)
    """
    n = checks.count("make_spiral", "n_per_class", n_per_class)
    classes = checks.count("make_spiral", "classes", classes)
    noise = checks.number(
        "make_spiral", "noise", noise, low=0.0, expected="be a finite number of at least 0"
    )
    checks.room("make_spiral", "n_per_class and classes", (n, classes), each=64)
    rng = generator("make_spiral", rng)
    t, i = np.divmod(rng.permutation(n * classes), n)
    r = (i + 1) / n
    theta = 2 * np.pi * t / classes + 4 * r + noise * rng.standard_normal(n * classes)
    x = r[:, np.newaxis] * np.column_stack([np.sin(theta), np.cos(theta)])
    return x.astype(np.float32), t.astype(np.int64)
