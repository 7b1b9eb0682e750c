"""What happens to the data before a network sees it."""
import math

import numpy as np

from ..common import checks
from ..common.rng import generator
from ..common.types import Array, ArrayLike, Seed
from ..training.batches import samples
from ..training.data import quotas


def train_test_split(
    *arrays: ArrayLike,
    test_size: float = 0.2,
    stratify: ArrayLike | None = None,
    rng: Seed = None,
) -> tuple[Array, ...]:
    """Set random samples aside, to judge a model by data that it was not trained on.

    - ``arrays``: one or more of shape (N, ...), all divided alike;
    - ``test_size``: a share between 0 and 1, which makes N_test = ceil(share · N), or N_test itself;
    - ``stratify``: labels (N,), usually t, so that both parts hold the classes in the same shares. Class
      c with N_c samples gives q_c = N_c · N_test / N of them to the test part, rounded down; the samples
      still missing come one each from the classes with the largest remainders. So no class is a whole
      sample away from q_c;
    - ``rng``: a numpy.random.Generator, a seed or None.

    Returns ``a_train, a_test, b_train, b_test, ...``: each sample in exactly one part, shuffled, all copies.

    Raises ValueError or TypeError for arrays that are empty or differ in length, for a ``test_size`` that
    leaves one part empty, and for labels of which one part would lack a class.

    >>> x, t = np.arange(10), np.array([0, 1, 0, 0, 1, 0, 1, 0, 0, 1])
    >>> x_train, x_test, t_train, t_test = train_test_split(x, t, test_size=0.5, stratify=t, rng=0)
    >>> np.bincount(t_train), np.bincount(t_test)
    (array([3, 2]), array([3, 2]))
    >>> np.sort(np.concatenate([x_train, x_test]))
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    who, rng = "train_test_split", generator("train_test_split", rng)
    arrays = samples(who, *arrays)
    N = len(arrays[0])
    N_test = count_test(who, test_size, N)
    labels = np.zeros(N) if stratify is None else samples(who, arrays[0], stratify=stratify)[1]
    if labels.ndim > 1:
        raise ValueError(checks.wrong(who, "stratify", f"have shape ({N},)", labels.shape,
                                      "t.argmax(axis=1) makes labels of one-hot rows"))

    classes, c, N_c = np.unique(labels, return_inverse=True, return_counts=True)
    q = quotas(N_c, N_test)
    for k in np.flatnonzero((q == 0) | (q == N_c)):
        part = "training" if q[k] else "test"
        raise ValueError(checks.wrong(who, "stratify", "leave every class in both parts",
                                      f"none of the {N_c[k]} samples of class {classes[k]} in the {part} one",
                                      "change test_size, merge rare classes or leave stratify out"))

    in_test = np.zeros(N, dtype=bool)
    for i, n in enumerate(q):
        in_test[rng.choice(np.flatnonzero(c == i), n, replace=False)] = True
    order = rng.permutation(N)
    train, test = order[~in_test[order]], order[in_test[order]]
    return tuple(a[part] for a in arrays for part in (train, test))


def count_test(who, test_size, N):
    """How many of N samples a ``test_size`` means, at least 1 and at most N - 1."""
    if isinstance(test_size, (float, np.floating)):
        # Rounded first: 0.07 * 100 is a little more than 7.
        N_test = math.ceil(round(float(test_size) * N, 6)) if 0 < test_size < 1 else 0
    else:
        N_test = checks.count(who, "test_size", test_size, least=-np.inf)
    if not 0 < N_test < N:
        raise ValueError(checks.wrong(who, "test_size", f"leave each part some of the {N} samples", test_size,
                                      "give a share between 0 and 1 or a number of samples"))
    return N_test


def random_shifts(images: ArrayLike, most: int = 2, rng: Seed = None) -> Array:
    """Copies of images (N, C, H, W), each moved by up to ``most`` pixels up or down and left or right, 0 moving in at
    the edge.

    A digit that is moved is the same digit: a new sample for nothing, each time it is drawn (LeCun et al. 1998;
    Krizhevsky et al. 2012 call it data augmentation).

    >>> random_shifts(np.arange(1.0, 10.0).reshape(1, 1, 3, 3), most=1, rng=3)
    array([[[[0., 4., 5.],
             [0., 7., 8.],
             [0., 0., 0.]]]])
    """
    images = checks.array("random_shifts", "images", images, shape=("N", "C", "H", "W"))
    most = checks.count("random_shifts", "most", most, least=0)
    N, C, H, W = images.shape
    checks.room("random_shifts", "most", (N, C, H + 2 * most, W + 2 * most), images.itemsize, got=most)
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (H, W), axis=(2, 3))
    down, right = generator("random_shifts", rng).integers(0, 2 * most + 1, (2, N))
    return windows[np.arange(N), :, down, right]
