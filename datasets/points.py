"""Small sets of points."""
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
    noise = spread("make_spiral", noise)
    checks.room("make_spiral", "n_per_class and classes", (n, classes), each=64)
    rng = generator("make_spiral", rng)
    t, i = np.divmod(rng.permutation(n * classes), n)
    r = (i + 1) / n
    theta = 2 * np.pi * t / classes + 4 * r + noise * rng.standard_normal(n * classes)
    x = r[:, None] * np.column_stack([np.sin(theta), np.cos(theta)])
    return x.astype(np.float32), t.astype(np.int64)


def make_moons(n_per_class: int = 100, noise: float = 0.1, rng: Seed = None) -> Pair:
    """Two interleaving half circles in the plane, n = ``n_per_class`` points each.

    At equal angles θ from 0 to π, with ε drawn from the standard normal distribution:

        class 0:  x = (cos θ, sin θ) + noise · ε
        class 1:  x = (1 - cos θ, ½ - sin θ) + noise · ε

    Returns x (2 n, 2) float32 and t (2 n,) int64, labels 0 and 1, in random order. ``rng`` is a
    numpy.random.Generator, a seed or None. Raises TypeError or ValueError for a count that is not a
    positive integer and a noise below 0.

    >>> x, t = make_moons(n_per_class=2, noise=0.0, rng=0)
    >>> x[t == 0].round(2).tolist()
    [[1.0, 0.0], [-1.0, 0.0]]
    """
    n = checks.count("make_moons", "n_per_class", n_per_class)
    checks.room("make_moons", "n_per_class", (2 * n, 2), each=32, got=n)
    theta = np.linspace(0, np.pi, n)
    upper = np.column_stack([np.cos(theta), np.sin(theta)])
    return shuffled("make_moons", [upper, [1, 0.5] - upper], noise, rng)


def make_circles(
    n_per_class: int = 100, noise: float = 0.05, factor: float = 0.5, rng: Seed = None
) -> Pair:
    """Two circles around the origin, one inside the other, n = ``n_per_class`` points each.

    At equal angles θ from 0 to 2π, with ε drawn from the standard normal distribution:

        x = r (cos θ, sin θ) + noise · ε,    r = 1 in class 0,  r = factor in class 1.

    Returns x (2 n, 2) float32 and t (2 n,) int64, labels 0 and 1, in random order. ``rng`` is a
    numpy.random.Generator, a seed or None. Raises TypeError or ValueError for a count that is not a
    positive integer, a noise below 0 and a factor outside 0..1.

    >>> x, t = make_circles(n_per_class=3, noise=0.0, rng=0)
    >>> np.hypot(*x.T).round(2)[t == 1]
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    n = checks.count("make_circles", "n_per_class", n_per_class)
    r = checks.number("make_circles", "factor", factor, 0.0, 1.0, "be a number in 0..1")
    checks.room("make_circles", "n_per_class", (2 * n, 2), each=32, got=n)
    theta = np.linspace(0, 2 * np.pi, n, endpoint=False)
    outer = np.column_stack([np.cos(theta), np.sin(theta)])
    return shuffled("make_circles", [outer, r * outer], noise, rng)


def shuffled(who, classes, noise, rng):
    """All points with noise, and their labels, in random order."""
    noise = spread(who, noise)
    rng = generator(who, rng)
    n = len(classes[0])
    order = rng.permutation(n * len(classes))
    x = np.concatenate(classes)[order]
    return (x + noise * rng.standard_normal(x.shape)).astype(np.float32), order // n


def make_regression_1d(n: int = 100, noise: float = 0.1, rng: Seed = None) -> Pair:
    """A noisy sine, to fit a curve to: t = sin x + noise · ε, with x drawn from -π to π and ε from
    the standard normal distribution.

    Returns x (n, 1) and t (n, 1), float32. ``rng`` is a numpy.random.Generator, a seed or None.
    Raises TypeError or ValueError for a count that is not a positive integer and a noise below 0.

    >>> x, t = make_regression_1d(4, noise=0.0, rng=0)
    >>> x.shape, bool(np.allclose(t, np.sin(x)))
    ((4, 1), True)
    """
    who = "make_regression_1d"
    n = checks.count(who, "n", n)
    noise = spread(who, noise)
    checks.room(who, "n", (n, 1), each=32, got=n)
    rng = generator(who, rng)
    x = rng.uniform(-np.pi, np.pi, (n, 1))
    t = np.sin(x) + noise * rng.standard_normal((n, 1))
    return x.astype(np.float32), t.astype(np.float32)


def spread(who, noise):
    return checks.number(who, "noise", noise, 0.0, expected="be a finite number of at least 0")
